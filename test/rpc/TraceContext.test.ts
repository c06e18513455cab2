/** PROTOCOLS.md, "Trace context": what comes with a request goes on with the calls that it makes. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema, Tracer } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { TraceContext } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { fromSocket } from "../jsonrpc/raw.ts"

class Group extends RpcGroup.make(
  Rpc.make("carried", { success: Schema.Record(Schema.String, Schema.String) }),
  Rpc.make("fence")
) {}
const Handlers = Group.toLayer({
  carried: () => Effect.map(Effect.orDie(Effect.currentParentSpan), TraceContext.headersOf),
  fence: () => Effect.void
})

const traceId = "0af7651916cd43dd8448eb211c80319c"
const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, tracestate: "vendor=1", baggage: "tenant=7" }

const serve = (wire: Wire.Wire) =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const run = yield* JsonRpcServer.make(Group, { wire }).pipe(Effect.provide(Handlers))
    yield* Effect.forkScoped(run(far), { startImmediately: true })
    return near
  })

const ask = (wire: Wire.Wire, sent: Record<string, unknown>) =>
  Effect.scoped(Effect.gen(function*() {
    const { exchange } = yield* fromSocket(yield* serve(wire))
    const message = { jsonrpc: "2.0", id: 1, method: "carried" }
    const [answer] = yield* exchange(
      JSON.stringify(wire === Wire.mcp ? { ...message, params: { _meta: sent } } : { ...message, ...sent })
    )
    return answer.result as Record<string, string>
  }))

for (const wire of [Wire.standard, Wire.rockets, Wire.mcp]) {
  it.effect(`tracestate and baggage come with the trace of a request (${wire.name})`, () =>
    Effect.gen(function*() {
      const { baggage, traceparent, tracestate } = yield* ask(wire, headers)
      assert.strictEqual(traceparent!.split("-")[1], traceId)
      assert.deepStrictEqual([tracestate, baggage], ["vendor=1", "tenant=7"])
    }))

  it.effect(`what is too long, no text or a line of its own is left out (${wire.name})`, () =>
    Effect.gen(function*() {
      for (const tracestate of ["x".repeat(513), 7, "", "a=1\r\nset-cookie: b", "ü=1"]) {
        const carried = yield* ask(wire, { ...headers, tracestate, baggage: "y".repeat(8193) })
        assert.strictEqual(carried["traceparent"]!.split("-")[1], traceId)
        assert.deepStrictEqual([carried["tracestate"], carried["baggage"]], [undefined, undefined])
      }
    }))

  it.effect(`a client that sends its trace sends them with it (${wire.name})`, () =>
    Effect.gen(function*() {
      const socket = yield* serve(wire)
      const remote = yield* JsonRpcClient.fromSocket(socket, { wire, traceContext: true })
      const client = yield* JsonRpcClient.fromRemote(Group, remote)
      const parent = TraceContext.external({ traceId, spanId: "b7ad6b7169203331", sampled: true }, {
        tracestate: "vendor=1",
        baggage: "tenant=7"
      })
      const carried = yield* client.carried().pipe(Effect.withParentSpan(parent))
      assert.strictEqual(carried["traceparent"]!.split("-")[1], traceId)
      assert.deepStrictEqual([carried["tracestate"], carried["baggage"]], ["vendor=1", "tenant=7"])
    }).pipe(Effect.scoped))
}

it.effect("spans say what they are as OpenTelemetry's conventions for JSON-RPC do", () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return Effect.gen(function*() {
    const client = yield* JsonRpcClient.fromRemote(
      Group,
      yield* JsonRpcClient.fromSocket(yield* serve(Wire.standard), { traceContext: true })
    )
    yield* client.fence()
    const [call, request] = spans
    assert.strictEqual(call!.attributes.get("rpc.system.name"), "jsonrpc")
    assert.deepStrictEqual([request!.name, request!.kind, Object.fromEntries(request!.attributes)], [
      "fence",
      "server",
      {
        "rpc.system.name": "jsonrpc",
        "jsonrpc.protocol.version": "2.0",
        "jsonrpc.request.id": "1",
        "rpc.method": "fence"
      }
    ])
  }).pipe(Effect.scoped, Effect.withTracer(tracer))
})
