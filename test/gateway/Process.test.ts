import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { NodeWebSocket } from "effect-wire/node"
import { get } from "node:http"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { urlToHttpOptions } from "node:url"
import { start } from "./support/Gateway.ts"

/** Each test starts processes, one after the other. */
const timeout = 120_000

/** Its one line and its exit code, when it cannot start. */
const failing = (env: Record<string, string>) =>
  Effect.scoped(Effect.gen(function*() {
    const gateway = yield* start(env)
    const code = yield* gateway.exit
    const lines = gateway.output().trimEnd().split("\n")
    assert.strictEqual(lines.length, 1, gateway.output())
    return { code, line: lines[0]! }
  }))

const client = (address: string) =>
  Effect.flatMap(NodeWebSocket.make(`${address}/rpc`), (socket) => JsonRpcClient.fromSocket(socket))

/** A request that runs in the gateway, and the close code that its connection gets. */
const busy = (address: string, ms: number) =>
  Effect.gen(function*() {
    const socket = yield* NodeWebSocket.make(`${address}/rpc`)
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    yield* writer.write(`{"jsonrpc":"2.0","method":"sleep","params":[${ms}],"id":2}`)
    yield* writer.write(`{"jsonrpc":"2.0","method":"ping","id":1}`)
    yield* pull
    const frames: Array<unknown> = []
    return yield* pull.pipe(
      Effect.tap((batch) => Effect.sync(() => frames.push(...batch))),
      Effect.forever,
      Effect.catch((error) => Effect.succeed(error.reason._tag === "SocketCloseError" ? error.reason.code : undefined)),
      Effect.map((code) => ({ code, frames })),
      Effect.forkScoped({ startImmediately: true })
    )
  })

it.live("prints where it listens and what it serves there", () =>
  Effect.gen(function*() {
    const gateway = yield* start({}, { byNpm: true })
    const address = yield* gateway.address
    yield* Effect.flatMap(client(address), (rpc) => rpc.call("ping"))
    const [first, ...urls] = gateway.output().trimEnd().split("\n")
    assert.strictEqual(first, `listening on http://${address}`)
    for (const path of ["/rpc", "/lsp", "/aiohttp", "/health", "/metrics"]) {
      assert.strictEqual(urls.filter((line) => line.includes(`${address}${path} `)).length, 1, path)
    }
    gateway.kill("SIGTERM")
    assert.strictEqual(yield* gateway.exit, 0)
  }), timeout)

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  it.live(`${signal} lets what runs finish, closes with 1001 and ends with 0`, () =>
    Effect.gen(function*() {
      const gateway = yield* start()
      const request = yield* busy(yield* gateway.address, 500)
      yield* Effect.sleep("100 millis")
      gateway.kill(signal)
      assert.deepStrictEqual(yield* Fiber.join(request), {
        code: 1001,
        frames: [`{"jsonrpc":"2.0","result":"slept","id":2}`]
      })
      assert.strictEqual(yield* gateway.exit, 0)
    }), timeout)
}

it.live("connections of every wire are closed with 1001 when it stops", () =>
  Effect.gen(function*() {
    const gateway = yield* start()
    const address = yield* gateway.address
    const paths = ["/rpc", "/lsp", "/aiohttp", "/ws", "/juggler/0.6", "/juggler/0.7", "/dashboard/rpc"]
    const ends = yield* Effect.forEach(paths, (path) =>
      Effect.gen(function*() {
        const socket = yield* NodeWebSocket.make(`${address}${path}`)
        const { pull } = yield* socket.reader
        return yield* Effect.forever(pull).pipe(
          Effect.catch(({ reason }) => Effect.succeed([path, "code" in reason ? reason.code : reason._tag] as const)),
          Effect.forkScoped({ startImmediately: true })
        )
      }))
    gateway.kill("SIGTERM")
    assert.deepStrictEqual(yield* Effect.forEach(ends, Fiber.join), paths.map((path) => [path, 1001] as const))
    assert.strictEqual(yield* gateway.exit, 0)
  }), timeout)

