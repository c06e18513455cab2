/** The examples in the comments of the sources, as programs: with the imports that they do without, and what they take as given. */
import { globSync, readFileSync } from "node:fs"

/** What an example speaks of without saying it. */
const given: Readonly<Record<string, string>> = {
  "src/dashboard/Dashboard.ts": `
    class Contract extends RpcGroup.make(Rpc.make("ping")) {}
    const Handlers = Contract.toLayer({ ping: () => Effect.void })
    const topics = Topic.group(Topic.make("news", { payload: Schema.String }))
    declare const panel: JugglerState.JugglerState<any, any>`,
  "src/juggler/JugglerClient.ts": `
    class Requests extends RpcGroup.make(Rpc.make("increment", { payload: { by: Schema.Int } })) {}
    declare const panel: JugglerClient.JugglerClient<
      { readonly counter: number }, RpcGroup.Rpcs<typeof Requests>, {}, { readonly counter: number }
    >`,
  "src/juggler/JugglerView.ts": `
    class Requests extends RpcGroup.make(Rpc.make("increment")) {}
    declare const state: JugglerState.JugglerState<any, any>
    declare const userOf: (connection: RpcConnection.Connection) => string
    declare const ownedBy: (user: string, rooms: JsonPointer.Json) => JsonPointer.Json`,
  "src/juggler/internal/selection.ts": `declare const client: JugglerClient.JugglerClient<any, never, {}>`,
  "src/jsonrpc/JsonRpcClient.ts": `
    class Renderer extends RpcGroup.make(
      Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
      Rpc.make("render", { payload: { scene: Schema.String }, success: Schema.String })
    ) {}
    declare const client: Effect.Success<ReturnType<typeof JsonRpcClient.make<RpcGroup.Rpcs<typeof Renderer>>>>
    declare const scene: string`,
  "src/jsonrpc/JsonRpcPool.ts": `class Renderer extends RpcGroup.make(Rpc.make("render")) {}`,
  "src/jsonrpc/JsonRpcTest.ts": `
    class Calculator extends RpcGroup.make(
      Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
    ) {}
    const CalculatorHandlers = Calculator.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })`,
  "src/node/NodeStdio.ts": `class Methods extends RpcGroup.make(Rpc.make("ping")) {}`,
  "src/node/NodeWebSocketServer.ts": `declare const Routes: Layer.Layer<never, never, HttpRouter.HttpRouter>`,
  "src/openrpc/OpenRpcCompare.ts": `
    class Contract extends RpcGroup.make(Rpc.make("ping")) {}
    declare const published: OpenRpcCompare.Document
    declare const info: OpenRpc.Info`,
  "src/queue/Queue.ts": `
    class NoSuchFile extends Schema.TaggedError<NoSuchFile>()("NoSuchFile", { file: Schema.String }) {}
    declare const job: { readonly file: string }
    declare const exists: (file: string) => boolean`,
  "src/rpc/Idempotency.ts": `
    const Handlers = Layer.succeed(Context.Service<{}>("Handlers"))({}) as unknown as Layer.Layer<Rpc.Handler<"pay">>`,
  "src/simulation/Simulation.ts": `declare const app: Simulation.App`,
  "src/socket/Reconnect.ts": `
    declare const socket: Socket.Socket
    declare const handle: (frames: ReadonlyArray<string | Uint8Array>) => Effect.Effect<void>
    declare const show: (status: string) => void`,
  "src/topics/Topics.ts": `
    class Methods extends RpcGroup.make(Rpc.make("ping")) {}
    const MethodsLayer = Methods.toLayer({ ping: () => Effect.void })
    const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) })
    const topics = Topic.group(Weather)`,
  "src/topics/TopicsClient.ts": `
    const Orders = Topic.make("orders", { payload: Schema.Struct({ number: Schema.Int }), history: {} })
    declare const saved: TopicsClient.Position
    declare const handle: (order: { readonly number: number }, at: TopicsClient.Position | undefined) => Effect.Effect<void>
    declare const repair: (missed: TopicsClient.Event<unknown>) => Effect.Effect<void>`
}

/** Where a name comes from. */
const modules = new Map<string, string>([
  ...["Console", "Context", "Effect", "Layer", "Schema", "Stream"].map((name) => [name, "effect"] as const),
  ...["Rpc", "RpcGroup"].map((name) => [name, "effect/rpc"] as const),
  ...["Socket", "SocketServer"].map((name) => [name, "effect/socket"] as const),
  ...["it", "assert"].map((name) => [name, "@effect/vitest"] as const),
  ["HttpRouter", "effect/http"],
  ["NodeRuntime", "@effect/platform-node"],
  ["createServer", "node:http"],
  ["EventEmitter", "node:events"],
  ["useSyncExternalStore", "react"],
  ...globSync("src/*/index.ts").flatMap((file) => {
    const room = file.split("/")[1]!
    return Array.from(
      readFileSync(file, "utf8").matchAll(/^export \* as (\w+) /gm),
      ([, name]) => [name!, `effect-wire/${room}`] as const
    )
  })
])

const importsOf = (code: string): string =>
  Array.from(modules)
    .filter(([name]) => new RegExp(`(?<![.\\w"])${name}\\b(?!:)`).test(code))
    .map(([name, module]) => `import { ${name} } from "${module}"`)
    .join("\n")

export interface Example {
  readonly path: string
  /** The line of its first line, from 0. */
  readonly line: number
  readonly code: string
  /** What stands before it. */
  readonly head: string
}

/** All of them, in the order of the files. */
export const examples = (): ReadonlyArray<Example> =>
  globSync("src/**/*.ts").sort().flatMap((path) => {
    const lines = readFileSync(path, "utf8").split("\n")
    const found: Array<Example> = []
    for (let i = 0; i < lines.length; i++) {
      if (!/^ *\* ```ts/.test(lines[i]!)) continue
      const line = i + 1
      while (!/^ *\* ```\s*$/.test(lines[++i]!));
      const code = lines.slice(line, i).map((text) => text.replace(/^ *\* ?/, "")).join("\n")
      const before = given[path] ?? ""
      found.push({ path, line, code, head: `${importsOf(`Effect\n${before}\n${code}`)}\n${before}` })
    }
    return found
  })
