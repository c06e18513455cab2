import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import { Batch, Call, Entry, type Failure, type Limits } from "../../rpc/internal/callModel.ts"
import { Calls } from "../../rpc/internal/calls.ts"
import * as Progress from "../../rpc/Progress.ts"
import * as TraceContext from "../../rpc/TraceContext.ts"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import type * as Reconnect from "../../socket/Reconnect.ts"
import * as Codec from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import { again, type KeyedFrame } from "./onceCall.ts"
import { own } from "./record.ts"
import { type StreamAsk, streamMethods } from "./streamModel.ts"
import { StreamWindow } from "./streamWindow.ts"
import { notificationOf, notificationOfText, type Wire } from "./wireModel.ts"

/**
 * A call as the wire settles it: by one of the three, once.
 *
 * @internal
 */
export abstract class RpcCall extends Call<string> {
  readonly method: string
  /** Of one call, for wires that have them. */
  readonly headers: ReadonlyArray<readonly [string, string]> | undefined
  readonly span: Tracer.AnySpan | undefined

  constructor(id: number, method: string, frame: string, options: SendOptions) {
    super(id, frame, frame.length, options.idempotent, !options.isStream)
    this.method = method
    this.headers = options.headers
    this.span = options.span
  }
  abstract onResult(result: unknown): void
  abstract onError(error: ErrorObject): void
  abstract onFailure(error: JsonRpcError.JsonRpcError): void
  /** Progress, or elements of a stream as partial results of the wire. */
  abstract onReport(report: Progress.Report): void
  /** Elements of a stream that was asked for by credits; `characters` is their length as text. */
  onElements(elements: ReadonlyArray<unknown>, _characters: number): void {
    this.onReport({ operation: "", amount: 0, value: elements })
  }
  /** Whether elements come by credits, on the connection that carries it now. */
  byCredit = false
  /** How a keyed call is sent. */
  keyed: KeyedFrame | undefined = undefined

  override get persists(): boolean {
    return this.keyed !== undefined
  }
  override goesAgain(): boolean {
    if (this.keyed === undefined) return super.goesAgain()
    return this.keyed.isAgain = true
  }

  lost(failure: Failure): void {
    this.onFailure(JsonRpcError.lost(this.method, failure))
  }
}

/**
 * Entries that are gathered to go out in one frame.
 *
 * @internal
 */
export class BatchCollector extends Batch<string> {}

/**
 * The batch that calls of the current fiber join.
 *
 * @internal
 */
export const CurrentBatch: Context.Reference<BatchCollector | undefined> = Context.Reference<
  BatchCollector | undefined
>("effect-wire/jsonrpc/CurrentBatch", { defaultValue: () => undefined })

/**
 * Options of one call.
 *
 * @internal
 */
export interface SendOptions {
  readonly idempotent: boolean
  readonly isStream: boolean
  /** Whether somebody listens to its progress. */
  readonly listens: boolean
  readonly span: Tracer.AnySpan | undefined
  readonly headers?: ReadonlyArray<readonly [string, string]> | undefined
}

/**
 * What the callers of one server, or the caller of one client, go by.
 *
 * @internal
 */
export interface CallerConfig extends Limits {
  readonly wire: Wire
  readonly traceContext: boolean
}

/**
 * One caller, or, with `connection`, what a caller may send ahead of everything on that connection.
 *
 * @internal
 */
export interface Port {
  readonly caller: Caller
  readonly connection: number | undefined
}

/** Characters that wait in the outbox over which calls wait at home. */
const highWater = 1024 * 1024

const open: Reconnect.Status = { _tag: "Open" }

/**
 * The client half of JSON-RPC: requests, notifications and batches as text, cancels as the wire says.
 *
 * @internal
 */
export class Caller extends Calls<string> {
  declare readonly limits: CallerConfig
  private outbox: Outbox | undefined = undefined
  private lastNote = 0

