/** Juggler in a world: a state that is written all the time, two clients that follow it. */
import { Context, Effect, Layer, Stream } from "effect"
import { JugglerClient, JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { type Draw, History, Judge, Simulation, World } from "effect-wire/simulation"
import { Socket } from "effect/socket"
import { known } from "./known.ts"

class State extends Context.Service<State, JugglerState.JugglerState<any, any>>()(
  "effect-wire/test/simulation/worlds/juggler/State"
) {}

/** A state as text, whatever the order of its keys. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
      : inner)

/** Notes what the state is, now that it was written. */
const wrote = Effect.gen(function*() {
  const state = yield* State
  yield* World.note("wrote", canonical(yield* state.json))
})

const value = (draw: Draw.Draw): unknown =>
  draw.weighted<unknown>([
    [draw.int(0, 9), 3],
    [{ x: draw.int(0, 9), y: [draw.int(0, 9), draw.int(0, 9)] }, 2],
    [[draw.int(0, 9), { z: draw.int(0, 9) }], 2],
    [null, 1]
  ])

const writing = {
  put: Simulation.operation({
    weight: 4,
    interruptible: false,
    input: (draw) => ({ key: draw.pick(["a", "b", "c", "__x"]), value: value(draw) }),
    run: ({ key, value }) =>
      Effect.flatMap(State, (state) => state.put([key], value as any)).pipe(Effect.andThen(wrote))
  }),
  update: Simulation.operation({
    weight: 3,
    interruptible: false,
    input: (draw) => ({ kind: draw.pick(["push", "move", "swap", "drop"] as const), n: draw.int(0, 9) }),
    run: ({ kind, n }) =>
      Effect.flatMap(State, (state) =>
        state.update((draft) => {
          const list = draft.list ?? (draft.list = [])
          if (kind === "push") list.push({ n })
          else if (kind === "move" && list.length > 1) list.unshift(list.pop())
          else if (kind === "swap") [draft.a, draft.b] = [draft.b ?? null, draft.a ?? null]
          else if (kind === "drop") list.splice(0, 1)
        })).pipe(Effect.andThen(wrote))
  }),
  remove: Simulation.operation({
    interruptible: false,
    input: (draw) => draw.pick(["a", "b", "c"]),
    run: (key) => Effect.flatMap(State, (state) => Effect.ignore(state.remove([key]))).pipe(Effect.andThen(wrote))
  })
}

const serverOf = (generation: JugglerGeneration.Generation, autoflush: number | undefined) =>
  Simulation.node({
    layer: Layer.effectDiscard(Effect.gen(function*() {
      yield* wrote
      const run = yield* JugglerServer.make(undefined, {
        generation,
        state: yield* State,
        ...autoflush === undefined ? {} : { autoflush }
      })
      const { server } = yield* World.World
      yield* Effect.forkScoped(server.run(run))
    })).pipe(Layer.provideMerge(Layer.effect(State, Effect.orDie(JugglerState.makeJson({ list: [] }))))),
    operations: writing,
    rest: Effect.flatMap(State, (state) => Effect.map(state.json, canonical))
  })

class Follower extends Context.Service<Follower, JugglerClient.JugglerClient<any, never, {}>>()(
  "effect-wire/test/simulation/worlds/juggler/Follower"
) {}

const clientOf = (generation: JugglerGeneration.Generation) =>
  Simulation.node({
    layer: Layer.effect(
      Follower,
      Effect.gen(function*() {
        const client = yield* JugglerClient.fromSocket(yield* Socket.Socket, { generation })
        const { note } = yield* World.World
        yield* Effect.forkScoped(
          Stream.runForEach(client.state.changes, (value) => Effect.sync(() => note("saw", canonical(value))))
        )
        return client
      })
    ).pipe(Layer.provide(World.layerSocket("server"))),
    operations: {
      redial: Simulation.operation({ run: () => Effect.flatMap(Follower, (client) => client.redial) })
    },
    rest: Effect.flatMap(Follower, (client) => Effect.map(client.state.json, canonical))
  })

const equalWhenQuiet = Judge.make(
  "equal states when quiet",
  "A server holds a state, its clients follow it",
  (history) => {
    const rests = History.operations(history).filter(({ operation, outcome }) =>
      operation === "rest" && outcome === "Success"
    )
    return new Set(rests.map(({ value }) => value)).size < 2
      ? undefined
      : rests.map(({ node, value }) => `${node}: ${value}`).join("\n")
  }
)

const onlyWhatWasWritten = Judge.make(
  "no state that nobody wrote, and none that is older than the last",
  "What changed within the delay goes out as one patch from the last to the newest value",
  (history) => {
    const written: Array<string> = []
    const at = new Map<string, number>()
    for (const event of history.events) {
      if (event._tag === "Node" && event.what === "started") at.delete(event.node)
      if (event._tag !== "Noted") continue
      if (event.kind === "wrote") written.push(event.data)
      if (event.kind === "saw" && event.data !== "null") {
        const from = at.get(event.node) ?? 0
        const index = written.indexOf(event.data, from)
        if (index < 0) {
          return `${event.node} saw ${event.data}, which ${
            written.includes(event.data) ? "is older than what it saw before" : "was never written"
          }`
        }
        at.set(event.node, index)
      }
    }
    return undefined
  }
)

const make = (name: string, generation: JugglerGeneration.Generation, autoflush?: number) => {
  const client = clientOf(generation)
  return Simulation.make({
    name,
    nodes: { server: serverOf(generation, autoflush), ann: client, bob: client },
    links: [["ann", "server"], ["bob", "server"]],
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [equalWhenQuiet, onlyWhatWasWritten],
    // what was written is noted in the turn in which it is written
    preempt: false,
    settle: "90 seconds"
  })
}

export const apps = {
  v07: make("Juggler 0.7", JugglerGeneration.v07),
  v07now: make("Juggler 0.7, each change by itself", JugglerGeneration.v07, 0),
  v06: make("Juggler 0.6", JugglerGeneration.v06, 20),
  v05: make("Juggler 0.5", JugglerGeneration.v05, 0)
}
