/**
 * Mutated frames against the codec, a live server and a live client. 100,000 frames by default; `FUZZ_FRAMES=5000000`
 * makes more, `FUZZ_SEED=7` other ones. A failure prints the frame, which is then worth a row in a table of its own.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Metric, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcClients, JsonRpcCodec, JsonRpcMessage, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Progress, RpcMetrics } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { mutated, seeded } from "./mutate.ts"
import { fence, fromSocket } from "./raw.ts"

const frames = Number(process.env.FUZZ_FRAMES ?? 100_000)
const seed = Number(process.env.FUZZ_SEED ?? 1)
const timeout = 60_000 + frames

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void
const heap = () => {
  gc()
  return process.memoryUsage().heapUsed
}

const message = (members: string) => `{"jsonrpc":"2.0",${members}}`

const corpus = [
  message(`"method":"sum","params":[1,2,3],"id":1`),
  message(`"method":"subtract","params":{"minuend":3,"subtrahend":1},"id":"a"`),
  message(`"method":"subtract","params":[3,1],"id":12345678901234567890`),
  message(`"method":"echo","params":{"a":{"b":[1,{"c":null}]},"__proto__":{"x":1}},"id":2`),
  message(`"method":"later","params":["x"],"id":3`),
  message(`"method":"stream","params":[3],"id":4`),
  message(`"method":"fail","id":5`),
  message(`"method":"die","id":6`),
  message(`"method":"never","id":7`),
  message(`"method":"never","id":7`),
  message(`"method":"cancel","params":{"id":7}`),
  message(`"method":"$/cancelRequest","params":{"id":7}`),
  message(`"method":"later","params":{"text":"x","workDoneToken":1,"partialResultToken":"p"},"id":9`),
  message(`"method":"nope","params":{},"id":8`),
  message(`"method":"sum","params":[1]`),
  message(`"method":"die"`),
  message(`"result":1,"id":1`),
  message(`"error":{"code":-32000,"message":"x","data":[1]},"id":1`),
  message(`"method":"progress","params":{"id":1,"operation":"x","amount":0.5}`),
  `[${message(`"method":"sum","params":[1],"id":1`)},${message(`"method":"sum","params":[1]`)},${
    message(`"method":"later","params":["y"],"id":"b"`)
  }]`,
  `[${message(`"method":"cancel","params":{"id":7}`)},${message(`"method":"echo","params":{},"id":null`)}]`
]

class Failed extends Schema.TaggedError<Failed>()("Failed", {}) {}
class Group extends RpcGroup.make(
  Rpc.make("fence"),
  Rpc.make("sum", { payload: Schema.Array(Schema.Finite), success: Schema.Finite }),
  Rpc.make("subtract", { payload: { minuend: Schema.Finite, subtrahend: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("echo", { payload: Schema.Json, success: Schema.Json }),
  Rpc.make("later", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("stream", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("fail", { error: Failed }),
  Rpc.make("die"),
  Rpc.make("never")
) {}
const Handlers = Group.toLayer({
  fence: () => Effect.void,
  sum: (numbers) => Effect.succeed(numbers.reduce((a, b) => a + b, 0)),
  subtract: ({ minuend, subtrahend }) => Effect.succeed(minuend - subtrahend),
  echo: (payload) => Effect.succeed(payload),
  later: ({ text }) =>
    Progress.report({ operation: text, amount: 0.5 }).pipe(
      Effect.andThen(Effect.yieldNow),
      Effect.as(text)
    ),
  stream: ({ to }) => Stream.range(1, Math.min(to, 5)),
  fail: () => Effect.fail(new Failed()),
  die: () => Effect.die(new Error("secret")),
  never: () => Effect.sleep("1 day")
})

// What must come back, by rules that know nothing of the codec: the ids as JSON, undefined for nothing.
const answersTo = (entry: unknown): string | undefined => {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return "null"
  const { error, id, jsonrpc, method, result } = entry as Record<string, unknown>
  if (method === undefined && (result !== undefined || error !== undefined)) return undefined
  if (typeof id === "object" && id !== null || typeof id === "boolean") return "null"
  const echo = id === undefined ? "null" : JSON.stringify(id)
  return jsonrpc !== "2.0" || typeof method !== "string" || id !== undefined ? echo : undefined
}

const parse = (text: string): unknown => JSON.parse(text.replace(/^\ufeff/, ""))

const expected = (text: string): string | undefined => {
  let value: unknown
  try {
    value = parse(text)
  } catch {
    return "null"
  }
  if (!Array.isArray(value)) return answersTo(value)
  if (value.length === 0 || value.length > 100) return "null"
  const answers = value.flatMap((entry) => answersTo(entry) ?? [])
  return answers.length === 0 ? undefined : `[${answers.sort().join()}]`
}

const received = (text: string): string | undefined => {
  const value = JSON.parse(text)
  if (!Array.isArray(value)) return value.method === undefined ? JSON.stringify(value.id) : undefined
  return `[${value.map((answer) => JSON.stringify(answer.id)).sort().join()}]`
}

const isAnswer = Schema.is(Schema.Union([JsonRpcMessage.Success, JsonRpcMessage.Failure, JsonRpcMessage.Notification]))

it("the codec takes every frame apart and never throws", { timeout }, () => {
  const random = seeded(seed)
  for (let i = 0; i < frames; i++) {
    const text = mutated(random, corpus)
    const decoded = JsonRpcCodec.decode(text, { scalarParams: i % 2 === 0 ? undefined : () => true })
    for (const message of (Array.isArray(decoded) ? decoded : [decoded]) as ReadonlyArray<JsonRpcCodec.Message>) {
      if (message.id !== undefined) JSON.parse(message.id)
      if (message._tag === "Invalid" && message.answer !== undefined) {
        JSON.parse(JsonRpcCodec.encodeError(message.id, message.answer))
      }
      if (message._tag === "Call" && typeof message.params !== "undefined") {
        assert.isTrue(typeof message.params === "object" && message.params !== null, text)
      }
    }
  }
})

const round = 500

it.effect(
  "a server answers every request once and nothing else, and its memory stays flat",
  () =>
    Effect.gen(function*() {
      const random = seeded(seed + 1)
      const runs = yield* Effect.forEach(
        [Wire.rockets, Wire.lsp, Wire.standard],
        (wire) => JsonRpcServer.make(Group, { wire })
      )
      const connect = (round: number) =>
        Effect.gen(function*() {
          const [near, far] = yield* MemorySocket.makePair()
          yield* Effect.forkScoped(runs[round % runs.length]!(far), { startImmediately: true })
          return yield* fromSocket(near)
        })
      let baseline = 0
      for (let sent = 0; sent < frames; sent += round) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { send, take } = yield* connect(sent / round)
          const texts = Array.from({ length: round }, () => mutated(random, corpus))
          const wanted = texts.map(expected).filter((answer) => answer !== undefined)
          yield* Effect.forkScoped(send(...texts, fence), { startImmediately: true })
          const answers: Array<string> = []
          let missing = wanted.length
          for (let fenced = false; !fenced || missing > 0;) {
            const text = yield* next(take, () => explain(texts, answers))
            const answer = received(text)
            if (answer === undefined) continue
            if (answer === `"fence"`) {
              fenced = true
              // what never ends is cancelled
              yield* send(...cancels(texts))
              // and ends after all where no cancel can name it
              yield* TestClock.adjust("1 day")
              continue
            }
            for (const one of [JSON.parse(text)].flat()) {
              // an id may be a number that is none here
              assert.isTrue(isAnswer(typeof one.id === "number" ? { ...one, id: 0 } : one), text)
            }
            answers.push(answer)
            missing--
          }
          yield* Effect.yieldNow
          assert.deepStrictEqual(answers.sort(), wanted.sort(), explain(texts, answers))
        }))
        if (sent === 10 * round) baseline = heap()
      }
      const inFlight = yield* Metric.value(RpcMetrics.inFlight)
      assert.strictEqual(inFlight.value, 0)
      if (baseline > 0) assert.isBelow(heap() - baseline, 16 * 1024 * 1024)
    }).pipe(
      Effect.provide(Layer.mergeAll(Handlers, JsonRpcClients.layer, Logger.layer([]))),
      Effect.provideService(Metric.MetricRegistry, new Map())
    ),
  timeout
)

const next = <A>(take: Effect.Effect<A, unknown>, explain: () => string) =>
  Effect.raceFirst(
    take,
    Effect.andThen(
      Effect.callback<void>((resume) => {
        const timer = setTimeout(() => resume(Effect.void), 20_000)
        return Effect.sync(() => clearTimeout(timer))
      }),
      Effect.suspend(() => Effect.die(new Error(explain())))
    )
  )

const cancels = (texts: ReadonlyArray<string>): ReadonlyArray<string> => {
  const ids = new Set<string>(["7"])
  for (const text of texts) {
    for (const entry of parsed(text)) {
      const id = (entry as Record<string, unknown> | null)?.id
      if (typeof id === "string" || typeof id === "number") ids.add(JSON.stringify(id))
    }
  }
  return Array.from(ids, (id) => message(`"method":"cancel","params":{"id":${id}}`))
}

const parsed = (text: string): ReadonlyArray<unknown> => {
  try {
    return [parse(text)].flat()
  } catch {
    return []
  }
}

const explain = (texts: ReadonlyArray<string>, answers: ReadonlyArray<string>): string => {
  const left = answers.slice()
  const unanswered = texts.filter((text) => {
    const wanted = expected(text)
    if (wanted === undefined) return false
    const at = left.indexOf(wanted)
    if (at < 0) return true
    left.splice(at, 1)
    return false
  })
  return `not answered (seed ${seed}): ${unanswered.slice(0, 5).join("\n")}; nobody asked for: ${
    left.slice(0, 5).join("\n")
  }`
}

it.effect("a client survives every frame, and its next call is answered", () =>
  Effect.gen(function*() {
    const random = seeded(seed + 2)
    const [near, far] = yield* MemorySocket.makePair()
    const client = yield* JsonRpcClient.fromSocket(near, { wire: Wire.rockets })
    const peer = yield* fromSocket(far)
    yield* client.connect
    for (let sent = 0; sent < frames / 10; sent += 100) {
      const calls = yield* Effect.forEach(
        [1, 2, 3],
        (n) => Effect.forkChild(Effect.exit(client.call("sum", [n])), { startImmediately: true })
      )
      yield* peer.send(...Array.from({ length: 100 }, () => mutated(random, corpus)))
      yield* Effect.yieldNow
      for (const fiber of calls) yield* Effect.sync(() => fiber.interruptUnsafe())
      yield* peer.pending
      const call = yield* Effect.forkChild(client.call("last"), { startImmediately: true })
      assert.isTrue(yield* client.connected)
      let id: unknown
      while (id === undefined) {
        const request = yield* next(peer.takeJson, () => "the client does not call")
        if (request.method === "last") id = request.id
      }
      yield* peer.send(message(`"result":"last","id":${JSON.stringify(id)}`))
      yield* Effect.yieldNow
      const exit = yield* Fiber.await(call)
      assert.isTrue(Exit.isSuccess(exit))
    }
    assert.isTrue(yield* client.connected)
  }), timeout)

const others = [
  ...corpus,
  `{"method":"sum","params":[1,2],"id":1}`,
  `{"method":"sum","params":[1,2],"id":null}`,
  `{"result":1,"error":null,"id":1}`,
  `{"id":3,"method":"echo","params":{"a":1},"sessionId":"A1"}`,
  `{"method":"echo","params":{"a":1},"sessionId":7}`,
  message(`"method":"never","params":{"_meta":{"progressToken":1}},"id":7`),
  message(`"method":"notifications/cancelled","params":{"requestId":7}`),
  message(`"method":"notifications/progress","params":{"progressToken":1,"progress":1}`),
  message(`"method":"later","params":{"args":[],"kwargs":{}},"id":4`),
  message(`"method":"sum","params":"x","id":5`)
]

for (const wire of [Wire.mcp, Wire.aiohttp, Wire.cdp, Wire.version1]) {
  it.effect(`no frame ends or silences a server of the wire ${wire.name}`, () =>
    Effect.gen(function*() {
      const random = seeded(seed + 3)
      const run = yield* JsonRpcServer.make(Group, { wire })
      for (let sent = 0; sent < frames / 4; sent += round) {
        yield* Effect.scoped(Effect.gen(function*() {
          const [near, far] = yield* MemorySocket.makePair()
          yield* Effect.forkScoped(run(far), { startImmediately: true })
          const { send, take } = yield* fromSocket(near)
          const texts = Array.from({ length: round }, () => mutated(random, others))
          yield* Effect.forkScoped(send(...texts, fence), { startImmediately: true })
          while (JSON.parse(yield* next(take, () => texts.join("\n"))).id !== "fence");
        }))
      }
      assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 0)
    }).pipe(
      Effect.provide(Layer.mergeAll(Handlers, JsonRpcClients.layer, Logger.layer([]))),
      Effect.provideService(Metric.MetricRegistry, new Map())
    ), timeout)
}