it.live("what does not finish is interrupted: it ends with 0 within 5 s", () =>
  Effect.gen(function*() {
    const gateway = yield* start()
    const request = yield* busy(yield* gateway.address, 60_000)
    gateway.kill("SIGTERM")
    assert.strictEqual(yield* Effect.timeout(gateway.exit, "5 seconds"), 0)
    assert.strictEqual((yield* Fiber.join(request)).code, 1001)
  }), timeout)

it.live("a second signal ends it at once", () =>
  Effect.gen(function*() {
    const gateway = yield* start({}, { byNpm: true })
    yield* busy(yield* gateway.address, 60_000)
    gateway.kill("SIGINT")
    yield* Effect.sleep("400 millis")
    gateway.kill("SIGINT")
    assert.strictEqual(yield* Effect.timeout(gateway.exit, "2500 millis"), 130)
  }), timeout)

it.live(
  "a port in use, a bad variable and a default token on an open host: one line and exit code 1",
  () =>
    Effect.gen(function*() {
      const other = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer()
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const port = String((other.address() as AddressInfo).port)
      assert.deepStrictEqual(yield* failing({ PORT: port }), {
        code: 1,
        line: `the gateway cannot start: cannot listen on 127.0.0.1:${port}: the port is in use`
      })
      const wrong = yield* failing({ PORT: "http" })
      assert.strictEqual(wrong.code, 1)
      assert.include(wrong.line, `at ["PORT"]`)
      const open = yield* failing({ HOST: "0.0.0.0" })
      assert.strictEqual(open.code, 1)
      assert.include(open.line, "SCIROCCO_MASTER_TOKEN")
    }),
  180_000
)

it.live(
  "a directory that cannot be written and a database that cannot be reached: one line and exit code 1",
  () =>
    Effect.gen(function*() {
      const directory = yield* failing({ DATA_DIR: "/dev/null/data" })
      assert.strictEqual(directory.code, 1)
      assert.include(directory.line, "the data directory /dev/null/data cannot be used")
      const database = yield* failing({ DATABASE_URL: "postgres://user:secret@127.0.0.1:1/gateway" })
      assert.strictEqual(database.code, 1)
      assert.include(database.line, "the database of DATABASE_URL cannot be reached")
      assert.notInclude(database.line, "secret")
    }),
  180_000
)

it.live("a log that cannot be written changes nothing for anybody", () =>
  Effect.gen(function*() {
    const gateway = yield* start({ LOG_LEVEL: "All" }, { log: "/dev/full" })
    const rpc = yield* client(yield* gateway.address)
    for (let i = 0; i < 3; i++) yield* Effect.flip(rpc.call("crash"))
    assert.strictEqual(yield* rpc.call("ping"), "pong")
    gateway.kill("SIGTERM")
    assert.strictEqual(yield* gateway.exit, 0)
  }), timeout)

it.live(
  "MEMORY_BUDGET is what its peers may make it hold, and ALLOWED_HOSTS are names that it has besides",
  () =>
    Effect.gen(function*() {
      const { code, line } = yield* failing({ MEMORY_BUDGET: "a lot" })
      assert.strictEqual(code, 1)
      assert.include(line, `["MEMORY_BUDGET"]`)
      const gateway = yield* start({ MEMORY_BUDGET: "1 MiB", ALLOWED_HOSTS: "proxy.example" })
      const address = yield* gateway.address
      const post = (length: number) =>
        Effect.promise(() =>
          fetch(`http://${address}/rpc`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "echo", params: ["x".repeat(length)] })
          })
        )
      assert.strictEqual((yield* post(1_000)).status, 200)
      const refused = yield* post(600_000)
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.headers.get("retry-after"), "1")
      const statusFor = (host: string) =>
        Effect.callback<number | undefined>((resume) => {
          get({ ...urlToHttpOptions(new URL(`http://${address}/health`)), headers: { host } }, (response) => {
            response.resume()
            resume(Effect.succeed(response.statusCode))
          })
        })
      assert.strictEqual(yield* statusFor("proxy.example"), 200)
      assert.strictEqual(yield* statusFor("other.example"), 421)
    }),
  timeout
)
