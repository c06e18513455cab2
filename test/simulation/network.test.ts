import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { type Fault, History, Simulation, World } from "effect-wire/simulation"
import { Socket, SocketServer } from "effect/socket"

const decoder = new TextDecoder()
const textOf = (frame: string | Uint8Array): string => typeof frame === "string" ? frame : decoder.decode(frame)

/** Answers every frame with itself. */
const Echo = Layer.effectDiscard(Effect.gen(function*() {
  const server = yield* SocketServer.SocketServer
  yield* Effect.forkScoped(server.run((socket) =>
    Effect.gen(function*() {
      const { pull } = yield* socket.reader
      const { writeAll } = yield* socket.writer
      while (true) {
        const frames = yield* pull
        for (const frame of frames) yield* World.note("heard", textOf(frame))
        yield* writeAll(frames)
      }
    }).pipe(
      Effect.scoped,
      Effect.catch((error) =>
        World.note("server lost", error.reason._tag === "SocketCloseError" ? error.reason.code : error.reason._tag)
      )
    )
  ))
})).pipe(Layer.provide(World.layerServer))

class Client extends Context.Service<Client, Socket.Writer>()("effect-wire/test/simulation/network.test/Client") {}

const dialling = (bytes: boolean) =>
  Layer.effect(
    Client,
    Effect.gen(function*() {
      const world = yield* World.World
      const socket = world.socket("server", { bytes })
      const writer = yield* socket.writer
      yield* Effect.forkScoped(
        Effect.gen(function*() {
          const { pull } = yield* socket.reader
          world.note("open")
          while (true) {
            for (const frame of yield* pull) world.note("back", textOf(frame))
          }
        }).pipe(
          Effect.scoped,
          Effect.tapError(({ reason }) =>
            World.note("lost", reason._tag === "SocketCloseError" ? reason.code : [reason._tag, (reason as any).kind])
          ),
          Effect.retry(Schedule.spaced(100))
        )
      )
      return writer
    })
  )

const app = (bytes = false) =>
  Simulation.make({
    name: "echo",
    nodes: {
      server: Simulation.node({ layer: Echo }),
      client: Simulation.node({
        layer: dialling(bytes),
        operations: {
          send: Simulation.operation({
            input: (draw) => `message ${draw.int(0, 9999)};`,
            run: (text) => Effect.flatMap(Client, (writer) => writer.write(text))
          })
        }
      })
    }
  })

const link = ["client", "server"] as const

const perform = (
  faults: ReadonlyArray<Fault.Fault>,
  sends: ReadonlyArray<readonly [at: number, text: string]>,
  options: { readonly bytes?: boolean; readonly capacity?: number; readonly latency?: number } = {}
) =>
  Simulation.perform(app(options.bytes), {
    seed: 1,
    network: { latency: options.latency ?? 1, jitter: 0, capacity: options.capacity ?? 1024, syncWriters: false },
    interleaving: { window: 1, preemptAfter: 0, lateTurns: 0 },
    operations: sends.map(([at, input]) => ({
      at,
      node: "client",
      operation: "send",
      input,
      interruptAfter: undefined
    })),
    faults
  })

const values = (history: History.History, kind: string) => History.notes(history, kind).map(({ data }) => data)

it.effect("frames arrive in order after the latency, whole, and come back", () =>
  Effect.gen(function*() {
    const history = yield* perform([], [[0, "a"], [0, "b"], [5, "c"]], { latency: 20 })
    assert.deepStrictEqual(values(history, "heard"), ["a", "b", "c"])
    assert.deepStrictEqual(values(history, "back"), ["a", "b", "c"])
    const [sent] = History.operations(history)
    assert.strictEqual(Math.round(History.notes(history, "back")[0]!.at - sent!.began), 40)
  }))

it.effect("a cut strikes between any two frames, and on a stream of bytes in the middle of one", () =>
  Effect.gen(function*() {
    const cut = (part: number): Fault.Fault => ({ kind: "cut", at: 0, link, frames: 1, part, knows: [0, 0] })
    const between = yield* perform([cut(0)], [[10, "abcd"], [10, "efgh"]])
    assert.deepStrictEqual(values(between, "heard"), ["abcd"])
    assert.deepStrictEqual(values(between, "lost")[0], 1006)
    const after = yield* perform([cut(1)], [[10, "abcd"], [10, "efgh"]])
    assert.deepStrictEqual(values(after, "heard"), ["abcd", "efgh"])
    const middle = yield* perform([cut(0.5)], [[10, "abcd"], [10, "efgh"]], { bytes: true })
    assert.strictEqual(values(middle, "heard").join(""), "abcdef")
  }))

