/**
 * A worker that dies and another that takes over. The first runs in a process of its own and is killed (SIGKILL) in the
 * middle of its work; nobody acknowledged the message, so its lease runs out and the second worker gets it.
 *
 * Run: npx tsx examples/queue-takeover.ts
 * Prints: the first worker begins with "an important letter", try 1
 * Prints: the second worker is done with "an important letter"
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Layer } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const node = "cc03"
const [role, file] = process.argv.slice(2)

const layer = (filename: string) => MessageQueue.layerSql().pipe(Layer.provide(NodeSqliteClient.layer({ filename })))

/** The same worker in both processes; in the first the work takes for ever. */
const worker = (name: string, work: Effect.Effect<void>) =>
  MessageQueue.consume(node, (message) =>
    Effect.gen(function*() {
      yield* Console.log(`${name} begins with "${message.payload.value}", try ${message.tries}`)
      yield* work
      yield* Console.log(`${name} is done with "${message.payload.value}"`)
    }), { lease: "1 second" })

const story = (filename: string) =>
  Effect.gen(function*() {
    const queue = yield* MessageQueue.MessageQueue
    yield* queue.push(node, "an important letter")

    const first = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [...process.execArgv, import.meta.filename, "worker", filename], { stdio: "inherit" })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const until = (status: "processing" | "processed") =>
      Effect.repeat(Effect.delay(queue.counts(), "50 millis"), { until: (counts) => counts[status] === 1 })
    yield* until("processing")
    yield* Effect.sleep("1500 millis")
    yield* Console.log("longer than its lease, and still its own: the heartbeat extends it. Now it is killed.")
    first.kill("SIGKILL")

    const second = yield* Effect.forkChild(worker("the second worker", Effect.sleep("100 millis")))
    yield* until("processed")
    yield* Fiber.interrupt(second)
  }).pipe(Effect.scoped)

const main = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "takeover-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const filename = join(directory, "queue.sqlite")
  yield* Effect.provide(story(filename), layer(filename))
}).pipe(Effect.scoped)

const program = role === "worker" && file !== undefined
  ? worker("the first worker", Effect.never).pipe(Effect.provide(layer(file)))
  : main

program.pipe(NodeRuntime.runMain)
