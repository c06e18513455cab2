import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Headers from "effect/http/Headers"
import * as Random from "effect/Random"
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Tracer from "effect/Tracer"
import type { Key } from "../../rpc/internal/idempotencyModel.ts"
import * as Weight from "../../rpc/internal/weight.ts"
import type * as Progress from "../../rpc/Progress.ts"
import { EngineRequest, StreamTooLong } from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as TraceContext from "../../rpc/TraceContext.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import * as Codec from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import { onceOf } from "./onceCall.ts"
import * as WireError from "./wireError.ts"
import type { Wire } from "./wireModel.ts"

/**
 * Where the answer to a request goes: a frame of its own, a place in a batch, an HTTP response.
 *
 * @internal
 */
export interface Sink {
  readonly answer: (text: string) => void
  /** No answer follows. */
  readonly skip: () => void
}

/**
 * What answers need of the connection they are for.
 *
 * @internal
 */
export interface Answerer {
  readonly wire: Wire
  readonly headers: Headers.Headers
  /** `undefined` where the wire cannot send by itself: then there is no progress. */
  readonly outbox: Outbox | undefined
  readonly fork: (effect: Effect.Effect<void>) => void
  /** Bytes that the message that is being handled may cost in memory at most, and what it does cost. */
  readonly maxWeight: number
  readonly weight: number
  /** Characters of JSON that a stream may come to in one answer. */
  readonly maxStreamBytes: number
  /** Characters that wait for the peer over which streams pause and reports of progress are left out. */
  readonly highWater: number
  /** Trace context of the wire, for requests that bring none of their own. */
  readonly trace: Tracer.AnySpan | undefined
}

const unknownToken = Symbol()

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Bytes of a payload all of whose issues are looked for, and how many of them are told. */
const explainable = 64 * 1024
const maxIssues = 100

/** All that is wrong with a payload, where finding it takes no longer than the payload deserves. */
const explained = (request: EngineRequest, reason: Schema.SchemaError): Schema.SchemaError => {
  if (Weight.ofValue(request.payload) > explainable) return reason
  const exit = request.method.explainPayload(request.payload)
  if (!Exit.isExit(exit) || exit._tag === "Success") return reason
  const found = exit.cause.reasons.find((one) => one._tag === "Fail")
  return found === undefined ? reason : found.error as Schema.SchemaError
}

const invalidParams = (reason: RpcMethods.PositionalError | Schema.SchemaError): ErrorObject => ({
  code: JsonRpcError.code.invalidParams,
  message: "Invalid params",
  data: "issue" in reason
    ? {
      issues: formatIssues(reason.issue).issues.slice(0, maxIssues).map((issue) => ({
        path: (issue.path ?? []).map((segment) => typeof segment === "object" ? String(segment.key) : String(segment)),
        message: issue.message
      }))
    }
    : { issues: [{ path: [], message: reason.message }] }
})

const internalError: ErrorObject = { code: JsonRpcError.code.internalError, message: "Internal error" }

// Logs what only we may know, under an id that the peer is told. What is told comes first: a log may fail as well.
const reportDefect = (
  method: string,
  cause: Cause.Cause<unknown>,
  answer: (error: ErrorObject) => void
): Effect.Effect<void> =>
  Effect.flatMap(Random.nextIntBetween(0x10000000, 0xffffffff), (number) => {
    const correlationId = number.toString(16)
    answer({ ...internalError, data: { correlationId } })
    return Effect.annotateLogs(Effect.logError("a request failed unexpectedly", cause), { method, correlationId })
  })

/**
 * A request that is answered.
 *
 * @internal
 */
export class AnsweredRequest extends EngineRequest {
  protected readonly answerer: Answerer
  private readonly sink: Sink
  /** As JSON text. */
  protected readonly id: string
  protected readonly call: Codec.Call
  private reports = 0

  constructor(
    answerer: Answerer,
    sink: Sink,
    id: string,
    call: Codec.Call,
    method: RpcMethods.ServedMethod,
    payload: unknown
  ) {
    super(id, method, payload)
    this.answerer = answerer
    this.sink = sink
    this.id = id
    this.call = call
  }

  override get headers(): Headers.Headers {
    return this.answerer.headers
  }
  override get trace(): Tracer.AnySpan | undefined {
    return traceOf(this.answerer, this.call)
  }
  override get once(): Key | undefined {
    return onceOf(this.answerer.wire, this.method, this.call, 0)
  }
  override get spanAttributes(): Record<string, unknown> {
    return spanAttributes(this.answerer.wire, this.id)
  }
  override get maxWeight(): number {
    return this.answerer.maxWeight
  }
  override get weight(): number {
    return this.answerer.weight
  }
  protected get idValue(): unknown {
    return idValue(this.id)
  }

  override get progress(): ((report: Progress.Report) => void) | undefined {
    const { wire, outbox } = this.answerer
    if (wire.progress === undefined || outbox === undefined) return undefined
    const strategy = wire.progress
    // most requests never report: what it is sent under is found out when one does
    let token: unknown = unknownToken
    return (report) => {
      if (this.done || outbox.waiting() > this.answerer.highWater) return
      if (token === unknownToken) token = strategy.token(this.call.params, this.idValue)
      if (token === undefined) return
      try {
        outbox.send(
          this.answerer.wire.encode.notification(strategy.method, strategy.encode(token, report, this.reports))
        )
        this.reports++
      } catch (defect) {
        // what cannot be told is left out: the work goes on
        this.answerer.fork(Effect.annotateLogs(Effect.logWarning("a report of progress is no JSON", defect), {
          method: this.method.name
        }))
      }
    }
  }
  onElements(_values: ReadonlyArray<unknown>): Effect.Effect<void> {
    return Effect.void
  }

