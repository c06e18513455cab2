import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as Schema from "effect/Schema"
import * as Access from "../../identity/Access.ts"
import { Authenticator, type Credentials } from "../../identity/Authenticator.ts"
import * as Login from "../../identity/Login.ts"
import { JsonRpcClients } from "../../jsonrpc/JsonRpcClients.ts"
import { JugglerClients } from "../../juggler/JugglerClients.ts"
import type { ReadableState } from "../../juggler/JugglerState.ts"
import * as OpenRpc from "../../openrpc/OpenRpc.ts"
import { MessageQueue } from "../../queue/MessageQueue.ts"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import { Budget } from "../../socket/Budget.ts"
import * as Topic from "../../topics/Topic.ts"
import { Topics } from "../../topics/Topics.ts"
import { Wiretap } from "../../wiretap/Wiretap.ts"
import { type Connected, DashboardMethods, Unable } from "./contract.ts"
import { methodCounts } from "./counts.ts"
import { CurrentErrors } from "./errors.ts"
import * as Hearing from "./hearing.ts"
import * as Live from "./live.ts"
import * as Queues from "./queues.ts"

/** Who looks at the page now. */
export class OwnClients extends Context.Service<OwnClients, JsonRpcClients["Service"]>()(
  "effect-wire/dashboard/internal/handlers/OwnClients"
) {}

/** What the handlers are told. */
export interface Options {
  readonly title: string
  readonly permission: string
  /** Of the page's own connection. */
  readonly path: string
  readonly topics?: Topic.Group<Topic.Any> | undefined
  readonly states?: Readonly<Record<string, ReadableState<any>>> | undefined
  readonly queues?: Readonly<Record<string, MessageQueue["Service"]>> | undefined
  readonly may: (connection: RpcConnection.Connection, now: number) => boolean
}

/** Connections that are listed: those that hold most. */
const maxListed = 200

type Listed = typeof Connected.Type

