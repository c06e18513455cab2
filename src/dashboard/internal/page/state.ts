/** States as trees, whose changes light up. */
import { type App, labelled, type View } from "./app.ts"
import { h, now, setText, time } from "./dom.ts"
import { apply, type Operation } from "./patch.ts"

/** Members of one container that are shown. */
const maxMembers = 200
const flashMillis = 1500

interface Node {
  readonly element: HTMLElement
  readonly update: (value: unknown) => void
}

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null

const flash = (element: HTMLElement): void => {
  element.classList.add("changed")
  const flashes = Number(element.dataset["flashes"] ?? "0") + 1
  element.dataset["flashes"] = String(flashes)
  setTimeout(() => {
    if (element.dataset["flashes"] === String(flashes)) element.classList.remove("changed")
  }, flashMillis)
}

const kindOf = (value: unknown): "leaf" | "array" | "object" =>
  Array.isArray(value) ? "array" : isContainer(value) ? "object" : "leaf"

const head = (value: object): string => {
  const count = Object.keys(value).length
  return Array.isArray(value) ? `[${count}]` : `{${count}}`
}

const makeLeaf = (key: string, first: unknown): Node => {
  let value = first
  const text = h("span", { class: "leaf" }, JSON.stringify(first) ?? "")
  return {
    element: h("li", {}, h("span", { class: "key" }, key), text),
    update: (next) => {
      if (next === value) return
      value = next
      setText(text, JSON.stringify(next) ?? "")
      flash(text)
    }
  }
}

const makeContainer = (key: string, first: object, isOpen: boolean): Node => {
  let value: object = first
  const size = h("span", { class: "soft" }, head(first))
  const list = h("ul", { class: "tree" })
  const summary = h("summary", {}, h("span", { class: "key" }, key), size)
  const details = h("details", isOpen ? { open: true } : {}, summary, list)
  const nodes = new Map<string, Node & { readonly kind: string }>()
  const more = h("li", { class: "soft", hidden: true })
  list.append(more)
  const draw = (lights: boolean) => {
    if (!details.open) return
    const keys = Object.keys(value)
    const shown = new Set(keys.slice(0, maxMembers))
    for (const [name, node] of nodes) {
      if (shown.has(name)) continue
      node.element.remove()
      nodes.delete(name)
    }
    for (const name of shown) {
      const member = (value as Record<string, unknown>)[name]
      const before = nodes.get(name)
      if (before !== undefined && before.kind === kindOf(member)) {
        before.update(member)
        continue
      }
      const node = make(name, member, false)
      if (before === undefined) list.insertBefore(node.element, more)
      else before.element.replaceWith(node.element)
      nodes.set(name, { ...node, kind: kindOf(member) })
      if (lights) flash(node.element)
    }
    more.hidden = keys.length <= maxMembers
    setText(more, more.hidden ? "" : `… and ${keys.length - maxMembers} more`)
  }
  details.addEventListener("toggle", () => draw(false))
  draw(false)
  return {
    element: h("li", {}, details),
    update: (next) => {
      if (next === value) return
      value = next as object
      setText(size, head(value))
      // what is folded away lights up where it can be seen
      if (!details.open) flash(summary)
      draw(true)
    }
  }
}

const make = (key: string, value: unknown, isOpen: boolean): Node =>
  isContainer(value) ? makeContainer(key, value, isOpen) : makeLeaf(key, value)

const view = (app: App): View => {
  const { states } = app.description
  const select = h("select", {}, ...states.map((name) => h("option", { value: name }, name)))
  const place = h("ul", { class: "tree root", "aria-label": "the state" })
  const version = h("p", { class: "soft" }, "waiting for the state …")
  let document: unknown = null
  let root: (Node & { readonly kind: string }) | undefined
  const reset = () => {
    document = null
    root = undefined
    place.replaceChildren()
    setText(version, "waiting for the state …")
  }
  select.addEventListener("change", () => {
    reset()
    app.rewatch()
  })
  return {
    name: "state",
    title: "State",
    element: h(
      "div",
      { class: "stack" },
      h(
        "section",
        { class: "card" },
        ...(states.length === 0
          ? [h("p", { class: "soft" }, "The app shows no states here: give them as the option states.")]
          : [labelled("State", select), version, place])
      )
    ),
    wants: () => states.length === 0 ? {} : ({ state: select.value }),
    onEvent: (event) => {
      if (event.kind !== "state" || event.state !== select.value) return
      document = apply(document, event.operations as unknown as ReadonlyArray<Operation>)
      setText(version, `version ${event.version}, at ${time(now())}`)
      const kind = kindOf(document)
      if (root !== undefined && root.kind === kind) return root.update(document)
      root = { ...make(select.value, document, true), kind }
      place.replaceChildren(root.element)
    }
  }
}

export { view as make }
