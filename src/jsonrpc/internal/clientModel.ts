/**
 * The words of the client; `JsonRpcClient` gives them on.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as Reconnect from "../../socket/Reconnect.ts"
import type { Call } from "../JsonRpcCodec.ts"
import type { JsonRpcError } from "../JsonRpcError.ts"
import type { Port, Remote } from "../JsonRpcRemote.ts"

/**
 * What a client offers: calls, and what can be watched of its connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client extends Remote {
  /**
   * Connects now, where the client is lazy. Completes when the connection is open, at once where it is; fails as a call
   * would that is made now: when the client has ended, and, unless it waits while it is disconnected, when the dial fails
   * that is under way, or none is.
   */
  readonly connect: Effect.Effect<void, JsonRpcError>
  /**
   * Closes the connection (1000) for good: calls under way and later ones fail with `ConnectionError`, from the first
   * moment on. A handler of this end may call it, though it is interrupted by it.
   */
  readonly disconnect: Effect.Effect<void>
  /** Whether the connection is open now. */
  readonly connected: Effect.Effect<boolean>
  /** How the connection stands, now and from now on, until it has ended. */
  readonly status: Stream.Stream<Reconnect.Status>
  /** Notifications of the server, all but progress. Of those that are read too slowly the newest 4,096 are kept. */
  readonly notifications: Stream.Stream<Notification>
  /**
   * Hears each notification at once, in the turn in which it comes in, until the returned function is called.
   *
   * @internal
   */
  readonly listen: (listener: (notification: Call) => void) => () => void
  /** @internal */
  readonly port: Port
  /** Every frame that comes in, as it came. Of those that are read too slowly the newest 4,096 are kept. */
  readonly frames: Stream.Stream<string | Uint8Array>
}

/**
 * A notification of the server.
 *
 * @category models
 * @since 0.1.0
 */
export type Notification = Pick<Call, "method" | "params">
