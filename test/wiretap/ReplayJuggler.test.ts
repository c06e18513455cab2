/** Juggler is played again though its server gathers changes into other patches, whatever the generation. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Ref, type Scope } from "effect"
import { Schema } from "effect"
import { JugglerClient, JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { Recording, Replay, Wiretap } from "effect-wire/wiretap"
import { Rpc, RpcGroup } from "effect/rpc"
import type { Socket } from "effect/socket"
import { SocketServer } from "effect/socket"
import { TestClock } from "effect/testing"

const Panel = Schema.Struct({ step: Schema.Finite, log: Schema.Array(Schema.String), token: Schema.String })

class Requests extends RpcGroup.make(
  Rpc.make("work", { payload: { name: Schema.String }, success: Schema.Finite }),
  Rpc.make("refuse", { error: Schema.String })
) {}

interface Version {
  readonly autoflush: number
  /** Planted: how much a step counts. */
  readonly step?: number
  /** Planted: what is never written down. */
  readonly silent?: boolean
  readonly refusal?: string
}

/** A server in memory: each `work` changes the state four times, half a second apart. */
const serve = (generation: JugglerGeneration.Generation, version: Version) =>
  Effect.gen(function*() {
    const state = yield* JugglerState.make({
      schema: Panel,
      initial: { step: 0, log: [], token: crypto.randomUUID() }
    })
    const Handlers = Requests.toLayer({
      work: ({ name }) =>
        Effect.orDie(Effect.gen(function*() {
          for (let i = 0; i < 4; i++) {
            yield* state.update((draft) => {
              draft.step += version.step ?? 1
              if (version.silent !== true) draft.log = [...draft.log, `${name} ${i}`].slice(-6)
            })
            yield* Effect.sleep("500 millis")
          }
          return (yield* state.get).step
        })),
      refuse: () => Effect.fail(version.refusal ?? "no")
    })
    const memory = yield* MemorySocket.makeServer()
    yield* Layer.build(
      JugglerServer.layerSocketServer(Requests, { generation, state, autoflush: version.autoflush }).pipe(
        Layer.provide(Handlers),
        Layer.provide(Layer.succeed(SocketServer.SocketServer)(memory.server))
      )
    )
    return memory
  })

const user = (generation: JugglerGeneration.Generation, socket: Socket.Socket) =>
  Effect.gen(function*() {
    const client = yield* JugglerClient.fromSocket(socket, { generation, state: Panel, requests: Requests })
    yield* client.connect
    for (const name of ["a", "b", "c"]) {
      yield* generation.name === "0.5" ? client.call("work", [name]) : client.call("work", { name })
      yield* Effect.sleep("5 seconds")
      yield* Effect.ignore(client.call("refuse", generation.name === "0.5" ? [] : null))
    }
    yield* Effect.sleep("2 minutes") // who is silent is asked whether it lives
  }).pipe(Effect.scoped)

const driven = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, Effect.forever(Effect.andThen(Effect.yieldNow, TestClock.adjust("100 millis"))))

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.scoped(Effect.provide(effect, TestClock.layer()))

const record = (generation: JugglerGeneration.Generation, version: Version) =>
  run(Effect.gen(function*() {
    const lines = yield* Ref.make("")
    const tap = yield* Wiretap.make({ write: (more) => Ref.update(lines, (before) => before + more) })
    const memory = yield* serve(generation, version)
    yield* driven(user(generation, tap.socket(memory.connect())))
    yield* tap.flush
    return yield* Effect.flatMap(Ref.get(lines), Recording.parse)
  }))

const replayed = (
  generation: JugglerGeneration.Generation,
  recording: Recording.Recording,
  version: Version,
  options?: Replay.Options
) =>
  run(Effect.gen(function*() {
    const memory = yield* serve(generation, version)
    return yield* driven(Replay.client(recording, () => memory.connect(), options))
  }))

const patches = (recording: Recording.Recording) =>
  recording.events.filter((event) =>
    event.type === "frame" && event.from === "server" && "text" in event && /"type":"(state|DATA)"/.test(event.text)
  ).length

const plants: Record<string, Partial<Version>> = {
  "another step": { step: 2 },
  "nothing written down": { silent: true },
  "another refusal": { refusal: "never" }
}

for (const generation of Object.values(JugglerGeneration.all)) {
  describe(`Replay of Juggler ${generation.name}`, () => {
    it.effect("changes that are gathered into fewer or more patches are no difference", () =>
      Effect.gen(function*() {
        const often = yield* record(generation, { autoflush: 0 })
        const seldom = yield* record(generation, { autoflush: 3000 })
        assert.isAbove(patches(often), patches(seldom))
        for (const [recording, autoflush] of [[often, 3000], [seldom, 0], [often, 0], [often, 700]] as const) {
          const report = yield* replayed(generation, recording, { autoflush })
          assert.strictEqual(Replay.format(report), Replay.format({ ...report, differences: [] }))
          assert.isAtLeast(report.matched, 8)
        }
      }), 60_000)

    it.effect("what a server does otherwise is found", () =>
      Effect.gen(function*() {
        const recording = yield* record(generation, { autoflush: 0 })
        for (const [name, plant] of Object.entries(plants)) {
          const report = yield* replayed(generation, recording, { autoflush: 3000, ...plant })
          assert.isNotEmpty(report.differences, name)
        }
        const report = yield* replayed(generation, recording, { autoflush: 0, silent: true })
        assert.include(Replay.format(report), "changed state\n  /log")
      }), 60_000)

    it.effect("its server is played for the same client", () =>
      Effect.gen(function*() {
        const recording = yield* record(generation, { autoflush: 700 })
        const report = yield* run(Effect.gen(function*() {
          const memory = yield* MemorySocket.makeServer()
          const client = yield* Effect.forkChild(user(generation, memory.connect()))
          const report = yield* driven(Replay.server(recording, memory.server))
          yield* driven(Fiber.join(client))
          return report
        }))
        assert.strictEqual(Replay.format(report), Replay.format({ ...report, differences: [] }))
        assert.isAtLeast(report.matched, 6)
      }), 60_000)
  })
}
