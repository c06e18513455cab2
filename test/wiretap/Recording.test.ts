import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Recording } from "effect-wire/wiretap"

const sample: Recording.Recording = {
  started: "2026-11-21T12:00:00.000Z",
  events: [
    { at: 0, connection: 1, type: "open", carrier: "memory", url: "/rpc", headers: { a: "b" }, protocol: "" },
    { at: 1, connection: 1, type: "frame", from: "client", text: "line\nfeed \u2028 \ud800" },
    { at: 1, connection: 1, type: "frame", from: "server", bytes: "AAH/" },
    { at: 2, connection: 1, type: "lost", frames: 2, length: 10 },
    { at: 3, connection: 1, type: "close", from: "server", code: 1001, reason: "bye" }
  ]
}

describe("Recording", () => {
  it.effect("is read as it was written", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Recording.parse(Recording.format(sample)), sample)
    }))

  it.effect.prop(
    "any events are lines of their own",
    [Schema.Array(Recording.Event)],
    ([events]) =>
      Effect.gen(function*() {
        const text = Recording.format({ started: sample.started, events })
        assert.strictEqual(text.split("\n").length, events.length + 2)
        assert.deepStrictEqual(JSON.stringify((yield* Recording.parse(text)).events), JSON.stringify(events))
      })
  )

  it.effect("members of a later version are ignored, a torn last line is dropped", () =>
    Effect.gen(function*() {
      const text = Recording.format(sample).replace("\"at\":3,", "\"at\":3,\"later\":true,")
      assert.deepStrictEqual(yield* Recording.parse(text), sample)
      const torn = yield* Recording.parse(text.slice(0, -20))
      assert.strictEqual(torn.events.length, sample.events.length - 1)
    }))

  it.effect("what is no recording says where and why", () =>
    Effect.gen(function*() {
      const fails = (text: string) => Effect.flip(Recording.parse(text))
      assert.strictEqual((yield* fails("")).message, "a recording has a header")
      assert.strictEqual((yield* fails("hello")).message, "line 1 is not JSON")
      assert.match((yield* fails("{\"format\":\"effect-wire/recording\",\"version\":2}")).message, /^line 1: .*1/s)
      const text = Recording.format(sample).split("\n")
      assert.strictEqual((yield* fails([text[0], "{", text[1], ""].join("\n"))).line, 2)
    }))
})