  constructor(limits: CallerConfig, status: Reconnect.Status) {
    super(limits, status)
  }

  get wire(): Wire {
    return this.limits.wire
  }
  /** Whether the wire carries headers of a call. */
  get hasHeaders(): boolean {
    return false
  }

  /** Whether streams can be asked for by credits. */
  get hasElements(): boolean {
    return true
  }

  /** What is sent from now on goes here; {@link Caller.enter} says when. */
  use(outbox: Outbox): void {
    this.outbox = outbox
  }

  /** The only connection of this caller is open. */
  attach(outbox: Outbox): void {
    this.outbox = outbox
    this.enter(open)
  }

  protected write(frame: string, item: Entry<string> | Batch<string>): boolean {
    if (!(item instanceof Call)) this.lastNote = item.seq
    return this.outbox !== undefined && this.outbox.send(frame)
  }
  protected override frameOf(entry: Entry<string>): string {
    return entry instanceof RpcCall && entry.keyed !== undefined
      ? entry.keyed.frame(entry.frame, monotonicMillis(this.limits.clock))
      : entry.frame
  }
  protected join(frames: ReadonlyArray<string>): string {
    return this.wire.encode.batch!(frames)
  }
  /** Where no batches are sent each message goes out by itself. */
  private joins(batch: Batch<string> | undefined): Batch<string> | undefined {
    return this.wire.encode.batch === undefined || this.wire.sendsBatches === false ? undefined : batch
  }
  override submit(call: Call<string>, batch?: Batch<string>): void {
    super.submit(call, this.joins(batch))
  }
  protected retract(call: Call<string>): void {
    const { cancellation } = this.wire
    if (cancellation !== undefined) {
      this.outbox?.send(this.wire.encode.notification(cancellation.method, cancellation.encode(call.id)))
    } else if ((call as RpcCall).byCredit) this.credit(call.id, 0)
  }

  private credit(id: number, credit: number): void {
    this.outbox?.send(notificationOfText(this.wire, streamMethods.credit, `{"id":${id},"credit":${credit}}`))
  }

  /** Asks for more elements of a stream. */
  grant(call: RpcCall, credit: number): void {
    if (credit > 0 && call.connection === this.connection) this.credit(call.id, credit)
  }

  /** Elements of a stream. */
  elements(params: unknown, characters: number): void {
    const id = own(params, "id")
    const elements = own(params, "elements")
    if (typeof id !== "number" || !Array.isArray(elements)) return
    const call = this.get(id) as RpcCall | undefined
    // a stream that nobody reads any more, on a wire without a cancel
    if (call === undefined || call.connection !== this.connection) return this.credit(id, 0)
    call.byCredit = true
    this.touch(call)
    call.onElements(elements, characters)
  }
  protected override hasRoom(): boolean {
    return this.outbox === undefined || this.outbox.waiting() <= highWater
  }
  protected override whenRoom(run: () => void): void {
    if (this.outbox !== undefined) this.limits.fork(Effect.andThen(this.outbox.drained(highWater), Effect.sync(run)))
  }

  /** The text of a request; throws where the parameters are no JSON. */
  encode(
    id: number,
    method: string,
    params: unknown,
    options: SendOptions,
    ask?: StreamAsk,
    once?: { readonly key: string; readonly age?: number }
  ): string {
    const { progress, withOnce, withStream, withTrace } = this.wire
    if (progress !== undefined && (options.listens || options.isStream)) {
      params = progress.request(params, id, options.isStream)
    }
    let extra: Record<string, unknown> | undefined
    if (ask !== undefined && this.hasElements) {
      if (withStream === undefined) extra = { stream: ask }
      else params = withStream(params, ask)
    }
    if (options.span !== undefined) {
      if (withTrace !== undefined) params = withTrace(params, TraceContext.headersOf(options.span))
      else if (this.limits.traceContext) extra = { ...extra, ...TraceContext.headersOf(options.span) }
    }
    if (once !== undefined) {
      if (withOnce === undefined) extra = { ...extra, once }
      else params = withOnce(params, once)
      if (once.age !== undefined) return this.wire.encode.request("" + id, again, { method, params, ...extra })
    }
    return this.wire.encode.request("" + id, method, params, extra)
  }

