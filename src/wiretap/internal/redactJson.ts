/**
 * Replaces values in a JSON text without touching the rest of it: numbers keep their digits, members their order, white
 * space its place. The walk keeps its own stack, since what it reads may be nested without end.
 */

import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** @internal */
export interface Hidden {
  /** Lower-case names of members, at any depth. */
  readonly names: ReadonlySet<string>
  /** Tokens of JSON Pointers; `*` stands for any one token. */
  readonly pointers: ReadonlyArray<ReadonlyArray<string>>
  /** Lower-case methods whose `params` are hidden. */
  readonly methods: ReadonlySet<string>
}

interface Span {
  readonly from: number
  readonly to: number
}

interface Level {
  readonly isArray: boolean
  /** The name of the member, or the index of the element, that is being read. */
  token: string
  index: number
  /** Of a message: where its `params` stand, and whether its method is one of those hidden. */
  params: Span | undefined
  isHidden: boolean
  /** Where the value of the token begins. */
  from: number
  /** Of an operation of a JSON Patch: where its `value` stands, and whether its `path` leads to what is hidden. */
  value: Span | undefined
  isPlaceHidden: boolean
}

const literal = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const space = /[ \t\r\n]*/y

/**
 * The text with what is hidden replaced by `"***"`; `undefined` when it is no JSON.
 *
 * @internal
 */
export const redactJson = (text: string, hidden: Hidden): string | undefined => {
  const spans: Array<Span> = []
  const stack: Array<Level> = []
  let at = 0

  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found === null) return undefined
    at = pattern.lastIndex
    return found[0]
  }
  const skipSpace = () => void match(space)
  /** Where the string that begins at `from` ends, behind its quote; -1 when it does not. */
  const endOfString = (from: number): number => {
    for (let quote = text.indexOf("\"", from + 1); quote >= 0; quote = text.indexOf("\"", quote + 1)) {
      let escapes = 0
      while (text[quote - 1 - escapes] === "\\") escapes++
      if (escapes % 2 === 0) return quote + 1
    }
    return -1
  }
  const takeString = (): string | undefined => {
    const end = text[at] === "\"" ? endOfString(at) : -1
    if (end < 0) return undefined
    const found = text.slice(at, end)
    at = end
    return found
  }
  const take = (character: string): boolean => {
    skipSpace()
    if (text[at] !== character) return false
    at++
    return true
  }
  /** Where the value that begins here ends: strings are skipped, brackets counted. */
  const endOfValue = (): number => {
    let depth = 0
    for (let i = at; i < text.length; i++) {
      const character = text[i]!
      if (character === "\"") {
        const end = endOfString(i)
        if (end < 0) return -1
        i = end - 1
      } else if (character === "{" || character === "[") depth++
      else if (character === "}" || character === "]") {
        if (depth === 0) return i
        depth--
      } else if (character === "," && depth === 0) return i
      if (depth === 0 && (character === "}" || character === "]" || character === "\"")) return i + 1
    }
    return depth === 0 ? text.length : -1
  }
  /** Depth of the object that is a message: a batch holds messages. */
  const messageDepth = () => stack.length > 0 && stack[0]!.isArray ? 2 : 1
  const isHidden = (): boolean => {
    const top = stack[stack.length - 1]
    if (top === undefined) return false
    if (!top.isArray && hidden.names.has(top.token.toLowerCase())) return true
    const base = messageDepth() - 1
    return hidden.pointers.some((pointer) =>
      pointer.length === stack.length - base &&
      pointer.every((token, i) => token === "*" || token === stack[base + i]!.token)
    )
  }
  const endObject = (level: Level) => {
    if (level.isHidden && level.params !== undefined) spans.push(level.params)
    if (level.isPlaceHidden && level.value !== undefined) spans.push(level.value)
  }

  for (;;) {
    // one value begins here
    skipSpace()
    const from = at
    const top = stack[stack.length - 1]
    const isMember = top !== undefined && !top.isArray && stack.length === messageDepth()
    let opened = false
    if (top !== undefined) top.from = from
    if (isHidden()) {
      at = endOfValue()
      if (at < 0) return undefined
      while (at > from && " \t\r\n".includes(text[at - 1]!)) at--
      spans.push({ from, to: at })
    } else if (text[at] === "{" || text[at] === "[") {
      if (isMember && top.token === "params") {
        const end = endOfValue()
        if (end < 0) return undefined
        top.params = { from, to: end }
      }
      const isArray = text[at++] === "["
      skipSpace()
      if (text[at] === (isArray ? "]" : "}")) at++
      else {
        stack.push({
          isArray,
          token: "0",
          index: 0,
          params: undefined,
          isHidden: false,
          from: 0,
          value: undefined,
          isPlaceHidden: false
        })
        opened = true
      }
    } else {
      const value = text[at] === "\"" ? takeString() : match(literal)
      if (value === undefined) return undefined
      if (isMember && top.token === "method" && value.startsWith("\"")) {
        top.isHidden = hidden.methods.has(decode(value)?.toLowerCase() ?? "")
      }
      if (isMember && top.token === "params") top.params = { from, to: at }
      if (top !== undefined && !top.isArray && top.token === "path" && value.startsWith("\"/")) {
        top.isPlaceHidden = decode(value)?.split("/").some((token) => hidden.names.has(token.toLowerCase())) === true
      }
    }
    // what follows it
    for (;;) {
      const level = stack[stack.length - 1]
      if (level === undefined) {
        skipSpace()
        return at === text.length ? replace(text, spans) : undefined
      }
      if (!opened) {
        // its value ended here
        if (!level.isArray && level.token === "value") level.value = { from: level.from, to: at }
        if (take(level.isArray ? "]" : "}")) {
          endObject(level)
          stack.pop()
          continue
        }
        if (!take(",")) return undefined
        if (level.isArray) level.token = String(++level.index)
      }
      opened = false
      if (!level.isArray) {
        skipSpace()
        const name = takeString()
        const token = name === undefined ? undefined : decode(name)
        if (token === undefined || !take(":")) return undefined
        level.token = token
      }
      break
    }
  }
}

const decodeString = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.String))

/** What a string of JSON stands for. */
const decode = (quoted: string): string | undefined =>
  quoted.includes("\\") ? Option.getOrUndefined(decodeString(quoted)) : quoted.slice(1, -1)

/** Spans inside another are gone with it. */
const replace = (text: string, spans: Array<Span>): string => {
  spans.sort((a, b) => a.from - b.from || b.to - a.to)
  let result = ""
  let at = 0
  for (const { from, to } of spans) {
    if (from < at) continue
    result += text.slice(at, from) + "\"***\""
    at = to
  }
  return result + text.slice(at)
}