it.effect("a connection may be half open: one end knows, the other writes into nothing", () =>
  Effect.gen(function*() {
    const history = yield* perform(
      [{ kind: "cut", at: 10, link, frames: 0, part: 0, knows: [5000, 0] }],
      [[100, "into nothing"], [6000, "again"]]
    )
    assert.deepStrictEqual(values(history, "heard"), ["again"])
    assert.deepStrictEqual(History.operations(history).map(({ outcome }) => outcome), ["Success", "Success"])
    const lost = History.notes(history, "lost")[0]!
    const serverLost = History.notes(history, "server lost")[0]!
    assert.isAbove(lost.at - serverLost.at, 4900)
  }))

it.effect("a partition holds everything back and loses nothing; one that lasts ends the connections", () =>
  Effect.gen(function*() {
    const short = yield* perform([{ kind: "partition", at: 0, link, for: 5000 }], [[10, "a"], [20, "b"]])
    assert.deepStrictEqual(values(short, "heard"), ["a", "b"])
    assert.isAbove(History.notes(short, "heard")[0]!.at, 5000)
    assert.deepStrictEqual(values(short, "lost"), [])
    const long = yield* perform([{ kind: "partition", at: 0, link, for: 40_000 }], [[10, "a"], [50_000, "b"]])
    assert.deepStrictEqual(values(long, "heard"), ["b"])
    assert.deepStrictEqual(values(long, "lost")[0], 1006)
    assert.deepStrictEqual(values(long, "lost")[1], ["SocketOpenError", "Timeout"])
  }))

it.effect("a direction may stall, and a writer waits while its peer takes nothing", () =>
  Effect.gen(function*() {
    const history = yield* perform(
      [{ kind: "stall", at: 0, link, for: 3000 }],
      [[10, "a"], [20, "b"], [30, "c"]],
      { capacity: 1 }
    )
    const ends = History.operations(history).map(({ ended }) => ended!)
    assert.isBelow(ends[0]!, 1000)
    assert.isAbove(ends[1]!, 3000)
    assert.deepStrictEqual(values(history, "back"), ["a", "b", "c"])
  }))

it.effect("a narrow link takes its time for the bytes", () =>
  Effect.gen(function*() {
    const history = yield* perform(
      [{ kind: "narrow", at: 0, link, bytes: 1000, for: 60_000 }],
      [[10, "x".repeat(2000)]]
    )
    const [heard] = History.notes(history, "heard")
    assert.isAbove(heard!.at, 2000)
    assert.isBelow(heard!.at, 2300)
  }))

it.effect("dials are refused or get no answer, and a node that is down refuses them", () =>
  Effect.gen(function*() {
    const again: Fault.Fault = { kind: "close", at: 10, link, code: 1012 }
    const refused = yield* perform([{ kind: "refuse", at: 0, node: "server", for: 150 }, again], [[1000, "a"]])
    assert.deepStrictEqual(values(refused, "lost").slice(0, 2), [1012, ["SocketOpenError", "Unknown"]])
    assert.deepStrictEqual(values(refused, "heard"), ["a"])
    const hung = yield* perform([{ kind: "hang", at: 0, node: "server", for: 150 }, again], [[20_000, "a"]])
    assert.deepStrictEqual(values(hung, "lost"), [1012, ["SocketOpenError", "Timeout"]])
    const down = yield* perform(
      [{ kind: "crash", at: 10, node: "server", power: false, down: 500, version: 0 }],
      [[2000, "a"]]
    )
    assert.deepStrictEqual(values(down, "lost").slice(0, 2), [1006, ["SocketOpenError", "Unknown"]])
    assert.deepStrictEqual(values(down, "heard"), ["a"])
  }))

