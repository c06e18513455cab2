/**
 * Runs the requests of connections as fibers: in the order in which they arrived, so many at once, the rest waiting their
 * turn; cancelled by interruption; answered once. It takes requests that a wire has decoded and gives back outcomes for
 * the wire to encode; it knows no wire.
 *
 * It does what `RpcServer.makeNoSerialization` does (handlers, middleware, streams, `Rpc.fork`, `Rpc.uninterruptible`,
 * deferred results, spans) and, where a handler's effect is already an `Exit`, answers without starting a fiber.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { EngineSession } from "./internal/session.ts"
import type * as Progress from "./Progress.ts"
import type { Connection } from "./RpcConnection.ts"
import type * as RpcMethods from "./RpcMethods.ts"

/**
 * Options of an engine.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Requests of one connection that run at once; default 256. 1 runs them one after the other. */
  readonly concurrency?: number | undefined
  /** Requests of one connection that may wait their turn; default 1,024. Beyond it {@link Session.isFull}. */
  readonly maxWaiting?: number | undefined
  /**
   * Whether each request gets a span. `"auto"` (the default) makes spans where the app provided a `Tracer` or the peer
   * sent a trace context: a span that nobody exports costs more than the rest of a small request.
   */
  readonly tracing?: boolean | "auto" | undefined
  /** Prefix of span names; the name is the method's. */
  readonly spanPrefix?: string | undefined
  /** Attributes of every span. */
  readonly spanAttributes?: Record<string, unknown> | undefined
  /** Elements that a stream method may collect for a wire without streams; default 100,000. */
  readonly maxStreamElements?: number | undefined
  /** Whether requests are counted and timed, see `RpcMetrics`; default `true`. */
  readonly metrics?: boolean | undefined
}

/**
 * Trace context of a caller (W3C Trace Context).
 *
 * @category models
 * @since 0.1.0
 */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/**
 * One request under way. A wire extends it with what it does with the outcome; exactly one of the `on…` outcomes is
 * called, once, unless the connection closed first: then none is.
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

  constructor(key: string | undefined, method: RpcMethods.ServedMethod, payload: unknown) {
    this.key = key
    this.method = method
    this.payload = payload
  }

  get headers(): Headers.Headers {
    return Headers.empty
  }
  get trace(): TraceContext | undefined {
    return undefined
  }
  /** Where progress goes; `undefined` where the wire has none for this request. */
  get progress(): ((report: Progress.Report) => void) | undefined {
    return undefined
  }
  /** Whether elements of a stream are handed to {@link onChunk}, already encoded, as they come. */
  get takesChunks(): boolean {
    return false
  }
  /** Whether the elements of a stream are collected for {@link onSuccess}; otherwise it gets an empty array. */
  get collects(): boolean {
    return true
  }
  /** Elements of a stream; the stream goes on when the effect completes. */
  onChunk(_values: ReadonlyArray<unknown>): Effect.Effect<void> {
    return Effect.void
  }

  /** The encoded result; for stream methods the array of encoded elements. */
  abstract onSuccess(encoded: unknown): void
  /** A failure that the contract declares, not encoded. */
  abstract onFailure(error: unknown): void
  /** The payload does not fit. */
  abstract onInvalid(reason: RpcMethods.PositionalError | Schema.SchemaError): void
  /** Interrupted: by the peer's cancel, or by the server. */
  abstract onInterrupt(byPeer: boolean): void
  /** A defect, or a result that cannot be encoded. */
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
  /** Starts a request, or lets it wait its turn. */
  readonly submit: (request: EngineRequest) => void
  /** Interrupts the request with this key, running or waiting; `false` when there is none. */
  readonly cancel: (key: string) => boolean
  /** Whether a request with this key is running or waiting. */
  readonly has: (key: string) => boolean
  /** Whether as many wait as may: stop reading until {@link room}. */
  readonly isFull: () => boolean
  /**
   * Whether twice as many wait as may: refuse what comes. For wires that have to read on although the session is full,
   * because the requests that run wait for what the peer sends.
   */
  readonly isOverfull: () => boolean
  /** Completes when another request may be submitted. */
  readonly room: Effect.Effect<void>
  /** Completes when nothing runs and nothing waits. */
  readonly idle: Effect.Effect<void>
  /** Requests that run or wait. */
  readonly active: () => number
  /** Keys of the requests that run or wait. */
  readonly keys: () => IterableIterator<string>
}

/**
 * Opens the session of a connection. When the scope closes every request is interrupted and waited for; none is answered
 * any more.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = (connection: Connection, options?: Options): Effect.Effect<Session, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    const session = openUnsafe(connection, options, context)
    return Effect.as(Scope.addFinalizer(Context.get(context, Scope.Scope), session.close), session)
  })

/**
 * Opens a session that its owner closes.
 *
 * @internal
 */
export const openUnsafe = (
  connection: Connection,
  options: Options | undefined,
  context: Context.Context<never>
): Session & { readonly close: Effect.Effect<void> } => {
  const traced = options?.tracing === true ||
    (options?.tracing !== false && Context.getOrUndefined(context, Tracer.Tracer) !== undefined)
  return new EngineSession(connection, options ?? noOptions, traced, context)
}

const noOptions: Options = {}
