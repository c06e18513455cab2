/** PROTOCOLS.md: what an app reads when a call fails says, at the first level, which method, which address and what happened. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schema } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { fileURLToPath } from "node:url"
import { fromSocket } from "./raw.ts"

class Methods extends RpcGroup.make(Rpc.make("list", { payload: Schema.Struct({ text: Schema.String }) })) {}
const Handlers = Methods.toLayer({ list: () => Effect.void })

const certFile = fileURLToPath(new URL("../node/tls/cert.pem", import.meta.url))
const keyFile = fileURLToPath(new URL("../node/tls/key.pem", import.meta.url))

const serve = (options: NodeWebSocketServer.Options) =>
  Effect.gen(function*() {
    const server = yield* NodeWebSocketServer.make(options)
    const run = yield* JsonRpcServer.make(Methods).pipe(Effect.provide(Handlers))
    yield* Effect.forkScoped(server.run(run), { startImmediately: true })
    return server.address._tag === "UnixPathAddress" ? 0 : server.address.port
  })

const messageOf = (address: string, params: { readonly text: string } = { text: "" }) =>
  Effect.gen(function*() {
    const socket = yield* NodeWebSocket.make(address)
    const client = yield* JsonRpcClient.fromSocket(socket, { reconnect: false })
    return (yield* Effect.flip(client.call("list", params))).message
  })

it.live("a certificate that is refused, a port that nobody listens on, a path that is not there", () =>
  Effect.gen(function*() {
    const secure = yield* serve({ tls: { certFile, keyFile } })
    assert.strictEqual(
      yield* messageOf(`wss://127.0.0.1:${secure}`),
      `list: cannot connect to wss://127.0.0.1:${secure}/: certificate refused (DEPTH_ZERO_SELF_SIGNED_CERT)`
    )
    const port = yield* serve({ path: "/rpc" })
    assert.strictEqual(
      yield* messageOf(`ws://127.0.0.1:${port}/other`),
      `list: cannot connect to ws://127.0.0.1:${port}/other: HTTP 404`
    )
    assert.strictEqual(
      yield* messageOf("ws://127.0.0.1:1"),
      "list: cannot connect to ws://127.0.0.1:1/: connection refused (ECONNREFUSED)"
    )
  }).pipe(Effect.scoped))

it.live("a message that is too large for the server", () =>
  Effect.gen(function*() {
    const port = yield* serve({ maxFrameSize: 1000 })
    assert.strictEqual(
      yield* messageOf(`ws://127.0.0.1:${port}`, { text: "x".repeat(1000) }),
      `list: the connection to ws://127.0.0.1:${port}/ was lost: closed with 1009 (a message was too large)`
    )
  }).pipe(Effect.scoped))

it.effect("a number that lost digits fails its call, and no other", () =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const client = yield* JsonRpcClient.fromSocket(near)
    const server = yield* fromSocket(far)
    const ask = (result: string) =>
      Effect.gen(function*() {
        const call = yield* Effect.forkChild(Effect.exit(client.call("balance")), { startImmediately: true })
        const { id } = yield* server.takeJson
        yield* server.send(`{"jsonrpc":"2.0","id":${id},"result":${result}}`)
        const exit = yield* Fiber.join(call)
        return Exit.isSuccess(exit) ? exit.value : (Cause.squash(exit.cause) as Error).message
      })
    assert.strictEqual(
      yield* ask(`{"wei":[12345678901234567890]}`),
      "balance: the answer has 12345678901234567890, which is no number that JavaScript can hold exactly"
    )
    assert.deepStrictEqual(yield* ask(`"12345678901234567890"`), "12345678901234567890")
    assert.deepStrictEqual(yield* ask("9007199254740991"), 9007199254740991)
    assert.deepStrictEqual(yield* ask("12345678901234567000"), 12345678901234567000)
    assert.deepStrictEqual(yield* ask("0.1234567890123456789"), 0.12345678901234568)

    const batch = yield* Effect.forkChild(
      JsonRpcClient.batch([client.call("a"), client.call("b")], { mode: "result" }),
      { startImmediately: true }
    )
    const [a, b] = yield* server.takeJson
    yield* server.send(
      `[{"jsonrpc":"2.0","id":${a.id},"result":1},{"jsonrpc":"2.0","id":${b.id},"result":98765432109876543210}]`
    )
    const [first, second] = yield* Fiber.join(batch)
    assert.deepStrictEqual([first._tag === "Success" && first.success, second._tag], [1, "Failure"])
  }).pipe(Effect.scoped))

it.effect("a server without a handler says which, and what to do", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(JsonRpcServer.make(Methods) as Effect.Effect<unknown>)
    assert.strictEqual(
      Exit.isFailure(exit) && (Cause.squash(exit.cause) as Error).message,
      "no handler for method \"list\": provide the layer of handlers that `toLayer` of its group makes"
    )
  }))
