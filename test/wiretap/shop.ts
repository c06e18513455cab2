/**
 * A server with a bit of everything that a recording can hold, and versions of it in each of which one thing is different.
 */
import { Clock, DateTime, Effect, Layer, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcClients, JsonRpcError, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Progress } from "effect-wire/rpc"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"

class SoldOut extends Schema.TaggedError<SoldOut>()(
  "SoldOut",
  { article: Schema.String, left: Schema.Int },
  JsonRpcError.wire({ code: -32018 })
) {}

const Receipt = Schema.Struct({
  id: Schema.String,
  at: Schema.String,
  total: Schema.Finite,
  lines: Schema.Array(Schema.String),
  note: Schema.NullOr(Schema.String)
})

export class Shop extends RpcGroup.make(
  Rpc.make("order", {
    payload: { article: Schema.String, count: Schema.Int },
    success: Receipt,
    error: SoldOut
  }),
  Rpc.make("receipt", { payload: { id: Schema.String }, success: Receipt }),
  Rpc.make("price", { payload: { article: Schema.String }, success: Schema.Finite }),
  Rpc.make("stock", { success: Schema.Record(Schema.String, Schema.Int) }),
  Rpc.make("offers", { payload: { count: Schema.Int }, success: Schema.String, stream: true }),
  Rpc.make("bake", { success: Schema.String }),
  Rpc.make("close", { success: Schema.Boolean })
) {}

export class Customer extends RpcGroup.make(
  Rpc.make("sure", { payload: { question: Schema.String }, success: Schema.Boolean }),
  Rpc.make("news", { payload: { text: Schema.String } })
) {}

/** Changes of handlers. */
const inside = [
  "another total",
  "a line more",
  "lines in another order",
  "null is a text",
  "a receipt of another order",
  "another error code",
  "another error message",
  "an error is a success",
  "a success is an error",
  "stock of another article",
  "an offer less",
  "offers the other way round",
  "progress goes another way",
  "no progress",
  "asks another question",
  "does not ask",
  "news with another text",
  "no news",
  "a member is missing",
  "a time is a number"
] as const

/** Changes of what leaves the server. */
const outside = [
  "an answer is sent twice",
  "an answer is lost",
  "an answer has the id of another",
  "a notification that nobody expects",
  "the version is missing",
  "the connection ends early"
] as const

export type Plant = (typeof inside)[number] | (typeof outside)[number]

export const plants: ReadonlyArray<Plant> = [...inside, ...outside]

