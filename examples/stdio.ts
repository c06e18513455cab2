/**
 * A server that its client starts, over standard input and output, as language servers and MCP servers are: this program
 * starts itself a second time, speaks LSP's wire with it, and the server ends when its client leaves.
 *
 * Run: npx tsx examples/stdio.ts
 * Prints: the server says: hello from the other process
 * Prints: the server has ended with 0
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Deferred, Effect, Logger, Schema } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeStdio } from "effect-wire/node"
import { Framing } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { spawn } from "node:child_process"

class Methods extends RpcGroup.make(
  Rpc.make("greet", { payload: { from: Schema.String }, success: Schema.String })
) {}

const framing = Framing.contentLength()

const server = Effect.gen(function*() {
  const run = yield* JsonRpcServer.make(Methods, { wire: Wire.lsp })
  yield* run(yield* NodeStdio.make({ framing }))
}).pipe(
  Effect.provide([
    Methods.toLayer({ greet: ({ from }) => Effect.succeed(`hello from ${from}`) }),
    // standard output belongs to the protocol
    Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])
  ])
)

const client = Effect.gen(function*() {
  const ended = yield* Deferred.make<number | null>()
  const socket = yield* NodeStdio.make({
    framing,
    streams: Effect.sync(() => {
      const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, "serve"], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      child.on("exit", (code) => Deferred.doneUnsafe(ended, Effect.succeed(code)))
      return { input: child.stdout, output: child.stdin }
    })
  })
  yield* Effect.scoped(Effect.gen(function*() {
    const remote = yield* JsonRpcClient.fromSocket(socket, { wire: Wire.lsp })
    const methods = yield* JsonRpcClient.fromRemote(Methods, remote)
    yield* Console.log(`the server says: ${yield* methods.greet({ from: "the other process" })}`)
  }))
  yield* Console.log(`the server has ended with ${yield* Deferred.await(ended)}`)
})

NodeRuntime.runMain(process.argv[2] === "serve" ? server : client)
