/**
 * Publish and subscribe: a server with two topics and two clients over WebSocket. One client wants everything, the other
 * one symbol only, which the server chooses for it. A client without our library subscribes by a bare string.
 *
 * Run it: npx tsx examples/topics.ts
 * Prints: subscribers of trades at the end: 0
 * Prints: without our library: {"jsonrpc":"2.0","method":"news","params":["the market closes"]}
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { SocketServer } from "effect/socket"
import { WebSocket } from "ws"

const Trades = Topic.make("trades", {
  payload: Schema.Struct({ symbol: Schema.String, price: Schema.Finite }),
  parameters: Schema.Struct({ symbol: Schema.String }),
  matches: (trade, wanted) => trade.symbol === wanted.symbol
})
const News = Topic.make("news", { payload: Schema.String })

const contract = Topics.Rpcs
const Server = JsonRpcServer.layerSocketServer(contract).pipe(
  Layer.provide(Topics.layerHandlers({ methods: contract })),
  Layer.provideMerge(Topics.layer(Topic.group(Trades, News))),
  Layer.provide(Backplane.layerMemory),
  Layer.provideMerge(NodeWebSocketServer.layer({ port: 0 }))
)

const connect = Effect.fnUntraced(function*(address: string) {
  const client = yield* JsonRpcClient.fromSocket(yield* NodeWebSocket.make(address))
  yield* client.connect
  return client
})

const program = Effect.gen(function*() {
  const server = yield* SocketServer.SocketServer
  const topics = yield* Topics.Topics
  const address = `127.0.0.1:${(server.address as { readonly port: number }).port}`
  const [everything, oneSymbol] = [yield* connect(address), yield* connect(address)]

  const first = yield* TopicsClient.eventsOf(everything, Trades).pipe(
    Stream.take(4),
    Stream.runForEach((event) => Console.log("everything:", event)),
    Effect.forkChild
  )
  const second = yield* TopicsClient.eventsOf(oneSymbol, Trades, { parameters: { symbol: "ABC" } }).pipe(
    Stream.take(2),
    Stream.runForEach((event) => Console.log("only ABC:  ", event)),
    Effect.forkChild
  )

  const other = new WebSocket(`ws://${address}`)
  other.on("open", () => other.send(`{"jsonrpc":"2.0","id":1,"method":"subscribe","params":"news"}`))
  other.on("message", (data) => process.stdout.write(`without our library: ${String(data)}\n`))
  yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))

  const count = (topic: Topic.Any) => Effect.map(topics.subscribers(topic), (connections) => connections.length)
  yield* Effect.repeat(Effect.delay(count(Trades), "10 millis"), { until: (n) => n === 2 })
  yield* Effect.repeat(Effect.delay(count(News), "10 millis"), { until: (n) => n === 1 })

  for (const [symbol, price] of [["ABC", 10], ["XYZ", 70], ["ABC", 11], ["XYZ", 69]] as const) {
    yield* topics.publish(Trades, { symbol, price })
  }
  yield* topics.publish(News, "the market closes")
  yield* Fiber.joinAll([first, second])
  yield* Effect.sleep("100 millis")
  yield* Console.log("subscribers of trades at the end:", yield* count(Trades))
})

program.pipe(Effect.scoped, Effect.provide(Server), NodeRuntime.runMain)
