/** Mutations of frames by a seeded generator, so that a failure can be run again. */

export type Random = () => number

/** mulberry32: 32 bits of state, the same numbers everywhere. */
export const seeded = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const int = (random: Random, below: number) => Math.floor(random() * below)
const pick = <A>(random: Random, from: ReadonlyArray<A>): A => from[int(random, from.length)]!

const tokens = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\"",
  "\\",
  "null",
  "true",
  "-",
  "0",
  "1e999",
  "9007199254740993",
  "\"id\":",
  "\"id\":1,",
  "\"method\":\"sum\"",
  "\"params\":",
  "\"jsonrpc\":\"2.0\",",
  "\"__proto__\":",
  "\"result\":null",
  "\"error\":{},",
  "\ud800",
  "\\ud800",
  "\u0000",
  "\ufeff",
  "[[[[[[[[[[",
  "{\"a\":{\"a\":{\"a\":",
  "  ",
  "\n"
]

const values: ReadonlyArray<unknown> = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  1e300,
  "",
  "1",
  "2.0",
  "sum",
  "cancel",
  "progress",
  "__proto__",
  "constructor",
  "toString",
  "\ud800",
  [],
  {},
  [1],
  [[1]],
  { id: 1 },
  { a: 1 },
  "x".repeat(300),
  ["a", null, {}],
  Array.from({ length: 101 }, () => 1)
]

const keys = [
  "jsonrpc",
  "method",
  "params",
  "id",
  "result",
  "error",
  "code",
  "message",
  "data",
  "__proto__",
  "constructor",
  "a"
]

const define = (target: object, key: string, value: unknown) =>
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })

/** Changes one place of a value. */
const mutateValue = (random: Random, value: unknown, depth = 0): unknown => {
  if (typeof value !== "object" || value === null || random() < 0.15 || depth > 20) {
    const other = pick(random, values)
    return random() < 0.1 ? nest(random, other) : other
  }
  if (Array.isArray(value)) {
    const copy = value.slice()
    const at = int(random, copy.length + 1)
    switch (int(random, 4)) {
      case 0:
        copy.splice(at, 1)
        return copy
      case 1:
        copy.splice(at, 0, copy.length > 0 ? pick(random, copy) : pick(random, values))
        return copy
      default:
        if (at < copy.length) copy[at] = mutateValue(random, copy[at], depth + 1)
        return copy
    }
  }
  const copy: Record<string, unknown> = {}
  const names = Object.keys(value)
  for (const name of names) define(copy, name, (value as Record<string, unknown>)[name])
  const name = names.length > 0 ? pick(random, names) : "a"
  switch (int(random, 5)) {
    case 0:
      delete copy[name]
      return copy
    case 1:
      define(copy, pick(random, keys), pick(random, values))
      return copy
    default:
      define(copy, name, mutateValue(random, Object.hasOwn(copy, name) ? copy[name] : undefined, depth + 1))
      return copy
  }
}

const nest = (random: Random, value: unknown): unknown => {
  let nested = value
  for (let depth = int(random, 300); depth > 0; depth--) nested = random() < 0.5 ? [nested] : { a: nested }
  return nested
}

const mutateText = (random: Random, text: string, corpus: ReadonlyArray<string>): string => {
  const at = int(random, text.length + 1)
  const end = Math.min(text.length, at + int(random, 12))
  switch (int(random, 7)) {
    case 0:
      return text.slice(0, at) + text.slice(end)
    case 1:
      return text.slice(0, at) + pick(random, tokens) + text.slice(at)
    case 2:
      return text.slice(0, at) + pick(random, tokens) + text.slice(end)
    case 3:
      return text.slice(0, at) + String.fromCharCode(int(random, 128)) + text.slice(at + 1)
    case 4:
      return text.slice(0, at) + text.slice(at, end) + text.slice(at)
    case 5:
      return text.slice(0, at)
    default: {
      const other = pick(random, corpus)
      return text.slice(0, at) + other.slice(int(random, other.length))
    }
  }
}

/** One frame made from the corpus: as it is now and then, else with one to four mutations of its text or its value. */
export const mutated = (random: Random, corpus: ReadonlyArray<string>): string => {
  let text = pick(random, corpus)
  if (random() < 0.05) return text
  for (let count = 1 + int(random, 4); count > 0; count--) {
    if (random() < 0.5) {
      text = mutateText(random, text, corpus)
      continue
    }
    try {
      text = JSON.stringify(mutateValue(random, JSON.parse(text)))
    } catch {
      text = mutateText(random, text, corpus)
    }
  }
  if (random() < 0.03) text = `[${text},${pick(random, corpus)},${text}]`
  return text
}
