/**
 * The words of the engine; `RpcEngine` gives them on.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import type * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import type * as Progress from "../Progress.ts"
import type { Connection } from "../RpcConnection.ts"
import type * as RpcMethods from "../RpcMethods.ts"
import type { Key } from "./idempotencyModel.ts"

/**
 * Options of an engine.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Requests of one connection that run at once; default 256. 1 runs them one after the other. */
  readonly concurrency?: number | undefined
  /** Requests of one connection that may wait their turn; default 1,024. Beyond it they are refused. */
  readonly maxWaiting?: number | undefined
  /**
   * Bytes that the requests of one connection may hold in memory, those that run and those that wait, together with
   * whatever else the connection holds; default 8 MiB. A request beyond it is refused, but one is taken whatever its size
   * where nothing else is held. Notifications have this bound only. A frame that would take more by itself is refused
   * before it is parsed.
   */
  readonly maxRequestBytes?: number | undefined
  /**
   * Characters waiting in the connection's outbox over which no further request is started: it waits its turn. Default
   * 1 MiB.
   */
  readonly highWaterMark?: number | undefined
  /**
   * Whether each request gets a span. `"auto"` (the default) makes spans where the app provided a `Tracer` or the peer
   * sent a trace context: a span that nobody exports costs more than the rest of a small request.
   */
  readonly tracing?: boolean | "auto" | undefined
  /** Prefix of span names; the name is the method's. */
  readonly spanPrefix?: string | undefined
  /** Attributes of every span. */
  readonly spanAttributes?: Record<string, unknown> | undefined
  /**
   * Characters of JSON that a stream may come to where the peer takes it in one answer only; default 8 MiB. A longer one
   * fails, that call alone.
   */
  readonly maxStreamBytes?: number | undefined
  /** Whether requests are counted and timed, see `RpcMetrics`; default `true`. */
  readonly metrics?: boolean | undefined
}

/**
 * A stream is longer than the peer can be given in one answer; a defect of the request, which only the wire knows how to
 * tell.
 *
 * @category errors
 * @since 0.2.0
 */
export class StreamTooLong {
  readonly _tag = "StreamTooLong"
  /** Bytes; characters where the wire is text. */
  readonly limit: number
  constructor(limit: number) {
    this.limit = limit
  }
  get message(): string {
    return `the stream is longer than ${this.limit} bytes, more than fits into one answer`
  }
}

const unbounded = () => true

const systemAttributes = { "rpc.system.name": "effect_wire" }

/**
 * One request under way. A wire extends it with what it does with the outcome; exactly one of the `on…` outcomes is
 * called, once, unless the connection closed first: then none is. An outcome that throws, since what the handler gave back
 * cannot be written down, becomes {@link EngineRequest.onDefect}: whatever a handler does concerns its own request only.
 *
 * @category models
 * @since 0.1.0
 */
export abstract class EngineRequest {
  /** Identifies the request among those of its connection; `undefined` for notifications. */
  readonly key: string | undefined
  readonly method: RpcMethods.ServedMethod
  /** Encoded payload, or a `PositionalError`; see `RpcMethods.toPayload`. */
  readonly payload: unknown
  /** @internal */
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** @internal */
  cancelled = false
  /** @internal */
  done = false
  /** @internal */
  forked = false
  /** Whether it can be found by its key: not while it may still be done at once. @internal */
  registered = false
  /** When it arrived, by the clock in milliseconds; -1 while nobody had to ask. @internal */
  startedAt = -1
  /** Bytes that it is held to cost, while it runs or waits. @internal */
  held = 0
  /**
   * Of a stream: takes so many bytes more for elements that are kept for the answer, until it is given; `false` where the
   * connection may hold no more.
   */
  hold: (bytes: number) => boolean = unbounded

  constructor(key: string | undefined, method: RpcMethods.ServedMethod, payload: unknown) {
    this.key = key
    this.method = method
    this.payload = payload
  }

  get headers(): Headers.Headers {
    return Headers.empty
  }
  /** The span of the caller, or of what carries the request. */
  get trace(): Tracer.AnySpan | undefined {
    return undefined
  }
  /** Its idempotency key, where its method is keyed and it has one. */
  get once(): Key | undefined {
    return undefined
  }
  /** What its span says of the system that it belongs to; OpenTelemetry's conventions for RPC. */
  get spanAttributes(): Record<string, unknown> {
    return systemAttributes
  }
  /** Where progress goes; `undefined` where the wire has none for this request. */
  get progress(): ((report: Progress.Report) => void) | undefined {
    return undefined
  }
  /** Bytes that it may cost in memory at most, found out without a look at the payload. */
  get maxWeight(): number {
    return 512
  }
  /** Bytes that it costs in memory; asked once, for a request that was not done at once. */
  get weight(): number {
    return this.maxWeight
  }
  /** Elements of a stream, encoded, as they come; the stream goes on when the effect completes. */
  abstract onElements(values: ReadonlyArray<unknown>): Effect.Effect<void>

  /** The encoded result; `undefined` for a stream that has ended. */
  abstract onSuccess(encoded: unknown): void
  /** A failure, and, where the contract declares it, which error it is and what that encodes it to. */
  abstract onFailure(error: unknown, declared: RpcMethods.MethodError | undefined, encoded: unknown): void
  /** The payload does not fit. */
  abstract onInvalid(reason: RpcMethods.PositionalError | Schema.SchemaError): void
  /** Interrupted: by the peer's cancel, or by the server. */
  abstract onInterrupt(byPeer: boolean): void
  /** A defect, or something that cannot be encoded. */
  abstract onDefect(cause: Cause.Cause<unknown>): void
}

/**
 * The requests of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  readonly connection: Connection
  /**
   * Starts a request, or lets it wait its turn; `false` when there is no room for it: it is refused. Requests on a
   * connection that is closed, or about to be, are dropped without an answer.
   */
  readonly submit: (request: EngineRequest) => boolean
  /** Interrupts the request with this key, running or waiting; `false` when there is none. */
  readonly cancel: (key: string) => boolean
  /** The request with this key that runs or waits. */
  readonly find: (key: string) => EngineRequest | undefined
  /** Completes when nothing runs and nothing waits. */
  readonly idle: Effect.Effect<void>
  /** Requests that run or wait. */
  readonly active: () => number
  /** Keys of the requests that run or wait. */
  readonly keys: () => IterableIterator<string>
}
