// @effect-diagnostics tryCatchInEffectGen:off
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { temporaryDirectory } from "./crowd.ts"

const open = (options: NodeSqliteClient.NodeSqliteClientConfig, queue?: MessageQueue.SqlOptions) =>
  Effect.map(
    Layer.build(Layer.fresh(MessageQueue.layerSql(queue).pipe(Layer.provide(NodeSqliteClient.layer(options))))),
    (context) => context
  ).pipe(Effect.flatMap((context) => Effect.provide(MessageQueue.MessageQueue, context)))

const payload = new Uint8Array(8192)

/** Pushes until the disk is full, and sees that what was confirmed is there and nothing else. */
const fill = Effect.fnUntraced(function*(queue: MessageQueue.MessageQueue["Service"]) {
  const confirmed: Array<string> = []
  let failure: string | undefined
  while (failure === undefined && confirmed.length < 10_000) {
    // Several at once share a transaction: when that is too large, those that fit are written all the same.
    const pushes = yield* Effect.forEach([1, 2, 3], () => Effect.exit(queue.push("bb", payload)), {
      concurrency: "unbounded"
    })
    for (const push of pushes) {
      if (push._tag === "Success") confirmed.push(push.value.id)
      else failure = String(push.cause)
    }
  }
  return { confirmed, failure: failure ?? "" }
})

const ids = Effect.fnUntraced(function*(queue: MessageQueue.MessageQueue["Service"]) {
  const { messages } = yield* queue.list({ limit: 1000 })
  return messages.map((message) => message.id).sort()
})

const mount = (directory: string) =>
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", directory], { stdio: "ignore" })
const unmount = (directory: string) => execFileSync("umount", ["-l", directory])

const canMount = (() => {
  const directory = Fs.mkdtempSync(join(tmpdir(), "effect-wire-mount-"))
  try {
    mount(directory)
    unmount(directory)
    return true
  } catch {
    return false
  } finally {
    Fs.rmdirSync(directory)
  }
})()

