/**
 * How a handler that is about to do much at once waits for its turn, where the server has turns.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Completes when it is the caller's turn to handle so many bytes at once. By default that is now; the Node layer of this
 * package lets what is small go first.
 *
 * @internal
 */
export const CurrentTurn: Context.Reference<(bytes: number) => Effect.Effect<void>> = Context.Reference<
  (bytes: number) => Effect.Effect<void>
>("effect-wire/socket/internal/turn/CurrentTurn", { defaultValue: () => () => Effect.void })
