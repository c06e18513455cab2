/**
 * The three generations of the Juggler protocol that are in the field, as values: how a message is written and read, and
 * how it is put into frames. Everything here is pure.
 *
 * @since 0.1.0
 */
import * as Weight from "../rpc/internal/weight.ts"
import type { Json } from "./JsonPointer.ts"

/**
 * A message of any generation. Which of them a generation has, and in which direction, is said by
 * {@link Generation.allows}.
 *
 * - `State`: what changed in the sender's data, a JSON Patch that is not checked yet (`DATA` in 0.5, `state` later)
 * - `Message`: anything the application sends (0.5 only)
 * - `Request`, `Response`: a call (in 0.5 a `MESSAGE` whose payload is of type `rpc`; `data` are its arguments or its
 *   result)
 * - `Notify`: a notification (from 0.6 on)
 * - `Ping`, `Pong`: keep-alive (in 0.5 messages, in 0.7 frames with a payload of text)
 *
 * @category models
 * @since 0.1.0
 */
export type Message =
  | { readonly _tag: "State"; readonly patch: unknown; readonly stamp?: Stamp | undefined }
  | { readonly _tag: "Message"; readonly payload: Json }
  | { readonly _tag: "Request"; readonly id: number; readonly name: string; readonly data: Json }
  | {
    readonly _tag: "Response"
    readonly id: number
    readonly success: boolean
    readonly data: Json
    /** The version of the state that shows what the request did, told to ends that resume. */
    readonly version?: number | undefined
  }
  | { readonly _tag: "Notify"; readonly name: string; readonly data: Json }
  | { readonly _tag: "Ping"; readonly payload: string }
  | { readonly _tag: "Pong"; readonly payload: string }

/**
 * Where in the history of a state a `State` message stands, told to ends that resume (see PROTOCOLS.md, "Juggler: resume").
 * Without `base` the patch is the whole; with it, what leads from version `base` to `version`. `more`: the rest of the step
 * follows, so that nothing can be resumed in between.
 *
 * @category models
 * @since 0.2.0
 */
export interface Stamp {
  readonly epoch: string
  readonly version: number
  readonly base?: number | undefined
  readonly more?: boolean | undefined
}

/**
 * Why something is no message: the connection is closed with the code.
 *
 * @category models
 * @since 0.1.0
 */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly code: number
  readonly detail: string
}

/**
 * Bounds of what is read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Characters of one message, after its segments were put together; default 16,777,216. */
  readonly maxMessageSize: number
  /** Segments of one message; default 4,096. */
  readonly maxSegments: number
  /** Nesting of a message; default 256 (a state of 128 levels inside a patch fits). */
  readonly maxDepth: number
  /**
   * Bytes of memory that a message may cost once it is parsed, by an estimate that is made before. Default: any; of a server
   * 8,388,608, what one connection may hold.
   */
  readonly maxWeight: number
}

/**
 * The default {@link Limits}.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultLimits: Limits = {
  maxMessageSize: 16_777_216,
  maxSegments: 4_096,
  maxDepth: 256,
  maxWeight: Infinity
}

/**
 * Reads frames of one connection, in order: gives a message, `undefined` while segments are still missing, or what is
 * wrong. After a `Malformed` it is not to be used any more.
 *
 * @category models
 * @since 0.1.0
 */
export type Receiver = (frame: string | Uint8Array) => Message | Malformed | undefined

/**
 * One generation of the protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface Generation {
  readonly name: "0.5" | "0.6" | "0.7"
  /** Both ends hold data, call and are called. */
  readonly symmetric: boolean
  /** Whether a message of this kind may come from the server or the client. */
  readonly allows: (tag: Message["_tag"], from: "server" | "client") => boolean
  /** Whether this end sends pings of its own accord by default; pings are always answered. */
  readonly pings: boolean
  /** The frames of a message: one, or its segments of at most `segmentSize` characters. */
  readonly encode: (message: Message, segmentSize?: number) => ReadonlyArray<string>
  /** Whether `State` and `Response` may carry versions, and pings the wish for them. */
  readonly resumes: boolean
  /** The frames of a `State` message whose patch is JSON text already. */
  readonly encodeState: (patch: string, segmentSize?: number, stamp?: Stamp) => ReadonlyArray<string>
  readonly receiver: (limits?: Partial<Limits>) => Receiver
}

