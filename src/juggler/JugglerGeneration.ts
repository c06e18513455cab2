/**
 * The three generations of the Juggler protocol that are in the field, as values: how a message is written and read, and
 * how it is put into frames. Everything here is pure.
 *
 * @since 0.1.0
 */
import type { Limits, Message, Receiver, Stamp } from "./internal/message.ts"
import { readAsymmetric, readSymmetric, segmented, whole } from "./internal/reading.ts"
import { segments, writeAsymmetric, writeResuming, writeStamp, writeSymmetric } from "./internal/writing.ts"

export { defaultLimits } from "./internal/message.ts"
export type { Limits, Malformed, Message, Receiver, Stamp } from "./internal/message.ts"

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
  /** Makes what reads the frames of one connection. */
  readonly receiver: (limits?: Partial<Limits>) => Receiver
}

/**
 * Characters of a segment in generation 0.7 by default: 65,536.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultSegmentSize = 65_536

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
  receiver: segmented
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
