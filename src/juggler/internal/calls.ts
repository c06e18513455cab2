/**
 * Requests of the peer, running in the engine.
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import * as Weight from "../../rpc/internal/weight.ts"
import { EngineRequest, StreamTooLong } from "../../rpc/RpcEngine.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import { defaultLimits } from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import * as JugglerError from "../JugglerError.ts"
import { Meter, scalarSize } from "./json.ts"

/** Arguments as they came to the payload of a method. */
export const payloadOf = (method: RpcMethods.Method, data: Json): unknown =>
  RpcMethods.toPayload(
    method,
    data === null && (method.shape === "none" || method.shape === "struct") ? undefined : data
  )

type Answer = (success: boolean, data: Json) => void

const textOf = (error: unknown): string => {
  if (typeof error === "string") return error
  if (typeof error === "object" && error !== null && "message" in error && typeof error.message === "string") {
    return error.message === "" && "_tag" in error ? String(error._tag) : error.message
  }
  return JSON.stringify(error) ?? String(error)
}

/** As JSON has it: a response says `null` for what JSON leaves out. */
const written = (value: unknown): Json => {
  if (typeof value === "object" && value !== null && "toJSON" in value) {
    return JSON.parse(JSON.stringify(value) ?? "null") as Json
  }
  return value === undefined || typeof value === "function" || typeof value === "symbol" ? null : value as Json
}

/** Logs what only we may know, under an id that the peer is told. */
export const reportDefect = (
  name: string,
  cause: Cause.Cause<unknown>,
  answer: (text: string) => void
): Effect.Effect<void> =>
  Effect.flatMap(Random.nextIntBetween(0x10000000, 0xffffffff), (number) => {
    const correlationId = number.toString(16)
    answer(`internal error ${correlationId}`)
    return Effect.annotateLogs(Effect.logError("a request failed unexpectedly", cause), { name, correlationId })
  })

/** Any JSON in, any JSON out: what a default action is to the engine. */
const anything = RpcMethods.fromRpc(Rpc.make("default", { payload: Schema.Json, success: Schema.Json }))

/** A call that no procedure of the group answers, as a method of the engine. */
export const defaultMethod = (
  name: string,
  data: Json,
  action: (name: string, data: Json) => Effect.Effect<Json, unknown>,
  context: Context.Context<never>
): RpcMethods.ServedMethod => ({
  ...anything,
  name,
  handler: (() => action(name, data)) as unknown as RpcMethods.ServedMethod["handler"],
  context
})

/** A request of the peer. */
export class ServedRequest extends EngineRequest {
  private readonly answer: Answer
  private readonly asText: boolean
  private readonly maxStreamBytes: number
  private readonly bytes: number
  private elements: Array<Json> | undefined = undefined
  private size = 0
  private readonly fork: (effect: Effect.Effect<void>) => void

  constructor(
    id: number,
    method: RpcMethods.ServedMethod,
    data: Json,
    answer: Answer,
    /** Failures are text, as in 0.5; otherwise the error as the contract encodes it. */
    asText: boolean,
    fork: (effect: Effect.Effect<void>) => void,
    /** Bytes of a stream, which the answer holds whole. */
    maxStreamBytes = 8 * 1024 * 1024
  ) {
    super(String(id), method, payloadOf(method, data))
    this.answer = answer
    this.asText = asText
    this.fork = fork
    this.maxStreamBytes = maxStreamBytes
    this.bytes = 512 + Weight.ofValue(data)
  }
  override get maxWeight(): number {
    return this.bytes
  }
  override onElements(values: ReadonlyArray<unknown>): Effect.Effect<void> {
    this.elements ??= []
    for (const value of values) {
      const weight = Weight.ofValue(value)
      this.size += weight
      if (this.size > this.maxStreamBytes || !this.hold(weight)) {
        return Effect.die(new StreamTooLong(this.maxStreamBytes))
      }
      this.elements.push(value as Json)
    }
    return Effect.void
  }
  onSuccess(encoded: unknown): void {
    this.answer(true, this.method.isStream ? this.elements ?? [] : written(encoded))
  }
  onFailure(error: unknown, declared: RpcMethods.MethodError | undefined, encoded: unknown): void {
    this.answer(false, this.asText || declared === undefined ? textOf(error) : written(encoded))
  }
  onInvalid(reason: RpcMethods.PositionalError | Schema.SchemaError): void {
    this.answer(false, `invalid arguments: ${reason.message}`)
  }
  onInterrupt(): void {
    this.answer(false, "interrupted")
  }
  /** The connection has no room for it. */
  refuse(): void {
    this.answer(false, "too many requests")
  }
  onDefect(cause: Cause.Cause<unknown>): void {
    for (const reason of cause.reasons) {
      if (reason._tag === "Die" && reason.defect instanceof StreamTooLong) {
        return this.answer(false, reason.defect.message)
      }
    }
    this.fork(reportDefect(this.method.name, cause, (text) => this.answer(false, text)))
  }
}

/** What JSON cannot hold is refused, not sent as `null`. */
export const misfit = (data: Json): Effect.Effect<never, JugglerError.JugglerError> | undefined => {
  if (scalarSize(data) >= 0) return undefined
  const meter = new Meter(defaultLimits.maxDepth, Infinity)
  return meter.add(data, 0) || meter.fault!.reason === "ForbiddenKey"
    ? undefined
    : Effect.fail(JugglerError.protocol(meter.fault!.detail))
}
