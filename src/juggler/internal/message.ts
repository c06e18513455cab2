/**
 * The messages of Juggler, whatever the generation, and bounds of what is read.
 */
import type { Json } from "../JsonPointer.ts"

/**
 * A message of any generation. Which of them a generation has, and in which direction, is said by
 * `Generation.allows`.
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
