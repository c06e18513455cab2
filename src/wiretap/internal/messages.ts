/**
 * Frames as messages that can be compared: what belongs together in two runs has one key, whatever came in between.
 */
import * as Result from "effect/Result"

/** @internal */
export interface Item {
  /** Messages with one key are compared in their order. */
  readonly key: string
  readonly value: unknown
  /** The id of a request, which its receiver answers; as JSON. */
  readonly asks?: string
}

type Member = { readonly [name: string]: unknown }

const isMember = (value: unknown): value is Member =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A frame as JSON; numbers that JavaScript would round are kept as they are spelled. */
const parse = (text: string): unknown =>
  /\d{16}|\d[eE]/.test(text)
    ? JSON.parse(
      text,
      ((_: string, value: unknown, context?: { readonly source?: string }) =>
        typeof value === "number" && context?.source !== undefined && String(value) !== context.source
          ? `number ${context.source}`
          : value) as (key: string, value: unknown) => unknown
    )
    : JSON.parse(text)

const own = (member: Member, name: string): unknown => Object.hasOwn(member, name) ? member[name] : undefined

/** What a message about a request refers to: `params.id` (Rockets, ours), `params.token` (LSP), `requestId` (MCP). */
const references = ["id", "token", "progressToken", "requestId"] as const

const referenceOf = (params: unknown): string | undefined => {
  if (!isMember(params)) return undefined
  for (const name of references) {
    const value = own(params, name)
    if (typeof value === "string" || typeof value === "number") return JSON.stringify(value)
  }
  return undefined
}

const itemsOf = (message: unknown): ReadonlyArray<Item> => {
  if (!isMember(message)) return [{ key: "message", value: message }]
  const method = own(message, "method")
  const id = own(message, "id")
  const params = own(message, "params")
  if (typeof method === "string") {
    if (id !== undefined && id !== null) {
      const { id: _, ...rest } = message
      return [{ key: `request ${method}`, value: rest, asks: JSON.stringify(id) }]
    }
    const about = referenceOf(params)
    if (method === "$/elements" && isMember(params) && Array.isArray(own(params, "elements"))) {
      // how many elements travel together depends on the moment
      return (params.elements as ReadonlyArray<unknown>).map((value) => ({ key: `elements of ${about}`, value }))
    }
    return [{
      key: about === undefined ? `notification ${method}` : `notification ${method} of ${about}`,
      value: message
    }]
  }
  if (id !== undefined) return [{ key: `answer ${JSON.stringify(id)}`, value: message }]
  return [{ key: "message", value: message }]
}

const isAnswer = (value: unknown): value is Member =>
  isMember(value) && own(value, "id") !== undefined && !("method" in value)

/** @internal */
export const itemsOfFrame = (frame: string | Uint8Array): ReadonlyArray<Item> => {
  const text = typeof frame === "string" ? frame : new TextDecoder().decode(frame)
  const parsed = Result.try(() => parse(text))
  if (Result.isFailure(parsed)) return [{ key: "text", value: text }]
  const value = parsed.success
  if (!Array.isArray(value) || value.length === 0) return itemsOf(value)
  if (value.every(isAnswer)) {
    // the answers of one batch come in any order
    const byId = value.map((answer) => [JSON.stringify(answer.id), answer] as const)
      .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
    return [{ key: `answers ${byId.map(([id]) => id).join(", ")}`, value: byId.map(([, answer]) => answer) }]
  }
  return value.every(isMember) ? value.flatMap(itemsOf) : [{ key: "message", value }]
}

/**
 * The frame with ids of the other end's requests, in answers and in what refers to them, replaced by those of this run.
 *
 * @internal
 */
export const withIds = (frame: string, ids: ReadonlyMap<string, string>): string => {
  let changed = false
  const replaced = (value: unknown): unknown => {
    const id = ids.get(JSON.stringify(value) ?? "")
    if (id === undefined) return value
    changed = true
    return JSON.parse(id)
  }
  const renewed = (message: unknown): unknown => {
    if (!isMember(message)) return message
    if (typeof own(message, "method") !== "string") {
      return own(message, "id") === undefined ? message : { ...message, id: replaced(message.id) }
    }
    const params = own(message, "params")
    const name = isMember(params) ? references.find((name) => own(params, name) !== undefined) : undefined
    return name === undefined || own(message, "id") !== undefined
      ? message
      : { ...message, params: { ...params as Member, [name]: replaced((params as Member)[name]) } }
  }
  const parsed = Result.try(() => JSON.parse(frame) as unknown)
  if (Result.isFailure(parsed)) return frame
  const value = parsed.success
  const result = Array.isArray(value) ? value.map(renewed) : renewed(value)
  return changed ? JSON.stringify(result) : frame
}
