import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Schema, Scope } from "effect"
import { Access, Authenticator, Identity, Login } from "effect-wire/identity"
import { JsonRpcServer, JsonRpcTest } from "effect-wire/jsonrpc"
import { RpcConnection } from "effect-wire/rpc"
import { Handshake, MemorySocket } from "effect-wire/socket"
import { Headers } from "effect/http"
import { Rpc, RpcGroup, RpcTest } from "effect/rpc"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"

const connect = (headers: Record<string, string> = {}) =>
  Effect.provideService(RpcConnection.make(undefined), Handshake.CurrentHandshake, {
    ...Handshake.empty,
    remoteAddress: "192.0.2.1",
    headers: Headers.fromInput(headers)
  })

const open = Rpc.make("open")
const member = Rpc.make("member").pipe(Access.loginRequired)
const both = Rpc.make("both").pipe(Access.permissionRequired("a", "b"))
const twice = Rpc.make("twice").pipe(Access.permissionRequired("a"), Access.permissionRequired("b"))
const test = Rpc.make("test").pipe(Access.userPassesTest((user) => user.username.startsWith("al")))
const rootOnly = Rpc.make("root").pipe(Access.userPassesTest(() => false))
const all = [open, member, both, twice, test, rootOnly]

const allowed = (identity: Identity.Identity | undefined) =>
  all.filter((rpc) => Access.satisfies(rpc, identity)).map((rpc) => rpc._tag)

it.effect("rules decide by login, permissions and tests, and superusers pass them all", () =>
  Effect.sync(() => {
    assert.deepStrictEqual(allowed(undefined), ["open"])
    assert.deepStrictEqual(allowed(Identity.make("bob")), ["open", "member"])
    assert.deepStrictEqual(allowed(Identity.make("bob", { permissions: ["a"] })), ["open", "member"])
    assert.deepStrictEqual(allowed(Identity.make("bob", { permissions: ["a", "b"] })), [
      "open",
      "member",
      "both",
      "twice"
    ])
    assert.deepStrictEqual(allowed(Identity.make("alice")), ["open", "member", "test"])
    assert.deepStrictEqual(allowed(Identity.make("root", { superuser: true })), all.map((rpc) => rpc._tag))
  }))

it.effect("a group's rules hold for its methods, except those with rules of their own", () =>
  Effect.sync(() => {
    const group = RpcGroup.make(open, test).annotateRpcs(Access.Rules, [{ _tag: "LoginRequired" }])
    const names = (identity: Identity.Identity | undefined) =>
      [...group.requests.values()].filter((rpc) => Access.satisfies(rpc, identity)).map((rpc) => rpc._tag)
    assert.deepStrictEqual(names(undefined), [])
    assert.deepStrictEqual(names(Identity.make("bob")), ["open"])
  }))

it.effect("a server without the access layer refuses protected methods instead of serving them", () =>
  Effect.gen(function*() {
    const connection = yield* connect()
    const withoutLayer = yield* RpcConnection.MethodAccess
    assert.isTrue(withoutLayer(open, connection))
    assert.isFalse(withoutLayer(member, connection))
    yield* Access.identify(connection, Identity.make("root", { superuser: true }))
    assert.isFalse(withoutLayer(member, connection))
    const withLayer = yield* Effect.provide(RpcConnection.MethodAccess, Access.layer)
    assert.isTrue(withLayer(member, connection))
  }))