describe("a disk", () => {
  it.live(
    "that is full (max_page_count) fails the push clearly, writes nothing half, and goes on when there is room",
    () =>
      Effect.gen(function*() {
        const queue = yield* open({ filename: `${yield* temporaryDirectory}/q`, maxSize: 1024 * 1024 })
        const { confirmed, failure } = yield* fill(queue)
        assert.match(failure, /full/)
        assert.isAbove(confirmed.length, 50)
        assert.deepStrictEqual(yield* ids(queue), confirmed.sort())
        // Even a pull writes; what makes room is to remove.
        assert.strictEqual(yield* queue.removeAll(), confirmed.length)
        yield* queue.push("bb", payload)
      }),
    60_000
  )

  it.live(
    "that is full can be emptied: what it holds is pulled and acknowledged, one after the other",
    () =>
      Effect.gen(function*() {
        const filename = `${yield* temporaryDirectory}/q`
        const queue = yield* open({ filename, maxSize: 1024 * 1024, synchronous: "NORMAL" })
        let pushed = 0
        while ((yield* Effect.exit(queue.push("bb", "x".repeat(500))))._tag === "Success") pushed++
        const held = Option.getOrThrow(yield* queue.pull("bb"))
        yield* queue.ack(held)
        assert.strictEqual((yield* Effect.flip(queue.ack(held))).reason._tag, "LeaseLost")
        for (let left = pushed - 1; left > 0; left--) yield* queue.ack(Option.getOrThrow(yield* queue.pull("bb")))
        const { pending, processing } = yield* queue.counts()
        assert.strictEqual(pending + processing, 0)
        yield* queue.clear
        yield* queue.push("bb", "x".repeat(500))
      }),
    60_000
  )

  const fullFileSystem = canMount ? it.live : it.live.skip
  fullFileSystem(
    "that is full (a small file system; skipped where none may be mounted) does the same, also after it is opened again",
    () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        yield* Effect.acquireRelease(Effect.sync(() => mount(directory)), () => Effect.sync(() => unmount(directory)))
        const filename = `${directory}/q`
        const { confirmed, failure } = yield* Effect.scoped(Effect.flatMap(open({ filename }), fill))
        assert.match(failure, /full|disk I\/O error/)
        assert.isAbove(confirmed.length, 50)
        const again = yield* open({ filename })
        assert.deepStrictEqual(yield* ids(again), confirmed.sort())
      }),
    60_000
  )

  it.live("that may only be read lets read, and refuses to write without a trace", () =>
    Effect.gen(function*() {
      const filename = `${yield* temporaryDirectory}/q`
      const writer = yield* open({ filename })
      const { id } = yield* writer.push("bb", "x")
      const reader = yield* open({ filename, readonly: true })
      assert.isTrue(Option.isSome(yield* reader.get(id)))
      const refused = yield* Effect.flip(reader.push("bb", "y"))
      assert.strictEqual(refused.reason._tag, "QueueUnavailable")
      assert.match(refused.message, /readonly/)
      assert.match((yield* Effect.flip(reader.pull("bb"))).message, /readonly/)
      assert.deepStrictEqual(yield* ids(writer), [id])
      assert.isTrue(Option.isSome(yield* writer.pull("bb")))
    }))

  it.live("with a file that is no database says so when the queue is opened", () =>
    Effect.gen(function*() {
      const filename = `${yield* temporaryDirectory}/q`
      Fs.writeFileSync(filename, "this is not a database, it only looks like a file of one ".repeat(100))
      const error = yield* Effect.flip(Effect.scoped(open({ filename })))
      assert.match(String(error.message), /not a database/)
    }))

  it.live("that garbled pages says so in each answer, and what is not garbled is still read", () =>
    Effect.gen(function*() {
      const filename = `${yield* temporaryDirectory}/q`
      const first = yield* Effect.scoped(Effect.flatMap(
        open({ filename, synchronous: "NORMAL" }),
        (queue) =>
          Effect.map(
            queue.pushMany(
              Array.from({ length: 200 }, (_, n) => ({ destination: "bb", payload: `${n} `.repeat(400) }))
            ),
            ([message]) => message!
          )
      ))
      // The end of the file is payloads, and what leads to them is before it.
      const size = Fs.statSync(filename).size
      const file = Fs.openSync(filename, "r+")
      Fs.writeSync(file, new Uint8Array(size / 2).fill(0xa5), 0, size / 2, size / 2)
      Fs.closeSync(file)
      const queue = yield* open({ filename })
      assert.deepStrictEqual(
        yield* queue.get(first.id).pipe(Effect.map(Option.map((message) => message.id))),
        Option.some(first.id)
      )
      const error = yield* Effect.flip(queue.list({ limit: 1000 }))
      assert.strictEqual(error.reason._tag, "QueueUnavailable")
      assert.match(error.message, /malformed/)
    }))

  it.live("with one file serves two connections at once", () =>
    Effect.gen(function*() {
      const filename = `${yield* temporaryDirectory}/q`
      const options = { pollInterval: "20 millis" } as const
      const queues = [yield* open({ filename }, options), yield* open({ filename }, options)] as const
      const seen: Array<unknown> = []
      const consumer = (queue: MessageQueue.MessageQueue["Service"]) =>
        MessageQueue.consume("bb", (message) => Effect.sync(() => void seen.push(message.payload.value)), {
          concurrency: 4
        }).pipe(Effect.provideService(MessageQueue.MessageQueue, queue))
      const fibers = yield* Effect.forEach(queues, (queue) => Effect.forkChild(consumer(queue)))
      yield* Effect.forEach(queues, (queue, of) =>
        Effect.forEach(Array.from({ length: 100 }), (_, n) => queue.push("bb", [of, n])), { concurrency: "unbounded" })
      while ((yield* queues[0].counts()).processed < 200) {
        yield* Effect.sleep("20 millis")
      }
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual(new Set(seen.map(String)).size, 200)
      assert.strictEqual(seen.length, 200)
    }), 60_000)
})
