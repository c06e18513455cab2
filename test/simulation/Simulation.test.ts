import { assert, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Random, Schedule } from "effect"
import { Fault, History, Judge, Simulation, World } from "effect-wire/simulation"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

const hashes = (from: number, count: number): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const script = fileURLToPath(new URL("./hashesChild.ts", import.meta.url))
    execFile(
      process.execPath,
      ["--import", "tsx", script, String(from), String(count)],
      { maxBuffer: 1 << 24 },
      (error, stdout) => resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
    )
  })

it.live("the same seed gives the same history, byte for byte, in another process", () =>
  Effect.gen(function*() {
    const [one, other] = yield* Effect.all([hashes(1, 1000), hashes(1, 1000)], { concurrency: 2 })
    const lines = one.trim().split("\n")
    assert.strictEqual(lines.length, 1000)
    assert.strictEqual(one, other)
    assert.strictEqual(new Set(lines.map((line) => line.split(" ")[1])).size, 1000)
  }), { timeout: 300_000 })

it.effect("what a program reads of time, chance and order is the world's, services or not", () =>
  Effect.gen(function*() {
    const operation = Simulation.operation({
      run: () =>
        Effect.gen(function*() {
          yield* World.note("read", [
            Date.now(),
            new Date().toISOString(),
            performance.now(),
            Math.random(),
            crypto.randomUUID(),
            yield* Clock.currentTimeMillis,
            yield* Random.next
          ])
          yield* Effect.promise(() =>
            new Promise<void>((resolve) => setTimeout(() => queueMicrotask(() => setImmediate(resolve)), 1234))
          )
          yield* World.note("later", Date.now())
          // neither the scheduler nor the clock of this fiber is that of its node
          Effect.runFork(Effect.sleep("1 minute"))
        })
    })
    const app = Simulation.make({
      name: "globals",
      nodes: { a: Simulation.node({ layer: Layer.empty, operations: { operation } }) },
      checkLeft: false
    })
    const before = [setTimeout, setImmediate, queueMicrotask, Date, Math.random, performance.now, crypto.randomUUID]
    const first = yield* Simulation.replay(app, 7)
    const second = yield* Simulation.replay(app, 7)
    assert.strictEqual(History.format(first), History.format(second))
    const notes = History.notes(first, "read")
    assert.isAbove(notes.length, 20)
    for (const { data } of notes) assert.strictEqual(new Date(data[0]).getUTCFullYear(), 2026)
    assert.isAbove(History.notes(first, "later").length, 10)
    assert.deepStrictEqual(
      [setTimeout, setImmediate, queueMicrotask, Date, Math.random, performance.now, crypto.randomUUID],
      before
    )
  }))

// Two who count on what they have read before they waited.
class Counter
  extends Context.Service<Counter, { value: number }>()("effect-wire/test/simulation/Simulation.test/Counter")
{}

const counting = (increment: Effect.Effect<void, never, Counter>) =>
  Simulation.make({
    name: "counter",
    nodes: {
      only: Simulation.node({
        layer: Layer.sync(Counter, () => ({ value: 0 })),
        operations: { increment: Simulation.operation({ interruptible: false, run: () => increment }) },
        rest: Effect.map(Counter, ({ value }) => value),
        faults: ["pause"]
      })
    },
    judges: [
      Judge.make("nothing is lost", "every increment counts", (history) => {
        const operations = History.operations(history)
        const done = operations.filter(({ operation, outcome }) => operation === "increment" && outcome === "Success")
        const rest = operations.find(({ operation }) => operation === "rest")
        return rest?.value === done.length
          ? undefined
          : `${done.length} increments, and the counter says ${rest?.value}`
      })
    ]
  })

const torn = counting(Effect.gen(function*() {
  const counter = yield* Counter
  const { value } = counter
  yield* Effect.yieldNow
  counter.value = value + 1
}))

it.effect("a race is found, made as small as can be, told, and pasted as a test", () =>
  Effect.gen(function*() {
    const report = yield* Simulation.explore(torn, { seeds: 50 })
    const { failure } = report
    if (failure === undefined) return assert.fail("not found")
    assert.strictEqual(failure.judge.name, "nothing is lost")
    assert.strictEqual(failure.plan.operations.length, 2)
    assert.strictEqual(failure.plan.faults.length, 0)
    assert.match(failure.story, /2 increments, and the counter says 1/)
    assert.isBelow(failure.story.split("\n").length, 200)
    const plan = new Function("it", "Simulation", "app", failure.test)
    let error: unknown
    const held: Array<Effect.Effect<void, Simulation.SimulationFailed>> = []
    plan({ effect: (_name: string, test: () => (typeof held)[number]) => held.push(test()) }, Simulation, torn)
    error = yield* Effect.flip(held[0]!)
    assert.instanceOf(error, Simulation.SimulationFailed)
    assert.match((error as Simulation.SimulationFailed).message, /every increment counts/)
  }))

