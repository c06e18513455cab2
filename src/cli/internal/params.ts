/**
 * Parameters as people write them on a command line: one JSON object or array, `name=value` each, or values by position.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Params } from "../../jsonrpc/JsonRpcRemote.ts"
import { type Failure, usage } from "./failure.ts"

const pair = /^([A-Za-z_$][\w$.-]*)=([\s\S]*)$/

const json = (text: string): { readonly value: unknown } | undefined => {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/**
 * A value: JSON where the text is JSON, else the text itself. Quotes make text of what would be JSON: `'"5"'`.
 *
 * @internal
 */
export const valueOf = (text: string): unknown => {
  const parsed = json(text)
  return parsed === undefined ? text : parsed.value
}

const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The parameters that arguments stand for; a text says what is wrong with them.
 *
 * @internal
 */
export const fromArguments = (args: ReadonlyArray<string>): { readonly params: Params } | string => {
  if (args.length === 0) return { params: undefined }
  const [first] = args
  if (args.length === 1 && /^\s*[[{]/.test(first!)) {
    const parsed = json(first!)
    if (parsed === undefined) return `this is no JSON: ${first}`
    return { params: parsed.value as Params }
  }
  const pairs = args.map((argument) => pair.exec(argument))
  const named = pairs.filter((found) => found !== null)
  if (named.length === 0) return { params: args.map(valueOf) }
  if (named.length < args.length) return "parameters go by name=value or by position, not both"
  const entries = named.map((found) => [found[1]!, valueOf(found[2]!)] as const)
  const names = new Set(entries.map(([name]) => name))
  if (names.size < entries.length) return "a parameter is given twice"
  return { params: Object.fromEntries(entries) }
}

/**
 * The text of a file (`@file`), of standard input (`-`), or the argument itself.
 *
 * @internal
 */
export const textOf = (
  argument: string
): Effect.Effect<string, Failure, FileSystem.FileSystem | Stdio.Stdio> =>
  Effect.gen(function*() {
    if (argument === "-") {
      const stdio = yield* Stdio.Stdio
      return yield* Effect.mapError(
        Stream.mkString(Stream.decodeText(stdio.stdin)),
        (error) => usage(`standard input cannot be read: ${error.message}`)
      )
    }
    if (!argument.startsWith("@")) return argument
    const fs = yield* FileSystem.FileSystem
    return yield* Effect.mapError(
      fs.readFileString(argument.slice(1)),
      () => usage(`the file ${argument.slice(1)} cannot be read`)
    )
  })

/**
 * The parameters of a call. A single `@file` or `-` is read first, and has to be JSON.
 *
 * @internal
 */
export const read = (
  args: ReadonlyArray<string>
): Effect.Effect<Params, Failure, FileSystem.FileSystem | Stdio.Stdio> =>
  Effect.gen(function*() {
    const [first] = args
    if (args.length === 1 && (first === "-" || first!.startsWith("@"))) {
      const parsed = json(yield* textOf(first!))
      if (parsed === undefined) return yield* usage(`${first === "-" ? "standard input" : first} is no JSON`)
      if (!Array.isArray(parsed.value) && !isObject(parsed.value)) {
        return yield* usage("parameters are a JSON array or a JSON object")
      }
      return parsed.value
    }
    const found = fromArguments(args)
    if (typeof found === "string") {
      return yield* usage(
        found,
        "name=value for each parameter, where the value is JSON or text",
        "one JSON object or array in quotes: '{\"a\": 1}'"
      )
    }
    return found.params
  })
