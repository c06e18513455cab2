/** Elements and words. Text is always set as text, never as HTML. */

type Child = Node | string | undefined | false

type Attributes = {
  readonly [name: string]: string | number | boolean | undefined | ((event: any) => void)
}

const apply = (node: Element, attributes: Attributes, children: ReadonlyArray<Child>): void => {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value)
    else if (value === true) node.setAttribute(name, "")
    else if (value !== undefined && value !== false) node.setAttribute(name, String(value))
  }
  for (const child of children) if (child !== undefined && child !== false) node.append(child)
}

/** An element with attributes (`onclick` and the like are listeners) and children. */
export const h = <K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[K] => {
  const node = document.createElement(name)
  apply(node, attributes, children)
  return node
}

/** The same for SVG. */
export const svg = (name: string, attributes: Attributes = {}, ...children: ReadonlyArray<Child>): SVGElement => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name)
  apply(node, attributes, children)
  return node
}

/** Sets a text where it is another, so that nothing that did not change is read out or loses a selection. */
export const setText = (node: Element, text: string): void => {
  if (node.textContent !== text) node.textContent = text
}

let lastId = 0

/** A name that no other element has. */
export const id = (what: string): string => `${what}-${++lastId}`

/** A table that scrolls by itself where it is wider than the page, also by keyboard. Heads of columns of numbers begin with `#`. */
export const table = (label: string, heads: ReadonlyArray<string>, attributes: Attributes = {}) => {
  const body = h("tbody", attributes)
  const element = h(
    "div",
    { class: "scroll", role: "region", "aria-label": label, tabindex: 0 },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...heads.map((head) =>
            h("th", { scope: "col", class: head.startsWith("#") ? "number" : undefined }, head.replace("#", ""))
          )
        )
      ),
      body
    )
  )
  return { element, body }
}

/**
 * Brings the rows of a table, or the items of a list, to what they shall be: by key, so that what is there already stays, and with it the
 * focus of who goes through it by keyboard.
 */
export const keyed = <A>(
  parent: Element,
  items: ReadonlyArray<A>,
  keyOf: (item: A) => string,
  make: (item: A) => HTMLElement,
  update: (node: HTMLElement, item: A) => void
): void => {
  const before = new Map<string, HTMLElement>()
  for (const child of Array.from(parent.children) as Array<HTMLElement>) before.set(child.dataset["key"] ?? "", child)
  let at: ChildNode | null = parent.firstChild
  for (const item of items) {
    const key = keyOf(item)
    let node = before.get(key)
    if (node === undefined) {
      node = make(item)
      node.dataset["key"] = key
    }
    before.delete(key)
    update(node, item)
    if (node === at) at = at.nextSibling
    else parent.insertBefore(node, at)
  }
  for (const node of before.values()) node.remove()
}

/** Milliseconds since 1970 by the clock of this machine. */
export const now = (): number => performance.timeOrigin + performance.now()

const clockFormat = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" })
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })

/** A time of day; with its date where it is more than half a day away. */
export const time = (ms: number): string => (Math.abs(now() - ms) < 43_200_000 ? clockFormat : dayFormat).format(ms)

/** A span as people say it: `3 s`, `2 min`, `5 h`, `4 d`. */
export const span = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}

/** A number with as many digits as say something. */
export const figure = (value: number): string =>
  value === 0
    ? "0"
    : value < 1
    ? value.toPrecision(2).replace(/\.?0+$/, "")
    : value < 10
    ? String(Math.round(value * 10) / 10)
    : Math.round(value).toLocaleString("en")

/** Bytes with their unit. */
export const bytes = (value: number): string => {
  const units = ["B", "KiB", "MiB", "GiB"]
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${figure(value)} ${units[unit]!}`
}

/** JSON as people read it. */
export const pretty = (value: unknown): string => value === undefined ? "" : JSON.stringify(value, undefined, 2)