  notify(
    method: string,
    params: unknown,
    batch?: BatchCollector,
    connection?: number
  ): JsonRpcError.JsonRpcError | undefined {
    let frame: string
    try {
      frame = notificationOf(this.wire, method, params)
    } catch (cause) {
      return JsonRpcError.protocol(`${method}: the parameters are no JSON`, cause)
    }
    const entry = new Entry(frame, frame.length)
    const failure = connection === undefined ? this.tell(entry, this.joins(batch)) : this.ahead(entry, connection)
    return failure === undefined ? undefined : JsonRpcError.lost(method, failure)
  }

  /** An answer of the peer; `false` when nobody waits for it. */
  answer(message: Codec.Result | Codec.Failure): boolean {
    if (message.id === undefined) return false
    const id = idOf(message.id)
    // a server that stops did not execute it: it goes again on the next connection
    if (message._tag === "Failure" && isClosing(message.error) && this.get(id)?.persists === true) return true
    const call = this.take(id) as RpcCall | undefined
    if (call === undefined) return false
    if (message._tag === "Result") call.onResult(message.result)
    else if (call.keyed?.isAgain === true && message.error.code === JsonRpcError.code.methodNotFound) {
      call.lost({ kind: "Lost", detail: "the server answers no call twice", maybeExecuted: true, cause: undefined })
    } else call.onError(message.error)
    return true
  }

  /** The answer to one call cannot be used. */
  spoil(id: string, detail: string): void {
    const call = this.take(idOf(id)) as RpcCall | undefined
    call?.onFailure(JsonRpcError.protocol(`${call.method}: ${detail}`))
  }

  /**
   * An error of the peer that names no request. It fails calls only where there is no doubt about which frame it is: the
   * peer could not read one (-32700, -32600), and it is the only batch under way, or the only call, with no notification
   * after it. Otherwise `false`.
   */
  refused(error: ErrorObject): boolean {
    if (error.code !== JsonRpcError.code.parseError && error.code !== JsonRpcError.code.invalidRequest) return false
    const frames = new Set<Entry<string> | Batch<string>>()
    const batches = new Set<Batch<string>>()
    for (const call of this.sent()) {
      frames.add(call.batch ?? call)
      if (call.batch !== undefined) batches.add(call.batch)
    }
    const [frame] = batches.size === 1 ? batches : frames
    if (frame === undefined || (batches.size !== 1 && (frames.size !== 1 || this.lastNote > frame.seq))) return false
    for (const call of Array.from(this.sent())) {
      if ((call.batch ?? call) === frame) (this.take(call.id) as RpcCall | undefined)?.onError(error)
    }
    return true
  }

  /** Progress that the peer reports; `false` when it is for no call of ours. */
  progress(params: unknown): boolean {
    const decoded = this.wire.progress?.decode(params)
    if (decoded === undefined) return false
    const call = this.get(Number(decoded.token)) as RpcCall | undefined
    if (call === undefined || call.connection !== this.connection) return false
    this.touch(call)
    call.onReport(decoded.report)
    return true
  }
}

/** Whether a server says that it stops. @internal */
export const isClosing = ({ code, data }: ErrorObject): boolean =>
  code === JsonRpcError.code.serverError && own(data, "closing") === true

// peers exist that answer "1" to 1
const idOf = (text: string): number => +(text.charCodeAt(0) === 34 ? text.slice(1, -1) : text)

