import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import * as Progress from "../../rpc/Progress.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import * as Codec from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import type { Wire } from "./wireModel.ts"

/**
 * What becomes of a call: exactly one of the three, once.
 *
 * @internal
 */
export interface Continuation {
  readonly onResult: (result: unknown) => void
  readonly onFailure: (error: ErrorObject) => void
  readonly onLost: (error: JsonRpcError.JsonRpcError) => void
}

interface Pending extends Continuation {
  readonly id: number
  readonly frame: string
  readonly idempotent: boolean
  readonly listener: ((report: Progress.Report) => void) | undefined
  /** The batch that it was sent in. */
  batch: BatchCollector | undefined
  sent: boolean
}

/**
 * Gathers what is called while it is open, to go out in one frame. It takes the calls of one caller: those of another go
 * out by themselves.
 *
 * @internal
 */
export class BatchCollector {
  private frames: Array<string> = []
  private pending: Array<Pending> = []
  private caller: Caller | undefined
  private isOpen = true

  add(caller: Caller, frame: string, pending?: Pending): boolean {
    if (!this.isOpen || (this.caller !== undefined && this.caller !== caller)) return false
    this.caller = caller
    this.frames.push(frame)
    if (pending !== undefined) {
      this.pending.push(pending)
      pending.batch = this
    }
    return true
  }
  remove(pending: Pending): void {
    this.pending = this.pending.filter((other) => other !== pending)
    this.frames = this.frames.filter((frame) => frame !== pending.frame)
  }
  /** Closes the collector and sends what was gathered. */
  flush(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.caller?.sendTogether(this)
  }
  /** Sends what is left of what was gathered. */
  sendTo(outbox: Outbox): void {
    if (this.frames.length === 0) return
    const sent = outbox.send(this.frames.length === 1 ? this.frames[0]! : Codec.encodeBatch(this.frames))
    for (const call of this.pending) {
      call.sent = sent
      if (!sent) call.batch = undefined
    }
  }
}

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
  readonly listener: ((report: Progress.Report) => void) | undefined
  readonly batch: BatchCollector | undefined
  readonly span: Tracer.AnySpan | undefined
}

// Shared by those that call nobody, never changed.
const noPending: Map<string, Pending> = new Map()
const noUnsent: Array<string | BatchCollector> = []

/**
 * The calling half of a connection: ids, what waits for an answer, cancellation, what happens when the connection goes
 * and comes back. It outlives connections: `attach` and `detach` tell it of them.
 *
 * @internal
 */
export class Caller {
  readonly wire: Wire
  private pending = noPending
  private readonly waits: boolean
  private readonly traceContext: boolean
  private outbox: Outbox | undefined
  private ended: JsonRpcError.JsonRpcError | undefined
  private lastId = 0
  /** Called before the first frame of a client that connects lazily. */
  onDemand: (() => void) | undefined
  /** Called with the id of each call that is cancelled after it was sent. */
  onCancel: ((id: string) => void) | undefined
  /** Called once, with the next call. */
  private onCall: (() => void) | undefined = undefined
  /** Notifications and batches that wait for a connection. */
  private unsent = noUnsent

  constructor(wire: Wire, options: { readonly waits: boolean; readonly traceContext: boolean }) {
    this.wire = wire
    this.waits = options.waits
    this.traceContext = options.traceContext
  }

  get inFlight(): number {
    return this.pending.size
  }