/** The handlers of the page's methods, on what the environment has. */
export const layer = <Rpcs extends Rpc.Any>(
  contract: RpcGroup.RpcGroup<Rpcs>,
  options: Options
): Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof DashboardMethods>>, never, OwnClients> =>
  DashboardMethods.toLayer(Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const since = clock.currentTimeMillisUnsafe()
    const own = yield* OwnClients
    const budget = yield* Budget
    const errors = yield* CurrentErrors
    const access = yield* RpcConnection.MethodAccess
    const authenticator = Option.getOrUndefined(yield* Effect.serviceOption(Authenticator))
    const topics = Option.getOrUndefined(yield* Effect.serviceOption(Topics))
    const clients = Option.getOrUndefined(yield* Effect.serviceOption(JsonRpcClients))
    const juggler = Option.getOrUndefined(yield* Effect.serviceOption(JugglerClients))
    const tap = Option.getOrUndefined(yield* Effect.serviceOption(Wiretap))
    const queue = Option.getOrUndefined(yield* Effect.serviceOption(MessageQueue))

    const published = options.topics ?? Context.get(contract.annotations, Topic.Published)
    const states = new Map(Object.entries(options.states ?? {}))
    const queues = new Map(Object.entries(options.queues ?? (queue === undefined ? {} : { queue })))
    const hearing = topics === undefined || published.topics.size === 0
      ? undefined
      : yield* Hearing.make(topics, published)
    const watch = Live.make({ hearing, states, tap }, options)
    const onQueues = Queues.make(queues)

    const signIn = (credentials: Credentials) =>
      authenticator === undefined
        ? Effect.fail(new Unable({ reason: "there is nobody here who knows users" }))
        : Effect.provideService(Login.login(credentials), Authenticator, authenticator)

    const describe = (connection: RpcConnection.Connection, wire: string, asking: RpcConnection.Connection) =>
      Effect.gen(function*() {
        const { handshake, outbox } = connection
        const listed: Listed = {
          id: connection.id,
          wire,
          carrier: handshake.carrier,
          path: handshake.url.split("?", 1)[0]!,
          address: handshake.remoteAddress ?? null,
          username: (yield* Access.identityOf(connection))?.username ?? null,
          since: connection.connectedAt,
          held: outbox?.account.held() ?? 0,
          waiting: outbox?.waiting() ?? 0,
          topics: topics === undefined ? [] : yield* topics.subscriptions(connection),
          own: connection === asking
        }
        return listed
      })

    const everybody = Effect.gen(function*() {
      const rpc = [...(clients === undefined ? [] : yield* clients.everywhere), ...(yield* own.everywhere)]
      return {
        rpc,
        juggler: juggler === undefined ? [] : yield* juggler.all
      }
    })

    return DashboardMethods.of({
      "dashboard.hello": () =>
        Effect.gen(function*() {
          const connection = yield* RpcConnection.current
          const now = yield* Clock.currentTimeMillis
          return {
            title: options.title,
            allowed: options.may(connection, now),
            signIn: authenticator !== undefined,
            username: Access.identityAt(connection, now)?.username ?? null,
            permission: options.permission
          }
        }),
      "dashboard.login": (payload: { readonly username: string; readonly password: Redacted.Redacted }) =>
        signIn({ _tag: "Password", ...payload }),
      "dashboard.authenticate": ({ token }) => signIn({ _tag: "Token", token }),
      "dashboard.logout": () => Effect.as(Login.logout, true),
      "dashboard.describe": () =>
        Effect.gen(function*() {
          const connection = yield* RpcConnection.current
          const identity = yield* Access.identityOf(connection)
          const filter = (target: Access.Annotatable) => {
            const isTopic = published.topics.get((target as Topic.Any).name) === target
            return isTopic
              ? Access.satisfies(target, identity)
              : access(target as unknown as Rpc.AnyWithProps, connection)
          }
          const document = OpenRpc.fromGroup(
            contract,
            { info: { title: options.title, version: "" }, topics: published },
            filter
          )
          const visible = Array.from(published.topics.values()).filter(filter)
          return {
            document: document as unknown as Schema.Json,
            topics: visible.map((topic) => ({
              name: topic.name,
              kind: topic.kind,
              summary: Context.get(topic.annotations, OpenRpc.Descriptions).summary ?? ""
            })),
            hears: hearing !== undefined,
            states: Array.from(states.keys()),
            queues: Array.from(queues.keys()),
            frames: tap !== undefined,
            errors: errors !== undefined,
            connections: clients !== undefined || juggler !== undefined
          }
        }),
      "dashboard.snapshot": () =>
        Effect.gen(function*() {
          const { inFlight, methods } = yield* methodCounts
          const all = yield* everybody
          return {
            now: yield* Clock.currentTimeMillis,
            since,
            // the request that asks is none of the app's
            inFlight: Math.max(0, inFlight - 1),
            connections: all.rpc.length + all.juggler.length,
            held: budget.taken(),
            errors: errors?.count() ?? 0,
            methods
          }
        }),
      "dashboard.connections": () =>
        Effect.gen(function*() {
          const asking = yield* RpcConnection.current
          const { juggler, rpc } = yield* everybody
          const listed = yield* Effect.all([
            ...rpc.map(({ connection, wire }) => describe(connection, wire.name, asking)),
            ...juggler.map(({ connection, generation }) => describe(connection, `Juggler ${generation.name}`, asking))
          ])
          listed.sort((a, b) => b.held - a.held || a.id - b.id)
          return { total: listed.length, connections: listed.slice(0, maxListed) }
        }),
      "dashboard.close": ({ id }) =>
        Effect.gen(function*() {
          const { juggler, rpc } = yield* everybody
          for (const { connection } of rpc) {
            if (connection.id !== id || connection.outbox === undefined) continue
            yield* Effect.timeoutOption(connection.outbox.close(1008, "closed by an operator"), "1 second")
            return true
          }
          for (const one of juggler) {
            if (one.connection.id !== id) continue
            yield* Effect.timeoutOption(one.close(1008), "1 second")
            return true
          }
          return false
        }),
      "dashboard.errors": () => Effect.sync(() => errors?.all() ?? []),
      "dashboard.watch": (wanted) =>
        Effect.flatMap(RpcConnection.current, (connection) => Effect.as(watch(connection, wanted), true)),
      "dashboard.queue.counts": onQueues.counts,
      "dashboard.queue.nodes": onQueues.nodes,
      "dashboard.queue.list": onQueues.list,
      "dashboard.queue.message": onQueues.message,
      "dashboard.queue.push": onQueues.push,
      "dashboard.queue.pull": onQueues.pull,
      "dashboard.queue.act": onQueues.act,
      "dashboard.queue.reschedule": onQueues.reschedule,
      "dashboard.queue.redrive": onQueues.redrive
    })
  })) as never
