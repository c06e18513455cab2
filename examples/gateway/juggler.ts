/**
 * The gateway's Juggler: one panel that GUIs of all three generations follow. Generation 0.5 at `/ws`, 0.6 at
 * `/juggler/0.6`, 0.7 at `/juggler/0.7`; the counter is the same number everywhere.
 */
import { Context, Effect, Layer, Option, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import {
  JsonPointer,
  JugglerClients,
  JugglerCluster,
  JugglerConnection,
  JugglerGeneration,
  JugglerServer,
  JugglerState,
  JugglerView
} from "effect-wire/juggler"
import type { WebSocketRoute } from "effect-wire/socket"
import { Actions, Panel, Requests } from "./panel.ts"
import * as Shared from "./shared.ts"

/** The panel, for whoever wants to read or write it. */
export class PanelState
  extends Context.Service<PanelState, JugglerState.JugglerState<typeof Panel.Type, any, Backplane.BackplaneError>>()(
    "effect-wire/examples/gateway/juggler/PanelState"
  )
{
  /** Where gateways share a database they share the panel. */
  static readonly layer = Layer.effect(
    PanelState,
    Effect.gen(function*() {
      const options = { schema: Panel, initial: { counter: 0, items: {} } }
      if (Option.isNone(yield* Shared.postgres)) return yield* JugglerState.make(options)
      return yield* JugglerCluster.make({
        ...options,
        channel: "gateway.panel",
        joinTimeout: "500 millis",
        snapshotEvery: 1
      })
    })
  ).pipe(Layer.provide(Shared.layer))
}

/** Notifications go to the clients of all gateways. */
const incremented = "gateway.incremented"

const Handlers = Requests.toLayer(Effect.gen(function*() {
  const panel = yield* PanelState
  const clients = yield* JugglerClients.JugglerClients
  const backplane = yield* Backplane.Backplane
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  yield* Effect.orDie(backplane.listen(incremented, (event) => {
    if (event._tag === "Publication") fork(clients.notify("incremented", JSON.parse(event.payload)))
  }))
  return Requests.of({
    add: ({ a, b }) => Number.isFinite(a + b) ? Effect.succeed(a + b) : Effect.fail("the sum is no JSON number"),
    increment: ({ by }) =>
      Effect.gen(function*() {
        let counter = 0
        yield* panel.update((draft) => {
          counter = draft.counter += by
        })
        yield* backplane.publish(incremented, String(counter))
        return counter
      }).pipe(Effect.mapError((error) => error.message)),
    fail: ({ text }) => Effect.fail(text),
    set: ({ path, value }) =>
      Effect.gen(function*() {
        const all = ["items", ...path.map(String)]
        // objects on the way that are missing are made
        let depth = 1
        while (depth < all.length && (yield* panel.at(all.slice(0, depth))) !== undefined) depth++
        const made = all.slice(depth).reduceRight<JsonPointer.Json>((inner, key) => ({ [key]: inner }), value)
        yield* panel.put(all.slice(0, depth), made)
      }).pipe(Effect.mapError((error) => error.message))
  })
}))

/** So many calls of one client may wait for its answer. */
const maxCallBacks = 256

/** What 0.5 shows: the counter and the client's own data. */
const mirror = (connection: JugglerConnection.JugglerConnection) =>
  Effect.gen(function*() {
    const panel = yield* PanelState
    const { local, remote } = connection
    yield* local.set({ counter: (yield* panel.at(["counter"]))!, echo: null })
    let underWay = 0
    const answer = Stream.runForEach(connection.messages, (message) => {
      const called = callOf(message)
      if (called === undefined) return Effect.ignore(connection.send({ echo: message }))
      if (underWay === maxCallBacks) return Effect.ignore(connection.send({ error: "too many calls" }))
      underWay++
      return Effect.forkScoped(Effect.ensuring(
        callBack(connection, called.action, called.args),
        Effect.sync(() => underWay--)
      ))
    })
    yield* Effect.all([
      JugglerView.mirror(panel, ["counter"], local, ["counter"]),
      JugglerView.mirror(remote, [], local, ["echo"]),
      answer
    ], { concurrency: "unbounded", discard: true })
  })

const callOf = (message: JsonPointer.Json) => {
  const action = JsonPointer.get(message, ["call"])
  const args = JsonPointer.get(message, ["args"]) ?? []
  return typeof action === "string" && Array.isArray(args) ? { action, args } : undefined
}

const callBack = (
  connection: JugglerConnection.JugglerConnection,
  action: string,
  args: ReadonlyArray<JsonPointer.Json>
) =>
  Effect.matchEffect(connection.call(action, args), {
    onSuccess: (result) => connection.send({ result }),
    onFailure: ({ reason }) => connection.send({ error: reason._tag === "RemoteError" ? reason.data : reason.message })
  }).pipe(Effect.ignore)

/** `/ws`, `/juggler/0.6` and `/juggler/0.7` on the router of the environment. */
export const routes = (options?: WebSocketRoute.Options) =>
  Layer.unwrap(Effect.gen(function*() {
    const state = yield* PanelState
    const shared = { ...options, state, autoflush: "20 millis" } as const
    return Layer.mergeAll(
      JugglerServer.layerHttp(Actions, {
        ...options,
        path: "/ws",
        generation: JugglerGeneration.v05,
        autoflush: "20 millis",
        onConnection: mirror
      }),
      JugglerServer.layerHttp(Requests, { ...shared, path: "/juggler/0.6", generation: JugglerGeneration.v06 }),
      JugglerServer.layerHttp(Requests, { ...shared, path: "/juggler/0.7", generation: JugglerGeneration.v07 })
    )
  })).pipe(
    Layer.provide(Layer.provide(Handlers, Layer.orDie(Shared.layer))),
    Layer.provideMerge(JugglerClients.layer)
  )