const handlers = (plant: Plant | undefined) =>
  Shop.toLayer(Effect.gen(function*() {
    const clients = yield* JsonRpcClients.JsonRpcClients
    const stock = new Map([["tea", 900], ["bread", 300]])
    const receipts = new Map<string, typeof Receipt.Type>()
    return Shop.of({
      order: Effect.fnUntraced(function*({ article, count }) {
        const left = stock.get(article) ?? 0
        if (left < count) {
          if (plant === "an error is a success") return [...receipts.values()][0]!
          if (plant === "another error code") return yield* Effect.die(new Error("sold out"))
          return yield* new SoldOut({ article, left: plant === "another error message" ? left + 1 : left })
        }
        if (plant === "a success is an error" && count === 3) return yield* new SoldOut({ article, left })
        stock.set(article, left - count)
        if (count === 3 && plant !== "no news") {
          const text = plant === "news with another text" ? `${article} is nearly gone` : `${article} is going`
          yield* clients.broadcast("news", { text })
        }
        const lines = [article, `${count} pieces`]
        const receipt = {
          id: crypto.randomUUID(),
          at: plant === "a time is a number"
            ? String(yield* Clock.currentTimeMillis)
            : DateTime.formatIso(yield* DateTime.now),
          total: plant === "another total" ? count * 2 + 1 : count * 2,
          lines: plant === "a line more"
            ? [...lines, "thanks"]
            : plant === "lines in another order"
            ? lines.toReversed()
            : lines,
          note: plant === "null is a text" ? "null" : null
        }
        receipts.set(receipt.id, receipt)
        return receipt
      }),
      receipt: ({ id }) =>
        Effect.sync(() => plant === "a receipt of another order" ? [...receipts.values()][0]! : receipts.get(id)!),
      price: ({ article }) => article === "none" ? Effect.die("no price") : Effect.succeed(article.length),
      stock: () =>
        Effect.sync(() => {
          const all = Object.fromEntries(stock)
          if (plant === "stock of another article") all.coffee = 0
          if (plant === "a member is missing") delete all.bread
          return all
        }),
      offers: ({ count }) => {
        const offers = Array.from({ length: plant === "an offer less" ? Math.max(0, count - 1) : count }, (_, i) =>
          `${i}`)
        return Stream.fromIterable(plant === "offers the other way round" ? offers.toReversed() : offers)
      },
      bake: Effect.fnUntraced(function*() {
        for (let i = 1; i <= 4; i++) {
          yield* Effect.sleep("10 seconds")
          if (plant === "no progress") {
            continue
          }
          yield* Progress.report({
            operation: "baking",
            amount: plant === "progress goes another way" ? i / 5 : i / 4
          })
        }
        stock.set("bread", (stock.get("bread") ?? 0) + 5)
        return "bread"
      }),
      close: () =>
        Effect.scoped(Effect.gen(function*() {
          if (plant === "does not ask") {
            return true
          }
          const customer = yield* JsonRpcClient.fromRemote(Customer, (yield* JsonRpcClients.current)!)
          return yield* customer.sure({ question: plant === "asks another question" ? "Certain?" : "Sure?" })
        })).pipe(Effect.orDie)
    })
  }))

/** What one frame becomes on its way out. */
const changed = (plant: Plant | undefined) => {
  let count = 0
  return (frame: string | Uint8Array): ReadonlyArray<string | Uint8Array | Socket.CloseEvent> => {
    if (typeof frame !== "string" || !frame.includes("\"result\"") || ++count !== 40) return [frame]
    switch (plant) {
      case "an answer is sent twice":
        return [frame, frame]
      case "an answer is lost":
        return []
      case "an answer has the id of another":
        return [frame.replace(/"id":(\d+)/, "\"id\":9$1")]
      case "a notification that nobody expects":
        return [frame, `{"jsonrpc":"2.0","method":"hello"}`]
      case "the version is missing":
        return [frame.replace("\"jsonrpc\":\"2.0\",", "")]
      case "the connection ends early":
        return [frame, new Socket.CloseEvent(4000)]
      default:
        return [frame]
    }
  }
}

const around = (server: SocketServer.SocketServer["Service"], plant: Plant | undefined) =>
  SocketServer.SocketServer.of({
    address: server.address,
    run: (handler) =>
      server.run((socket) => {
        const change = changed(plant)
        const writer = Effect.map(socket.writer, (writer): Socket.Writer => {
          const write: Socket.Writer["write"] = (chunk) =>
            typeof chunk === "object" && Socket.isCloseEvent(chunk)
              ? writer.write(chunk)
              : Effect.forEach(change(chunk), writer.write, { discard: true })
          return { write, writeAll: (chunks) => Effect.forEach(chunks, write, { discard: true }) }
        })
        return handler(Socket.make({ reader: socket.reader, writer }))
      })
  })

/** The shop on a server; `plant` is what is different. */
export const shop = (plant: Plant | undefined) =>
  JsonRpcServer.layerSocketServer(Shop, { wire: Wire.rockets }).pipe(
    Layer.provide(handlers(plant)),
    Layer.provide(JsonRpcClients.layer),
    Layer.provide(
      Layer.effect(SocketServer.SocketServer)(Effect.map(SocketServer.SocketServer, (server) => around(server, plant)))
    )
  )
