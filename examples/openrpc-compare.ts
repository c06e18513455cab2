/**
 * Whether the clients that are out there go on working with the next version of a contract, and why not. With two
 * documents as arguments it compares these, and its exit code is 1 where old clients break: a check for CI.
 *
 *   npx tsx examples/openrpc-compare.ts published.json http://127.0.0.1:8080/openrpc.json
 *
 * Run it: npx tsx examples/openrpc-compare.ts
 * Prints: breaks old clients methods.print.result.state: also "paused"
 * Prints: old clients go on working: false; old servers: true
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem, Layer, Schema, Stdio } from "effect"
import { OpenRpc, OpenRpcCompare } from "effect-wire/openrpc"
import { FetchHttpClient, HttpClient } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"

const first = RpcGroup.make(
  Rpc.make("print", {
    payload: { text: Schema.String },
    success: Schema.Struct({ state: Schema.Literals(["printed", "failed"]) })
  })
)
const second = RpcGroup.make(
  Rpc.make("print", {
    payload: { text: Schema.String, copies: Schema.optionalKey(Schema.Int) },
    success: Schema.Struct({ state: Schema.Literals(["printed", "failed", "paused"]) })
  })
)

const info = { title: "Printer", version: "1.0.0" }
const demonstration = Effect.sync(() =>
  [OpenRpc.fromGroup(first, { info }), OpenRpc.fromGroup(second, { info })] as const
)

const Document = Schema.fromJsonString(Schema.Struct({
  methods: Schema.Array(Schema.Unknown),
  components: Schema.optionalKey(Schema.Unknown),
  "x-topics": Schema.optionalKey(Schema.Array(Schema.Unknown))
}))
const read = Effect.fnUntraced(function*(source: string) {
  const text = /^https?:/.test(source)
    ? yield* Effect.flatMap(HttpClient.get(source), (response) => response.text)
    : yield* FileSystem.FileSystem.use((fs) => fs.readFileString(source))
  return yield* Schema.decodeEffect(Document)(text)
})

const program = Effect.gen(function*() {
  const [before, after] = yield* Stdio.Stdio.use((stdio) => stdio.args)
  const documents: readonly [OpenRpcCompare.Document, OpenRpcCompare.Document] =
    before === undefined || after === undefined
      ? yield* demonstration
      : [yield* read(before), yield* read(after)]
  const { changes, oldClients, oldServers } = OpenRpc.compare(...documents)
  yield* Console.log(OpenRpcCompare.format(changes))
  yield* Console.log(`old clients go on working: ${oldClients}; old servers: ${oldServers}`)
  if (before !== undefined && !oldClients) process.exitCode = 1
})

program.pipe(Effect.provide(Layer.merge(NodeServices.layer, FetchHttpClient.layer)), NodeRuntime.runMain)
