/**
 * Requests under way in both directions: those that this end made, waiting for their responses, and those that the peer
 * made, running in the engine.
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import { EngineRequest } from "../../rpc/RpcEngine.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import { defaultLimits } from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import * as JugglerError from "../JugglerError.ts"
import type { Message } from "../JugglerGeneration.ts"
import { Meter, scalarSize } from "./json.ts"

type Settle = (exit: Exit.Exit<Json, JugglerError.JugglerError>) => void

interface Waiting {
  readonly settle: Settle
  /** When it is given up, in epoch milliseconds. */
  readonly deadline: number
}

/** What the calls of a connection go by. */
export interface CallLimits {
  readonly maxCalls: number
  /** Milliseconds. */
  readonly timeout: number
  readonly clock: Clock.Clock
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
}

/** The calls of one connection, those that were made first in front. */
export class Calls {
  private readonly waiting = new Map<number, Waiting>()
  private readonly limits: CallLimits
  private lastId = 0
  private onStart: (() => void) | undefined = undefined
  private closed: JugglerError.JugglerError | undefined
  private timer: Fiber.Fiber<void> | undefined

  constructor(limits: CallLimits) {
    this.limits = limits
  }

  get size(): number {
    return this.waiting.size
  }

  /** Completes with the next call that is made. One at a time may wait for it. */
  get started(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.onStart = () => {
        this.onStart = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.onStart = undefined
      })
    })
  }

  /** Sends a request; the result comes to `settle`, unless {@link forget} is called first. */
  start(send: (message: Message) => boolean, name: string, data: Json, settle: Settle): number {
    const id = ++this.lastId
    if (this.closed !== undefined) {
      settle(Exit.fail(this.closed))
      return id
    }
    const { clock, maxCalls, timeout } = this.limits
    if (this.waiting.size >= maxCalls) {
      settle(Exit.fail(JugglerError.closed(`${maxCalls} calls wait for their answers already`, { kind: "Full" })))
      return id
    }
    this.waiting.set(id, { settle, deadline: clock.currentTimeMillisUnsafe() + timeout })
    if (this.timer === undefined && timeout !== Infinity) this.watch(timeout)
    this.onStart?.()
    if (!send({ _tag: "Request", id, name, data })) {
      this.waiting.delete(id)
      settle(Exit.fail(JugglerError.closed("the connection is closed")))
    }
    return id
  }

  /** One timer for all: what was made first is given up first. */
  private watch(millis: number): void {
    this.timer = this.limits.fork(Effect.andThen(
      Effect.sleep(millis),
      Effect.sync(() => {
        this.timer = undefined
        this.giveUp()
      })
    ))
  }

  private giveUp(): void {
    const { clock, timeout } = this.limits
    const now = clock.currentTimeMillisUnsafe()
    for (const [id, { deadline, settle }] of this.waiting) {
      if (deadline > now) return this.watch(deadline - now)
      this.waiting.delete(id)
      settle(Exit.fail(
        JugglerError.closed(`no answer within ${timeout} ms`, { uncertain: true, kind: "Timeout" })
      ))
    }
  }

  /** A response to a call that was given up is dropped. */
  forget(id: number): void {
    this.waiting.delete(id)
  }

  answered(id: number, success: boolean, data: Json): void {
    const call = this.waiting.get(id)
    if (call === undefined) return
    this.waiting.delete(id)
    call.settle(success ? Exit.succeed(data) : Exit.fail(JugglerError.remote(data)))
  }

  end(detail: string, code?: number): void {
    if (this.closed !== undefined) return
    this.closed = JugglerError.closed(detail, { code, kind: "Lost" })
    this.timer?.interruptUnsafe()
    const lost = Exit.fail(JugglerError.closed(detail, { code, uncertain: true, kind: "Lost" }))
    const waiting = Array.from(this.waiting.values())
    this.waiting.clear()
    for (const { settle } of waiting) settle(lost)
  }
}

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
  private readonly fork: (effect: Effect.Effect<void>) => void

  constructor(
    id: number,
    method: RpcMethods.ServedMethod,
    data: Json,
    answer: Answer,
    /** Failures are text, as in 0.5; otherwise the error as the contract encodes it. */
    asText: boolean,
    fork: (effect: Effect.Effect<void>) => void
  ) {
    super(String(id), method, payloadOf(method, data))
    this.answer = answer
    this.asText = asText
    this.fork = fork
  }
  onSuccess(encoded: unknown): void {
    this.answer(true, (encoded ?? null) as Json)
  }
  onFailure(error: unknown): void {
    if (this.asText) return this.answer(false, textOf(error))
    for (const declared of this.method.errors) {
      if (!declared.is(error)) continue
      const encoded = RpcMethods.runSync(declared.encode(error))
      if (encoded?._tag === "Success") return this.answer(false, (encoded.value ?? null) as Json)
    }
    this.answer(false, textOf(error))
  }
  onInvalid(reason: RpcMethods.PositionalError | Schema.SchemaError): void {
    this.answer(false, `invalid arguments: ${reason.message}`)
  }
  onInterrupt(): void {
    this.answer(false, "interrupted")
  }
  onDefect(cause: Cause.Cause<unknown>): void {
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