  /** Completes as soon as a call waits for its answer. One at a time may wait for it. */
  get calling(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.pending.size > 0) return resume(Effect.void)
      this.onCall = () => {
        this.onCall = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.onCall = undefined
      })
    })
  }

  attach(outbox: Outbox): void {
    this.outbox = outbox
    outbox.cork()
    for (const item of this.unsent) {
      if (typeof item === "string") outbox.send(item)
      else item.sendTo(outbox)
    }
    this.unsent = noUnsent
    for (const pending of this.pending.values()) {
      // those of a batch go out with it
      if (!pending.sent && pending.batch === undefined) pending.sent = outbox.send(pending.frame)
    }
    outbox.uncork()
  }

  /** The connection is gone: what was sent and may not be sent again fails; the rest waits, or fails, by policy. */
  detach(cause: unknown): void {
    this.outbox = undefined
    for (const [key, pending] of this.pending) {
      if (pending.sent && pending.idempotent && this.waits) {
        pending.sent = false
        pending.batch = undefined
      } else if (pending.sent || !this.waits) {
        this.pending.delete(key)
        if (!pending.sent) pending.batch?.remove(pending)
        pending.onLost(JsonRpcError.connection("the connection was lost", pending.sent, cause))
      }
    }
  }

  /** No connection will come any more: everything fails, now and from now on. */
  end(message: string, cause?: unknown): void {
    if (this.ended !== undefined) return
    this.ended = JsonRpcError.connection(message, false, cause)
    this.outbox = undefined
    const pending = Array.from(this.pending.values())
    this.pending = noPending
    this.unsent = noUnsent
    for (const call of pending) call.onLost(JsonRpcError.connection(message, call.sent, cause))
  }

  get endedWith(): JsonRpcError.JsonRpcError | undefined {
    return this.ended
  }

  /** Sends a request; the number names it for {@link cancel}. */
  send(method: string, params: unknown, options: SendOptions, continuation: Continuation): number {
    const id = ++this.lastId
    if (this.ended !== undefined) {
      continuation.onLost(this.ended)
      return id
    }
    const { progress, withTraceparent } = this.wire
    if (progress !== undefined && (options.listener !== undefined || options.isStream)) {
      params = progress.request(params, id, options.isStream)
    }
    let extra: Record<string, unknown> | undefined
    if (options.span !== undefined) {
      const traceparent = `00-${options.span.traceId}-${options.span.spanId}-${options.span.sampled ? "01" : "00"}`
      if (withTraceparent !== undefined) params = withTraceparent(params, traceparent)
      else if (this.traceContext) extra = { traceparent }
    }
    const key = "" + id
    let frame: string
    try {
      frame = Codec.encodeRequest(key, method, params, extra)
    } catch (cause) {
      continuation.onLost(JsonRpcError.protocol("the parameters are no JSON", cause))
      return id
    }
    if (this.outbox === undefined && !this.waits && this.onDemand === undefined) {
      continuation.onLost(JsonRpcError.connection("not connected", false))
      return id
    }
    const pending: Pending = {
      id,
      frame,
      idempotent: options.idempotent,
      listener: options.listener,
      batch: undefined,
      sent: false,
      onResult: continuation.onResult,
      onFailure: continuation.onFailure,
      onLost: continuation.onLost
    }
    if (this.pending === noPending) this.pending = new Map()
    this.pending.set(key, pending)
    this.onCall?.()
    if (options.batch?.add(this, frame, pending) === true) return id
    if (this.outbox !== undefined) pending.sent = this.outbox.send(frame)
    else this.onDemand?.()
    return id
  }

  /** Forgets a call and tells the peer once; a late answer is dropped. */
  cancel(id: number): void {
    const pending = this.pending.get("" + id)
    if (pending === undefined) return
    this.pending.delete("" + id)
    if (!pending.sent) pending.batch?.remove(pending)
    if (pending.sent) this.onCancel?.("" + id)
    const cancellation = this.wire.cancellation
    if (!pending.sent || cancellation === undefined) return
    this.outbox?.send(Codec.encodeNotification(cancellation.method, cancellation.encode(id)))
  }

  notify(method: string, params: unknown, batch: BatchCollector | undefined): JsonRpcError.JsonRpcError | undefined {
    if (this.ended !== undefined) return this.ended
    let frame: string
    try {
      frame = Codec.encodeNotification(method, params)
    } catch (cause) {
      return JsonRpcError.protocol("the parameters are no JSON", cause)
    }
    if (this.outbox === undefined && !this.waits && this.onDemand === undefined) {
      return JsonRpcError.connection("not connected", false)
    }
    if (batch?.add(this, frame) === true) return undefined
    if (this.outbox !== undefined && this.outbox.send(frame)) return undefined
    if (!this.waits && this.onDemand === undefined) return JsonRpcError.connection("the connection was lost", false)
    this.later(frame)
    return undefined
  }

  /** Sends what a batch gathered, now or when there is a connection. */
  sendTogether(batch: BatchCollector): void {
    if (this.outbox !== undefined) return batch.sendTo(this.outbox)
    this.later(batch)
  }

  private later(item: string | BatchCollector): void {
    if (this.unsent.length === 0) this.unsent = [item]
    else this.unsent.push(item)
    this.onDemand?.()
  }

  /** One call failed for a reason of its transport. */
  lose(key: string, error: JsonRpcError.JsonRpcError): void {
    const pending = this.pending.get(key)
    if (pending === undefined) return
    this.pending.delete(key)
    pending.onLost(error)
  }

  /** An answer of the peer; `false` when nobody waits for it. */
  answer(message: Codec.Result | Codec.Failure): boolean {
    if (message.id === undefined) return false
    const key = message.id
    const pending = this.pending.get(key) ?? this.pending.get(unquoted(key))
    if (pending === undefined) return false
    this.pending.delete("" + pending.id)
    if (message._tag === "Result") pending.onResult(message.result)
    else pending.onFailure(message.error)
    return true
  }

  /**
   * An error of the peer about a frame whose ids it does not say, e.g. a batch that is longer than it takes. Fails the
   * calls of that frame where it is clear which it was: the only frame that has no answer yet, or the only batch.
   */
  refused(error: ErrorObject): boolean {
    const frames = new Set<unknown>()
    const batches = new Set<unknown>()
    for (const pending of this.pending.values()) {
      if (!pending.sent) continue
      frames.add(pending.batch ?? pending)
      if (pending.batch !== undefined) batches.add(pending.batch)
    }
    const candidates = frames.size === 1 ? frames : batches
    if (candidates.size !== 1) return false
    for (const [key, pending] of this.pending) {
      if (!pending.sent || !candidates.has(pending.batch ?? pending)) continue
      this.pending.delete(key)
      pending.onFailure(error)
    }
    return true
  }

  /** Progress that the peer reports; `false` when it is for no call of ours. */
  progress(params: unknown): boolean {
    const decoded = this.wire.progress?.decode(params)
    if (decoded === undefined) return false
    const pending = this.pending.get(String(decoded.token))
    if (pending === undefined) return false
    pending.listener?.(decoded.report)
    return true
  }
}

// peers exist that answer "1" to 1
const unquoted = (key: string): string => key.startsWith("\"") ? key.slice(1, -1) : key

/**
 * An untyped call as an effect: interruption cancels it.
 *
 * @internal
 */
export const call = (
  caller: Caller,
  method: string,
  params: unknown,
  idempotent: boolean
): Effect.Effect<unknown, JsonRpcError.JsonRpcError> =>
  Effect.withFiber((fiber) => {
    const batch = fiber.getRef(CurrentBatch)
    return Effect.callback<unknown, JsonRpcError.JsonRpcError>((resume) => {
      const id = caller.send(method, params, {
        idempotent,
        isStream: false,
        listener: fiber.getRef(Progress.Listener),
        batch,
        span: Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
      }, {
        onResult: (result) => resume(Exit.succeed(result)),
        onFailure: (error) => resume(Exit.fail(JsonRpcError.remote(error))),
        onLost: (error) => resume(Exit.fail(error))
      })
      return Effect.sync(() => caller.cancel(id))
    })
  })