it.effect("an identity belongs to one connection, expires by itself, and is refreshed in between", () =>
  Effect.gen(function*() {
    const [a, b] = [yield* connect(), yield* connect()]
    const seen: Array<string | undefined> = []
    const scope = yield* Scope.make()
    yield* Scope.provide(Access.onChange(a, (identity) => seen.push(identity?.username)), scope)
    yield* Access.identify(a, Identity.make("alice", { expiresAt: 1000 }))
    assert.isUndefined(yield* Access.identityOf(b))
    yield* TestClock.adjust(999)
    assert.strictEqual((yield* Access.identityOf(a))?.username, "alice")
    yield* Access.identify(a, Identity.make("alice", { expiresAt: 3000 }))
    yield* TestClock.adjust(1001)
    assert.strictEqual((yield* Access.identityOf(a))?.username, "alice")
    assert.deepStrictEqual(seen, ["alice", "alice"])
    yield* TestClock.adjust(1000)
    assert.isUndefined(yield* Access.identityOf(a))
    assert.deepStrictEqual(seen, ["alice", "alice", undefined])
    yield* Scope.close(scope, Exit.void)
    yield* Access.identify(a, Identity.make("bob"))
    assert.strictEqual(seen.length, 3)
    yield* Access.identify(a, Identity.make("late", { expiresAt: 1 }))
    assert.isUndefined(yield* Access.identityOf(a))
  }))

const verifyToken: Authenticator.Verify<"Token"> = ({ token }) =>
  Effect.succeed(Redacted.value(token) === "t0ken" ? Identity.make("machine") : undefined)
const verifyPassword: Authenticator.Verify<"Password"> = ({ password, username }) =>
  Effect.succeed(Redacted.value(password) === "w:onder" ? Identity.make(username) : undefined)

const authenticator = Authenticator.make({
  password: verifyPassword,
  token: verifyToken,
  cookie: "session",
  origins: ["https://app.example"]
})

