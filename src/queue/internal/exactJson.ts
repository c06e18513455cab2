/**
 * @internal JSON whose numbers are kept digit for digit. `JSON.parse` rounds `12345678901234567890` and makes `1e400` an
 * infinity, which has no JSON. A payload that came as text with a number that a `number` does not hold keeps that text; the
 * value that programs read is the rounded one, frozen, so that text and value cannot part.
 */
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Message from "../Message.ts"

/** A number with so many digits, or an exponent, may not be what `JSON.parse` makes of it; -0 is not what is written of it. */
const suspicious = /\d[\d.]{15}|\d[eE]|-0/
const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

const parse = Option.liftThrowable((text: string): Schema.Json => JSON.parse(text))

/** The text of each payload whose value does not say it all. */
const texts = new WeakMap<Message.JsonPayload, string>()

/** The JSON text that a payload came as, where its value does not say it all. */
export const textOf = (payload: Message.JsonPayload): string | undefined => texts.get(payload)

/** A payload of JSON text. `invalid`: no JSON; `number`: a number that is beyond every `number`. */
export const payloadOf = (text: string): Message.JsonPayload | "invalid" | "number" => {
  const value = parse(text)
  if (Option.isNone(value)) return "invalid"
  const numbers = numbersOf(text)
  return numbers === "infinite" ? "number" : keep(text, value.value, numbers)
}

/** A payload of text that was stored, and is JSON; throws where it is not. */
export const decode = (text: string): Message.JsonPayload => keep(text, JSON.parse(text), numbersOf(text))

/**
 * Of a list of objects, as JSON text: the text of one member of each, `undefined` where an object has none. `undefined` for
 * text that holds no such list.
 */
export const membersOf = (text: string, name: string): ReadonlyArray<string | undefined> | undefined => {
  const list = Option.getOrUndefined(parse(text))
  if (!Array.isArray(list)) return undefined
  const quoted = JSON.stringify(name)
  const members: Array<string | undefined> = list.map(() => undefined)
  let index = -1
  let depth = 0
  let isKey = false
  let start: number | undefined
  for (const match of text.matchAll(structure)) {
    const [word] = match
    if (depth === 2 && start !== undefined && (word === "," || word === "}")) {
      members[index] = text.slice(start, match.index).trim()
      start = undefined
    }
    if (depth === 2 && isKey && word === quoted) start = -1
    else if (start === -1 && word === ":") start = match.index + 1
    if (word === "{" || word === "[") {
      if (depth === 1) index++
      depth++
    } else if (word === "}" || word === "]") depth--
    else if (depth === 1 && word !== ",") index++
    isKey = (word === "{" || word === ",") && depth === 2
  }
  return members
}

const structure = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g

type Numbers = "exact" | "rounded" | "infinite"

const numbersOf = (text: string): Numbers => {
  if (!suspicious.test(text)) return "exact"
  let numbers: Numbers = "exact"
  for (const [literal] of text.matchAll(token)) {
    if (literal[0] === "\"") continue
    const number = Number(literal)
    if (!Number.isFinite(number)) return "infinite"
    if (digits(literal) !== digits(String(number))) numbers = "rounded"
  }
  return numbers
}

const keep = (text: string, value: Schema.Json, numbers: Numbers): Message.JsonPayload => {
  const payload = Message.json(value)
  if (numbers !== "exact") {
    texts.set(payload, text)
    freeze(value)
  }
  return payload
}

/** Whether `JSON.stringify` wrote `null` for a number that JSON has not. */
export const hasNonFinite = (value: unknown): boolean =>
  typeof value === "number"
    ? !Number.isFinite(value)
    : typeof value === "object" && value !== null && Object.values(value).some(hasNonFinite)

/** The significant digits of a number and where its point is: `1.50e3` and `1500` are the same. */
const digits = (literal: string): string => {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(literal)!
  const all = (whole! + fraction).replace(/^0+/, "")
  const significant = all.replace(/0+$/, "")
  if (significant === "") return `${sign}0`
  return `${sign}${significant}e${Number(exponent) - fraction.length + (all.length - significant.length)}`
}

const freeze = (root: Schema.Json): void => {
  const left: Array<unknown> = [root]
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== "object" || value === null) continue
    Object.freeze(value)
    left.push(...Object.values(value))
  }
}
