/** Lays generated source out as a person would: what is too long for a line goes one item to a line. @internal */

const width = 120

interface Group {
  readonly open: string
  readonly close: string
  readonly items: ReadonlyArray<Item>
}

type Item = ReadonlyArray<string | Group>

const closers: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" }

const string = /"(?:[^"\\]|\\.)*"/y

const parse = (text: string): Item => {
  let at = 0
  const items = (close: string | undefined): Array<Item> => {
    const all: Array<Item> = []
    let item: Array<string | Group> = []
    let plain = ""
    const flush = () => {
      if (plain !== "") item.push(plain)
      plain = ""
    }
    while (at < text.length) {
      const c = text[at]!
      string.lastIndex = at
      const literal = c === "\"" ? string.exec(text)?.[0] : undefined
      if (literal !== undefined) {
        plain += literal
        at += literal.length
      } else if (Object.hasOwn(closers, c)) {
        flush()
        at++
        item.push({ open: c, close: closers[c]!, items: items(closers[c]!) })
      } else if (c === close) {
        at++
        break
      } else if (c === "," && close !== undefined) {
        flush()
        at++
        all.push(item)
        item = []
      } else {
        plain += c
        at++
      }
    }
    flush()
    if (item.length > 0) all.push(item)
    return all
  }
  const [only = []] = items(undefined)
  return only
}

const flat = (item: Item): string =>
  item.map((part) => {
    if (typeof part === "string") return part
    const inner = part.items.map((one) => flat(one).trim()).join(", ")
    return inner !== "" && part.open === "{" ? `{ ${inner} }` : `${part.open}${inner}${part.close}`
  }).join("")

/** `start` is the column at which it begins. */
const print = (item: Item, indent: string, start: number): string => {
  let out = ""
  for (const [index, part] of item.entries()) {
    if (typeof part === "string") {
      out += part
      continue
    }
    const line = out.lastIndexOf("\n")
    const column = line < 0 ? start + out.length : out.length - line - 1
    const [only] = part.items
    if (only === undefined || column + flat(item.slice(index)).length <= width) {
      out += flat([part])
    } else if (part.items.length === 1 && part.open !== "{") {
      out += part.open + print(trim(only), indent, column + 1) + part.close
    } else {
      const deeper = `${indent}  `
      const lines = part.items.map((one) => deeper + print(trim(one), deeper, deeper.length))
      out += `${part.open}\n${lines.join(",\n")}\n${indent}${part.close}`
    }
  }
  return out
}

const trim = (item: Item): Item =>
  item.map((part, index) => {
    if (typeof part !== "string") return part
    const left = index === 0 ? part.trimStart() : part
    return index === item.length - 1 ? left.trimEnd() : left
  })

/**
 * Breaks the lines that are too long, comments excepted.
 *
 * @internal
 */
export const layout = (source: string): string =>
  source.split("\n").map((line) => {
    const code = line.trimStart()
    if (line.length <= width || code.startsWith("*") || code.startsWith("/")) return line
    const indent = line.slice(0, line.length - code.length)
    return indent + print(parse(code), indent, indent.length)
  }).join("\n")
