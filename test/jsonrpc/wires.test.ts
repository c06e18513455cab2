/** PROTOCOLS.md, "Rockets", "LSP", "MCP", "jsonrpc-websocket", "aiohttp-json-rpc": the frames themselves, at both ends. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Queue, Schema, Stream, Tracer } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcPeer, JsonRpcServer, JsonRpcTest, Wire } from "effect-wire/jsonrpc"
import { Progress } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { connect, fromSocket } from "./raw.ts"

class Group extends RpcGroup.make(
  Rpc.make("fence"),
  Rpc.make("slow", { payload: { name: Schema.optionalKey(Schema.String) }, success: Schema.String }),
  Rpc.make("report", { payload: { amounts: Schema.Array(Schema.Finite) }, success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("slowCount", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("reportAndDie"),
  Rpc.make("gone", { success: Schema.String }),
  Rpc.make("bag", { payload: Schema.Record(Schema.String, Schema.Json), success: Schema.Json }),
  Rpc.make("trace", { success: Schema.NullOr(Schema.String) })
) {}

const Handlers = Group.toLayer({
  fence: () => Effect.void,
  slow: () => Effect.delay(Effect.succeed("slept"), "1 second"),
  report: ({ amounts }) =>
    Effect.as(
      Effect.forEach(amounts, (amount) => Progress.report({ operation: `at ${amount}`, amount })),
      "reported"
    ),
  count: ({ to }) => Stream.rechunk(Stream.range(1, to), 2),
  slowCount: ({ to }) => Stream.tap(Stream.rechunk(Stream.range(1, to), 1), () => Effect.sleep("1 second")),
  reportAndDie: () => Effect.andThen(Progress.report({ operation: "x", amount: 0 }), Effect.die("secret")),
  gone: () => Effect.interrupt,
  bag: (payload) => Effect.succeed(payload),
  trace: () =>
    Effect.map(
      Effect.option(Effect.currentParentSpan),
      (span) => span._tag === "Some" ? span.value.traceId : null
    )
})

const raw = (wire: Wire.Wire, options?: JsonRpcServer.Options) => connect(Group, Handlers, { wire, ...options })
const message = (members: string) => `{"jsonrpc":"2.0",${members}}`
const result = (result: unknown, id: unknown) => ({ jsonrpc: "2.0", result, id })
const error = (code: number, message: string, id: unknown) => ({ jsonrpc: "2.0", error: { code, message }, id })
const note = (method: string, params: unknown) => ({ jsonrpc: "2.0", method, params })

interface Row {
  readonly wire: Wire.Wire
  readonly cancel: ((id: string) => string) | undefined
  readonly cancelled: ((id: unknown) => unknown) | undefined
  readonly interrupted: (id: unknown) => unknown
}

const rows: ReadonlyArray<Row> = [
  {
    wire: Wire.standard,
    cancel: undefined,
    cancelled: undefined,
    interrupted: (id) => error(-32000, "Request aborted", id)
  },
  {
    wire: Wire.aiohttp,
    cancel: undefined,
    cancelled: undefined,
    interrupted: (id) => error(-32000, "Request aborted", id)
  },
  {
    wire: Wire.rockets,
    cancel: (id) => message(`"method":"cancel","params":{"id":${id}}`),
    cancelled: (id) => error(-31002, "Request aborted", id),
    interrupted: (id) => error(-31002, "Request aborted", id)
  },
  {
    wire: Wire.lsp,
    cancel: (id) => message(`"method":"$/cancelRequest","params":{"id":${id}}`),
    cancelled: (id) => error(-32800, "Request cancelled", id),
    interrupted: (id) => error(-32800, "Request cancelled", id)
  },
  {
    wire: Wire.mcp,
    cancel: (id) => message(`"method":"notifications/cancelled","params":{"requestId":${id},"reason":"enough"}`),
    cancelled: undefined,
    interrupted: (id) => error(-32000, "Request aborted", id)
  }
]

for (const { cancel, cancelled, wire, interrupted } of rows) {
  describe(wire.name, () => {
    it.effect("a request that the server itself interrupts is answered", () =>
      Effect.gen(function*() {
        const { exchange } = yield* raw(wire)
        assert.deepStrictEqual(yield* exchange(message(`"method":"gone","id":1`)), [interrupted(1)])
      }))

    it.effect("a method whose name is reserved is refused when a server or a peer is made", () =>
      Effect.gen(function*() {
        const reserved = ["cancel", "cancelAll", "progress", "$/cancelRequest", "$/progress", "notifications/cancelled"]
          .filter(wire.isReserved)
        assert.strictEqual(reserved.length > 0, wire.cancellation !== undefined)
        for (const name of reserved) {
          const group = RpcGroup.make(Rpc.make(name))
          const handlers = group.toLayer({ [name]: () => Effect.void })
          const server = yield* Effect.exit(JsonRpcServer.make(group, { wire }).pipe(Effect.provide(handlers)))
          assert.isTrue(Exit.hasDies(server))
          const [near] = yield* MemorySocket.makePair()
          const peer = yield* JsonRpcPeer.make({ serves: group, calls: Group, connection: { wire } }).pipe(
            Effect.provide(handlers),
            Effect.provideService(Socket.Socket, near),
            Effect.exit
          )
          assert.isTrue(Exit.hasDies(peer))
        }
      }))

    it.effect("an unknown notification is ignored, a bare value as parameters only where the wire says so", () =>
      Effect.gen(function*() {
        const { exchange } = yield* raw(wire)
        assert.deepStrictEqual(yield* exchange(message(`"method":"$/whatever","params":{}`)), [])
        const [answer] = yield* exchange(message(`"method":"slow","params":7,"id":1`))
        assert.strictEqual(answer.error.code, wire.scalarParams ? -32602 : -32600)
      }))

    it.effect("an id of null is answered with null, or makes a notification", () =>
      Effect.gen(function*() {
        const { exchange } = yield* raw(wire)
        assert.deepStrictEqual(
          yield* exchange(message(`"method":"fence","id":null`)),
          wire.nullIdIsNotification ? [] : [result(null, null)]
        )
      }))

    if (cancel === undefined) {
      it.effect("an interrupted call is dropped without a word, and its late answer too", () =>
        Effect.gen(function*() {
          const [near, far] = yield* MemorySocket.makePair()
          const client = yield* JsonRpcClient.fromSocket(near, { wire })
          const peer = yield* fromSocket(far)
          const fiber = yield* Effect.forkChild(client.call("slow"))
          assert.strictEqual((yield* peer.takeJson).id, 1)
          yield* Fiber.interrupt(fiber)
          yield* peer.send(message(`"result":"late","id":1`))
          const next = yield* Effect.forkChild(client.call("next"))
          assert.deepStrictEqual(yield* peer.takeJson, { jsonrpc: "2.0", id: 2, method: "next" })
          yield* peer.send(message(`"result":"now","id":2`))
          assert.strictEqual(yield* Fiber.join(next), "now")
        }))
      return
    }

    it.effect("a cancel interrupts a running request, which is answered once", () =>
      Effect.gen(function*() {
        const { exchange } = yield* raw(wire)
        assert.deepStrictEqual(yield* exchange(message(`"method":"slow","id":1`)), [])
        assert.deepStrictEqual(yield* exchange(cancel("1")), cancelled === undefined ? [] : [cancelled(1)])
        assert.deepStrictEqual(yield* exchange(cancel("1")), [])
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* exchange(cancel("1")), [])
        // the id is free again
        assert.deepStrictEqual(yield* exchange(message(`"method":"fence","id":1`)), [result(null, 1)])
      }))

    it.effect("a cancel reaches a request that waits its turn; \"1\" is not 1", () =>
      Effect.gen(function*() {
        const { pending, send, takeJson } = yield* raw(wire, { concurrency: 1 })
        yield* send(
          message(`"method":"slow","id":1`),
          message(`"method":"slow","id":2`),
          message(`"method":"slow","id":"2"`),
          cancel("\"2\"")
        )
        if (cancelled !== undefined) assert.deepStrictEqual(yield* takeJson, cancelled("2"))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* takeJson, result("slept", 1))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* takeJson, result("slept", 2))
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* pending, [])
      }))

    it.effect("a cancelled request of a batch does not hold back the others", () =>
      Effect.gen(function*() {
        const { send, takeJson } = yield* raw(wire)
        yield* send(`[${message(`"method":"slow","id":1`)},${message(`"method":"slow","id":2`)}]`, cancel("1"))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* takeJson, [
          ...(cancelled === undefined ? [] : [cancelled(1)]),
          result("slept", 2)
        ])
      }))

    it.effect("an interrupted call sends one cancel, and drops the late answer", () =>
      Effect.gen(function*() {
        const [near, far] = yield* MemorySocket.makePair()
        const client = yield* JsonRpcClient.fromSocket(near, { wire })
        const peer = yield* fromSocket(far)
        const fiber = yield* Effect.forkChild(client.call("slow"))
        assert.strictEqual((yield* peer.takeJson).id, 1)
        yield* Fiber.interrupt(fiber)
        const sent = yield* peer.takeJson
        assert.deepStrictEqual([sent.method, sent.params.id ?? sent.params.requestId, sent.id], [
          wire.cancellation!.method,
          1,
          undefined
        ])
        yield* peer.send(message(`"result":"late","id":1`))
        const next = yield* Effect.forkChild(client.call("next"))
        assert.strictEqual((yield* peer.takeJson).method, "next")
        yield* peer.send(message(`"result":"now","id":2`))
        assert.strictEqual(yield* Fiber.join(next), "now")
        assert.deepStrictEqual(yield* peer.pending, [])
      }))

    it.effect("a call that is interrupted before it could be sent is never sent, nor its cancel", () =>
      Effect.gen(function*() {
        const memory = yield* MemorySocket.makeServer()
        const arrived = yield* Queue.unbounded<string>()
        const client = yield* JsonRpcClient.fromSocket(memory.connect({ latency: "1 second" }), {
          wire,
          connect: "lazy"
        })
        const fiber = yield* Effect.forkChild(client.call("never"), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        yield* Effect.forkScoped(
          memory.server.run((socket) =>
            Effect.scoped(
              Effect.flatMap(fromSocket(socket), ({ take }) =>
                Effect.forever(Effect.flatMap(take, (text) => Queue.offer(arrived, text))))
            )
          )
        )
        yield* Effect.forkChild(client.call("now"))
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual((yield* Queue.clear(arrived)).map((text) => JSON.parse(text).method), ["now"])
      }))
  })
}

describe("Rockets: Progress", () => {
  it.effect("names the request, as its id was written, before the answer", () =>
    Effect.gen(function*() {
      const { exchange, send, take } = yield* raw(Wire.rockets)
      assert.deepStrictEqual(yield* exchange(message(`"method":"report","params":[[0,0.5]],"id":"a"`)), [
        note("progress", { id: "a", operation: "at 0", amount: 0 }),
        note("progress", { id: "a", operation: "at 0.5", amount: 0.5 }),
        result("reported", "a")
      ])
      yield* send(message(`"method":"report","params":[[1]],"id":12345678901234567890`))
      assert.include(yield* take, `"params":{"id":12345678901234567890,`)
    }))

  it.effect("a notification has none", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.rockets)
      assert.deepStrictEqual(yield* exchange(message(`"method":"report","params":[[0,0.5]]`)), [])
    }))

  it.effect("carries no elements of a stream: the answer has them", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.rockets)
      assert.deepStrictEqual(yield* exchange(message(`"method":"count","params":[3],"id":1`)), [result([1, 2, 3], 1)])
    }))

  it.effect("for nobody, of an unknown id, or of no shape, is ignored", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.rockets)
      for (const params of [`{"id":7,"amount":1}`, `{}`, `[]`, `null`, `{"id":{}}`]) {
        assert.deepStrictEqual(yield* exchange(message(`"method":"progress","params":${params}`)), [])
      }
    }))
})

describe("standard", () => {
  it.effect("has no progress; a stream is the array of its elements", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.standard)
      assert.deepStrictEqual(yield* exchange(message(`"method":"report","params":[[0.5]],"id":1`)), [
        result("reported", 1)
      ])
      assert.deepStrictEqual(yield* exchange(message(`"method":"count","params":[3],"id":1`)), [result([1, 2, 3], 1)])
      assert.deepStrictEqual(yield* exchange(message(`"method":"count","params":[3]`)), [])
    }))

  it.effect("a client reads a stream to its end all the same", () =>
    Effect.gen(function*() {
      const run = yield* JsonRpcServer.make(Group)
      const [a, b] = yield* MemorySocket.makePair()
      yield* Effect.forkScoped(run(b))
      const client = yield* JsonRpcClient.fromRemote(Group, yield* JsonRpcClient.fromSocket(a))
      assert.deepStrictEqual(yield* Stream.runCollect(client.count({ to: 4 })), [1, 2, 3, 4])
    }).pipe(Effect.provide(Handlers)))
})

describe("LSP: Progress", () => {
  it.effect("begins, reports and ends under the token of the request", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.lsp)
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"report","params":{"amounts":[0,0.5],"workDoneToken":"t"},"id":1`)),
        [
          note("$/progress", { token: "t", value: { kind: "begin", title: "at 0", percentage: 0 } }),
          note("$/progress", { token: "t", value: { kind: "report", message: "at 0.5", percentage: 50 } }),
          note("$/progress", { token: "t", value: { kind: "end" } }),
          result("reported", 1)
        ]
      )
    }))

  it.effect("is not sent without a token", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.lsp)
      assert.deepStrictEqual(yield* exchange(message(`"method":"report","params":{"amounts":[0]},"id":1`)), [
        result("reported", 1)
      ])
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"fence","params":{"workDoneToken":1},"id":1`)),
        [result(null, 1)]
      )
    }))

  it.effect("carries partial results, and the answer is then empty", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.lsp)
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"count","params":{"to":3,"partialResultToken":9},"id":1`)),
        // a stream that ends in the turn in which it began is its answer
        [result([1, 2, 3], 1)]
      )
      const { send, takeJson } = yield* raw(Wire.lsp)
      yield* send(message(`"method":"slowCount","params":{"to":2,"partialResultToken":9},"id":1`))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([yield* takeJson, yield* takeJson, yield* takeJson], [
        note("$/progress", { token: 9, value: [1] }),
        note("$/progress", { token: 9, value: [2] }),
        result([], 1)
      ])
    }))

  it.effect("tokens never reach a handler", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.lsp)
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"bag","params":{"a":1,"workDoneToken":1,"partialResultToken":2},"id":1`)),
        [result({ a: 1 }, 1)]
      )
    }))
})

it.effect("LSP: Progress: has an end also when the request fails unexpectedly", () =>
  Effect.gen(function*() {
    const { exchange } = yield* raw(Wire.lsp)
    const [begin, end, answer] = yield* exchange(
      message(`"method":"reportAndDie","params":{"workDoneToken":"t"},"id":1`)
    )
    assert.deepStrictEqual([begin.params.value.kind, end.params.value, answer.error.code], [
      "begin",
      { kind: "end" },
      -32603
    ])
  }).pipe(Effect.provide(Logger.layer([]))))

describe("MCP: Progress", () => {
  it.effect("goes to the token in _meta, with a total of 1", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.mcp)
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"report","params":{"amounts":[0.5],"_meta":{"progressToken":"t"}},"id":1`)),
        [
          note("notifications/progress", { progressToken: "t", progress: 0.5, total: 1, message: "at 0.5" }),
          result("reported", 1)
        ]
      )
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"count","params":{"to":2,"_meta":{"progressToken":1}},"id":1`)),
        [result([1, 2], 1)]
      )
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"bag","params":{"a":1,"_meta":{"progressToken":1}},"id":1`)),
        [result({ a: 1 }, 1)]
      )
    }))
})

// What a client asks for, and what it understands of what comes.
const heard = [
  {
    wire: Wire.rockets,
    params: { a: 1 },
    frames: [
      `"method":"progress","params":{"id":1,"operation":"x","amount":0.5}`,
      `"method":"progress","params":{"id":1}`,
      `"method":"progress","params":{"id":2,"operation":"other","amount":1}`
    ],
    reports: [{ operation: "x", amount: 0.5 }, { operation: "", amount: 0 }]
  },
  {
    wire: Wire.lsp,
    params: { a: 1, workDoneToken: 1 },
    frames: [
      `"method":"$/progress","params":{"token":1,"value":{"kind":"begin","title":"t","percentage":10}}`,
      `"method":"$/progress","params":{"token":1,"value":{"kind":"report","message":"m","percentage":20}}`,
      `"method":"$/progress","params":{"token":1,"value":{"kind":"end"}}`
    ],
    reports: [{ operation: "t", amount: 0.1 }, { operation: "m", amount: 0.2 }, { operation: "", amount: 1 }]
  },
  {
    wire: Wire.mcp,
    params: { a: 1, _meta: { progressToken: 1 } },
    frames: [
      `"method":"notifications/progress","params":{"progressToken":1,"progress":5,"total":10,"message":"m"}`,
      `"method":"notifications/progress","params":{"progressToken":1,"progress":0.7}`
    ],
    reports: [{ operation: "m", amount: 0.5 }, { operation: "", amount: 0.7 }]
  }
]

for (const { wire, frames, params, reports } of heard) {
  it.effect(`a client asks for progress where the wire wants that, and hears it (${wire.name})`, () =>
    Effect.gen(function*() {
      const [near, far] = yield* MemorySocket.makePair()
      const client = yield* JsonRpcClient.fromSocket(near, { wire })
      const peer = yield* fromSocket(far)
      const got: Array<Progress.Report> = []
      const fiber = yield* Effect.forkChild(
        client.call("work", { a: 1 }).pipe(Progress.tap((report) => Effect.sync(() => got.push(report))))
      )
      assert.deepStrictEqual((yield* peer.takeJson).params, params)
      yield* peer.send(...frames.map(message), message(`"result":1,"id":1`))
      assert.strictEqual(yield* Fiber.join(fiber), 1)
      assert.deepStrictEqual(got, reports)
      const silent = yield* Effect.forkChild(client.call("work", { a: 1 }))
      assert.deepStrictEqual((yield* peer.takeJson).params, { a: 1 })
      yield* Fiber.interrupt(silent)
    }))
}

const traceId = "0af7651916cd43dd8448eb211c80319c"
const traceparent = `00-${traceId}-b7ad6b7169203331-01`

describe("JSON-RPC 2.0: Trace context", () => {
  it.effect("a request with traceparent runs in that trace", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.standard)
      assert.deepStrictEqual(yield* exchange(message(`"method":"trace","traceparent":"${traceparent}","id":1`)), [
        result(traceId, 1)
      ])
      for (const bad of [`"00-zz-1-01"`, `""`, `7`, `{}`, `null`]) {
        assert.deepStrictEqual(yield* exchange(message(`"method":"trace","traceparent":${bad},"id":1`)), [
          result(null, 1)
        ])
      }
    }))

  it.effect("MCP has it in _meta", () =>
    Effect.gen(function*() {
      const { exchange } = yield* raw(Wire.mcp)
      assert.deepStrictEqual(
        yield* exchange(message(`"method":"trace","params":{"_meta":{"traceparent":"${traceparent}"}},"id":1`)),
        [result(traceId, 1)]
      )
    }))

  it.effect("a client that is asked to sends it: as a member, or where the wire has room for it", () =>
    Effect.gen(function*() {
      const send = (wire: Wire.Wire, traceContext: boolean) =>
        Effect.gen(function*() {
          const [near, far] = yield* MemorySocket.makePair()
          const client = yield* JsonRpcClient.fromSocket(near, { wire, traceContext })
          const peer = yield* fromSocket(far)
          const fiber = yield* Effect.forkChild(
            client.call("x", { a: 1 }).pipe(
              Effect.withParentSpan(Tracer.externalSpan({ traceId, spanId: "b7ad6b7169203331", sampled: true }))
            )
          )
          const sent = yield* peer.takeJson
          yield* Fiber.interrupt(fiber)
          return sent
        })
      assert.strictEqual((yield* send(Wire.standard, true)).traceparent, traceparent)
      assert.isUndefined((yield* send(Wire.standard, false)).traceparent)
      assert.deepStrictEqual((yield* send(Wire.mcp, false)).params, { a: 1, _meta: { traceparent } })
    }))
})

for (const wire of [Wire.rockets, Wire.mcp]) {
  it.effect(`one trace: the span of the call is the parent of the span of its request (${wire.name})`, () => {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return Effect.gen(function*() {
      const client = yield* JsonRpcTest.makeClient(Group, { wire, traceContext: true, spanPrefix: "rpc" })
      const id = yield* client.trace().pipe(Effect.withSpan("outer"))
      const [outer, call, request] = spans
      assert.deepStrictEqual([outer!.name, call!.name, call!.kind, request!.name, request!.kind], [
        "outer",
        "rpc.trace",
        "client",
        "rpc.trace",
        "server"
      ])
      assert.strictEqual(call!.traceId, outer!.traceId)
      assert.strictEqual(request!.traceId, outer!.traceId)
      assert.strictEqual(id, outer!.traceId)
      assert.deepStrictEqual(
        request!.parent._tag === "Some" ? request!.parent.value.spanId : undefined,
        call!.spanId
      )
    }).pipe(Effect.provide(Handlers), Effect.withTracer(tracer))
  })
}

it.effect("a new wire is one value", () =>
  Effect.gen(function*() {
    const polite: Wire.Wire = {
      ...Wire.rockets,
      name: "polite",
      cancellation: {
        method: "please.stop",
        encode: (id) => [id],
        decode: (params) => Array.isArray(params) ? params[0] : undefined,
        answer: { code: 1, message: "as you wish" }
      },
      isReserved: (method) => method === "please.stop"
    }
    const { exchange } = yield* raw(polite)
    assert.deepStrictEqual(yield* exchange(message(`"method":"slow","id":1`)), [])
    assert.deepStrictEqual(yield* exchange(message(`"method":"please.stop","params":[1]`)), [
      error(1, "as you wish", 1)
    ])
  }))

it("failures have the codes of the Rockets clients", () => {
  const code = (reason: JsonRpcError.JsonRpcError["reason"]) =>
    Wire.rocketsCode(new JsonRpcError.JsonRpcError({ reason }))
  const lost = (cause?: unknown) =>
    new JsonRpcError.ConnectionError({ message: "", maybeExecuted: true, ...(cause === undefined ? {} : { cause }) })
  assert.strictEqual(code(new JsonRpcError.RemoteError({ code: 7, message: "" })), 7)
  assert.strictEqual(code(new JsonRpcError.ProtocolError({ message: "" })), -31001)
  assert.strictEqual(code(lost()), -30100)
  assert.strictEqual(
    code(lost(new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1000 }) }))),
    -30100
  )
  assert.strictEqual(
    code(lost(new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause: "broken" }) }))),
    -30101
  )
})
