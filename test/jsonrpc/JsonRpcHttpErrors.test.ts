/** The client over HTTP against what servers and middle boxes do: statuses, defects, headers, traces, numbers. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Redacted, Tracer } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcHttpClient } from "effect-wire/jsonrpc"
import { TraceContext } from "effect-wire/rpc"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"

const url = "http://node.example/rpc?key=secret"

interface Answer {
  readonly status?: number
  readonly body?: string
  readonly headers?: Record<string, string>
}

const bodyOf = (request: HttpClientRequest.HttpClientRequest): any =>
  JSON.parse(new TextDecoder().decode((request.body as any).body))

const connect = (
  answer: (message: any, request: HttpClientRequest.HttpClientRequest) => Answer | Effect.Effect<Answer, any>,
  options?: Partial<JsonRpcHttpClient.Options>
) =>
  JsonRpcHttpClient.make({ url, ...options }).pipe(
    Effect.provideService(
      HttpClient.HttpClient,
      HttpClient.make((request) =>
        Effect.suspend(() => {
          const made = answer(bodyOf(request), request)
          return Effect.map(
            Effect.isEffect(made) ? made : Effect.succeed(made),
            ({ body = "", headers = {}, status = 200 }) =>
              HttpClientResponse.fromWeb(request, new Response(status === 204 ? null : body, { status, headers }))
          )
        })
      )
    )
  )

const result = (message: any, value = "1") => `{"jsonrpc":"2.0","id":${message.id},"result":${value}}`
const failed = (message: any, code: number, text: string) =>
  `{"jsonrpc":"2.0","id":${message.id},"error":{"code":${code},"message":"${text}"}}`

const failure = (exit: Exit.Exit<unknown, unknown>): JsonRpcError.JsonRpcError =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) as JsonRpcError.JsonRpcError : undefined as never

describe("errors", () => {
  const cases: ReadonlyArray<readonly [string, (message: any) => Answer, string, object]> = [
    [
      "a JSON-RPC error of 429, with Retry-After",
      (message) => ({ status: 429, body: failed(message, 429, "Too Many"), headers: { "retry-after": "2" } }),
      "Too Many",
      { _tag: "RemoteError", code: 429, retryAfter: 2000 }
    ],
    [
      "a JSON-RPC error of 500",
      (message) => ({ status: 500, body: failed(message, -32000, "header not found") }),
      "header not found",
      {
        _tag: "RemoteError",
        code: -32000
      }
    ],
    [
      "401 without one",
      () => ({ status: 401, body: "<html>key?</html>", headers: { "content-type": "text/html" } }),
      "list: http://node.example/rpc answered HTTP 401",
      { _tag: "ConnectionError", maybeExecuted: false }
    ],
    [
      "503 without one, with a date to come back at",
      () => ({ status: 503, headers: { "retry-after": "Thu, 01 Jan 1970 00:00:05 GMT" } }),
      "list: http://node.example/rpc answered HTTP 503 (retry after 5 s)",
      { _tag: "ConnectionError", maybeExecuted: true, retryAfter: 5000 }
    ],
    [
      "200 with a page",
      () => ({ body: "<html>", headers: { "content-type": "text/html" } }),
      "list: http://node.example/rpc answered what is no answer to the request (text/html)",
      { _tag: "ProtocolError" }
    ],
    ["204", () => ({ status: 204 }), "list: http://node.example/rpc did not answer the request", {
      _tag: "ProtocolError"
    }],
    [
      "a number that would come out different",
      (message) => ({ body: result(message, `{"wei":12345678901234567890}`) }),
      "list: http://node.example/rpc answered with 12345678901234567890, which is no number that JavaScript can hold exactly",
      { _tag: "ProtocolError" }
    ]
  ]
  for (const [name, answer, message, members] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const client = yield* connect(answer)
        const error = failure(yield* Effect.exit(client.call("list")))
        assert.strictEqual(error.message, message)
        assert.deepInclude({ ...error.reason, _tag: error.reason._tag }, members)
      }))
  }

  it.effect("numbers that come out as they were are no error, digits in text neither", () =>
    Effect.gen(function*() {
      const value = `["12345678901234567890",0.1234567890123456789,1e300,-9007199254740991,12345678901234567000]`
      const client = yield* connect((message) => ({ body: result(message, value) }))
      assert.strictEqual(((yield* client.call("list")) as Array<unknown>).length, 5)
    }))

  it.effect("a defect of a transform, of the client, of headers settles the call, and only that", () =>
    Effect.gen(function*() {
      const bug = () => {
        throw new Error("a bug")
      }
      for (
        const client of [
          yield* connect((message) => ({ body: result(message) }), { transformRequest: bug }),
          yield* connect(() => Effect.die(new Error("a bug"))),
          yield* connect((message) => ({ body: result(message) }), { headers: Effect.die(new Error("a bug")) }),
          // @effect-diagnostics-next-line globalErrorInEffectFailure:off
          yield* connect((message) => ({ body: result(message) }), { headers: Effect.fail(new Error("a bug")) })
        ]
      ) {
        const error = failure(yield* Effect.exit(client.call("list")))
        assert.strictEqual(error.message, "list: cannot post to http://node.example/rpc: a bug")
        assert.strictEqual(client.port.caller.inFlight, 0)
      }
    }))

  it.effect("what failed underneath is said", () =>
    Effect.gen(function*() {
      const client = yield* connect((_message, request) =>
        Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({
              request,
              cause: Object.assign(new TypeError("fetch failed"), {
                cause: Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
              })
            })
          })
        )
      )
      const error = failure(yield* Effect.exit(client.call("list")))
      assert.strictEqual(
        error.message,
        "list: cannot post to http://node.example/rpc: connection refused (ECONNREFUSED)"
      )
    }))

  it.effect("a server that never answers is given up after a minute, and the request aborted", () =>
    Effect.gen(function*() {
      let aborted = false
      const client = yield* connect(() =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (aborted = true)))
      )
      const call = yield* Effect.forkChild(Effect.exit(client.call("list")), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(failure(yield* Fiber.join(call)).message, "list: no answer within 60 s")
      assert.isTrue(aborted)
    }))
})

describe("requests", () => {
  it.effect("carry the headers of the client, made for each, and those of the call", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      let token = 0
      const client = yield* connect((message, { headers }) => {
        seen.push([headers["authorization"], headers["x-call"]])
        return { body: result(message) }
      }, { headers: Effect.sync(() => ({ authorization: Redacted.make(`Bearer ${++token}`) })) })
      yield* client.call("list")
      yield* client.call("list", [], { headers: { "x-call": "mine" } })
      assert.deepStrictEqual(seen, [["Bearer 1", undefined], ["Bearer 2", "mine"]])
    }))

  it.effect("belong to the trace of their caller, with tracestate and baggage", () =>
    Effect.gen(function*() {
      const seen: Array<any> = []
      const client = yield* connect((message, { headers }) => {
        seen.push(headers)
        return { body: result(message) }
      })
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const parent = TraceContext.external({ traceId, spanId: "b7ad6b7169203331" }, {
        tracestate: "vendor=1",
        baggage: "tenant=7"
      })
      yield* client.call("list").pipe(Effect.withSpan("caller", { parent: parent as Tracer.ExternalSpan }))
      assert.strictEqual(seen[0].traceparent.split("-")[1], traceId)
      assert.deepStrictEqual([seen[0].tracestate, seen[0].baggage], ["vendor=1", "tenant=7"])
    }))

  it.effect("of notifications only are one batch", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const client = yield* connect((message) => {
        seen.push(message)
        return { status: 204 }
      })
      yield* JsonRpcClient.batch([client.notify("a"), client.notify("b")])
      assert.deepStrictEqual(seen, [[{ jsonrpc: "2.0", method: "a" }, { jsonrpc: "2.0", method: "b" }]])
    }))

  it.effect("are as many at a time as is allowed", () =>
    Effect.gen(function*() {
      let running = 0
      let most = 0
      const client = yield* connect((message) =>
        Effect.sync(() => void (most = Math.max(most, ++running))).pipe(
          Effect.andThen(Effect.sleep("1 second")),
          Effect.andThen(Effect.sync(() => {
            running--
            return { body: result(message) }
          }))
        ), { maxInFlight: 3 })
      const all = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 9 }, () => client.call("list")), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(all)).length, 9)
      assert.strictEqual(most, 3)
    }))
})
