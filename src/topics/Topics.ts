/**
 * Topics of a server: publishing, and the methods by which clients subscribe (`Rpcs`, an ordinary group to merge with the
 * server's own). A value is encoded once, whatever the number of subscribers; through the `Backplane` it reaches the
 * subscribers of all processes, in one order for each topic.
 *
 * What a client may not use does not exist for it: a topic with access rules is left out of its listings and of what it
 * subscribes to, and a subscription ends when the rights of its caller do.
 *
 * **Example** (A server with a topic)
 *
 * ```ts
 * const group = Methods.merge(Topics.Rpcs)
 * const Server = JsonRpcServer.layerSocketServer(group).pipe(
 *   Layer.provide([MethodsLayer, Topics.layerHandlers({ methods: group })]),
 *   Layer.provide([Access.layer, Topics.layer(topics)]),
 *   Layer.provide(Backplane.layerMemory)
 * )
 * const change = Topics.publish(Weather, { celsius: 21 })
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Backplane, type BackplaneError, makeMemory } from "../backplane/Backplane.ts"
import * as Access from "../identity/Access.ts"
import { nameOn } from "../jsonrpc/internal/wireModel.ts"
import { wireOf } from "../jsonrpc/JsonRpcClients.ts"
import * as RpcConnection from "../rpc/RpcConnection.ts"
import { ConnectionTopics } from "./internal/connectionTopics.ts"
import { TopicChannel } from "./internal/topicChannel.ts"
import { InvalidParameters, type Requested, Rpcs, TooManySubscriptions } from "./internal/topicRpcs.ts"
import type { SlowReading } from "./internal/topicSubscription.ts"
import type * as Topic from "./Topic.ts"

export { InvalidParameters, type Requested, Rpcs, TooManySubscriptions } from "./internal/topicRpcs.ts"

/**
 * Publications that were dropped because a subscriber of a plain topic read too slowly.
 *
 * @category metrics
 * @since 0.1.0
 */
export const dropped: Metric.Counter<number> = Metric.counter("effect_wire_topic_dropped_total", {
  description: "Publications dropped for subscribers that read too slowly",
  incremental: true
})

/**
 * Subscriptions that were refused because the connection had as many as it may have.
 *
 * @category metrics
 * @since 0.1.0
 */
