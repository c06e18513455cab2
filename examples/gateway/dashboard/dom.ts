/** Small helpers between Effect and the page. Text is always set as text, never as HTML. */
import { Effect, Fiber, type Scope } from "effect"

/** The element with this id; a page without it is a defect. */
export const byId = <A extends HTMLElement>(id: string): A => {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no #${id}`)
  return element as A
}

export const valueOf = (id: string): string => byId<HTMLInputElement>(id).value

export const setText = (id: string, text: string) =>
  Effect.sync(() => {
    const element = byId(id)
    if (element.textContent !== text) element.textContent = text
  })

/** An element with text, or with children. */
export const element = <K extends keyof HTMLElementTagNameMap>(
  name: K,
  content: string | ReadonlyArray<Node>,
  properties: Partial<HTMLElementTagNameMap[K]> = {}
): HTMLElementTagNameMap[K] => {
  const node = document.createElement(name)
  if (typeof content === "string") node.textContent = content
  else node.append(...content)
  return Object.assign(node, properties)
}

/** Says what went wrong where the reader looks: under the button. */
const report = (id: string) => (error: unknown) => setText(id, error instanceof Error ? error.message : String(error))

/**
 * Runs an effect each time the form is sent, by its button or by Enter; its failure is shown in `messages`, and what was
 * shown there before is cleared.
 */
export const onSubmit = <A, E, R>(
  form: string,
  messages: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<void, never, R | Scope.Scope> => listen(byId(form), "submit", messages, effect)

export const onClick = <A, E, R>(
  button: HTMLElement,
  messages: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<void, never, R | Scope.Scope> => listen(button, "click", messages, effect)

const listen = <A, E, R>(target: HTMLElement, event: string, messages: string, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const context = yield* Effect.context<R>()
    const fibers = new Set<Fiber.Fiber<unknown>>()
    const handler = (event: Event) => {
      event.preventDefault()
      const fiber = Effect.runForkWith(context)(
        setText(messages, "").pipe(Effect.andThen(effect), Effect.catch(report(messages)))
      )
      fibers.add(fiber)
      fiber.addObserver(() => fibers.delete(fiber))
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => target.addEventListener(event, handler)),
      () => {
        target.removeEventListener(event, handler)
        return Fiber.interruptAll(fibers)
      }
    )
  })

/** A line of the newest values, drawn from 0 to the highest of them. */
export const plot = (id: string, label: string, unit: string, length = 60) => {
  const values: Array<number> = []
  const line = byId(`${id}-plot`).querySelector("polyline")!
  return (value: number) =>
    Effect.sync(() => {
      values.push(value)
      if (values.length > length) values.shift()
      const highest = Math.max(...values, 1e-9)
      const points = values.map((v, i) =>
        `${((length - values.length + i) / (length - 1)) * 100},${30 - (v / highest) * 28}`
      )
      line.setAttribute("points", points.join(" "))
      const text = `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`
      byId(`${id}-now`).textContent = text
      byId(`${id}-plot`).setAttribute("aria-label", `${label}: now ${text}, highest ${highest.toFixed(1)} ${unit}`)
    })
}
