import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Access from "../../identity/Access.ts"
import * as Identity from "../../identity/Identity.ts"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import * as Topic from "../../topics/Topic.ts"
import type { Topics } from "../../topics/Topics.ts"
import type { TopicValue } from "./contract.ts"

/** Values and characters that are kept of a topic. */
const [keptValues, keptLength] = [100, 65_536]

/** What was published, and what is. */
export interface Hearing {
  /** What is kept of all topics that an identity may hear, the oldest of each topic first. */
  readonly kept: (may: (topic: Topic.Any) => boolean) => ReadonlyArray<TopicValue>
  /** Hears each value in the turn in which it is published, until the returned function is called. */
  readonly listen: (listener: (topic: Topic.Any, value: TopicValue) => void) => () => void
}

/** An outbox that hands each frame on and holds nothing. */
const outboxOf = (onFrame: (frame: string) => void): Outbox => ({
  send: (frame) => {
    if (typeof frame === "string") onFrame(frame)
    return true
  },
  cork: () => {},
  uncork: () => {},
  waiting: () => 0,
  drained: () => Effect.void,
  close: () => Effect.void,
  account: { held: () => 0, room: () => Infinity, take: () => true, give: () => {}, close: () => {} },
  room: () => Infinity,
  isClosed: () => false
})

/**
 * Subscribes to topics as one more peer that may hear all of them, so that what was published before somebody looks can
 * be shown: the last hundred values of each, as far as they have 64 Ki characters together.
 */
export const make = (
  topics: Topics["Service"],
  group: Topic.Group<Topic.Any>
): Effect.Effect<Hearing, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const rings = new Map<
      string,
      { length: number; readonly values: Array<{ readonly length: number; readonly value: TopicValue }> }
    >()
    const listeners = new Set<(topic: Topic.Any, value: TopicValue) => void>()
    for (const name of group.topics.keys()) rings.set(name, { length: 0, values: [] })

    const onFrame = (frame: string) => {
      const { method, params } = JSON.parse(frame) as { readonly method: string; readonly params?: unknown }
      const topic = group.topics.get(method)
      const ring = rings.get(method)
      if (topic === undefined || ring === undefined) return
      const json = (Topic.compile(topic).fromParams(params) ?? null) as Schema.Json
      const value: TopicValue = { topic: method, at: clock.currentTimeMillisUnsafe(), value: json }
      ring.values.push({ length: frame.length, value })
      ring.length += frame.length
      while (ring.values.length > keptValues || (ring.length > keptLength && ring.values.length > 1)) {
        ring.length -= ring.values.shift()!.length
      }
      for (const listener of listeners) listener(topic, value)
    }

    const connection = yield* RpcConnection.make(outboxOf(onFrame)).pipe(
      Effect.provideService(RpcConnection.Setup, () => Effect.void)
    )
    yield* Access.identify(connection, Identity.make("dashboard", { superuser: true }))
    const requested = Array.from(
      group.topics.keys(),
      (topic) => ({ topic, parameters: undefined, notices: false, positions: false, position: undefined })
    )
    // in parts: a connection has a bound on how many it may have, and what is over it is not heard
    yield* Effect.forEach(requested, (one) => Effect.ignore(topics.subscribe(connection, [one])), { discard: true })
    return {
      kept: (may) =>
        Array.from(rings).flatMap(([name, { values }]) =>
          may(group.topics.get(name)!) ? values.map(({ value }) => value) : []
        ),
      listen: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      }
    }
  })