  private finish(): void {
    const finish = this.answerer.wire.progress?.finish
    this.reports = 0
    if (finish === undefined) return
    const strategy = this.answerer.wire.progress!
    const token = strategy.token(this.call.params, this.idValue)
    this.answerer.outbox?.send(this.answerer.wire.encode.notification(strategy.method, finish(token)))
  }

  onSuccess(encoded: unknown): void {
    this.reply(this.answerer.wire.encode.result(this.id, encoded))
  }
  /** The one answer. */
  protected reply(text: string): void {
    if (this.reports > 0) this.finish()
    this.sink.answer(text)
  }
  onFailure(error: unknown, declared: RpcMethods.MethodError | undefined, encoded: unknown): void {
    if (error instanceof JsonRpcError.RemoteError) return this.fail(error)
    if (declared === undefined) return this.onDefect(Cause.die(error))
    this.fail({
      code: WireError.codeOf(declared.schema),
      message: WireError.messageOf(declared.schema, error),
      data: encoded as Schema.Json
    })
  }
  onInvalid(reason: RpcMethods.PositionalError | Schema.SchemaError): void {
    this.fail(invalidParams("issue" in reason ? explained(this, reason) : reason))
  }
  onInterrupt(byPeer: boolean): void {
    const answer = this.answerer.wire.cancellation?.answer
    if (answer !== undefined) return this.fail(answer)
    if (byPeer) return this.sink.skip()
    this.fail({ code: JsonRpcError.code.serverError, message: "Request aborted" })
  }
  onDefect(cause: Cause.Cause<unknown>): void {
    for (const reason of cause.reasons) {
      if (reason._tag === "Die" && reason.defect instanceof StreamTooLong) {
        return this.fail({ code: JsonRpcError.code.serverError, message: reason.defect.message })
      }
    }
    this.answerer.fork(reportDefect(this.method.name, cause, (error) => this.fail(error)))
  }

  protected fail(error: ErrorObject): void {
    this.reply(this.answerer.wire.encode.error(this.id, error))
  }
}

/**
 * A notification: nothing about it is answered, what goes wrong is logged.
 *
 * @internal
 */
export class NotificationRequest extends EngineRequest {
  private readonly answerer: Answerer
  private readonly call: Codec.Call

  constructor(answerer: Answerer, call: Codec.Call, method: RpcMethods.ServedMethod, payload: unknown) {
    super(undefined, method, payload)
    this.answerer = answerer
    this.call = call
  }
  override get headers(): Headers.Headers {
    return this.answerer.headers
  }
  override get trace(): Tracer.AnySpan | undefined {
    return traceOf(this.answerer, this.call)
  }
  override get spanAttributes(): Record<string, unknown> {
    return spanAttributes(this.answerer.wire, undefined)
  }
  override get maxWeight(): number {
    return this.answerer.maxWeight
  }
  override get weight(): number {
    return this.answerer.weight
  }
  onElements(): Effect.Effect<void> {
    return Effect.void
  }
  onSuccess(): void {}
  onFailure(error: unknown): void {
    this.log("a notification failed", error)
  }
  onInvalid(reason: RpcMethods.PositionalError | Schema.SchemaError): void {
    this.log("a notification had invalid parameters", reason.message)
  }
  onInterrupt(): void {}
  onDefect(cause: Cause.Cause<unknown>): void {
    this.answerer.fork(reportDefect(this.method.name, cause, () => {}))
  }
  private log(message: string, detail: unknown): void {
    this.answerer.fork(Effect.annotateLogs(Effect.logDebug(message, detail), { method: this.method.name }))
  }
}

// A value that is written as the id was, also where a number cannot hold it and the runtime can say so.
const idValue = (text: string): unknown => {
  const value: unknown = JSON.parse(text)
  const rawJSON = (JSON as { readonly rawJSON?: (text: string) => unknown }).rawJSON
  return typeof value === "number" && !Number.isSafeInteger(value) && rawJSON !== undefined ? rawJSON(text) : value
}

const traceOf = (answerer: Answerer, call: Codec.Call): Tracer.AnySpan | undefined => {
  const { trace } = answerer.wire
  return TraceContext.fromHeaders((trace === undefined ? undefined : trace(call.params)) ?? call.message) ??
    answerer.trace
}

/** OpenTelemetry, "Semantic conventions for JSON-RPC"; no member `jsonrpc` is version 1.0, which is not said. */
const spanAttributes = (wire: Wire, id: string | undefined) => ({
  "rpc.system.name": "jsonrpc",
  ...(wire.anyVersion === true ? undefined : { "jsonrpc.protocol.version": "2.0" }),
  ...(id === undefined ? undefined : { "jsonrpc.request.id": id.startsWith(`"`) ? JSON.parse(id) : id })
})
