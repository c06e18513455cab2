/**
 * A message that is started and followed: its progress and its result come as a stream, also over a failure in between; and
 * one that is cancelled while its handler runs.
 *
 * Run: npx tsx examples/queue-follow.ts
 * Prints: try 1: tile 1 of 3
 * Prints: try 2: tile 3 of 3
 * Prints: done: 3 tiles, 9 s of film
 * Prints: the handler of the second is interrupted
 * Prints: the second is dead: not wanted any more
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Schedule, Schema, Stream } from "effect"
import { MessageQueue, Queue } from "effect-wire/queue"

const Film = Queue.make("film", {
  payload: Schema.Struct({ title: Schema.String, tiles: Schema.Int }),
  success: Schema.Struct({ tiles: Schema.Int, seconds: Schema.Int }),
  progress: Schema.Struct({ tile: Schema.Int, of: Schema.Int }),
  error: Schema.String
})

const program = Effect.gen(function*() {
  const worker = yield* Film.consume(({ tiles, title }, { report, tries }) =>
    Effect.gen(function*() {
      for (let tile = 1; tile <= tiles; tile++) {
        yield* report({ tile, of: tiles })
        yield* Effect.sleep("200 millis")
        if (title === "waves" && tries === 1 && tile === 2) return yield* Effect.fail("out of memory")
      }
      return { tiles, seconds: tiles * 3 }
    }).pipe(Effect.onInterrupt(() => Console.log("the handler of the second is interrupted"))), {
    backoff: Schedule.spaced("50 millis"),
    // How soon it is seen that a message was cancelled.
    heartbeat: "100 millis"
  }).pipe(Effect.forkChild)

  const waves = yield* Film.start({ title: "waves", tiles: 3 })
  yield* Film.follow(waves).pipe(
    Stream.runForEach((one) =>
      one._tag === "Progress"
        ? Console.log(`try ${one.tries}: tile ${one.progress.tile} of ${one.progress.of}`)
        : Console.log(`done: ${one.value.tiles} tiles, ${one.value.seconds} s of film`)
    )
  )

  const endless = yield* Film.start({ title: "endless", tiles: 1_000_000 })
  yield* Film.follow(endless).pipe(
    Stream.take(1),
    Stream.runDrain
  )
  yield* MessageQueue.cancel(endless.id, { cause: "not wanted any more" })
  yield* Film.follow(endless).pipe(
    Stream.runDrain,
    Effect.catchTag("Dead", ({ words }) => Effect.delay(Console.log(`the second is dead: ${words}`), "300 millis"))
  )
  yield* Fiber.interrupt(worker)
})

program.pipe(Effect.provide(MessageQueue.layerMemory()), NodeRuntime.runMain)
