// @effect-diagnostics globalTimers:off
/**
 * Who talks to the gateway: callers on every wire, a publisher and subscribers, writers of a shared state, senders and
 * workers of the queue, and some who never read.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Schedule, Schema, type Scope, Stream } from "effect"
import { JsonRpcClient, JsonRpcHttpClient, Wire } from "effect-wire/jsonrpc"
import { JugglerClient } from "effect-wire/juggler"
import { NodeWebSocket } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { SciroccoClient } from "effect-wire/queue/scirocco"
import { TopicsClient } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"
import { isDeepStrictEqual } from "node:util"
import WebSocket from "ws"
import { Methods, Weather } from "../../examples/gateway/contract.ts"
import type { Counts } from "./counts.ts"

const reconnect = Schedule.spaced("250 millis")

const makeClient = () => JsonRpcClient.make(Methods)

/** Errors that say that the wire, not the program, went wrong. */
const isTyped = (exit: Exit.Exit<unknown, unknown>): boolean | undefined =>
  Exit.isFailure(exit) && exit.cause.reasons.every((reason) => reason._tag === "Fail") ? undefined : false

const callsOf = (client: Effect.Success<ReturnType<typeof makeClient>>, counts: Counts) => {
  let n = 0
  const one = Effect.suspend(() => {
    const a = ++n
    switch (a % 20) {
      case 0:
        return counts.call(
          client.divide({ dividend: a, divisor: 0 }),
          (exit) => Exit.isFailure(exit) && JSON.stringify(exit.cause).includes("DivisionByZero") ? true : isTyped(exit)
        )
      case 1:
        return Effect.gen(function*() {
          counts.sent++
          const call = yield* Effect.forkChild(client.render({ steps: 100, delay: 50 }))
          yield* Effect.sleep(Math.random() * 200)
          yield* Fiber.interrupt(call)
          counts.cancelled++
        })
      case 2:
        return counts.call(
          client.echo({ value: { text: "x".repeat(a % 30_000), a } }),
          (exit) => Exit.isSuccess(exit) ? (exit.value as { readonly a: number }).a === a : isTyped(exit)
        )
      default:
        return counts.call(
          client.add({ a, b: 1 }),
          (exit) => Exit.isSuccess(exit) ? exit.value === a + 1 : isTyped(exit)
        )
    }
  })
  return Effect.forever(Effect.andThen(one, Effect.sleep("5 millis")))
}

const dial = (url: URL, path: string) => NodeWebSocket.layer(`ws://${url.host}${path}`)

/** Eight callers on one wire. */
export const callers = (url: URL, path: string, wire: Wire.Wire, counts: Counts) =>
  Effect.flatMap(
    makeClient(),
    (client) => Effect.all(Array.from({ length: 8 }, () => callsOf(client, counts)), { concurrency: "unbounded" })
  ).pipe(
    Effect.provide(JsonRpcClient.layerSocket({ wire, reconnect }).pipe(Layer.provide(dial(url, path))), { local: true })
  )

export const httpCallers = (url: URL, counts: Counts) =>
  Effect.flatMap(
    makeClient(),
    (client) => Effect.all(Array.from({ length: 4 }, () => callsOf(client, counts)), { concurrency: "unbounded" })
  ).pipe(
    Effect.provide(
      JsonRpcHttpClient.layer({ url: `${url.origin}/rpc` }).pipe(Layer.provide(NodeHttpClient.layerUndici)),
      { local: true }
    )
  )

class Forecast extends RpcGroup.make(Rpc.make("set_weather", { payload: { celsius: Schema.Finite } })) {}

/** One says what the weather is while it is busy, five hear it. */
export const weather = (url: URL, counts: Counts, busy: Scope.Scope) =>
  Effect.gen(function*() {
    let said = 0
    const heard = new Map<number, number>()
    for (let i = 0; i < 5; i++) {
      const listen = Effect.gen(function*() {
        const client = yield* JsonRpcClient.JsonRpcClient
        yield* Stream.runForEach(TopicsClient.eventsOf(client, Weather), (event) =>
          Effect.sync(() => {
            if (event._tag === "Missed") return counts.note("missed, and told so")
            if (event.value.celsius < (heard.get(i) ?? -1)) counts.note("older weather after a restart")
            heard.set(i, event.value.celsius)
          }))
      }).pipe(Effect.provide(
        JsonRpcClient.layerSocket({ wire: Wire.rockets, reconnect }).pipe(Layer.provide(dial(url, "/rpc"))),
        { local: true }
      ))
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(listen), Effect.sleep("250 millis"))))
    }
    const forecast = yield* JsonRpcClient.make(Forecast).pipe(Effect.provide(
      yield* Layer.build(
        JsonRpcClient.layerSocket({ wire: Wire.rockets, reconnect }).pipe(Layer.provide(dial(url, "/rpc")))
      )
    ))
    const say = Effect.suspend(() => {
      const celsius = ++said
      return counts.call(forecast.set_weather({ celsius }), (exit) => Exit.isSuccess(exit) ? true : isTyped(exit))
    })
    yield* Effect.forkIn(Effect.forever(Effect.andThen(say, Effect.sleep("50 millis"))), busy)
    return {
      say,
      isHeard: () => heard.size === 5 && [...heard.values()].every((celsius) => celsius === said)
    }
  })

