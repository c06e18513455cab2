/** Juggler in a world: a state that is written all the time, two clients that follow it. */
import { Context, Effect, Layer, Stream } from "effect"
import { JugglerClient, JugglerGeneration, JugglerServer, JugglerState, JugglerView } from "effect-wire/juggler"
import { type Draw, History, Judge, Simulation, StateJudge, World } from "effect-wire/simulation"
import { Socket } from "effect/socket"
import { known } from "./known.ts"

class State extends Context.Service<State, JugglerState.JugglerState<any, any>>()(
  "effect-wire/test/simulation/worlds/juggler/State"
) {}

/**
 * A log of what happened is kept as far as it is shorter than the state, and asked for where the state is so long that it is
 * not sent before the first word.
 */
const padding = "-".repeat(17_000)

/** A state as text, whatever the order of its keys, without padding. */
const canonical = (value: unknown): string =>
  JSON.stringify(
    value,
    (key, inner: unknown) =>
      key === "padding" ? undefined : typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner
  )

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

const updates = {
  input: (draw: Draw.Draw) => ({ kind: draw.pick(["push", "move", "swap", "drop"] as const), n: draw.int(0, 9) }),
  run: ({ kind, n }: { readonly kind: "push" | "move" | "swap" | "drop"; readonly n: number }) =>
    Effect.flatMap(State, (state) =>
      state.update((draft) => {
        const list = draft.list ?? (draft.list = [])
        if (kind === "push") list.push({ n })
        else if (kind === "move" && list.length > 1) list.unshift(list.pop())
        else if (kind === "swap") [draft.a, draft.b] = [draft.b ?? null, draft.a ?? null]
        else if (kind === "drop") list.splice(0, 1)
      }))
}

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
    input: updates.input,
    run: (input) => Effect.andThen(updates.run(input), wrote)
  }),
  remove: Simulation.operation({
    interruptible: false,
    input: (draw) => draw.pick(["a", "b", "c"]),
    run: (key) => Effect.flatMap(State, (state) => Effect.ignore(state.remove([key]))).pipe(Effect.andThen(wrote))
  })
}

/** What each client is shown where each is shown something else. */
const views: { readonly [node: string]: (state: any) => unknown } = {
  ann: (state) => state?.list ?? null,
  bob: (state) => ({ first: state?.list?.[0] ?? null, count: state?.list?.length ?? 0 })
}

/** Notes what the views show, now that the state was written. */
const showed = Effect.gen(function*() {
  const state = yield* (yield* State).json
  for (const view of Object.values(views)) yield* World.note("wrote", canonical(view(state)))
})

/** The same with what is shown in place of the state. */
const viewing = (generation: JugglerGeneration.Generation) =>
  Simulation.node({
    layer: Layer.effectDiscard(Effect.gen(function*() {
      yield* showed
      const run = yield* JugglerServer.make(undefined, {
        generation,
        state: yield* State,
        view: ({ connection }) =>
          connection.handshake.remoteAddress === "ann"
            ? JugglerView.at(["list"])
            : JugglerView.make((list) => views.bob!({ list }) as any, { of: ["list"], key: "bob" }),
        autoflush: 20
      })
      const { server } = yield* World.World
      yield* Effect.forkScoped(server.run(run))
    })).pipe(Layer.provideMerge(Layer.effect(State, Effect.orDie(JugglerState.makeJson({ list: [], padding }))))),
    operations: {
      ...writing,
      /** The part is there no more, and comes back. */
      empty: Simulation.operation({
        interruptible: false,
        input: (draw) => draw.chance(0.5),
        run: (isThere) =>
          Effect.flatMap(
            State,
            (state) => isThere ? state.put(["list"], []) : Effect.ignore(state.remove(["list"]))
          ).pipe(Effect.andThen(showed))
      }),
      update: Simulation.operation({
        weight: 6,
        interruptible: false,
        input: updates.input,
        run: (input) => Effect.andThen(updates.run(input), showed)
      })
    },
    rest: Effect.map(Effect.flatMap(State, (state) => state.json), (state) =>
      Object.fromEntries(Object.entries(views).map(([node, view]) => [node, canonical(view(state))])))
  })

/** Who is shown a view sees what it makes of the state. */
const viewsAreEqual = Judge.make(
  "equal views when quiet",
  "It is a state of its own, compared and sent like any other, one for all connections that are shown the same view",
  (history) => {
    const rests = new Map(
      History.operations(history).flatMap(({ node, operation, outcome, value }) =>
        operation === "rest" && outcome === "Success" ? [[node, value] as const] : []
      )
    )
    const shown = rests.get("server")
    for (const node of Object.keys(views)) {
      if (shown !== undefined && rests.has(node) && rests.get(node) !== shown[node]) {
        return `${node} sees ${rests.get(node)} in place of ${shown[node]}`
      }
    }
    return undefined
  }
)

const serverOf = (generation: JugglerGeneration.Generation, autoflush: number | undefined, isPadded: boolean) =>
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
    })).pipe(
      Layer.provideMerge(
        Layer.effect(State, Effect.orDie(JugglerState.makeJson(isPadded ? { list: [], padding } : { list: [] })))
      )
    ),
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

const make = (name: string, generation: JugglerGeneration.Generation, autoflush?: number, isPadded = false) =>
  world(name, generation, serverOf(generation, autoflush, isPadded), StateJudge.equalWhenQuiet)

const world = (
  name: string,
  generation: JugglerGeneration.Generation,
  server: Simulation.Node<never>,
  equal: Judge.Judge
) => {
  const client = clientOf(generation)
  return Simulation.make({
    name,
    nodes: { server, ann: client, bob: client },
    links: [["ann", "server"], ["bob", "server"]],
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [equal, StateJudge.onlyWhatWasWritten],
    // what was written is noted in the turn in which it is written
    preempt: false,
    settle: "90 seconds"
  })
}

export const apps = {
  v07: make("Juggler 0.7", JugglerGeneration.v07),
  v07now: make("Juggler 0.7, each change by itself", JugglerGeneration.v07, 0),
  resume: make("Juggler 0.7, with a log", JugglerGeneration.v07, 0, true),
  views: world("Juggler, views", JugglerGeneration.v07, viewing(JugglerGeneration.v07), viewsAreEqual),
  v06: make("Juggler 0.6", JugglerGeneration.v06, 20),
  v05: make("Juggler 0.5", JugglerGeneration.v05, 0)
}