export const refused: Metric.Counter<number> = Metric.counter("effect_wire_topic_refused_total", {
  description: "Subscriptions refused over the limit of a connection",
  incremental: true
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Subscriptions of one connection. Default 128. */
  readonly maxSubscriptions?: number | undefined
  /** Characters waiting for a reader beyond which it is slow. Default 262,144. */
  readonly highWaterMark?: number | undefined
  /** Publications of a plain topic without a history kept for a slow reader. Default 256. */
  readonly slowCapacity?: number | undefined
  /** Put before the names of topics on the backplane, for servers with different topics on one. Default `topic:`. */
  readonly prefix?: string | undefined
}

/**
 * The topics of this server.
 *
 * @category services
 * @since 0.1.0
 */
export class Topics extends Context.Service<Topics, {
  /**
   * Sends a value to every subscriber; completes when it is handed to the backplane. A topic that is not of this server
   * is a defect, and so is a value that does not fit the topic.
   */
  readonly publish: <Value>(
    topic: Topic.Topic<string, Value, any>,
    value: Value
  ) => Effect.Effect<void, BackplaneError>
  /** The last value of a state topic; `undefined` when there was none yet, and for plain topics. */
  readonly last: <Value>(topic: Topic.Topic<string, Value, any>) => Effect.Effect<Value | undefined>
  /** The connections of this process that are subscribed now. */
  readonly subscribers: (topic: Topic.Any) => Effect.Effect<ReadonlyArray<RpcConnection.Connection>>
  /** Names of the topics that a connection may subscribe to. */
  readonly visible: (connection: RpcConnection.Connection) => Effect.Effect<ReadonlyArray<string>>
  /** Names of the topics that a connection is subscribed to. */
  readonly subscriptions: (connection: RpcConnection.Connection) => Effect.Effect<ReadonlyArray<string>>
  /** Subscribes a connection; unknown and forbidden topics are left out. Gives all names that it is subscribed to. */
  readonly subscribe: (
    connection: RpcConnection.Connection,
    topics: ReadonlyArray<Requested>
  ) => Effect.Effect<ReadonlyArray<string>, TooManySubscriptions | InvalidParameters>
  /** Ends subscriptions of a connection. Gives the names of those that are left. */
  readonly unsubscribe: (
    connection: RpcConnection.Connection,
    topics: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<string>>
}>()("effect-wire/topics/Topics") {}

/**
 * Publishes a value: `Topics.publish` of the service.
 *
 * @category combinators
 * @since 0.1.0
 */
export const publish = <Value>(
  topic: Topic.Topic<string, Value, any>,
  value: Value
): Effect.Effect<void, BackplaneError, Topics> => Topics.use((topics) => topics.publish(topic, value))

/**
 * Makes the topics of a server and hears them on the backplane.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  group: Topic.Group<Topic.Any>,
  options?: Options
): Effect.fn.Return<Topics["Service"], BackplaneError, Backplane | Scope.Scope> {
  const shared = yield* Backplane
  const own = yield* makeMemory
  const backplaneOf = (topic: Topic.Any) => topic.local ? own : shared
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime()
  const prefix = options?.prefix ?? "topic:"
  const maxSubscriptions = options?.maxSubscriptions ?? 128
  const channels = new Map<string, TopicChannel>()
  for (const [name, topic] of group.topics) {
    channels.set(
      name,
      new TopicChannel(topic, () => clock.currentTimeMillisUnsafe())
    )
  }
  yield* Effect.forEach(channels, ([name, channel]) =>
    Effect.map(
      backplaneOf(channel.topic).listen(prefix + name, (event) => channel.onEvent(event), {
        history: channel.topic.history
      }),
      (registration) => channel.start(registration)
    ), { concurrency: 16, discard: true })
  // two of one server must not see one another's
  const Mine = Context.Reference<ConnectionTopics | undefined>("effect-wire/topics/Topics/ConnectionTopics", {
    defaultValue: () => undefined
  })
  const slow: SlowReading = {
    highWater: options?.highWaterMark ?? 262_144,
    capacity: options?.slowCapacity ?? 256,
    whenDrained: (outbox, limit, then) => {
      run(Effect.map(outbox.drained(limit), then))
    },
    disconnect: (connection, topic) => {
      connection.get(Mine)!.drop(() => true)
      run(Effect.andThen(
        Effect.logInfo("Topics: a subscriber read too slowly and is disconnected", {
          topic,
          connection: connection.id
        }),
        Effect.ignore(Effect.timeoutOption(connection.outbox!.close(1013, "read too slowly"), "1 second"))
      ))
    },
    onDropped: (count) => {
      run(Metric.update(dropped, count))
    }
  }

  // The subscriptions of a connection: they end with it, and as its caller's rights do.
  const mineOf = (connection: RpcConnection.Connection): Effect.Effect<ConnectionTopics> =>
    Effect.suspend(() => {
      const existing = connection.get(Mine)
      if (existing !== undefined) return Effect.succeed(existing)
      const mine = new ConnectionTopics(connection, channels)
      connection.set(Mine, mine)
      return Access.onChange(connection, (identity) => {
        mine.onRights((topic) => Access.satisfies(topic, identity))
      }).pipe(
        Effect.andThen(Effect.addFinalizer(() => Effect.sync(() => mine.drop(() => true)))),
        Scope.provide(connection.scope),
        Effect.as(mine)
      )
    })

  const allowed = (connection: RpcConnection.Connection, topic: Topic.Any): boolean =>
    Access.satisfies(topic, Access.identityAt(connection, clock.currentTimeMillisUnsafe()))

  const channelOf = (topic: Topic.Any): TopicChannel | undefined => {
    const channel = channels.get(topic.name)
    return channel?.topic.payload === topic.payload ? channel : undefined
  }
  const unknown = (topic: Topic.Any) => Effect.die(new Error(`this server has no topic "${topic.name}"`))

  // Decodes the parameters of one requested subscription; `undefined` when the topic takes none or none were given.
  const filterOf = (
    channel: TopicChannel,
    parameters: unknown
  ): Effect.Effect<((value: unknown) => boolean) | undefined, InvalidParameters> => {
    const { matches } = channel.topic
    if (parameters === undefined || matches === undefined) return Effect.succeed(undefined)
    return Schema.decodeUnknownEffect(Schema.toCodecJson(channel.topic.parameters))(parameters).pipe(
      Effect.mapBoth({
        onFailure: (error) => new InvalidParameters({ topic: channel.topic.name, reason: error.message }),
        onSuccess: (decoded) => (value: unknown) => matches(value, decoded)
      })
    )
  }

  yield* Scope.addFinalizer(
    scope,
    Effect.sync(() => {
      for (const channel of channels.values()) {
        for (const subscription of [...channel.subscribers]) {
          channel.remove(subscription)
          subscription.connection.get(Mine)?.subscriptions.delete(channel.topic.name)
          subscription.end()
        }
      }
    })
  )

  return {
    publish: (topic, value) => {
      const channel = channelOf(topic)
      if (channel === undefined) return unknown(topic)
      const send = (encoded: unknown) =>
        Effect.asVoid(
          backplaneOf(channel.topic).publish(prefix + topic.name, channel.encode(encoded), {
            retain: topic.kind === "state"
          })
        )
      const encoded = channel.writing.codec.method.encodePayload(value)
      return Exit.isExit(encoded) && encoded._tag === "Success"
        ? Effect.suspend(() => send(encoded.value))
        : Effect.flatMap(Effect.orDie(encoded), send)
    },
    last: (topic) => Effect.sync(() => channelOf(topic)?.current?.value as never),
    subscribers: (topic) =>
      Effect.sync(() => (channelOf(topic)?.subscribers ?? []).map((subscription) => subscription.connection)),
    visible: (connection) =>
      Effect.sync(() => [...channels.values()].flatMap(({ topic }) => allowed(connection, topic) ? [topic.name] : [])),
    subscriptions: (connection) => Effect.sync(() => connection.get(Mine)?.names ?? []),
    subscribe: (connection, requested) =>
      Effect.gen(function*() {
        const { outbox } = connection
        // a wire that cannot send by itself has no subscriptions
        if (outbox === undefined) return []
        const wire = wireOf(connection)
        const mine = yield* mineOf(connection)
        const wanted = new Map<string, { readonly channel: TopicChannel; readonly request: Requested }>()
        for (const request of requested) {
          const channel = channels.get(request.topic)
          if (channel === undefined) continue
          if (allowed(connection, channel.topic)) wanted.set(request.topic, { channel, request })
          else if (request.notices) mine.deny(request.topic)
        }
        const added = [...wanted.keys()].filter((name) => !mine.subscriptions.has(name)).length
        if (mine.subscriptions.size + added > maxSubscriptions) {
          yield* Metric.update(refused, added)
          return yield* new TooManySubscriptions({ limit: maxSubscriptions })
        }
        const filters = yield* Effect.forEach(
          wanted.values(),
          ({ channel, request }) => filterOf(channel, request.parameters)
        )
        let i = 0
        for (const [name, { channel, request }] of wanted) {
          const accepts = filters[i++]
          const parametersText = accepts === undefined ? undefined : JSON.stringify(request.parameters)
          const present = mine.subscriptions.get(name)
          if (present !== undefined) {
            const { hearsNotices, parametersText: had, positions } = present.options
            const same = had === parametersText && hearsNotices === request.notices &&
              positions === request.positions && request.position === undefined
            if (same) continue
            channel.remove(present)
            present.end()
          }
          mine.allow(name)
          mine.subscriptions.set(
            name,
            channel.add({
              connection,
              outbox,
              wire,
              topic: name,
              hearsNotices: request.notices,
              positions: request.positions,
              parametersText,
              accepts,
              policy: channel.topic.kind === "state" ? "newest" : channel.topic.slow,
              slow
            }, request.position)
          )
        }
        return mine.names
      }),
    unsubscribe: (connection, names) =>
      Effect.sync(() => {
        const mine = connection.get(Mine)
        if (mine === undefined) return []
        const ending = new Set(names)
        mine.drop((topic) => ending.has(topic.name))
        for (const name of ending) mine.allow(name)
        return mine.names
      })
  }
})

/**
 * The topics of a server.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  group: Topic.Group<Topic.Any>,
  options?: Options
): Layer.Layer<Topics, BackplaneError, Backplane> => Layer.effect(Topics, make(group, options))

/**
 * The handlers of {@link Rpcs}. `methods` is the whole group that the server serves: `get_methods` lists what of it the
 * caller may use.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHandlers = <Methods extends Rpc.Any>(options: {
  readonly methods: RpcGroup.RpcGroup<Methods>
}): Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof Rpcs>>, never, Topics> =>
  Rpcs.toLayer(Effect.map(Topics, (topics) => ({
    get_methods: () =>
      Effect.gen(function*() {
        const connection = yield* RpcConnection.current
        const access = yield* RpcConnection.MethodAccess
        const wire = wireOf(connection)
        const isLoggedIn = (yield* Access.identityOf(connection)) !== undefined
        return [
          ...(options.methods.requests as ReadonlyMap<string, unknown> as ReadonlyMap<string, Rpc.AnyWithProps>)
            .values()
        ]
          .filter((rpc) => access(rpc, connection))
          .map((rpc) => nameOn(wire, rpc))
          .filter((name) => wire.lists?.(name, isLoggedIn) !== false)
      }),
    get_topics: () => Effect.flatMap(RpcConnection.current, topics.visible),
    get_subscriptions: () => Effect.flatMap(RpcConnection.current, topics.subscriptions),
    subscribe: (requested: ReadonlyArray<Requested>) =>
      Effect.flatMap(RpcConnection.current, (connection) => topics.subscribe(connection, requested)),
    unsubscribe: (requested: ReadonlyArray<Requested>) =>
      Effect.flatMap(
        RpcConnection.current,
        (connection) => topics.unsubscribe(connection, requested.map((request) => request.topic))
      )
  })))
