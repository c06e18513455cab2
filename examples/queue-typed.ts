/**
 * A typed queue: a name that people choose, payloads and errors with schemas, an error that no further try helps, and what
 * becomes of a message that is none of the queue's.
 *
 * Run: npx tsx examples/queue-typed.ts
 * Prints: try 1 of 3: sea.png, 1024 x 768
 * Prints: try 2 of 3: sea.png, 1024 x 768
 * Prints: dead after 1 try: NoSuchFile lost.png
 * Prints: dead after 1 try: {"fil":"typo.png"} is none of this queue's
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Option, Schedule, Schema } from "effect"
import { MessageQueue, Queue } from "effect-wire/queue"

class NoSuchFile extends Schema.TaggedError<NoSuchFile>()("NoSuchFile", { file: Schema.String }) {}

const Render = Queue.make("render: tiles", {
  payload: Schema.Struct({ file: Schema.String, width: Schema.Int, height: Schema.Int }),
  error: NoSuchFile
})

const program = Effect.gen(function*() {
  const worker = yield* Render.consume(({ file, height, width }, { maxTries, tries }) =>
    Effect.gen(function*() {
      if (file === "lost.png") return yield* Queue.permanent(new NoSuchFile({ file }))
      yield* Console.log(`try ${tries} of ${maxTries}: ${file}, ${width} x ${height}`)
      if (tries < 2) return yield* new NoSuchFile({ file })
    }), { maxTries: 3, backoff: Schedule.spaced("50 millis") }).pipe(Effect.forkChild)

  yield* Render.pushMany([
    { file: "sea.png", width: 1024, height: 768 },
    { file: "lost.png", width: 1, height: 1 }
  ])
  // Somebody else, who knows no types.
  const queue = yield* MessageQueue.MessageQueue
  yield* queue.push(Render.name, { fil: "typo.png" })

  const settled = Effect.map(queue.counts(), ({ dead, processed }) => dead + processed === 3)
  yield* Effect.repeat(Effect.delay(settled, "50 millis"), { until: (done) => done })
  yield* Fiber.interrupt(worker)

  for (const { error, message } of (yield* Render.deadLetters()).letters) {
    const why = Option.match(error, {
      onSome: ({ _tag, file }) => `${_tag} ${file}`,
      onNone: () => `${JSON.stringify(message.payload.value)} is none of this queue's`
    })
    yield* Console.log(`dead after ${message.tries} try: ${why}`)
  }
})

program.pipe(Effect.provide(MessageQueue.layerMemory()), NodeRuntime.runMain)
