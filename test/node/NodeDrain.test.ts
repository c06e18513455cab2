/** Gateways that stop one after the other, over real WebSockets: JSON-RPC with topics, and Juggler. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schedule, Schema, Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { JugglerClient, JugglerServer, JugglerState } from "effect-wire/juggler"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { HttpRouter, HttpServer } from "effect/http"
import * as Http from "node:http"
import * as Net from "node:net"
import { WebSocket } from "ws"

const Orders = Topic.make("orders", { payload: Schema.Int, history: {} })
const Panel = Schema.Struct({ n: Schema.Int })

const drain = { over: "400 millis", retryAfter: "50 millis", retryWithin: "100 millis" } as const

/** A peer of somebody else: how it was sent away. */
const foreign = (port: number, path: string) =>
  Effect.callback<{ closed: { readonly code: number; readonly reason: string } | undefined }>((resume) => {
    const result: { closed: { readonly code: number; readonly reason: string } | undefined } = { closed: undefined }
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`)
    ws.on("open", () => resume(Effect.succeed(result)))
    ws.on("close", (code, reason) => {
      result.closed = { code, reason: String(reason) }
    })
    ws.on("error", () => {})
  })

it.live(
  "clients of JSON-RPC and Juggler move from one gateway to the next, told when, and lose nothing",
  () =>
    Effect.gen(function*() {
      const backplane = Layer.succeed(Backplane.Backplane, yield* Backplane.makeMemory)
      const state = yield* JugglerState.make({ schema: Panel, initial: { n: 0 } })
      const gateway = Effect.gen(function*() {
        const scope = yield* Scope.make()
        const routes = Layer.merge(
          JsonRpcServer.layerHttp(Topics.Rpcs, { path: "/rpc", drain }).pipe(
            Layer.provide(Topics.layerHandlers({ methods: Topics.Rpcs }))
          ),
          JugglerServer.layerHttp(undefined, { path: "/ws", state, autoflush: 0, drain })
        )
        const context = yield* HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(Topics.layer(Topic.group(Orders))),
          Layer.provide(backplane),
          Layer.provideMerge(NodeWebSocketServer.layerHttp(Http.createServer, { port: 0 })),
          Layer.fresh,
          Layer.buildWithScope(scope)
        )
        const { topics, address } = yield* Effect.all({
          topics: Topics.Topics,
          address: Effect.map(HttpServer.HttpServer, (server) => server.address)
        }).pipe(Effect.provideContext(context))
        return {
          port: address._tag === "UnixPathAddress" ? 0 : address.port,
          stop: Scope.close(scope, Exit.void),
          topics
        }
      })
      let current = yield* gateway

      /** Dials the gateway that serves at the moment. */
      class Agent extends Http.Agent {
        override createConnection(): Net.Socket {
          return Net.connect(current.port, "127.0.0.1")
        }
      }
      const dial = (path: string) => NodeWebSocket.make(`ws://127.0.0.1:1${path}`, { agent: new Agent() })
      const reconnect = Schedule.spaced("50 millis")
      const heard = Array.from({ length: 20 }, () => [] as Array<number | string>)
      const shown = Array.from({ length: 10 }, () => [] as Array<number>)
      for (const values of heard) {
        const client = yield* JsonRpcClient.fromSocket(yield* dial("/rpc"), { reconnect })
        yield* Effect.forkChild(Stream.runForEach(
          TopicsClient.eventsOf(client, Orders),
          (event) => Effect.sync(() => values.push(event._tag === "Value" ? event.value : JSON.stringify(event)))
        ))
      }
      for (const values of shown) {
        const client = yield* JugglerClient.fromSocket(yield* dial("/ws"), { state: Panel, reconnect })
        yield* Effect.forkChild(
          Stream.runForEach(client.state.changes, ({ n }) => Effect.sync(() => values.push(n)))
        )
      }
      const until = (done: () => boolean) =>
        Effect.repeat(Effect.sleep("10 millis"), { until: () => Effect.sync(done) })
      let subscribers = 0
      yield* Effect.repeat(
        Effect.tap(Effect.delay(current.topics.subscribers(Orders), "10 millis"), (all) =>
          Effect.sync(() => {
            subscribers = all.length
          })),
        { until: () => subscribers === heard.length }
      )

      let published = 0
      for (let move = 0; move < 2; move++) {
        const peers = [yield* foreign(current.port, "/rpc"), yield* foreign(current.port, "/ws")]
        const before = current
        current = yield* gateway
        const stopping = yield* Effect.forkChild(before.stop)
        while (stopping.pollUnsafe() === undefined) {
          published++
          yield* current.topics.publish(Orders, published)
          yield* state.set({ n: published })
          yield* Effect.sleep("5 millis")
        }
        yield* Fiber.join(stopping)
        for (const peer of peers) {
          yield* until(() => peer.closed !== undefined)
          assert.strictEqual(peer.closed?.code, 1012)
          assert.match(peer.closed?.reason ?? "", /^retry-after: 0\.\d{3}$/)
        }
      }
      yield* until(() => heard.every((values) => values.at(-1) === published))
      yield* until(() => shown.every((values) => values.at(-1) === published))
      for (const values of heard) {
        assert.deepStrictEqual(values, Array.from({ length: published }, (_, i) => i + 1))
      }
      for (const values of shown) {
        assert.deepStrictEqual(values, [...new Set(values)].sort((a, b) => a - b))
      }
    }),
  30_000
)
