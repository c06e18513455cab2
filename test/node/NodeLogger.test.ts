import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger, Metric, References } from "effect"
import { NodeLogger } from "effect-wire/node"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const file = (name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => join(Fs.mkdtempSync(join(tmpdir(), "effect-wire-log-")), name)),
    (path) => Effect.sync(() => Fs.rmSync(join(path, ".."), { recursive: true }))
  )
const open = (path: string, flags: string | number) =>
  Effect.acquireRelease(Effect.sync(() => Fs.openSync(path, flags)), (fd) => Effect.sync(() => Fs.closeSync(fd)))

const logged = (fd: number, options: NodeLogger.Options, program: Effect.Effect<unknown>) =>
  Effect.scoped(Effect.provide(
    program,
    NodeLogger.layer({ fd, ...options }).pipe(
      Layer.merge(Layer.succeed(References.MinimumLogLevel, "Info"))
    )
  ))

it.live("lines are written in order, those that wait when the scope closes too", () =>
  Effect.gen(function*() {
    const path = yield* file("log")
    const fd = yield* open(path, "w")
    yield* logged(
      fd,
      { format: Logger.map(Logger.formatStructured, ({ message }) => `<${message}>`), fold: false },
      Effect.forEach(Array.from({ length: 1000 }, (_, i) => i), (i) => Effect.logInfo(`line ${i}`))
    )
    const lines = Fs.readFileSync(path, "utf8").trimEnd().split("\n")
    assert.deepStrictEqual(lines, Array.from({ length: 1000 }, (_, i) => `<line ${i}>`))
  }))

it.live("a full device neither ends nor holds up the program; what is lost is counted", () =>
  Effect.gen(function*() {
    const fd = yield* open("/dev/full", "w")
    yield* logged(fd, { fold: false }, Effect.forEach([1, 2, 3], (i) => Effect.logInfo(`line ${i}`)))
    assert.strictEqual((yield* Metric.value(NodeLogger.dropped)).count, 3)
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

it.live("a pipe that nobody reads takes what it can; who reads it later is told what is missing", () =>
  Effect.gen(function*() {
    const path = yield* file("pipe")
    execFileSync("mkfifo", [path])
    const fd = yield* open(path, Fs.constants.O_RDWR | Fs.constants.O_NONBLOCK)
    const buffer = Buffer.alloc(1 << 20)
    let text = ""
    const read = Effect.sync(() => {
      try {
        text += buffer.toString("utf8", 0, Fs.readSync(fd, buffer))
      } catch {
        // nothing there now
      }
    })
    yield* logged(
      fd,
      { fold: false, maxWaiting: 100_000 },
      Effect.gen(function*() {
        for (let i = 0; i < 3000; i++) yield* Effect.logInfo(`line ${i} ${"x".repeat(100)}`)
        yield* read.pipe(Effect.delay(20), Effect.repeat({ times: 20 }))
        yield* Effect.logInfo("the last line")
        yield* read.pipe(Effect.delay(20), Effect.repeat({ until: () => text.includes("the last line") }))
      })
    )
    assert.include(text, "line 0 ")
    assert.notInclude(text, "line 2999 ")
    assert.match(text, /\d+ log lines could not be written\n/)
  }))

it.effect("a flood of one message is folded, whatever its annotations; other messages and levels are not", () =>
  Effect.gen(function*() {
    const path = yield* file("log")
    const fd = yield* open(path, "w")
    yield* logged(
      fd,
      { fold: { count: 2, window: "10 seconds" } },
      Effect.gen(function*() {
        for (let i = 0; i < 100; i++) yield* Effect.logInfo("closed", { connection: i })
        yield* Effect.logWarning("closed")
        yield* Effect.logInfo("opened")
        yield* TestClock.adjust("10 seconds")
        yield* Effect.logInfo("closed")
      })
    )
    const lines = Fs.readFileSync(path, "utf8").trimEnd().split("\n")
    assert.strictEqual(lines.filter((line) => line.includes("message=closed")).length, 4)
    assert.strictEqual(lines.filter((line) => line.includes("message=opened")).length, 1)
    assert.include(lines, "98 more times within 10 s: Info closed")
  }))
