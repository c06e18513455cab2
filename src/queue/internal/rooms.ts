/**
 * @internal Those who wait for a message. There is one room for each node; a claim is made for all in it who want the same
 * lease, and one question to the store tells which of all rooms to look for: ten thousand waiting pulls of a thousand nodes
 * cost one query each time they look.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import type * as Message from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import type { ClaimOp } from "./laneOps.ts"
import type { Store } from "./store.ts"

type Deliveries = ReadonlyArray<Message.Delivery>

interface Pull {
  readonly max: number
  readonly lease: number | null
  /** Milliseconds; 0 takes what there is. */
  readonly wait: number
  readonly resume: (exit: Exit.Exit<Deliveries, MessageQueueError>) => void
  readonly since: number
  /** Ends the wait; started when there was nothing at first. */
  timer: Fiber.Fiber<void> | undefined
  /** What it was given; read by a puller that is interrupted at the very moment. */
  given: Deliveries | undefined
}

type Room = Set<Pull>

/** Most that one claim takes, as one `pullMany` does. */
const most = 1000

const nothing: Deliveries = []

export interface Rooms {
  readonly pull: (options: {
    readonly node: string
    readonly max: number
    readonly lease: number | null
    readonly wait: number
  }) => Effect.Effect<Deliveries, MessageQueueError>
  /** Whether somebody waits for a message for this node. */
  readonly isAwaited: (node: string) => boolean
  readonly takeClaims: (pushed: ReadonlySet<string>) => ReadonlyArray<ClaimOp>
  /** Answers all who wait with nothing, and everybody who comes later. */
  readonly close: () => void
  /** There may be something for this node, or for any. */
  readonly wake: (node: string | undefined) => void
  /** Something becomes due in so many milliseconds. */
  readonly notice: (millis: number) => void
}

