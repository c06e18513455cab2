// @effect-diagnostics asyncFunction:off globalConsole:off
/**
 * What a tap costs: a JSON-RPC server over WebSocket without one, with one that nobody watches, with one that writes to a
 * file, and the path of a frame alone. `npm run bench -- wiretap`
 */
import { NodeFileSystem } from "@effect/platform-node"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocketServer } from "effect-wire/node"
import { Wiretap } from "effect-wire/wiretap"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"
import { devNull } from "node:os"
import { fileURLToPath } from "node:url"
import { measure, median, type Result, serve, start } from "./support/load.ts"

class Adder extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
) {}

type Server = SocketServer.SocketServer["Service"]

const run = (tap: Effect.Effect<(server: Server) => Server, unknown, Scope.Scope>) =>
  Layer.launch(
    JsonRpcServer.layerSocketServer(Adder).pipe(
      Layer.provide(Adder.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })),
      Layer.provide(
        Layer.effect(SocketServer.SocketServer)(Effect.gen(function*() {
          const server = yield* SocketServer.SocketServer
          serve((server.address as { readonly port: number }).port)
          return (yield* tap)(server)
        }))
      ),
      Layer.provide(NodeWebSocketServer.layer())
    )
  ).pipe(Effect.runFork)

const tapped = (layer: Layer.Layer<Wiretap.Wiretap, unknown>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, Wiretap.Wiretap).server)

const servers: Record<string, () => unknown> = {
  "without a tap": () => run(Effect.succeed((server) => server)),
  "with one, nobody watches": () => run(tapped(Wiretap.layer())),
  "with one, into a file": () =>
    run(tapped(Wiretap.layerFile(devNull, { maxSize: Infinity }).pipe(Layer.provide(NodeFileSystem.layer))))
}

if (process.argv.includes("--server")) servers[process.argv.slice(2).find((name) => name !== "--server")!]!()
else await main()

async function main() {
  const message = JSON.stringify({ jsonrpc: "2.0", id: 12345, method: "add", params: { a: 1, b: 2 } })
  const file = fileURLToPath(import.meta.url)
  const names = Object.keys(servers)
  const started = await Promise.all(names.map((name) => start(file, [name])))
  const results: Array<Array<Result>> = names.map(() => [])
  // in turn, so that what else the machine does falls on all of them
  for (let round = 0; round < 5; round++) {
    for (const [i, server] of started.entries()) {
      results[i]!.push(
        await measure(server, { path: "/", connections: 8, depth: 64, seconds: 1, messages: [message] })
      )
    }
  }
  for (const server of started) server.stop()
  const cpu = results.map((rounds) => median(rounds.map((round) => round.cpu)))
  console.table(Object.fromEntries(names.map((name, i) => [name, {
    "calls/s": Math.round(median(results[i]!.map((round) => round.perSecond))).toLocaleString("en"),
    "CPU µs/call": cpu[i]!.toFixed(2),
    "ratio": (cpu[i]! / cpu[0]!).toFixed(2),
    "µs/frame more": ((cpu[i]! - cpu[0]!) / 2).toFixed(2)
  }])))
  console.table({ "noting a frame": { "ns": (await path()).toFixed(0) } })
}

/** What stands in the way of a frame: the look and the note, without the fiber that writes. */
async function path(): Promise<number> {
  const rounds = 200
  const frames = Array.from({ length: 5000 }, (_, i) => `{"jsonrpc":"2.0","id":${i},"method":"add","params":[1,2]}`)
  let bare = Infinity
  let taken = Infinity
  await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const tap = yield* Wiretap.make({ write: () => Effect.void, maxWaiting: Infinity, every: "1 millis" })
    let sink = 0
    const inner = Socket.make({
      reader: Effect.succeed({ pull: Effect.never, upgrade: Socket.SocketUpgradeError.unsupported }),
      writer: Effect.succeed({
        write: () => Effect.void,
        writeAll: (chunks) => Effect.sync(() => void (sink += chunks.length))
      })
    })
    const measured = (socket: Socket.Socket) =>
      Effect.gen(function*() {
        yield* socket.reader
        const writer = yield* socket.writer
        const begun = performance.now()
        yield* writer.writeAll(frames as [string])
        return performance.now() - begun
      })
    for (let i = 0; i < rounds; i++) {
      bare = Math.min(bare, yield* Effect.scoped(measured(inner)))
      taken = Math.min(taken, yield* Effect.scoped(measured(tap.socket(inner))))
      yield* tap.flush
    }
  })))
  return (taken - bare) * 1e6 / frames.length
}
