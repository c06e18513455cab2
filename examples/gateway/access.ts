/**
 * Who may do what, and what is published: the handlers of the methods that have to do with callers, and where users and topics live.
 */
import { Clock as Now, Effect, Layer, Redacted, Schedule } from "effect"
import { Access, Authenticator, Login, Users, UserStore } from "effect-wire/identity"
import { NodePasswordHash } from "effect-wire/node"
import { OpenRpc } from "effect-wire/openrpc"
import { RpcConnection } from "effect-wire/rpc"
import { Topics } from "effect-wire/topics"
import type { Rpc, RpcGroup } from "effect/rpc"
import { Settings } from "./config.ts"
import { CallerMethods, Clock, Ops, topics, Weather } from "./contract.ts"
import * as Shared from "./shared.ts"
import * as StartError from "./startError.ts"

const info = { title: "effect-wire gateway", version: "0.1.0" }

/** Tells `ops`; a publication that fails is no reason to refuse a login. */
const tell = (event: "login" | "logout", username: string) =>
  Effect.ignore(Topics.publish(Ops, { event, username }), { log: true })

const identity = Effect.flatMap(RpcConnection.current, Access.identityOf)

const Handlers = CallerMethods.toLayer({
  secret: () => Effect.succeed("42"),
  "admin.reset": () => Effect.succeed(true),
  "root.only": () => Effect.succeed(true),
  set_weather: (weather) => Effect.orDie(Topics.publish(Weather, weather)),
  whoami: () => Login.whoami,
  login: Effect.fnUntraced(function*({ password, username }) {
    const right = yield* Login.login({ _tag: "Password", username, password })
    if (right) yield* tell("login", (yield* identity)!.username)
    return right
  }),
  logout: Effect.fnUntraced(function*() {
    const before = yield* identity
    yield* Login.logout
    if (before !== undefined) yield* tell("logout", before.username)
    return true
  })
})

/** The handlers of everything that has to do with callers and topics; `contract` is everything the gateway serves, which is what callers may list. */
export const layerHandlers = <Rpcs extends Rpc.Any>(contract: RpcGroup.RpcGroup<Rpcs>) =>
  Layer.mergeAll(
    Handlers,
    Topics.layerHandlers({ methods: contract }),
    OpenRpc.layerHandlers({ methods: contract, topics, info })
  )

/** `GET /openrpc.json`: what everybody may use, and with credentials what their owner may. */
export const routes = <Rpcs extends Rpc.Any>(contract: RpcGroup.RpcGroup<Rpcs>) =>
  OpenRpc.layerHttp(contract, { topics, info })

/** Users whose passwords everybody knows: only where nobody else can reach the gateway. */
const demonstration = [
  { username: "alice", password: "wonderland", permissions: [], superuser: false },
  { username: "bob", password: "builder", permissions: ["reset", "ops"], superuser: false },
  { username: "root", password: "toor", permissions: [], superuser: true }
]

const Authentication = Authenticator.layer(Effect.gen(function*() {
  const { allowedOrigins, isLoopback } = yield* Settings
  const users = yield* Users.Users
  if (isLoopback) {
    yield* Effect.forEach(
      demonstration,
      ({ password, username, ...rights }) => Effect.orDie(users.create(username, Redacted.make(password), rights))
    )
  }
  return Authenticator.make({
    password: users.verify,
    find: users.find,
    origins: allowedOrigins === "same" ? [] : allowedOrigins
  })
})).pipe(
  Layer.provide(Users.layer()),
  // passwords that everybody knows need no costly hash
  Layer.provide(Layer.merge(UserStore.layerMemory, NodePasswordHash.layer({ logN: 10 })))
)

const Published = Topics.layer(topics).pipe(
  Layer.provide(Shared.layer),
  StartError.orFail("topics cannot be shared through the database")
)

const Ticking = Layer.effectDiscard(
  Effect.forkScoped(
    Effect.flatMap(Now.currentTimeMillis, (now) => Topics.publish(Clock, now)).pipe(
      Effect.ignore,
      Effect.repeat(Schedule.fixed("1 second"))
    )
  )
)

/** Callers, topics and rules, for every route of the gateway together. */
export const layer = Ticking.pipe(
  Layer.provideMerge(Layer.mergeAll(Published, Authentication, Access.layer))
)
