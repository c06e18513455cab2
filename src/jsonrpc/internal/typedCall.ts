import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type { RequestId } from "effect/rpc/RpcMessage"
import type * as Progress from "../../rpc/Progress.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import { type Caller, RpcCall, type SendOptions } from "./caller.ts"
import type { StreamAsk } from "./streamModel.ts"
import { StreamWindow } from "./streamWindow.ts"
import * as WireError from "./wireError.ts"

/**
 * What the calls of one typed client share.
 *
 * @internal
 */
export interface TypedHalf {
  readonly calls: Map<RequestId, TypedCall>
  /** Hands an answer to Effect's client. */
  readonly write: (message: {
    readonly _tag: "Exit" | "Chunk"
    readonly clientId: number
    readonly requestId: RequestId
    readonly exit?: Exit.Exit<any, any>
    readonly values?: ReadonlyArray<unknown>
  }) => Effect.Effect<void>
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

/** Turns what the peer answered into the failure that the contract declares, where it declares one for the code. */
const decodeFailure = (method: RpcMethods.Method, error: ErrorObject): unknown => {
  for (const declared of method.errors) {
    if (WireError.codeOf(declared.schema) !== error.code) continue
    const decoded = declared.decode(error.data)
    if (Exit.isExit(decoded) && decoded._tag === "Success") return decoded.value
  }
  const untyped = JsonRpcError.remote(error)
  return method.errors.some((declared) => declared.is(untyped.reason)) ? untyped.reason : untyped
}

/**
 * A call of a typed client: what comes back is decoded as the contract says.
 *
 * @internal
 */
export abstract class TypedCall extends RpcCall {
  protected readonly half: TypedHalf
  protected readonly caller: Caller | undefined
  protected readonly contract: RpcMethods.Method
  protected readonly requestId: RequestId
  /** Where no caller of ours carries it: how it is given up. */
  onGiveUp: (() => void) | undefined = undefined

  constructor(
    half: TypedHalf,
    caller: Caller | undefined,
    contract: RpcMethods.Method,
    requestId: RequestId,
    id: number,
    frame: string,
    options: SendOptions
  ) {
    super(id, contract.name, frame, options)
    this.half = half
    this.caller = caller
    this.contract = contract
    this.requestId = requestId
  }

  /** What a stream is asked for with where it is called again. */
  nextAsk(): StreamAsk | undefined {
    return undefined
  }

  /** Nobody waits for it any more. */
  giveUp(): void {
    this.half.calls.delete(this.requestId)
    this.caller?.cancel(this)
    this.onGiveUp?.()
  }

  /** What a remote of the app's own made of it. */
  answered(exit: Exit.Exit<unknown, JsonRpcError.JsonRpcError>): void {
    if (exit._tag === "Success") return this.onResult(exit.value)
    const error = Cause.squash(exit.cause)
    if (!(error instanceof JsonRpcError.JsonRpcError)) return this.finish(exit)
    if (error.reason._tag === "RemoteError") this.onError(error.reason)
    else this.onFailure(error)
  }

  onError(error: ErrorObject): void {
    this.finish(Exit.fail(decodeFailure(this.contract, error)))
  }
  onFailure(error: JsonRpcError.JsonRpcError): void {
    this.finish(Exit.fail(error))
  }
  /** Ends it, after what came before. */
  protected abstract finish(exit: Exit.Exit<any, any>): void

  protected settle(exit: Exit.Exit<any, any>): void {
    const { half, requestId } = this
    if (!half.calls.delete(requestId)) return
    const effect = half.write({ _tag: "Exit", clientId: 0, requestId, exit })
    if (!Exit.isExit(effect)) half.run(effect)
  }
}

/**
 * A call with one result.
 *
 * @internal
 */
export class UnaryCall extends TypedCall {
  private readonly listener: ((report: Progress.Report) => void) | undefined

  constructor(
    half: TypedHalf,
    caller: Caller | undefined,
    contract: RpcMethods.Method,
    requestId: RequestId,
    listener: ((report: Progress.Report) => void) | undefined,
    id: number,
    frame: string,
    options: SendOptions
  ) {
    super(half, caller, contract, requestId, id, frame, options)
    this.listener = listener
  }

  onResult(result: unknown): void {
    const decoded = this.contract.decodeSuccess(result)
    if (Exit.isExit(decoded)) return this.settle(this.fit(decoded))
    this.half.run(decoded).addObserver((exit) => this.settle(this.fit(exit)))
  }
  onReport(report: Progress.Report): void {
    this.listener?.(report)
  }
  protected finish(exit: Exit.Exit<any, any>): void {
    this.settle(exit)
  }

