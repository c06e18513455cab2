/**
 * A state of Juggler in two processes: both write, clients of each follow. In a calm world, where no process dies and the
 * broker is fair, every change counts once; in a rough one the copies become equal again.
 */
import { Context, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { JugglerClient, JugglerCluster, JugglerGeneration, JugglerServer } from "effect-wire/juggler"
import { Fault, History, Judge, Simulation, StateJudge, World } from "effect-wire/simulation"
import { Socket } from "effect/socket"
import { known } from "./known.ts"

const Panel = Schema.Struct({
  count: Schema.Int,
  list: Schema.Array(Schema.Int),
  cells: Schema.Record(Schema.String, Schema.Int)
})
type Panel = typeof Panel.Type

class Copy extends Context.Service<Copy, JugglerCluster.ClusterState<Panel, any>>()(
  "effect-wire/test/simulation/worlds/cluster/Copy"
) {}

/** Text of a state, whatever the order of its cells. */
const canonical = (value: any): string =>
  value === null ? "null" : JSON.stringify({
    count: value.count,
    list: value.list,
    cells: Object.entries(value.cells).sort(([a], [b]) => a < b ? -1 : 1)
  })

const stands = Effect.gen(function*() {
  const copy = yield* Copy
  const [position, state] = [yield* copy.position, yield* copy.json]
  yield* World.note("stands", { ...position, state: canonical(state) })
})

const writing = <I>(
  weight: number,
  input: (draw: { readonly int: (min: number, max: number) => number }) => I,
  write: (copy: Copy["Service"], input: I) => Effect.Effect<unknown, unknown>
) =>
  Simulation.operation({
    weight,
    interruptible: false,
    input,
    run: (input) => Effect.andThen(Effect.flatMap(Copy, (copy) => write(copy, input)), stands)
  })

const process = Simulation.node({
  layer: Layer.effectDiscard(Effect.gen(function*() {
    const copy = yield* Copy
    const { server } = yield* World.World
    const run = yield* JugglerServer.make(undefined, { generation: JugglerGeneration.v07, state: copy, autoflush: 20 })
    yield* Effect.forkScoped(Stream.runForEach(copy.changes, () => Effect.provideService(stands, Copy, copy)))
    yield* Effect.forkScoped(server.run(run))
  })).pipe(
    Layer.provideMerge(Layer.effect(
      Copy,
      // tried again, as whoever looks after the process would
      JugglerCluster.make({ channel: "panel", schema: Panel, initial: { count: 0, list: [], cells: {} } }).pipe(
        Effect.retry(Schedule.spaced("1 second")),
        Effect.orDie
      )
    )),
    Layer.provide(World.layerBackplane)
  ),
  operations: {
    count: writing(5, () => undefined, (copy) =>
      copy.update((draft) => {
        draft.count++
      })),
    push: writing(2, (draw) => draw.int(0, 99), (copy, n) =>
      copy.update((draft) => {
        draft.list.push(n)
      })),
    shift: writing(1, () => undefined, (copy) =>
      copy.update((draft) => {
        draft.list.shift()
      })),
    cell: writing(
      3,
      (draw) => ({ key: `k${draw.int(0, 3)}`, n: draw.int(0, 99) }),
      (copy, { key, n }) => copy.put(["cells", key], n)
    ),
    clear: writing(0.5, (draw) => `k${draw.int(0, 3)}`, (copy, key) => Effect.ignore(copy.remove(["cells", key])))
  },
  rest: Effect.flatMap(Copy, (copy) => Effect.map(copy.json, canonical)),
  faults: ["crash", "stop", "pause", "sluggish", "jump"]
})

class Follower extends Context.Service<Follower, JugglerClient.JugglerClient<any, never, {}>>()(
  "effect-wire/test/simulation/worlds/cluster/Follower"
) {}

const clientOf = (first: "left" | "right") =>
  Simulation.node({
    layer: Layer.effect(
      Follower,
      Effect.gen(function*() {
        const world = yield* World.World
        const sockets = { left: world.socket("left"), right: world.socket("right") }
        const writers = { left: yield* sockets.left.writer, right: yield* sockets.right.writer }
        let at: "left" | "right" = first === "left" ? "right" : "left"
        const socket = Socket.make({
          reader: Effect.suspend(() => {
            at = at === "left" ? "right" : "left"
            return sockets[at].reader
          }),
          writer: Effect.succeed({
            write: (chunk) => Effect.suspend(() => writers[at].write(chunk)),
            writeAll: (chunks) => Effect.suspend(() => writers[at].writeAll(chunks))
          })
        })
        return yield* JugglerClient.fromSocket(socket, { generation: JugglerGeneration.v07 })
      })
    ),
    operations: {
      redial: Simulation.operation({ run: () => Effect.flatMap(Follower, (client) => client.redial) })
    },
    rest: Effect.flatMap(Follower, (client) => Effect.map(client.state.json, canonical))
  })

const everyChangeCounts = Judge.make(
  "every change counts, once",
  "A write counts, for every process alike, if it was made in this epoch",
  (history) => {
    const counts = History.operations(history).filter(({ operation }) => operation === "count")
    const sure = counts.filter(({ outcome }) => outcome === "Success").length
    const unsure = counts.filter(({ outcome }) => outcome !== "Success" && outcome !== "Down").length
    const rest = History.operations(history).find(({ node, operation, outcome }) =>
      operation === "rest" && outcome === "Success" && node === "left"
    )
    if (rest === undefined) return undefined
    const { count } = JSON.parse(rest.value)
    return count >= sure && count <= sure + unsure
      ? undefined
      : `${sure} counted and ${unsure} perhaps; the count is ${count}`
  }
)

const make = (name: string, faults: ReadonlyArray<Fault.Kind>, judges: ReadonlyArray<Judge.Judge>) =>
  Simulation.make({
    name,
    nodes: { left: process, right: process, ann: clientOf("left"), bob: clientOf("right") },
    links: [["ann", "left"], ["ann", "right"], ["bob", "left"], ["bob", "right"]],
    faults,
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [StateJudge.equalWhenQuiet, StateJudge.versionsOnlyGrow, ...judges],
    preempt: false,
    settle: "90 seconds"
  })

/** Listeners that are deaf for less than a process waits for the answer of another: nothing that was confirmed may be lost. */
const Shelf = Schema.Struct({ log: Schema.Array(Schema.String), cells: Schema.Record(Schema.String, Schema.Int) })

class Shelves extends Context.Service<Shelves, JugglerCluster.ClusterState<typeof Shelf.Type, any>>()(
  "effect-wire/test/simulation/worlds/cluster/Shelves"
) {}

const shelf = Simulation.node({
  layer: Layer.effect(
    Shelves,
    JugglerCluster.make({
      channel: "shelf",
      schema: Shelf,
      initial: { log: [], cells: {} },
      joinTimeout: "2 minutes"
    })
  ).pipe(Layer.provide(World.layerBackplane)),
  operations: {
    add: Simulation.operation({
      weight: 3,
      interruptible: false,
      input: (draw) => draw.int(0, 2 ** 40).toString(36),
      run: (name) =>
        Effect.gen(function*() {
          const copy = yield* Shelves
          yield* World.note("adding", name)
          yield* copy.update((draft) => void draft.log.push(name))
          yield* World.note("added", name)
          yield* World.note("stands", yield* copy.position)
        })
    }),
    cell: Simulation.operation({
      interruptible: false,
      input: (draw) => ({ key: `k${draw.int(0, 3)}`, n: draw.int(0, 99) }),
      run: ({ key, n }) => Effect.flatMap(Shelves, (copy) => copy.put(["cells", key], n))
    })
  },
  rest: Effect.flatMap(Shelves, (copy) =>
    Effect.map(copy.json, (state: any) => ({
      log: state.log,
      cells: Object.entries(state.cells).sort(([a], [b]) => a < b ? -1 : 1)
    }))),
  faults: ["deaf", "unheard"]
})

const shelves = (name: string, faults: ReadonlyArray<Fault.Kind>) =>
  Simulation.make({
    name,
    nodes: { left: shelf, right: shelf, third: shelf },
    faults,
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [
      StateJudge.equalWhenQuiet,
      StateJudge.versionsOnlyGrow,
      StateJudge.confirmedIsKept((rest) => rest.log)
    ],
    preempt: false,
    settle: "10 minutes"
  })

export const apps = {
  deaf: shelves("Juggler, three processes that hear badly", ["deaf", "unheard", "backplane"]),
  emptied: shelves("Juggler, three processes, a database that is restored", ["deaf", "emptied"]),
  calm: make("Juggler, two processes", [...Fault.networkKinds, "sluggish", "jump"], [everyChangeCounts]),
  rough: make(
    "Juggler, two processes that die",
    ["cut", "close", "partition", "slow", "crash", "stop", "pause", "sluggish", "jump", "backplane"],
    []
  )
}
