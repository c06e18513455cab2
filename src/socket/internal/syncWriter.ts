/**
 * What a writer of our own carriers can do beyond `Socket.Writer`: take frames without a fiber.
 */
import type * as Effect from "effect/Effect"
import type * as Socket from "effect/socket/Socket"
import type { Account } from "../Budget.ts"
import type { Frame } from "./inbox.ts"

/** @internal */
export const SyncWriterId = "~effect-wire/socket/SyncWriter"

/**
 * The connection behind a writer.
 *
 * @internal
 */
export interface SyncPort {
  /** `true`: taken. `false`: taken, and wait for {@link room} before the next. `undefined`: the connection is over. */
  readonly sendNow: (frames: ReadonlyArray<Frame>) => boolean | undefined
  readonly room: Effect.Effect<void, Socket.SocketError>
  /** Tells how much the sender itself holds back, for the judgement of slow readers. */
  backlog: (() => number) | undefined
  /** Where what is received by halves is counted; `undefined` while nobody has written. */
  account?: (() => Account) | undefined
}

/** @internal */
export interface SyncWriter extends Socket.Writer {
  /** `undefined` while nothing is connected. */
  readonly [SyncWriterId]: () => SyncPort | undefined
}

/** @internal */
export const isSyncWriter = (writer: Socket.Writer): writer is SyncWriter => SyncWriterId in writer