  private fit(exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> {
    if (exit._tag === "Success") return exit
    const cause = Option.getOrUndefined(Exit.getCause(exit))
    return Exit.fail(JsonRpcError.protocol(`${this.method}: the result does not fit the contract`, cause))
  }
}

/** Elements that Effect's client is given at once: it holds that many for its reader. */
const step = 16

/**
 * A call with a stream of results: the elements as they come, in order, then those of the answer that did not come before
 * it. Where the server gives elements by credits it is asked for more as the reader takes them; a call that may go again
 * goes on, on the next connection, behind the elements that it has.
 *
 * @internal
 */
export class StreamCall extends TypedCall {
  private readonly queue = Effect.runSync(Queue.unbounded<ReadonlyArray<unknown> | (() => void)>())
  private readonly worker: Fiber.Fiber<never, unknown>
  private readonly window: StreamWindow
  private readonly encode: (ask: StreamAsk) => string
  private received = 0
  /** Elements that come again from a server that knows no credits. */
  private repeated = 0

  constructor(
    half: TypedHalf,
    caller: Caller | undefined,
    contract: RpcMethods.Method,
    requestId: RequestId,
    id: number,
    window: StreamWindow,
    encode: (ask: StreamAsk) => string,
    options: SendOptions
  ) {
    super(half, caller, contract, requestId, id, encode({ credit: window.open() }), options)
    this.window = window
    this.encode = encode
    this.worker = half.run(Effect.forever(
      Effect.flatMap(
        Queue.take(this.queue),
        (item) => typeof item === "function" ? Effect.sync(item) : this.deliver(item, 0)
      ),
      { disableYield: true }
    ))
    this.worker.addObserver((exit) => {
      if (exit._tag === "Success" || !half.calls.has(requestId)) return
      caller?.cancel(this)
      this.onGiveUp?.()
      this.settle(Exit.fail(JsonRpcError.protocol(`${this.method}: an element does not fit the contract`)))
    })
  }

  /** Hands elements to the reader, a few at a time, as it takes them. */
  private deliver(elements: ReadonlyArray<unknown>, from: number): Effect.Effect<void> {
    if (from >= elements.length) return Effect.void
    const { half, requestId } = this
    const some = elements.slice(from, from + step)
    return Effect.orDie(Effect.forEach(some, (element) => this.contract.decodeSuccess(element))).pipe(
      Effect.flatMap((values) => half.write({ _tag: "Chunk", clientId: 0, requestId, values })),
      Effect.flatMap(() => {
        if (this.byCredit) this.caller?.grant(this, this.window.taken(some.length))
        return this.deliver(elements, from + step)
      })
    )
  }

  override giveUp(): void {
    super.giveUp()
    this.worker.interruptUnsafe()
  }
  override onElements(elements: ReadonlyArray<unknown>, characters: number): void {
    this.repeated = 0
    this.window.received(elements.length, characters)
    this.hear(elements)
  }
  onReport(report: Progress.Report): void {
    if (!Array.isArray(report.value)) return
    const repeated = Math.min(this.repeated, report.value.length)
    this.repeated -= repeated
    this.hear(report.value.slice(repeated))
  }
  private hear(elements: ReadonlyArray<unknown>): void {
    this.received += elements.length
    if (elements.length > 0) Queue.offerUnsafe(this.queue, elements)
  }
  onResult(result: unknown): void {
    if (Array.isArray(result)) {
      // by credits nothing is repeated; otherwise the answer may be the whole
      const rest = this.byCredit ? result : result.slice(this.received)
      this.byCredit = false
      this.hear(rest)
    }
    this.finish(Exit.void)
  }
  protected finish(exit: Exit.Exit<any, any>): void {
    Queue.offerUnsafe(this.queue, () => {
      this.settle(exit)
      this.worker.interruptUnsafe()
    })
  }
  override nextAsk(): StreamAsk {
    return { credit: this.window.open(), from: this.received }
  }
  override goesAgain(): boolean {
    if (this.keyed !== undefined) {
      this.byCredit = false
      return super.goesAgain()
    }
    if (!this.idempotent) return false
    if (this.received > 0) {
      this.frame = this.encode({ credit: this.window.open(), from: this.received })
      this.repeated = this.received
      this.byCredit = false
    }
    return true
  }
}
