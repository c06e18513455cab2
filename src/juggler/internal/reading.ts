/**
 * Frames of Juggler to messages. What is no message is said to be none, and why.
 */
import { inexactNumber, isInexact } from "../../rpc/internal/numbers.ts"
import * as Weight from "../../rpc/internal/weight.ts"
import type { Json } from "../JsonPointer.ts"
import { defaultLimits, type Limits, type Malformed, type Message, type Receiver, type Stamp } from "./message.ts"

const malformed = (code: number, detail: string): Malformed => ({ _tag: "Malformed", code, detail })

const isRecord = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const member = (record: { readonly [key: string]: Json }, key: string): Json | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

/** Parses the text of a message and checks its shape by `read`. */
const parse = (
  text: string,
  limits: Limits,
  read: (record: { readonly [key: string]: Json }) => Message | undefined
): Message | Malformed => {
  if (text.length > limits.maxMessageSize) return malformed(1009, "the message is too long")
  if (Weight.exceeds(text, limits.maxWeight)) {
    return malformed(1009, `the message takes more than ${limits.maxWeight} bytes of memory`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // a byte order mark is none of the text (RFC 8259, section 8.1)
    if (text.charCodeAt(0) === 0xfeff && text.charCodeAt(1) !== 0xfeff) return parse(text.slice(1), limits, read)
    return malformed(1007, `the message is no JSON${hint(text)}`)
  }
  if (!isRecord(value)) return malformed(1002, `the message is no object${hint(text)}`)
  // short texts cannot be deep: each level takes two characters
  if (text.length > limits.maxDepth * 2 && Weight.isDeeper(text, limits.maxDepth)) {
    return malformed(1002, "the message is nested too deeply")
  }
  const number = inexactNumber(text, value)
  if (number !== undefined) return malformed(1002, `the message has ${number}, ${isInexact}`)
  return read(value) ?? malformed(1002, `no message of this generation${hint(text)}`)
}

/** Which generation the peer seems to speak, by the first characters of what this one does not know. */
const hint = (text: string): string => {
  const name = /^[01]\{"type"|^[23]/.test(text)
    ? "0.7"
    : /^\{"type": ?"(?:DATA|MESSAGE|PING|PONG)"/.test(text)
    ? "0.5"
    : /^\{"type": ?"(?:state|request|response|notify)"/.test(text)
    ? "0.6"
    : undefined
  return name === undefined ? "" : `: the peer seems to speak generation ${name}`
}

/** Reads frames each of which is a message. */
export const whole =
  (read: (record: { readonly [key: string]: Json }) => Message | undefined): (options?: Partial<Limits>) => Receiver =>
  (options) => {
    const limits = { ...defaultLimits, ...options }
    return (frame) =>
      typeof frame === "string"
        ? parse(frame, limits, read)
        : malformed(1003, "a binary frame")
  }

const isId = (value: unknown): value is number => Number.isSafeInteger(value)

export const readSymmetric = (record: { readonly [key: string]: Json }): Message | undefined => {
  const payload = member(record, "payload")
  switch (member(record, "type")) {
    case "DATA":
      return payload === undefined ? undefined : { _tag: "State", patch: payload }
    case "MESSAGE":
      return payload === undefined ? undefined : readRpc(payload) ?? { _tag: "Message", payload }
    case "PING":
      return { _tag: "Ping", payload: "" }
    case "PONG":
      return { _tag: "Pong", payload: "" }
    default:
      return undefined
  }
}

/** A payload that is a call; anything else is the application's. */
const readRpc = (payload: Json): Message | undefined => {
  if (!isRecord(payload) || member(payload, "type") !== "rpc") return undefined
  const id = member(payload, "id")
  if (!isId(id)) return undefined
  switch (member(payload, "direction")) {
    case "request": {
      const name = member(payload, "action")
      const data = member(payload, "args") ?? []
      return typeof name === "string" && Array.isArray(data) ? { _tag: "Request", id, name, data } : undefined
    }
    case "response": {
      const success = member(payload, "success")
      // JavaScript peers leave out a result that is undefined
      return typeof success === "boolean"
        ? { _tag: "Response", id, success, data: member(payload, "result") ?? null }
        : undefined
    }
    default:
      return undefined
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** The stamp of a `state`; what is no stamp is none. */
const readStamp = (record: { readonly [key: string]: Json }): Stamp | undefined => {
  const epoch = member(record, "epoch")
  const version = member(record, "version")
  if (typeof epoch !== "string" || epoch.length > 64 || !isCount(version)) return undefined
  const base = member(record, "base")
  return isCount(base)
    ? { epoch, version, base, ...(member(record, "more") === true ? { more: true } : {}) }
    : { epoch, version }
}

const readResuming = (record: { readonly [key: string]: Json }): Message | undefined => {
  const message = readAsymmetric(record)
  if (message?._tag === "State") {
    const stamp = readStamp(record)
    return stamp === undefined ? message : { ...message, stamp }
  }
  if (message?._tag === "Response") {
    const version = member(record, "version")
    return isCount(version) ? { ...message, version } : message
  }
  return message
}

export const readAsymmetric = (record: { readonly [key: string]: Json }): Message | undefined => {
  switch (member(record, "type")) {
    case "state": {
      const patch = member(record, "diff")
      return patch === undefined ? undefined : { _tag: "State", patch }
    }
    case "request": {
      const id = member(record, "id")
      const name = member(record, "name")
      return isId(id) && typeof name === "string"
        ? { _tag: "Request", id, name, data: member(record, "data") ?? null }
        : undefined
    }
    case "response": {
      const id = member(record, "id")
      const success = member(record, "success")
      return isId(id) && typeof success === "boolean"
        ? { _tag: "Response", id, success, data: member(record, "data") ?? null }
        : undefined
    }
    case "notify": {
      const name = member(record, "name")
      return typeof name === "string" ? { _tag: "Notify", name, data: member(record, "data") ?? null } : undefined
    }
    default:
      return undefined
  }
}

/** Reads the frames of generation 0.7: pings, and messages in segments. */
export const segmented = (options?: Partial<Limits>): Receiver => {
  const limits = { ...defaultLimits, ...options }
  let parts: Array<string> = []
  let length = 0
  return (frame) => {
    if (typeof frame !== "string") return malformed(1003, "a binary frame")
    switch (frame.charCodeAt(0)) {
      case 48: {
        if (parts.length === 0) return parse(frame.slice(1), limits, readResuming)
        parts.push(frame.slice(1))
        const text = parts.join("")
        parts = []
        length = 0
        return parse(text, limits, readResuming)
      }
      case 49:
        length += frame.length - 1
        if (length > limits.maxMessageSize) return malformed(1009, "the message is too long")
        if (parts.length >= limits.maxSegments) return malformed(1009, "the message has too many segments")
        parts.push(frame.slice(1))
        return undefined
      case 50:
        return { _tag: "Ping", payload: frame.slice(1) }
      case 51:
        return { _tag: "Pong", payload: frame.slice(1) }
      default:
        return malformed(1002, frame === "" ? "an empty frame" : `an unknown kind of frame${hint(frame)}`)
    }
  }
}