it.effect("nobody tells the peers of a power failure; the restarted node resets what they send", () =>
  Effect.gen(function*() {
    const history = yield* perform(
      [{ kind: "crash", at: 10, node: "server", power: true, down: 500, version: 0 }],
      [[100, "lost"], [5000, "reset"], [6000, "a"]]
    )
    const [lost] = History.notes(history, "lost")
    assert.isAbove(lost!.at, 5000)
    assert.deepStrictEqual(values(history, "heard"), ["a"])
  }))

it.effect("a server that stops closes with 1001; what it has sent before arrives", () =>
  Effect.gen(function*() {
    const history = yield* perform(
      [{ kind: "stop", at: 20, node: "server", down: 100, version: 0 }],
      [[9, "a"], [1000, "b"]]
    )
    assert.deepStrictEqual(values(history, "lost")[0], 1001)
    assert.deepStrictEqual(values(history, "heard"), ["a", "b"])
  }))

const listeners = Simulation.make({
  name: "listeners",
  nodes: {
    left: Simulation.node({
      layer: Layer.effectDiscard(Effect.gen(function*() {
        const { backplane, note } = yield* World.World
        yield* backplane.listen(
          "news",
          (event) => note("heard", event._tag === "Gap" ? `${event.after}-${event.sequence}` : event.payload)
        )
      }))
    }),
    right: Simulation.node({
      layer: Layer.empty,
      operations: {
        publish: Simulation.operation({
          input: (draw) => `${draw.int(0, 9)}`,
          run: (text) => Effect.flatMap(World.World, ({ backplane }) => backplane.publish("news", text))
        }),
        retain: Simulation.operation({
          input: (draw) => `${draw.int(0, 9)}`,
          run: (text) =>
            Effect.flatMap(World.World, ({ backplane }) => backplane.publish("news", text, { retain: true }))
        })
      }
    })
  }
})

it.effect("a listener is deaf for a while: what it missed comes late, is told by a gap, or is not told", () =>
  Effect.gen(function*() {
    const heard = (fault: Fault.Fault) =>
      Effect.map(
        Simulation.perform(listeners, {
          seed: 1,
          network: { latency: 1, jitter: 0, capacity: 1024, syncWriters: false },
          interleaving: { window: 1, preemptAfter: 0, lateTurns: 0 },
          operations: ["publish a", "publish b", "retain c", "publish d", "publish e"].map((text, i) => ({
            at: 100 * i,
            node: "right",
            operation: text.slice(0, -2),
            input: text.slice(-1),
            interruptAfter: undefined
          })),
          faults: [fault]
        }),
        (history) =>
          History.notes(history, "heard").map(({ at, data }) => [data, Math.abs(Math.round((at - 121) / 10) * 10)])
      )
    const deaf = { kind: "deaf", at: 50, node: "left", for: 300 } as const
    assert.deepStrictEqual(yield* heard({ ...deaf, lost: false }), [
      ["a", 0],
      ["b", 350],
      ["c", 350],
      ["d", 350],
      ["e", 400]
    ])
    assert.deepStrictEqual(
      (yield* heard({ ...deaf, lost: true })).map(([text]) => text),
      ["a", "1-2", "c", "3-4", "e"]
    )
    const unheard = { kind: "unheard", at: 50, node: "left" } as const
    assert.deepStrictEqual((yield* heard({ ...unheard, for: 300 })).map(([text]) => text), ["a", "e"])
    // the end of all faults tells what nothing after it did
    assert.deepStrictEqual((yield* heard({ ...unheard, for: 3000 })).map(([text]) => text), ["a", "1-2", "c", "3-5"])
  }))

it.effect("a broker that is emptied counts anew: listeners are told, and hear what comes then, whenever they began", () =>
  Effect.gen(function*() {
    const history = yield* Simulation.perform(listeners, {
      seed: 1,
      network: { latency: 1, jitter: 0, capacity: 1024, syncWriters: false },
      interleaving: { window: 1, preemptAfter: 0, lateTurns: 0 },
      operations: ["a", "b", "c", "d"].map((input, i) => ({
        at: 100 * i,
        node: "right",
        operation: "publish",
        input,
        interruptAfter: undefined
      })),
      faults: [
        { kind: "crash", at: 120, node: "left", power: false, down: 10, version: 0 },
        { kind: "emptied", at: 150 }
      ]
    })
    assert.deepStrictEqual(values(history, "heard"), ["a", "b", "2-0", "c", "d"])
  }))
