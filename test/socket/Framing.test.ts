import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { Framing, MemorySocket } from "effect-wire/socket"
import { Socket } from "effect/socket"

const encoder = new TextEncoder()

const encodeAll = (framing: Framing.Framing, messages: ReadonlyArray<string | Uint8Array>): Uint8Array => {
  const parts = messages.map((message) => {
    const frame = Result.getOrThrow(framing.encode(message))
    return typeof frame === "string" ? encoder.encode(frame) : frame
  })
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const decodeAll = (framing: Framing.Framing, chunks: ReadonlyArray<Uint8Array>) => {
  const decoder = framing.decoder!()
  const messages: Array<string | Uint8Array> = []
  for (const chunk of chunks) {
    const result = decoder.push(chunk)
    messages.push(...result.messages)
    if (result.error !== undefined) return { messages, error: result.error.reason, partial: false }
  }
  return { messages, error: undefined, partial: decoder.isPartial() }
}

const cut = (bytes: Uint8Array, at: ReadonlyArray<number>): Array<Uint8Array> => {
  const points = [0, ...at, bytes.length]
  return points.slice(1).map((to, i) => bytes.slice(points[i], to))
}

const messages = ["{\"a\":1}", "x", "{\"text\":\"é€😀\"}", "a\rb", "y".repeat(300), "last"]

const framings = [
  ["lines", Framing.lines()],
  ["contentLength", Framing.contentLength()]
] as const

describe("Framing", () => {
  for (const [name, framing] of framings) {
    it(`messages survive every split of their bytes in two, and byte by byte (${name})`, () => {
      const bytes = encodeAll(framing, messages)
      for (let at = 0; at <= bytes.length; at++) {
        assert.deepStrictEqual(decodeAll(framing, cut(bytes, [at])), { messages, error: undefined, partial: false })
      }
      assert.deepStrictEqual(
        decodeAll(framing, cut(bytes, Array.from({ length: bytes.length - 1 }, (_, i) => i + 1))).messages,
        messages
      )
    })

    it.prop(
      `any texts survive any split (${name})`,
      { texts: Schema.Array(Schema.NonEmptyString), cuts: Schema.Array(Schema.Int) },
      ({ cuts, texts }) => {
        const sent = texts.map((text) => text.replaceAll(/[\r\n]/g, "")).filter((text) =>
          text !== "" && new TextDecoder().decode(encoder.encode(text)) === text
        )
        const bytes = encodeAll(framing, sent)
        const points = cuts.map((n) => Math.abs(n) % (bytes.length + 1)).sort((a, b) => a - b)
        assert.deepStrictEqual(decodeAll(framing, cut(bytes, points)).messages, sent)
      }
    )

    it.prop(
      `any bytes end in messages or in a typed error, never in an exception (${name})`,
      { bytes: Schema.Array(Schema.Int) },
      ({ bytes }) => {
        decodeAll(framing, [Uint8Array.from(bytes)])
      }
    )

    it(`a message over the limit is refused before it has arrived (${name})`, () => {
      const small = name === "lines"
        ? Framing.lines({ maxFrameSize: 10 })
        : Framing.contentLength({ maxFrameSize: 10 })
      const good = "x".repeat(10)
      assert.deepStrictEqual(decodeAll(small, [encodeAll(framing, [good, good])]).messages, [good, good])
      const over = encodeAll(framing, [good, "x".repeat(11)])
      for (let at = 0; at <= over.length; at++) {
        const result = decodeAll(small, cut(over, [at]))
        assert.deepStrictEqual(result.messages, [good])
        assert.strictEqual(result.error, "FrameTooLarge")
      }
      const decoder = small.decoder!()
      const start = name === "lines" ? "x".repeat(12) : "Content-Length: 11\r\n\r\n"
      assert.strictEqual(decoder.push(encoder.encode(start)).error?.reason, "FrameTooLarge")
    })

    it(`text that is no UTF-8 is an error (${name})`, () => {
      const bytes = encodeAll(framing, ["ok", Uint8Array.from([0xc3, 0x28])])
      assert.deepStrictEqual(decodeAll(framing, [bytes]), { messages: ["ok"], error: "InvalidText", partial: false })
    })

    it(`bytes come out as bytes where that is asked for (${name})`, () => {
      const binary = name === "lines" ? Framing.lines({ output: "bytes" }) : Framing.contentLength({ output: "bytes" })
      const sent = Uint8Array.from([0, 255, 128, 1])
      assert.deepStrictEqual(decodeAll(binary, [encodeAll(binary, [sent])]).messages, [sent])
    })
  }

  it("a line may end in CR LF, and empty lines are no messages", () => {
    const decode = (text: string) => decodeAll(Framing.lines(), [encoder.encode(text)]).messages
    assert.deepStrictEqual(decode("a\r\n\r\n\nb\n"), ["a", "b"])
  })

  it("a line feed in a message cannot be sent as a line", () => {
    for (const message of ["a\nb", encoder.encode("a\nb")]) {
      const result = Framing.lines().encode(message)
      assert.strictEqual(Result.isFailure(result) && result.failure.reason, "InvalidMessage")
    }
  })

  it("the header block of LSP is read as its specification says", () => {
    const framing = Framing.contentLength()
    const decode = (text: string) => {
      const { error, messages } = decodeAll(framing, [encoder.encode(text)])
      return error ?? messages
    }
    assert.deepStrictEqual(decode("Content-Length: 2\r\n\r\n{}"), ["{}"])
    assert.deepStrictEqual(decode("content-length:2\r\n\r\n{}Content-Length: 1\r\n\r\n1"), ["{}", "1"])
    assert.deepStrictEqual(
      decode("Content-Type: application/vscode-jsonrpc; charset=utf8\r\nX: y\r\nContent-Length: 2\r\n\r\n{}"),
      ["{}"]
    )
    assert.deepStrictEqual(decode("Content-Length: 0\r\n\r\nContent-Length: 1\r\n\r\n1"), ["", "1"])
    for (
      const header of [
        "X: y",
        "Content-Length: -1",
        "Content-Length: 1e3",
        "Content-Length: 9007199254740993",
        "Content-Length:",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Type: text/plain; charset=latin1\r\nContent-Length: 2",
        "no colon",
        ": 1"
      ]
    ) {
      assert.strictEqual(decode(`${header}\r\n\r\n{}`), "InvalidHeader", header)
    }
    assert.strictEqual(decode("X".repeat(5000)), "HeaderTooLarge")
    assert.strictEqual(decode(`X: ${"y".repeat(5000)}\r\n\r\n`), "HeaderTooLarge")
  })

  it("the length of a message is counted in bytes, lone surrogates as they are written", () => {
    for (const text of ["é€😀", "\ud800", "\udc00x", "a\ud83d\ud83d\ude00"]) {
      const frame = Result.getOrThrow(Framing.contentLength().encode(text)) as string
      assert.strictEqual(frame.split(/[:\r]/)[1]!.trim(), String(encoder.encode(text).length))
    }
  })

  it.effect("what is invalid fails the pull after the messages before it", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair()
      yield* left.reader
      const writer = yield* left.writer
      const { pull } = yield* Framing.wrap(right, Framing.contentLength()).reader
      yield* writer.write("Content-Length: 2\r\n\r\n{}nonsense\r\n\r\n")
      assert.deepStrictEqual(yield* pull, ["{}"])
      const error = yield* Effect.flip(pull)
      assert.strictEqual(error.reason._tag, "SocketReadError")
      assert.instanceOf((error.reason as Socket.SocketReadError).cause, Framing.FramingError)
    }))

  it.effect("a clean end in the middle of a message is 1006, one between messages stays 1000", () =>
    Effect.gen(function*() {
      for (const [text, code] of [["{}\n{", "1006"], ["{}\n", "1000"]] as const) {
        const [left, right] = yield* MemorySocket.makePair()
        const { pull } = yield* Framing.wrap(right, Framing.lines()).reader
        yield* Effect.scoped(Effect.gen(function*() {
          yield* left.reader
          const writer = yield* left.writer
          yield* writer.write(text)
        }))
        assert.deepStrictEqual(yield* pull, ["{}"])
        assert.include((yield* Effect.flip(pull)).message, code)
      }
    }))

  it.effect("what the framing cannot carry fails the write, and the connection lives on", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair()
      yield* left.reader
      const { pull } = yield* right.reader
      const writer = yield* Framing.wrap(left, Framing.lines()).writer
      const error = yield* Effect.flip(writer.write("a\nb"))
      assert.strictEqual(error.reason._tag, "SocketWriteError")
      yield* writer.writeAll(["a", "b"])
      assert.deepStrictEqual(yield* pull, ["a\n", "b\n"])
    }))
})