it.effect(
  "an application that keeps its promises passes, and the summary says what was met",
  () =>
    Effect.gen(function*() {
      const sound = counting(Effect.map(Counter, (counter) => {
        counter.value++
      }))
      const report = yield* Simulation.check(sound, { seeds: 50 })
      assert.strictEqual(report.histories, 50)
      assert.strictEqual(report.outcomes.get("Success"), 50 * 51)
      assert.match(Simulation.summary(report), /counter: 50 histories, no promise broken\n {2}faults: pause \d+\n/)
    }),
  { timeout: 60_000 }
)

it.effect(
  "what is thrown past everyone, hangs, or is left, is found without a judge of the application",
  () =>
    Effect.gen(function*() {
      const one = (run: Effect.Effect<unknown>) =>
        Simulation.explore(
          Simulation.make({
            name: "one",
            nodes: {
              a: Simulation.node({ layer: Layer.empty, operations: { it: Simulation.operation({ run: () => run }) } })
            },
            faults: []
          }),
          { seeds: 3, operations: 3, shrink: 20 }
        )
      const thrown = yield* one(Effect.sync(() => {
        setTimeout(() => {
          throw new Error("late")
        }, 10)
      }))
      assert.match(thrown.failure!.message, /thrown past everyone: Error: late/)
      const defect = yield* one(Effect.die("no"))
      assert.match(defect.failure!.message, /no/)
      const hangs = yield* one(Effect.never)
      assert.match(hangs.failure!.message, /has no end when all is quiet/)
      const left = yield* one(Effect.asVoid(Effect.forkDetach(Effect.never)))
      assert.match(left.failure!.message, /a has \d fibers, 0 before/)
      const spins = yield* one(Effect.forever(Effect.sleep(0)))
      assert.match(spins.failure!.message, /does not come to rest/)
    }),
  { timeout: 60_000 }
)

it.effect("places that no history reached are named", () =>
  Effect.gen(function*() {
    const app = Simulation.make({
      name: "places",
      nodes: {
        a: Simulation.node({
          layer: Layer.empty,
          operations: {
            a: Simulation.operation({ run: () => Effect.map(World.World, (world) => world.reach("here")) })
          }
        })
      },
      places: ["here", "there"]
    })
    const report = yield* Simulation.explore(app, { seeds: 2 })
    assert.deepStrictEqual(report.notReached, ["there"])
  }))

it.effect("a crash takes memory, not the disk, and of that what was not synced only when the power failed", () =>
  Effect.gen(function*() {
    const encoder = new TextEncoder()
    class Log extends Context.Service<Log, { count: number }>()("effect-wire/test/simulation/Simulation.test/Log") {}
    const log = Layer.effect(
      Log,
      Effect.map(World.World, ({ disk, note, version }) => {
        note("boot", { version, synced: disk.read("synced")?.length ?? 0, written: disk.read("written")?.length ?? 0 })
        return { count: 0 }
      })
    )
    const app = Simulation.make({
      name: "disk",
      nodes: {
        a: Simulation.node({
          layer: log,
          versions: [log],
          operations: {
            append: Simulation.operation({
              run: () =>
                Effect.gen(function*() {
                  const { disk } = yield* World.World
                  const memory = yield* Log
                  memory.count++
                  disk.append("synced", encoder.encode("0123456789"))
                  disk.sync("synced")
                  disk.append("written", encoder.encode("0123456789"))
                  yield* World.note("appended", memory.count)
                })
            })
          }
        })
      }
    })
    const crash = (power: boolean): Fault.Fault => ({ kind: "crash", at: 50, node: "a", power, down: 10, version: 1 })
    const operation = { at: 0, node: "a", operation: "append", input: undefined, interruptAfter: undefined }
    const plan = (seed: number, power: boolean): Simulation.Plan => ({
      seed,
      network: { latency: 1, jitter: 0, capacity: 1024, syncWriters: false },
      interleaving: { window: 1, preemptAfter: 0, lateTurns: 0 },
      operations: [operation, operation, { ...operation, at: 100 }],
      faults: [crash(power)]
    })
    const written = new Set<number>()
    for (let seed = 0; seed < 40; seed++) {
      const history = yield* Simulation.perform(app, plan(seed, true))
      const [, second] = History.notes(history, "boot")
      assert.strictEqual(second!.data.version, 1)
      assert.strictEqual(second!.data.synced, 20)
      written.add(second!.data.written)
      assert.deepStrictEqual(History.notes(history, "appended").map(({ data }) => data), [1, 2, 1])
    }
    assert.isTrue(written.has(0) && written.has(20))
    assert.isTrue([...written].some((length) => length % 10 !== 0), "torn")
    const history = yield* Simulation.perform(app, plan(1, false))
    assert.strictEqual(History.notes(history, "boot")[1]!.data.written, 20)
  }))

