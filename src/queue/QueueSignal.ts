/**
 * The hint that a queue in one process gives to those in others: there is something for this node. It is no truth: a
 * signal may be lost or come for nothing, and the queue polls besides. Without one (the default) it only polls.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * Sends and hears hints. `NodePostgresQueueSignal.layer` is one, on `LISTEN` and `NOTIFY`.
 *
 * @category services
 * @since 0.1.0
 */
export interface QueueSignal {
  /** Tells the other processes that these nodes have something to pull. Never fails: it is a hint. */
  readonly publish: (nodes: ReadonlyArray<string>) => Effect.Effect<void>
  /** Calls `listener` for every hint of others until the scope closes; with `undefined` when hints may have been lost. */
  readonly subscribe: (listener: (node: string | undefined) => void) => Effect.Effect<void, never, Scope.Scope>
}

/**
 * The signal that a queue on SQL uses when it is built; none by default.
 *
 * @category services
 * @since 0.1.0
 */
export const QueueSignal: Context.Reference<QueueSignal | undefined> = Context.Reference<QueueSignal | undefined>(
  "effect-wire/queue/QueueSignal",
  { defaultValue: () => undefined }
)