class UntypedCall extends RpcCall {
  private readonly resume: (exit: Exit.Exit<unknown, JsonRpcError.JsonRpcError>) => void
  private readonly listener: ((report: Progress.Report) => void) | undefined
  private heard = false
  private readonly caller: Caller
  private readonly window: StreamWindow | undefined

  constructor(
    caller: Caller,
    id: number,
    method: string,
    frame: string,
    options: SendOptions,
    resume: (exit: Exit.Exit<unknown, JsonRpcError.JsonRpcError>) => void,
    listener: ((report: Progress.Report) => void) | undefined,
    window: StreamWindow | undefined
  ) {
    super(id, method, frame, options)
    this.caller = caller
    this.resume = resume
    this.listener = listener
    this.window = window
  }
  // a listener takes what it is told
  override onElements(elements: ReadonlyArray<unknown>, characters: number): void {
    super.onElements(elements, characters)
    if (this.window === undefined) return
    this.window.received(elements.length, characters)
    this.caller.grant(this, this.window.taken(elements.length))
  }
  onResult(result: unknown): void {
    this.resume(Exit.succeed(result))
  }
  onError(error: ErrorObject): void {
    this.resume(Exit.fail(JsonRpcError.remote(error)))
  }
  onFailure(error: JsonRpcError.JsonRpcError): void {
    this.resume(Exit.fail(error))
  }
  onReport(report: Progress.Report): void {
    this.heard = true
    this.listener?.(report)
  }
  // elements are not to be heard twice
  override goesAgain(): boolean {
    return this.idempotent && (this.timed || !this.heard)
  }
}

/**
 * Options of an untyped call.
 *
 * @category models
 * @since 0.2.0
 */
export interface CallOptions {
  /** Lets the request be sent again after a reconnection (`whileDisconnected: "wait"`); default `false`. */
  readonly idempotent?: boolean | undefined
  /** Asks for the elements of a stream as progress, where the wire can; the call is not timed. Default `false`. */
  readonly stream?: boolean | undefined
  /** Headers of the request, over HTTP; on a socket, which has none, the call fails with `ProtocolError`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * Why a wire without headers refuses those of a call.
 *
 * @internal
 */
export const refuseHeaders = (method: string): JsonRpcError.JsonRpcError =>
  JsonRpcError.protocol(`${method}: a call on a socket has no headers; say who you are by onConnect or the handshake`)

/**
 * An untyped call as an effect: interruption cancels it.
 *
 * @internal
 */
export const call = (
  port: Port,
  method: string,
  params: unknown,
  callOptions: CallOptions | undefined
): Effect.Effect<unknown, JsonRpcError.JsonRpcError> =>
  Effect.withFiber((fiber) => {
    const { caller, connection } = port
    const listener = fiber.getRef(Progress.Listener)
    const options: SendOptions = {
      idempotent: callOptions?.idempotent === true,
      isStream: callOptions?.stream === true,
      listens: listener !== undefined,
      span: Context.getOrUndefined(fiber.context, Tracer.ParentSpan),
      headers: callOptions?.headers === undefined ? undefined : Object.entries(callOptions.headers)
    }
    return Effect.callback<unknown, JsonRpcError.JsonRpcError>((resume) => {
      const id = caller.nextId()
      const window = options.isStream ? new StreamWindow() : undefined
      let frame: string
      try {
        frame = caller.encode(id, method, params, options, window === undefined ? undefined : { credit: window.open() })
      } catch (cause) {
        return resume(Exit.fail(JsonRpcError.protocol(`${method}: the parameters are no JSON`, cause)))
      }
      const call = new UntypedCall(caller, id, method, frame, options, resume, listener, window)
      if (options.headers !== undefined && options.headers.length > 0 && !caller.hasHeaders) {
        return resume(Exit.fail(refuseHeaders(method)))
      }
      if (connection === undefined) caller.submit(call, fiber.getRef(CurrentBatch))
      else caller.ahead(call, connection)
      return Effect.sync(() => caller.cancel(call))
    })
  })