/**
 * Characters of a segment in generation 0.7 by default: 65,536.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultSegmentSize = 65_536

const malformed = (code: number, detail: string): Malformed => ({ _tag: "Malformed", code, detail })

const isRecord = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const member = (record: { readonly [key: string]: Json }, key: string): Json | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

const isDeep = (value: unknown, depth: number): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (depth === 0) return true
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (isDeep(value[i], depth - 1)) return true
    return false
  }
  for (const key in value) if (isDeep((value as { [key: string]: unknown })[key], depth - 1)) return true
  return false
}

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
  if (text.length > limits.maxDepth * 2 && isDeep(value, limits.maxDepth)) {
    return malformed(1002, "the message is nested too deeply")
  }
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

const whole =
  (read: (record: { readonly [key: string]: Json }) => Message | undefined): Generation["receiver"] => (options) => {
    const limits = { ...defaultLimits, ...options }
    return (frame) =>
      typeof frame === "string"
        ? parse(frame, limits, read)
        : malformed(1003, "a binary frame")
  }

const isId = (value: unknown): value is number => Number.isSafeInteger(value)

const readSymmetric = (record: { readonly [key: string]: Json }): Message | undefined => {
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

const readAsymmetric = (record: { readonly [key: string]: Json }): Message | undefined => {
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

const writeSymmetric = (message: Message): string => {
  switch (message._tag) {
    case "State":
      return `{"type":"DATA","payload":${JSON.stringify(message.patch)}}`
    case "Message":
      return `{"type":"MESSAGE","payload":${JSON.stringify(message.payload)}}`
    case "Request":
      return `{"type":"MESSAGE","payload":{"type":"rpc","id":${message.id},"direction":"request","action":${
        JSON.stringify(message.name)
      },"args":${JSON.stringify(Array.isArray(message.data) ? message.data : [message.data])}}}`
    case "Response":
      return `{"type":"MESSAGE","payload":{"type":"rpc","id":${message.id},"direction":"response","success":${message.success},"result":${
        JSON.stringify(message.data)
      }}}`
    case "Notify":
      return `{"type":"MESSAGE","payload":${
        JSON.stringify({ type: "notify", name: message.name, data: message.data })
      }}`
    case "Ping":
      return `{"type":"PING","payload":{}}`
    case "Pong":
      return `{"type":"PONG","payload":{}}`
  }
}

const writeAsymmetric = (message: Message): string => {
  switch (message._tag) {
    case "State":
      return `{"type":"state","diff":${JSON.stringify(message.patch)}}`
    case "Request":
      return `{"type":"request","id":${message.id},"name":${JSON.stringify(message.name)},"data":${
        JSON.stringify(message.data)
      }}`
    case "Response":
      return `{"type":"response","id":${message.id},"success":${message.success},"data":${
        JSON.stringify(message.data)
      }}`
    case "Notify":
      return `{"type":"notify","name":${JSON.stringify(message.name)},"data":${JSON.stringify(message.data)}}`
    default:
      return ""
  }
}

const writeStamp = ({ base, epoch, more, version }: Stamp): string =>
  `,"epoch":${JSON.stringify(epoch)},"version":${version}${base === undefined ? "" : `,"base":${base}`}${
    more === true ? `,"more":true` : ""
  }`

const writeResuming = (message: Message): string => {
  const text = writeAsymmetric(message)
  if (message._tag === "State" && message.stamp !== undefined) {
    return `${text.slice(0, -1)}${writeStamp(message.stamp)}}`
  }
  return message._tag === "Response" && message.version !== undefined
    ? `${text.slice(0, -1)},"version":${message.version}}`
    : text
}

const fromServerOnly = new Set<Message["_tag"]>(["State", "Response", "Notify"])
const asymmetric = (pings: boolean): Generation["allows"] => (tag, from) =>
  tag === "Ping" || tag === "Pong" ? pings : from === "server" ? fromServerOnly.has(tag) : tag === "Request"

/**
 * Generation 0.5: both ends hold data, send messages and call each other. Every frame is one JSON text.
 *
 * @category instances
 * @since 0.1.0
 */
export const v05: Generation = {
  name: "0.5",
  symmetric: true,
  allows: (tag) => tag !== "Notify",
  pings: false,
  resumes: false,
  encode: (message) => [writeSymmetric(message)],
  encodeState: (patch) => [`{"type":"DATA","payload":${patch}}`],
  receiver: whole(readSymmetric)
}

/**
 * Generation 0.6: the client requests, the server answers, notifies and shows its state. Every frame is one JSON text.
 *
 * @category instances
 * @since 0.1.0
 */
export const v06: Generation = {
  name: "0.6",
  symmetric: false,
  allows: asymmetric(false),
  pings: false,
  resumes: false,
  encode: (message) => [writeAsymmetric(message)],
  encodeState: (patch) => [`{"type":"state","diff":${patch}}`],
  receiver: whole(readAsymmetric)
}

/** Cuts a text, never between the halves of a surrogate pair, since each frame is UTF-8 by itself. */
const segments = (text: string, size: number): ReadonlyArray<string> => {
  if (text.length <= size) return ["0" + text]
  const frames: Array<string> = []
  let at = 0
  while (at < text.length) {
    let end = Math.min(at + size, text.length)
    if (end < text.length && size > 1) {
      const last = text.charCodeAt(end - 1)
      if (last >= 0xd800 && last < 0xdc00) end--
    }
    frames.push((end < text.length ? "1" : "0") + text.slice(at, end))
    at = end
  }
  return frames
}

/**
 * Generation 0.7: the messages of 0.6 in segments, and pings as frames of their own.
 *
 * @category instances
 * @since 0.1.0
 */
export const v07: Generation = {
  name: "0.7",
  symmetric: false,
  allows: asymmetric(true),
  pings: true,
  resumes: true,
  encode: (message, size = defaultSegmentSize) => {
    if (message._tag === "Ping") return ["2" + message.payload]
    if (message._tag === "Pong") return ["3" + message.payload]
    return segments(writeResuming(message), size)
  },
  encodeState: (patch, size = defaultSegmentSize, stamp) =>
    segments(`{"type":"state","diff":${patch}${stamp === undefined ? "" : writeStamp(stamp)}}`, size),
  receiver: (options) => {
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
}

/**
 * All generations by name.
 *
 * @category instances
 * @since 0.1.0
 */
export const all: { readonly "0.5": Generation; readonly "0.6": Generation; readonly "0.7": Generation } = {
  "0.5": v05,
  "0.6": v06,
  "0.7": v07
}
