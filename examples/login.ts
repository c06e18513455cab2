/**
 * Login and permissions: what a caller may not use does not exist for it; logging in changes that for the same connection;
 * a subscription ends when the rights that it needs do.
 *
 * Run it: npx tsx examples/login.ts
 * Prints: diary, without login: Method not found
 * Prints: diary: Dear alice, …
 * Prints: ops: the subscription of topic "ops" was ended by the server
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Access, Authenticator, Identity, Login, Users, UserStore } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodePasswordHash, NodeSqliteClient } from "effect-wire/node"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"

const Ops = Topic.make("ops", { payload: Schema.String }).pipe(Access.permissionRequired("ops"))

class Own extends RpcGroup.make(
  // the middleware gives the handler the identity of its caller, typed
  Rpc.make("diary", { success: Schema.String }).pipe(Access.loginRequired),
  Rpc.make("reset", { success: Schema.Boolean }).pipe(Access.permissionRequired("reset"))
) {}
class Contract extends Own.merge(Login.Rpcs, Topics.Rpcs) {}

const Handlers = Own.toLayer({
  diary: () => Effect.map(Identity.CurrentIdentity, ({ username }) => `Dear ${username}, …`),
  reset: () => Effect.succeed(true)
})

// users live in SQLite here; with PgClient instead they live in PostgreSQL
const UsersLayer = Users.layer().pipe(
  Layer.provide(UserStore.layerSql()),
  Layer.provide(NodeSqliteClient.layer({ filename: ":memory:" })),
  Layer.provide(NodePasswordHash.layer())
)
const Authentication = Authenticator.layer(
  Effect.map(Users.Users, (users) => Authenticator.make({ password: users.verify, find: users.find }))
)

const Server = JsonRpcServer.layerSocketServer(Contract).pipe(
  Layer.provide(Layer.mergeAll(Handlers, Login.layer, Topics.layerHandlers({ methods: Contract }))),
  Layer.provideMerge(Layer.mergeAll(Access.layer, Authentication, Topics.layer(Topic.group(Ops)))),
  Layer.provideMerge(Layer.mergeAll(UsersLayer, Backplane.layerMemory, MemorySocket.layer))
)

const program = Effect.gen(function*() {
  const users = yield* Users.Users
  yield* users.create("alice", Redacted.make("wonderland"))
  yield* users.create("bob", Redacted.make("builder"), { permissions: ["reset", "ops"] })

  const memory = yield* MemorySocket.MemoryServer
  const client = yield* JsonRpcClient.fromSocket(memory.connect())
  const api = yield* JsonRpcClient.fromRemote(Contract, client)
  const show = (what: string) =>
    Effect.gen(function*() {
      const [methods, topics] = [yield* api.get_methods(), yield* api.get_topics()]
      const own = methods.filter((name) => Own.requests.has(name as "diary"))
      yield* Console.log(`${what}: methods ${JSON.stringify(own)}, topics ${JSON.stringify(topics)}`)
    })

  yield* show("nobody")
  const refused = yield* Effect.flip(api.diary())
  yield* Console.log("diary, without login:", refused.message)

  yield* api.login({ username: "alice", password: Redacted.make("wonderland") })
  yield* show("alice ")
  yield* Console.log("diary:", yield* api.diary())

  yield* api.login({ username: "bob", password: Redacted.make("builder") })
  yield* show("bob   ")
  yield* Effect.forkScoped(
    TopicsClient.eventsOf(client, Ops).pipe(
      Stream.runForEach((event) => Console.log("ops:", event)),
      Effect.catch((error) => Console.log("ops:", error.message))
    )
  )
  yield* Effect.sleep("50 millis")
  yield* Topics.publish(Ops, "backup is done")
  yield* Effect.sleep("50 millis")

  // an administrator takes the permission away; the connection learns of it
  yield* users.setPermissions("bob", [])
  const [connection] = yield* Topics.Topics.use((topics) => topics.subscribers(Ops))
  yield* Authenticator.refresh(connection!)
  yield* Effect.sleep("50 millis")
  yield* show("bob   ")
})

program.pipe(Effect.scoped, Effect.provide(Server), NodeRuntime.runMain)
