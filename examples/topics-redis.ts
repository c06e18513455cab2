/**
 * Two servers, one Redis: what one publishes reaches the subscribers of the other, once and in order, also when Redis is
 * killed in between. The Redis is a real one, started for this program, and told to write to its disk what it acknowledges.
 *
 * Needs: /usr/bin/redis-server
 * Run it: npx tsx examples/topics-redis.ts
 * Prints: Redis is killed and started again
 * Prints: 10 of 10 orders arrived, in order
 */
import { NodeRedis, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Fiber, Layer, Logger, Schedule, Schema, Stream } from "effect"
import { RedisBackplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const Orders = Topic.make("orders", { payload: Schema.Struct({ number: Schema.Int }), history: {} })

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A Redis on a port, until it is killed. */
const startRedis = (port: number, directory: string) =>
  Effect.callback<Effect.Effect<void>>((resume) => {
    const settings = ["--port", `${port}`, "--dir", directory, "--appendonly", "yes", "--appendfsync", "always"]
    const redis = spawn("/usr/bin/redis-server", ["--bind", "127.0.0.1", ...settings])
    const kill = Effect.callback<void>((done) => {
      redis.once("exit", () => done(Effect.void))
      redis.kill("SIGKILL")
    })
    redis.stdout.on("data", (line) => {
      if (String(line).includes("Ready to accept connections")) resume(Effect.succeed(kill))
    })
  })

/** One server, as a process of its own would have it: its own connections to Redis, its own clients. */
const startServer = (url: string) =>
  JsonRpcServer.layerSocketServer(Topics.Rpcs).pipe(
    Layer.provide(Topics.layerHandlers({ methods: Topics.Rpcs })),
    Layer.provideMerge(Topics.layer(Topic.group(Orders))),
    Layer.provide(RedisBackplane.layer()),
    Layer.provide(Layer.fresh(NodeRedis.layer({ url, socket: { reconnectStrategy: () => 50 } }))),
    Layer.provideMerge(Layer.fresh(MemorySocket.layer)),
    // the connections that are lost are no news here
    Layer.provide(Logger.layer([])),
    Layer.build
  )

const program = Effect.gen(function*() {
  const directory = mkdtempSync(join(tmpdir(), "topics-redis-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true, force: true })))
  const port = yield* freePort
  let kill = yield* startRedis(port, directory)
  yield* Effect.addFinalizer(() => kill)
  const [first, second] = yield* Effect.forEach([1, 2], () => startServer(`redis://127.0.0.1:${port}`))
  const publish = (number: number) => Effect.provideContext(Topics.publish(Orders, { number }), first!)

  const client = yield* JsonRpcClient.fromSocket(Context.get(second!, MemorySocket.MemoryServer).connect())
  const orders = yield* TopicsClient.eventsOf(client, Orders).pipe(
    Stream.take(10),
    Stream.runCollect,
    Effect.forkChild
  )
  yield* Effect.sleep("100 millis")
  for (let number = 1; number <= 10; number++) {
    if (number === 5) {
      yield* kill
      kill = yield* startRedis(port, directory)
      yield* Console.log("Redis is killed and started again")
    }
    yield* Effect.retry(publish(number), Schedule.spaced("50 millis"))
  }
  const heard = yield* Fiber.join(orders)
  const isInOrder = heard.every((event, i) => event._tag === "Value" && event.value.number === i + 1)
  yield* Console.log(`${heard.length} of 10 orders arrived, ${isInOrder ? "in order" : "with holes"}`)
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
