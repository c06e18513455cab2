/**
 * One Juggler connection, the same at both ends: the data that this end shows, the data that the peer shows, messages,
 * calls, notifications. What a generation of the protocol does not have fails as `ProtocolError`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Connection } from "../rpc/RpcConnection.ts"
import type { JsonPatchError } from "./JsonPatch.ts"
import type { Json } from "./JsonPointer.ts"
import type { JugglerError } from "./JugglerError.ts"
import type { Generation } from "./JugglerGeneration.ts"
import type { JugglerState, ReadableState } from "./JugglerState.ts"

/**
 * A connection. After it was closed every operation that would send fails with `ConnectionError`; what was received before
 * can still be received.
 *
 * @category models
 * @since 0.1.0
 */
export interface JugglerConnection {
  readonly generation: Generation
  /** Who the peer is, and cells for what the application wants to remember about it. */
  readonly connection: Connection
  /**
   * The data that this end shows the peer, `null` at first unless a state was given. Changes are sent after the autoflush
   * delay. Clients of 0.6 and 0.7 show nothing: what they write stays here.
   */
  readonly local: JugglerState<Json, any>
  /** The data that the peer shows, `null` at first. Servers of 0.6 and 0.7 are shown nothing. */
  readonly remote: ReadableState<Json>
  /** Sets the local data; like `local.set`, but fails when the connection is closed. */
  readonly set: (data: Json) => Effect.Effect<void, JugglerError | JsonPatchError>
  /** Sends what is pending of the local data; completes when it is written. */
  readonly flush: Effect.Effect<void, JugglerError>
  /** Sends a message (0.5). Waits while as much waits for the peer as may. */
  readonly send: (payload: Json) => Effect.Effect<void, JugglerError>
  /** The next message of the peer, in order (0.5); fails when the connection is closed and all were received. */
  readonly receive: Effect.Effect<Json, JugglerError>
  /** The messages of the peer until the connection closes; shares them with {@link receive}. */
  readonly messages: Stream.Stream<Json>
  /**
   * Calls the peer: an action with its arguments in 0.5, a request with its data in 0.6 and 0.7. Fails with `RemoteError`
   * when the peer says so. An interrupted call is forgotten: the protocol has no cancellation.
   */
  readonly call: (name: string, data: Json) => Effect.Effect<Json, JugglerError>
  /** Notifies the client (servers of 0.6 and 0.7). */
  readonly notify: (name: string, data: Json) => Effect.Effect<void, JugglerError>
  /** Closes the connection, 1000 by default. */
  readonly close: (code?: number) => Effect.Effect<void>
  /** Completes when the connection is closed. */
  readonly closed: Effect.Effect<void>
}

/**
 * The connection whose request the current fiber handles, for handlers that want more than its payload; `undefined` where
 * it is handled by another wire.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentJuggler: Context.Reference<JugglerConnection | undefined> = Context.Reference<
  JugglerConnection | undefined
>("effect-wire/juggler/JugglerConnection/CurrentJuggler", { defaultValue: () => undefined })