export const makeRooms = Effect.fnUntraced(function*(options: {
  readonly store: Store
  readonly pollInterval: number
  readonly requestClaim: () => void
  /** Gives back what nobody waits for any more. */
  readonly release: (deliveries: Deliveries) => Effect.Effect<void>
}): Effect.fn.Return<Rooms, never, Scope.Scope> {
  const { pollInterval, requestClaim, store } = options
  const clock = yield* Clock.Clock
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const rooms = new Map<string, Room>()
  const dirty = new Set<string>()
  /** Open while somebody waits who found nothing. */
  const waiting = Latch.makeUnsafe(false)
  /** Opened when something becomes due earlier than the next look. */
  const earlier = Latch.makeUnsafe(false)
  let dueAt = Infinity
  let lookAt = Infinity
  let closed = false

  const look = (node: string): void => {
    dirty.add(node)
    requestClaim()
  }

  const notice = (millis: number): void => {
    const at = clock.currentTimeMillisUnsafe() + millis
    if (at >= dueAt) return
    dueAt = at
    if (at < lookAt) earlier.openUnsafe()
  }

  const leave = (node: string, room: Room, pull: Pull): void => {
    room.delete(pull)
    pull.timer?.interruptUnsafe()
    if (room.size > 0 || rooms.get(node) !== room) return
    rooms.delete(node)
    if (rooms.size === 0) waiting.closeUnsafe()
  }

  const give = (node: string, room: Room, pull: Pull, deliveries: Deliveries): void => {
    pull.given = deliveries
    leave(node, room, pull)
    pull.resume(Exit.succeed(deliveries))
  }

  const startTimer = (node: string, room: Room, pull: Pull): void => {
    if (pull.timer !== undefined || !Number.isFinite(pull.wait)) return
    const left = pull.wait - (monotonicMillis(clock) - pull.since)
    pull.timer = runFork(Effect.andThen(
      Effect.sleep(Math.max(0, left)),
      Effect.sync(() => {
        if (room.has(pull)) give(node, room, pull, nothing)
      })
    ))
  }

  const settle = (
    claim: { readonly node: string; readonly max: number; readonly lease: number | null },
    room: Room,
    asked: ReadonlyArray<Pull>,
    exit: Exit.Exit<Deliveries, MessageQueueError>
  ): void => {
    const { lease, max, node } = claim
    if (Exit.isFailure(exit)) {
      for (const pull of asked) {
        if (!room.has(pull)) continue
        leave(node, room, pull)
        pull.resume(exit)
      }
      return
    }
    const deliveries = exit.value
    let at = 0
    // First those for whom it was claimed, then whoever came since with the same wish.
    const serve = (pulls: Iterable<Pull>, isAsked: boolean): void => {
      for (const pull of pulls) {
        if (pull.lease !== lease || !room.has(pull)) continue
        if (at < deliveries.length) {
          const given = at === 0 && deliveries.length <= pull.max ? deliveries : deliveries.slice(at, at + pull.max)
          at += given.length
          give(node, room, pull, given)
        } else if (isAsked && pull.wait === 0) give(node, room, pull, nothing)
        else startTimer(node, room, pull)
      }
    }
    if (deliveries.length > 0 && lease !== null) notice(lease)
    serve(asked, true)
    if (at < deliveries.length) serve(Array.from(room), false)
    if (at < deliveries.length) runFork(options.release(deliveries.slice(at)))
    if (room.size === 0) return
    // More may be there than was claimed.
    if (deliveries.length === max) look(node)
    waiting.openUnsafe()
  }

  /** Looks for all who wait, at every interval and when something becomes due. */
  const poll = Effect.gen(function*() {
    yield* waiting.await
    const now = clock.currentTimeMillisUnsafe()
    lookAt = Math.max(now + 1, Math.min(now + pollInterval, dueAt))
    earlier.closeUnsafe()
    yield* Effect.raceFirst(Effect.sleep(lookAt - now), earlier.await)
    if (clock.currentTimeMillisUnsafe() < Math.min(lookAt, dueAt) || rooms.size === 0) return
    lookAt = dueAt = Infinity
    const { due, nodes } = yield* store.poll(Array.from(rooms.keys()))
    if (due !== undefined) notice(Math.max(10, due))
    for (const node of nodes) if (rooms.has(node)) look(node)
  })
  yield* Effect.forkScoped(Effect.forever(Effect.ignore(poll)))

  return {
    pull: ({ lease, max, node, wait }) =>
      Effect.uninterruptibleMask((restore) => {
        let pull: Pull | undefined
        const given = Effect.callback<Deliveries, MessageQueueError>((resume) => {
          if (closed) return resume(Exit.succeed(nothing))
          const room: Room = rooms.get(node) ?? new Set()
          const own: Pull = {
            max,
            lease,
            wait,
            resume,
            since: wait === 0 ? 0 : monotonicMillis(clock),
            timer: undefined,
            given: undefined
          }
          pull = own
          rooms.set(node, room.add(own))
          look(node)
          return Effect.sync(() => leave(node, room, own))
        })
        return Effect.onInterrupt(
          restore(given),
          () => Effect.suspend(() => pull?.given === undefined ? Effect.void : options.release(pull.given))
        )
      }),
    isAwaited: (node) => rooms.has(node),
    takeClaims: (pushed) => {
      const claims: Array<ClaimOp> = []
      for (const node of pushed) if (rooms.has(node)) dirty.add(node)
      for (const node of dirty) {
        const room = rooms.get(node)
        if (room === undefined) continue
        const wishes = new Map<number | null, { readonly asked: Array<Pull>; max: number }>()
        for (const pull of room) {
          let wish = wishes.get(pull.lease)
          if (wish === undefined) wishes.set(pull.lease, wish = { asked: [], max: 0 })
          if (wish.max >= most) continue
          wish.asked.push(pull)
          wish.max += pull.max
        }
        for (const [lease, { asked, max }] of wishes) {
          const claim = { node, lease, max: Math.min(most, max) }
          claims.push({ ...claim, settle: (exit) => settle(claim, room, asked, exit) })
        }
      }
      dirty.clear()
      return claims
    },
    close: () => {
      closed = true
      for (const [node, room] of rooms) for (const pull of room) give(node, room, pull, nothing)
    },
    wake: (node) => {
      if (node !== undefined) {
        if (rooms.has(node)) look(node)
        return
      }
      for (const name of rooms.keys()) look(name)
    },
    notice
  }
})
