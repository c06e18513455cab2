/**
 * From a contract to its OpenRPC document and back to the source of a contract. With the path or the address of a
 * document as argument it prints the contract of that document, and nothing else:
 *
 *   npx tsx examples/openrpc-contract.ts openrpc.json > contract.ts
 *   npx tsx examples/openrpc-contract.ts http://127.0.0.1:8080/openrpc.json Gateway > contract.ts
 *
 * Run it: npx tsx examples/openrpc-contract.ts
 * Prints: The document of the contract:
 * Prints: And the contract of the document:
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem, Layer, Schema, Stdio } from "effect"
import { JsonRpcError } from "effect-wire/jsonrpc"
import { OpenRpc, OpenRpcCodegen } from "effect-wire/openrpc"
import { FetchHttpClient, HttpClient } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"

class OutOfPaper extends Schema.TaggedError<OutOfPaper>()(
  "OutOfPaper",
  { tray: Schema.Int },
  JsonRpcError.wire({ code: -32050, message: "out of paper" })
) {}
const Page = Schema.Struct({ title: Schema.String, lines: Schema.Array(Schema.String) }).annotate({
  identifier: "Page"
})

class Printer extends RpcGroup.make(
  Rpc.make("print", { payload: { page: Page, copies: Schema.optionalKey(Schema.Int) }, error: OutOfPaper }).pipe(
    OpenRpc.describe({ summary: "Prints a page", tags: ["paper"] })
  ),
  Rpc.make("queue", { success: Schema.Array(Page) })
) {}

const demonstration = Effect.gen(function*() {
  const document = OpenRpc.fromGroup(Printer, { info: { title: "Printer", version: "1.0.0" } })
  yield* Console.log("The document of the contract:\n")
  yield* Console.log(JSON.stringify(document, undefined, 2))
  yield* Console.log("\nAnd the contract of the document:\n")
  yield* Console.log(yield* OpenRpcCodegen.generate(document))
})

const convert = (source: string, name: string | undefined) =>
  Effect.gen(function*() {
    const text = /^https?:/.test(source)
      ? yield* Effect.flatMap(HttpClient.get(source), (response) => response.text)
      : yield* FileSystem.FileSystem.use((fs) => fs.readFileString(source))
    const document = yield* Schema.decodeEffect(Schema.fromJsonString(Schema.Json))(text)
    process.stdout.write(yield* OpenRpcCodegen.generate(document, { name }))
  })

const program = Effect.gen(function*() {
  const [source, name] = yield* Stdio.Stdio.use((stdio) => stdio.args)
  yield* source === undefined ? demonstration : convert(source, name)
})

program.pipe(Effect.provide(Layer.merge(NodeServices.layer, FetchHttpClient.layer)), NodeRuntime.runMain)