it.effect("a node that is paused, slow or has a wrong clock goes on as it should", () =>
  Effect.gen(function*() {
    const app = Simulation.make({
      name: "clocks",
      nodes: {
        a: Simulation.node({
          layer: Layer.empty,
          operations: {
            wait: Simulation.operation({
              run: () =>
                Effect.gen(function*() {
                  const from = yield* Clock.currentTimeMillis
                  yield* Effect.sleep(1000)
                  for (let i = 0; i < 5; i++) yield* Effect.yieldNow
                  return (yield* Clock.currentTimeMillis) - from
                })
            })
          }
        })
      }
    })
    const run = (fault: Fault.Fault) =>
      Effect.map(
        Simulation.perform(app, {
          seed: 1,
          network: { latency: 1, jitter: 0, capacity: 1024, syncWriters: false },
          interleaving: { window: 1, preemptAfter: 0, lateTurns: 0 },
          operations: [{ at: 100, node: "a", operation: "wait", input: undefined, interruptAfter: undefined }],
          faults: [fault]
        }),
        (history) => {
          const [wait] = History.operations(history)
          return [wait!.value, Math.round(wait!.ended! - wait!.began)]
        }
      )
    assert.deepStrictEqual(yield* run({ kind: "pause", at: 200, node: "a", for: 3000 }), [3100, 3100])
    assert.deepStrictEqual(yield* run({ kind: "jump", at: 200, node: "a", millis: -60_000 }), [-59_000, 1000])
    assert.deepStrictEqual(yield* run({ kind: "skew", at: 50, node: "a", factor: 0.5 }), [1000, 2000])
    const [, took] = yield* run({ kind: "sluggish", at: 50, node: "a", millis: 100, for: 5000 })
    assert.isAbove(took!, 1300)
  }))

it.effect("operations of a node that has crashed or is down say so", () =>
  Effect.gen(function*() {
    const app = Simulation.make({
      name: "down",
      nodes: {
        a: Simulation.node({
          layer: Layer.empty,
          operations: { wait: Simulation.operation({ run: () => Effect.sleep(500) }) }
        })
      }
    })
    const wait = { node: "a", operation: "wait", input: undefined, interruptAfter: undefined }
    const history = yield* Simulation.perform(app, {
      seed: 1,
      network: { latency: 1, jitter: 0, capacity: 1024, syncWriters: false },
      interleaving: { window: 1, preemptAfter: 0, lateTurns: 0 },
      operations: [
        { ...wait, at: 0 },
        { ...wait, at: 300 },
        { ...wait, at: 700 },
        { ...wait, at: 2000, interruptAfter: 100 }
      ],
      faults: [{ kind: "crash", at: 600, node: "a", power: false, down: 1000, version: 0 }]
    })
    assert.deepStrictEqual(
      History.operations(history).map(({ outcome }) => outcome),
      ["Success", "Crashed", "Down", "Interrupted"]
    )
    assert.isTrue(history.quiet)
  }))

it.effect("schedules and timeouts run in virtual time", () =>
  Effect.gen(function*() {
    const app = Simulation.make({
      name: "time",
      nodes: {
        a: Simulation.node({
          layer: Layer.empty,
          operations: {
            retry: Simulation.operation({
              interruptible: false,
              run: () =>
                Effect.fail("again").pipe(
                  Effect.retry(Schedule.spaced("1 hour")),
                  Effect.timeoutOption("1 day"),
                  Effect.asVoid
                )
            })
          },
          faults: []
        })
      },
      settle: "2 days"
    })
    const report = yield* Simulation.check(app, { seeds: 2, operations: 2 })
    assert.strictEqual(report.outcomes.get("Success"), 4)
  }))
