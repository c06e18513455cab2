/**
 * @internal A pull over a wire that is interrupted while its answer is under way.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Delivery } from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"

type Pull = Effect.Effect<ReadonlyArray<Delivery>, MessageQueueError>

/**
 * The pull runs in a fiber of its own. When the caller is interrupted, an answer that comes within a second is read all the
 * same, and what it holds is given back; after that the pull is interrupted, and the far end holds nothing for it.
 */
export const givingBack = (
  pull: Pull,
  options: {
    readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<Fiber.Fiber<A, E>>
    readonly release: (delivery: Delivery) => Effect.Effect<void, MessageQueueError>
  }
): Pull =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      options.fork(Effect.interruptible(pull)),
      (fiber) =>
        Effect.onInterrupt(restore(Fiber.join(fiber)), () =>
          Fiber.join(fiber).pipe(
            Effect.timeout("1 second"),
            Effect.flatMap((deliveries) =>
              Effect.forEach(deliveries, (delivery) => Effect.ignore(options.release(delivery)), { concurrency: 16 })
            ),
            Effect.ignoreCause,
            Effect.ensuring(Fiber.interrupt(fiber)),
            Effect.interruptible,
            options.fork
          ))
    )
  )
