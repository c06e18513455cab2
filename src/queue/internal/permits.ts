/**
 * @internal How many of a key are at work in a whole cluster: permits, which are messages of the queue itself. Who has pulled one
 * may work, keeps its lease, and gives it back; that of a process that died comes back when its lease ends.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import * as Message from "../Message.ts"
import { makeHeartbeats } from "./heartbeats.ts"
import type { Service } from "./messageQueueModel.ts"
import { NotYet } from "./permanent.ts"
import { isNode } from "./validate.ts"

/** How long one waits for a permit, in milliseconds, before the message goes back for as long. */
const patience = 1000

/** After so many milliseconds without use, the permits of a key are removed; who needs them makes them anew. */
const unused = 60_000

/** Longer than anybody waits. */
const never = Duration.days(36_525)

/** How long the end of a worker waits for the removal of what it does not use any more. */
const farewell = Duration.seconds(1)

const maxTries = 32_767

/** Where the permits of a key are. Keys that are no names are told apart by their hash. */
const nodeOf = (name: string, key: string): string => {
  const node = `permits/${name}/${key}`
  return isNode(node) ? node : `permits/${name.slice(0, 100)}/#${Hash.string(key)}`
}

export interface Permits {
  /** Runs a handler with a permit of this key, or says that there is none yet. */
  readonly one: <A, E, R>(key: string, handler: Effect.Effect<A, E, R>) => Effect.Effect<A, E | NotYet, R>
}

export const makePermits = Effect.fnUntraced(function*(
  queue: Service,
  options: { readonly name: string; readonly count: number; readonly lease: Duration.Duration }
): Effect.fn.Return<Permits, never, Scope.Scope> {
  const { count, lease, name } = options
  const clock = yield* Clock.Clock
  const heartbeats = yield* makeHeartbeats(queue, { lease, heartbeat: Duration.divideUnsafe(lease, 3) })
  /** Nodes whose permits were made, and when each was last used: those that were not used for longest come first. */
  const made = new Map<string, number>()

  const drop = (node: string) => Effect.ignore(queue.removeAll({ node }))
  yield* Effect.addFinalizer(() =>
    Effect.timeoutOption(Effect.forEach(made.keys(), drop, { discard: true, concurrency: 8 }), farewell)
  )
  const tidy = Effect.suspend(() => {
    const now = monotonicMillis(clock)
    for (const [node, at] of made) {
      if (at > now - unused) break
      made.delete(node)
      return drop(node)
    }
    return Effect.void
  })
  const use = (node: string): void => {
    made.delete(node)
    made.set(node, monotonicMillis(clock))
  }

  const make = (node: string) =>
    queue.pushMany(Array.from({ length: count }, (_, index) => ({
      destination: node,
      source: node,
      payload: Message.json(index),
      maxTries,
      deduplicationKey: String(index),
      deduplicationWindow: never
    })))

  const take = Effect.fnUntraced(function*(node: string) {
    const pull = (wait: number) => queue.pullMany(node, { max: 1, lease, wait })
    const [known] = made.has(node) ? yield* pull(patience) : []
    if (known !== undefined) return known
    // Perhaps somebody who did not use them removed them: what is still there is not made twice.
    yield* make(node)
    const [permit] = yield* pull(made.has(node) ? 0 : patience)
    use(node)
    return permit ?? (yield* new NotYet({ millis: patience }))
  }, Effect.catchTag("MessageQueueError", Effect.die))

  return {
    one: (key, handler) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiber((fiber) => {
          const node = nodeOf(name, key)
          return Effect.flatMap(restore(take(node)), (permit) => {
            const kept = heartbeats.keep(permit, fiber)
            return Effect.ensuring(
              restore(handler),
              Effect.suspend(() => {
                heartbeats.drop(kept)
                use(node)
                return Effect.andThen(Effect.ignore(queue.release(permit)), tidy)
              })
            )
          })
        })
      )
  }
})