const whoIs = (headers: Record<string, string>, service = authenticator) =>
  Effect.gen(function*() {
    const connection = yield* connect(headers).pipe(Effect.provide(Authenticator.layer(service)))
    return (yield* Access.identityOf(connection))?.username
  })

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`

it.effect("the handshake's Basic, bearer token and cookie say who the peer is before its first request", () =>
  Effect.gen(function*() {
    assert.isUndefined(yield* whoIs({}))
    assert.strictEqual(yield* whoIs({ authorization: basic("alice:w:onder") }), "alice")
    assert.strictEqual(yield* whoIs({ authorization: basic("zoë:w:onder").replace("Basic", "bAsIc") }), "zoë")
    assert.strictEqual(yield* whoIs({ authorization: "Bearer t0ken" }), "machine")
    assert.strictEqual(yield* whoIs({ cookie: "a=b; session=t0ken; c" }), "machine")
    assert.strictEqual(yield* whoIs({ cookie: "session=\"t0ken\"" }), "machine")
    for (
      const headers of [
        { authorization: basic("alice:wrong") },
        { authorization: basic("alice") },
        { authorization: "Basic %%%" },
        { authorization: "Basic" },
        { authorization: "Bearer " },
        { authorization: "Bearer other" },
        { authorization: "Digest t0ken" },
        { authorization: `Bearer ${"t".repeat(100_000)}` },
        { cookie: "Session=t0ken" },
        { cookie: "xsession=t0ken; session=; =t0ken" },
        // the authorization header counts, and it is wrong
        { authorization: "Bearer other", cookie: "session=t0ken" }
      ]
    ) assert.isUndefined(yield* whoIs(headers), JSON.stringify(headers).slice(0, 80))
  }))

it.effect("cookies and Basic of another site's page prove nothing: cross-site WebSocket hijacking, forged POSTs", () =>
  Effect.gen(function*() {
    const host = "gateway.example:8080"
    const cookie = "session=t0ken"
    assert.strictEqual(yield* whoIs({ cookie, host, origin: "http://gateway.example:8080" }), "machine")
    assert.strictEqual(yield* whoIs({ cookie, host, origin: "https://Gateway.example:8080" }), "machine")
    assert.strictEqual(yield* whoIs({ cookie, host, origin: "https://app.example" }), "machine")
    for (
      const origin of [
        "https://evil.example",
        "null",
        "",
        "http://gateway.example",
        "http://gateway.example:8080.evil.example",
        "https://app.example.evil.example",
        "file://"
      ]
    ) {
      assert.isUndefined(yield* whoIs({ cookie, host, origin }), origin)
      assert.isUndefined(yield* whoIs({ authorization: basic("alice:w:onder"), host, origin }), origin)
      assert.strictEqual(yield* whoIs({ authorization: "Bearer t0ken", host, origin }), "machine", origin)
    }
    assert.isUndefined(yield* whoIs({ cookie, origin: "https://evil.example" }))
  }))

it.effect("a trusted proxy's header is taken only where it is configured", () =>
  Effect.gen(function*() {
    const proxied = Authenticator.make({
      header: { name: "X-Remote-User", identity: (value) => Effect.succeed(Identity.make(value)) }
    })
    assert.strictEqual(yield* whoIs({ "x-remote-user": "alice" }, proxied), "alice")
    assert.isUndefined(yield* whoIs({ "x-remote-user": "alice" }))
  }))

it.effect("an authenticator that hangs or fails leaves the peer without identity", () =>
  Effect.gen(function*() {
    const down = Authenticator.make({
      token: () => Effect.fail(new Authenticator.AuthenticationUnavailable({ cause: new Error("away") }))
    })
    assert.isUndefined(yield* whoIs({ authorization: "Bearer t0ken" }, down))
    const hanging = Authenticator.make({ token: () => Effect.never })
    const [who] = yield* Effect.all(
      [whoIs({ authorization: "Bearer t0ken" }, hanging), TestClock.adjust("10 seconds")],
      { concurrency: "unbounded" }
    )
    assert.isUndefined(who)
  }))

const closeCode = (token: Authenticator.Verify<"Token">) =>
  Effect.gen(function*() {
    const memory = yield* MemorySocket.makeServer()
    const run = yield* JsonRpcServer.make(Login.Rpcs).pipe(
      Effect.provide(Login.layer.pipe(Layer.provideMerge(Authenticator.layer(Authenticator.make({ token })))))
    )
    yield* Effect.forkScoped(memory.server.run(run))
    const { pull } = yield* memory.connect({ headers: { authorization: "Bearer t" } }).reader
    const fiber = yield* Effect.forkScoped(Effect.flip(pull))
    yield* TestClock.adjust("10 seconds")
    const { reason } = yield* Fiber.join(fiber)
    return reason._tag === "SocketCloseError" ? reason.code : reason._tag
  })

it.effect("a handshake that cannot be judged closes the connection, and is not taken for nobody", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* closeCode(() => Effect.never), 1013)
    assert.strictEqual(
      yield* closeCode(() => Effect.fail(new Authenticator.AuthenticationUnavailable({ cause: "away" }))),
      1013
    )
    assert.strictEqual(
      yield* closeCode(() => Effect.fail(new Authenticator.TooManyAttempts({ retryAfter: 1000 }))),
      1008
    )
  }))

it.effect("a connection closed with 1008 runs nothing more, though its peer goes on without answering the close", () =>
  Effect.gen(function*() {
    let ran = 0
    const Group = RpcGroup.make(Rpc.make("run"), Rpc.make("tell"))
    const run = () => Effect.sync(() => void ran++)
    const refusing = Authenticator.layer(Authenticator.make({
      token: () => Effect.fail(new Authenticator.TooManyAttempts({ retryAfter: 1000 }))
    }))
    const serve = yield* JsonRpcServer.make(Group).pipe(
      Effect.provide(Layer.merge(Group.toLayer({ run, tell: run }), refusing))
    )
    const [near, far] = yield* MemorySocket.makePair()
    const codes: Array<number> = []
    // the close frame is on its way, and nothing ends by it
    const open: Socket.Socket = {
      ...far,
      writer: Effect.map(far.writer, (writer) => ({
        ...writer,
        write: (chunk) =>
          Socket.isCloseEvent(chunk) ? Effect.sync(() => void codes.push(chunk.code)) : writer.write(chunk)
      }))
    }
    yield* Effect.forkScoped(
      Effect.provideService(serve(open), Handshake.CurrentHandshake, {
        ...Handshake.empty,
        headers: Headers.fromInput({ authorization: "Bearer t" })
      }),
      { startImmediately: true }
    )
    const { pull } = yield* near.reader
    const answers: Array<unknown> = []
    yield* Effect.forkScoped(Effect.forever(Effect.map(pull, (frames) => answers.push(...frames))))
    const writer = yield* near.writer
    for (let id = 0; id < 20; id++) {
      yield* writer.write(`{"jsonrpc":"2.0","id":${id},"method":"run"}`)
      yield* writer.write(`[{"jsonrpc":"2.0","id":"b","method":"run"},{"jsonrpc":"2.0","method":"tell"}]`)
      yield* TestClock.adjust("1 second")
    }
    assert.deepStrictEqual(codes, [1008])
    assert.strictEqual(ran, 0)
    assert.deepStrictEqual(answers, [])
  }))

const client = (connection: RpcConnection.Connection) =>
  RpcTest.makeClient(Login.Rpcs).pipe(
    Effect.provide(Login.layer.pipe(Layer.provide(Authenticator.layer(authenticator)))),
    Effect.provideService(RpcConnection.CurrentConnection, connection)
  )

it.effect("login, authenticate, whoami and logout change and tell who the connection is", () =>
  Effect.gen(function*() {
    const connection = yield* connect()
    const methods = yield* client(connection)
    const call = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.provideService(effect, RpcConnection.CurrentConnection, connection)
    assert.deepStrictEqual(yield* call(methods.whoami()), { username: null, permissions: [] })
    assert.isFalse(yield* call(methods.login({ username: "alice", password: Redacted.make("wrong") })))
    assert.isTrue(yield* call(methods.login({ username: "alice", password: Redacted.make("w:onder") })))
    assert.deepStrictEqual(yield* call(methods.whoami()), { username: "alice", permissions: [] })
    // wrong credentials leave the caller as it was
    assert.isFalse(yield* call(methods.authenticate({ token: Redacted.make("other") })))
    assert.strictEqual((yield* call(methods.whoami())).username, "alice")
    assert.isTrue(yield* call(methods.authenticate({ token: Redacted.make("t0ken") })))
    assert.strictEqual((yield* call(methods.whoami())).username, "machine")
    assert.isTrue(yield* call(methods.logout()))
    assert.strictEqual((yield* call(methods.whoami())).username, null)
  }))

it.effect("a password that does not fit the schema is not repeated in the error", () =>
  Effect.gen(function*() {
    const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(Login.Rpcs.requests.get("login")!.payloadSchema))
    const error = yield* Effect.flip(decode({ username: 5, password: { secret: "hunter2" } }, { errors: "all" }))
    assert.notInclude(String(error), "hunter2")
  }))

it.effect("rights that changed are read anew, and a deleted user is logged out", () =>
  Effect.gen(function*() {
    let rights: Identity.Identity | undefined = Identity.make("alice", { permissions: ["new"] })
    const service = Authenticator.make({ find: () => Effect.sync(() => rights) })
    const connection = yield* connect()
    yield* Access.identify(connection, Identity.make("alice", { permissions: ["old"], expiresAt: 5000 }))
    const refresh = Effect.provide(Authenticator.refresh(connection), Authenticator.layer(service))
    yield* refresh
    const identity = yield* Access.identityOf(connection)
    assert.deepStrictEqual(identity?.permissions, new Set(["new"]))
    assert.strictEqual(identity?.expiresAt, 5000)
    rights = undefined
    yield* refresh
    assert.isUndefined(yield* Access.identityOf(connection))
    yield* refresh
  }))

const Mine = RpcGroup.make(
  Rpc.make("open", { success: Schema.String }).middleware(Access.Authenticated),
  Rpc.make("hidden", { success: Schema.String }).pipe(Access.loginRequired)
)

it.effect("who has not logged in gets a typed refusal of what is not hidden; what is hidden does not exist", () =>
  Effect.gen(function*() {
    const hello = () => Effect.map(Identity.CurrentIdentity, ({ username }) => username)
    const api = yield* JsonRpcTest.makeClient(Mine).pipe(
      Effect.provide(Layer.provideMerge(Mine.toLayer({ open: hello, hidden: hello }), Access.layer))
    )
    const refused = yield* Effect.flip(api.open())
    assert.deepStrictEqual([refused._tag, refused.message], ["Refused", "login required"])
    assert.strictEqual((yield* Effect.flip(api.hidden())).message, "Method not found")
  }))