class Panel extends RpcGroup.make(
  Rpc.make("increment", { payload: { by: Schema.Finite }, success: Schema.Unknown }),
  Rpc.make("set", { payload: { path: Schema.Array(Schema.String), value: Schema.Json }, success: Schema.Unknown })
) {}

/** Four who write one state, and see it. */
export const panel = (url: URL, counts: Counts, busy: Scope.Scope) =>
  Effect.gen(function*() {
    const clients = yield* Effect.forEach([0, 1, 2, 3], (i) =>
      Effect.gen(function*() {
        const client = yield* JugglerClient.make({ requests: Panel, reconnect }).pipe(
          Effect.provide(yield* Layer.build(Layer.fresh(dial(url, "/juggler/0.7"))))
        )
        let n = 0
        const write = Effect.suspend(() =>
          counts.call(
            n++ % 5 === 0
              ? client.requests.increment({ by: 1 })
              : client.requests.set({ path: [`of ${i}`, `${n % 50}`], value: n }),
            (exit) => Exit.isSuccess(exit) ? true : isTyped(exit)
          )
        )
        yield* Effect.forkIn(Effect.forever(Effect.andThen(write, Effect.sleep("20 millis"))), busy)
        return client
      }))
    return Effect.map(Effect.forEach(clients, (client) => client.state.get), (states) =>
      states.every((state) => isDeepStrictEqual(state, states[0])))
  })

/** Four who send, four who work: what was confirmed has to come, and comes once unless an answer was lost. */
export const queue = (url: URL, counts: Counts, busy: Scope.Scope) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(
      SciroccoClient.layer({ url: url.origin, token: Redacted.make("DEFAULT_TOKEN") }).pipe(
        Layer.provide(NodeHttpClient.layerUndici)
      )
    )
    const messages = Context.get(context, MessageQueue.MessageQueue)
    const confirmed = new Set<number>()
    const done = new Map<number, number>()
    let n = 0
    const send = Effect.suspend(() => {
      const id = ++n
      return counts.call(messages.push("50a4", { id }), (exit) => {
        if (Exit.isFailure(exit)) return isTyped(exit)
        confirmed.add(id)
        return true
      })
    })
    const sender = Effect.forever(Effect.andThen(send, Effect.sleep("10 millis")))
    for (let i = 0; i < 4; i++) yield* Effect.forkIn(sender, busy)
    yield* Effect.forkScoped(Effect.provideContext(
      MessageQueue.consume("50a4", (message) =>
        Effect.sync(() => {
          const { id } = message.payload.value as { readonly id: number }
          if (done.has(id)) counts.repeated++
          done.set(id, (done.get(id) ?? 0) + 1)
        }), { concurrency: 4, lease: "5 seconds" }),
      context
    ))
    return {
      missing: () => [...confirmed].filter((id) => !done.has(id)).length,
      confirmed: () => confirmed.size
    }
  })

/** Connections that ask for much and read nothing; when they are closed others come. */
export const slowReaders = (url: URL, counts: Counts) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let isOver = false
      const sockets = new Set<WebSocket>()
      const one = () => {
        if (isOver) return
        const ws = new WebSocket(`ws://${url.host}/rpc`)
        sockets.add(ws)
        ws.on("open", () => {
          ws.pause()
          const text = "x".repeat(100_000)
          for (let i = 0; i < 100; i++) {
            ws.send(`{"jsonrpc":"2.0","id":${i},"method":"echo","params":{"value":"${text}"}}`)
          }
        })
        ws.on("error", () => {})
        ws.on("close", () => {
          sockets.delete(ws)
          counts.note("slow readers closed")
          setTimeout(one, 1000)
        })
      }
      for (let i = 0; i < 3; i++) one()
      return () => {
        isOver = true
        for (const ws of sockets) ws.terminate()
      }
    }),
    (end) => Effect.sync(end)
  )
