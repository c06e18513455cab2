/** What the views share: the connection, what can be asked on it, and how it stands. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Client } from "../../../jsonrpc/internal/clientModel.ts"
import type { JsonRpcError } from "../../../jsonrpc/JsonRpcError.ts"
import type { Event, Name, Params, Result } from "../contract.ts"
import { h, id } from "./dom.ts"

export type Snapshot = Result<"dashboard.snapshot">
export type Description = Result<"dashboard.describe">

/** A part of the page. */
export interface View {
  readonly name: string
  readonly title: string
  readonly element: HTMLElement
  /** What it wants to hear while it is looked at. */
  readonly wants?: () => Params<"dashboard.watch">
  /** Called when it comes into sight, and each second while it is; not while there is no connection. */
  readonly tick?: (isFirst: boolean) => void
  readonly onSnapshot?: (snapshot: Snapshot) => void
  readonly onEvent?: (event: Event) => void
}

export interface App {
  readonly client: Client
  readonly description: Description
  readonly ask: <N extends Name>(
    method: N,
    ...params: Params<N> extends undefined ? [] : [Params<N>]
  ) => Effect.Effect<Result<N>, JsonRpcError>
  /** Runs an effect for its result; what it fails with is told as words. */
  readonly run: <A>(
    effect: Effect.Effect<A, JsonRpcError>,
    onSuccess: (value: A) => void,
    onFailure?: (words: string) => void
  ) => Fiber.Fiber<A, JsonRpcError>
  /** Says it to who does not see it, once. */
  readonly announce: (words: string) => void
  /** Wants what the view that is looked at wants, anew. */
  readonly rewatch: () => void
  readonly go: (view: string) => void
}

/** Why nothing can be sent now; `undefined` where it can. */
let obstacle: string | undefined
const buttons = new Set<WeakRef<HTMLButtonElement>>()
export const reasonId = "why-disabled"

/** Tells all buttons that send something whether they can. */
export const setObstacle = (words: string | undefined): void => {
  obstacle = words
  for (const ref of buttons) {
    const button = ref.deref()
    if (button === undefined) buttons.delete(ref)
    else refresh(button)
  }
}

const refresh = (button: HTMLButtonElement): void => {
  const own = button.dataset["why"]
  const words = obstacle ?? own
  if (words === undefined) {
    button.removeAttribute("aria-disabled")
    button.removeAttribute("aria-describedby")
    button.title = ""
  } else {
    button.setAttribute("aria-disabled", "true")
    if (obstacle !== undefined) button.setAttribute("aria-describedby", reasonId)
    else button.removeAttribute("aria-describedby")
    button.title = words
  }
}

/** Says why a button cannot be used for now, or that it can. */
export const setReason = (button: HTMLButtonElement, words: string | undefined): void => {
  if (words === undefined) delete button.dataset["why"]
  else button.dataset["why"] = words
  refresh(button)
}

/**
 * A button that sends something. While that is not possible it stays in the order of the keyboard, does nothing, and says
 * why.
 */
export const button = (
  label: string,
  onClick: (event: MouseEvent) => void,
  attributes: { readonly [name: string]: string } = {}
): HTMLButtonElement => {
  const node = h("button", { type: "button", ...attributes }, label)
  guard(node)
  node.addEventListener("click", onClick)
  return node
}

/** Makes a button one that knows the connection. */
export const guard = (node: HTMLButtonElement): void => {
  buttons.add(new WeakRef(node))
  node.addEventListener("click", (event) => {
    if (node.getAttribute("aria-disabled") !== "true") return
    event.preventDefault()
    event.stopImmediatePropagation()
  })
  refresh(node)
}

/** A line under what was done that says how it went; read out where it changes. */
export const outcome = (): {
  readonly element: HTMLElement
  readonly say: (words: string, isBad?: boolean) => void
} => {
  const element = h("p", { class: "outcome", role: "status" })
  return {
    element,
    say: (words, isBad = false) => {
      element.textContent = words
      element.classList.toggle("bad", isBad)
    }
  }
}

/** An input with its label. */
export const labelled = (label: string, control: HTMLElement, hint?: string): HTMLElement => {
  const name = control.id === "" ? id("field") : control.id
  control.id = name
  if (hint === undefined) return h("div", { class: "field" }, h("label", { for: name }, label), control)
  control.setAttribute("aria-describedby", `${name}-hint`)
  return h(
    "div",
    { class: "field" },
    h("label", { for: name }, label),
    control,
    h("p", { class: "hint", id: `${name}-hint` }, hint)
  )
}

/** What an error says to people. */
export const wordsOf = (error: JsonRpcError): string => {
  const { reason } = error
  if (reason._tag !== "RemoteError") return reason.message
  const data = reason.data as { readonly reason?: unknown; readonly correlationId?: unknown } | undefined
  if (typeof data?.reason === "string") return data.reason
  return typeof data?.correlationId === "string" ? `${reason.message} (${data.correlationId})` : reason.message
}

export const runWith = <A>(
  effect: Effect.Effect<A, JsonRpcError>,
  onSuccess: (value: A) => void,
  onFailure: (words: string) => void = () => {}
): Fiber.Fiber<A, JsonRpcError> => {
  const fiber = Effect.runFork(effect)
  fiber.addObserver((exit) => {
    if (Exit.isSuccess(exit)) return onSuccess(exit.value)
    const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
    if (failure !== undefined) onFailure(wordsOf(failure.error))
    else if (!Cause.hasInterruptsOnly(exit.cause)) onFailure("this page made a mistake")
  })
  return fiber
}
