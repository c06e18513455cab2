/**
 * @internal Those who wait for a message. There is one room for each node; a claim is made for all in it together, so
 * that ten thousand waiting pulls cost one query each time they look.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type * as Message from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import type { Claim } from "./lanes.ts"
import type { Store } from "./store.ts"

type Deliveries = ReadonlyArray<Message.Delivery>

interface Pull {
  readonly max: number
  readonly lease: number | null
  /** Milliseconds; 0 takes what there is. */
  readonly wait: number
  readonly deferred: Deferred.Deferred<Deliveries, MessageQueueError>
  /** What it was given; read by a puller that is interrupted at the very moment. */
  given: Deliveries | undefined
  left: boolean
}

interface Room {
  readonly pulls: Set<Pull>
  polling: boolean
  /** Opened when something was scheduled: the poller computes anew when to look. */
  readonly changed: Latch.Latch
}

/** Most that one claim takes, as one `pullMany` does. */
const most = 1000

export interface Rooms {
  readonly pull: (options: {
    readonly node: string
    readonly max: number
    readonly lease: number | null
    readonly wait: number
  }) => Effect.Effect<Deliveries, MessageQueueError>
  readonly takeClaims: (pushed: ReadonlySet<string>) => ReadonlyArray<Claim>
  /** Answers all who wait with nothing, and everybody who comes later. */
  readonly close: () => void
  /** There may be something for this node, or for any. */
  readonly wake: (node: string | undefined) => void
}

export const makeRooms = Effect.fnUntraced(function*(options: {
  readonly store: Store
  readonly pollInterval: number
  readonly requestClaim: () => void
  /** Gives back what nobody waits for any more. */
  readonly release: (deliveries: Deliveries) => Effect.Effect<void>
}): Effect.fn.Return<Rooms, never, Scope.Scope> {
  const { pollInterval, requestClaim, store } = options
  const scope = yield* Effect.scope
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const rooms = new Map<string, Room>()
  const dirty = new Set<string>()
  let closed = false

  const look = (node: string): void => {
    dirty.add(node)
    requestClaim()
  }

  const give = (room: Room, pull: Pull, deliveries: Deliveries): void => {
    room.pulls.delete(pull)
    pull.given = deliveries
    pull.left = true
    Deferred.doneUnsafe(pull.deferred, Exit.succeed(deliveries))
  }

  const settle = (
    node: string,
    room: Room,
    lease: number | null,
    asked: ReadonlySet<Pull>,
    exit: Exit.Exit<Deliveries, MessageQueueError>
  ): void => {
    if (Exit.isFailure(exit)) {
      for (const pull of asked) {
        if (pull.left) continue
        pull.left = true
        room.pulls.delete(pull)
        Deferred.doneUnsafe(pull.deferred, exit)
      }
    } else {
      const deliveries = exit.value
      let at = 0
      // First those for whom it was claimed, then whoever came since with the same wish.
      const serve = (pulls: ReadonlySet<Pull>) => {
        for (const pull of pulls) {
          if (pull.left || pull.lease !== lease) continue
          if (at < deliveries.length) {
            give(room, pull, deliveries.slice(at, at + pull.max))
            at += pull.max
          } else if (pull.wait === 0 && asked.has(pull)) give(room, pull, [])
        }
      }
      serve(asked)
      if (at < deliveries.length) serve(room.pulls)
      if (at < deliveries.length) runFork(options.release(deliveries.slice(at)))
    }
    if (room.pulls.size === 0) return
    // More may be there than was claimed, or somebody was not asked for yet.
    if (Exit.isSuccess(exit) && exit.value.length === 0 && isSubset(room.pulls, asked)) startPolling(node, room)
    else look(node)
  }

  const startPolling = (node: string, room: Room): void => {
    if (room.polling) return
    room.polling = true
    runFork(
      Effect.gen(function*() {
        while (true) {
          room.changed.closeUnsafe()
          const due = yield* Effect.orElseSucceed(store.nextDue(node), () => undefined)
          const sleep = Math.max(1, Math.min(pollInterval, due ?? pollInterval))
          yield* Effect.raceFirst(Effect.sleep(sleep), room.changed.await)
          if (room.pulls.size === 0) {
            room.polling = false
            rooms.delete(node)
            return
          }
          look(node)
        }
      }).pipe(Effect.forkIn(scope))
    )
  }

  const leave = (node: string, room: Room, pull: Pull): void => {
    pull.left = true
    room.pulls.delete(pull)
    if (room.pulls.size === 0 && !room.polling && rooms.get(node) === room) rooms.delete(node)
  }

  const enter = (node: string): Room => {
    const known = rooms.get(node)
    if (known !== undefined) return known
    const room: Room = { pulls: new Set(), polling: false, changed: Latch.makeUnsafe(false) }
    rooms.set(node, room)
    return room
  }

  return {
    pull: ({ lease, max, node, wait }) =>
      Effect.uninterruptibleMask((restore) => {
        if (closed) return Effect.succeed([])
        const room = enter(node)
        const pull: Pull = {
          max,
          lease,
          wait,
          deferred: Deferred.makeUnsafe(),
          given: undefined,
          left: false
        }
        room.pulls.add(pull)
        look(node)
        const given = Deferred.await(pull.deferred)
        const answered = wait === 0 || !Number.isFinite(wait)
          ? given
          : Effect.raceFirst(
            given,
            Effect.map(Effect.sleep(wait), () => {
              leave(node, room, pull)
              return pull.given ?? []
            })
          )
        return restore(answered).pipe(
          Effect.ensuring(Effect.sync(() => leave(node, room, pull))),
          Effect.onInterrupt(() =>
            Effect.suspend(() => pull.given === undefined ? Effect.void : options.release(pull.given))
          )
        )
      }),
    takeClaims: (pushed) => {
      const claims: Array<Claim> = []
      const nodes = new Set(dirty)
      for (const node of pushed) nodes.add(node)
      dirty.clear()
      for (const node of nodes) {
        const room = rooms.get(node)
        if (room === undefined || room.pulls.size === 0) continue
        // One wish at a time: those who want another lease are next.
        const lease = first(room.pulls).lease
        const asked = new Set<Pull>()
        let max = 0
        for (const pull of room.pulls) {
          if (pull.lease !== lease) continue
          asked.add(pull)
          if ((max += pull.max) >= most) break
        }
        claims.push({ node, max: Math.min(most, max), lease, settle: (exit) => settle(node, room, lease, asked, exit) })
      }
      return claims
    },
    close: () => {
      closed = true
      for (const room of rooms.values()) {
        for (const pull of room.pulls) give(room, pull, [])
      }
    },
    wake: (node) => {
      for (const name of node === undefined ? rooms.keys() : [node]) {
        const room = rooms.get(name)
        if (room === undefined) continue
        room.changed.openUnsafe()
        if (room.pulls.size > 0) look(name)
      }
    }
  }
})

const first = (pulls: ReadonlySet<Pull>): Pull => {
  for (const pull of pulls) return pull
  throw new Error("nobody waits")
}

const isSubset = (pulls: ReadonlySet<Pull>, asked: ReadonlySet<Pull>): boolean => {
  if (pulls.size > asked.size) return false
  for (const pull of pulls) if (!asked.has(pull)) return false
  return true
}
