import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Progress from "../Progress.ts"
import { type Connection, CurrentConnection } from "../RpcConnection.ts"
import * as RpcMethods from "../RpcMethods.ts"
import type { Outcome } from "../RpcMetrics.ts"
import { collect } from "./collect.ts"
import { type Counts, countsOf } from "./counts.ts"
import type { EngineRequest, Options, Session } from "./engineModel.ts"
import { effectOf, handledLater, isExit } from "./handling.ts"
import { CurrentKey } from "./idempotencyModel.ts"
import { Line, noLine } from "./line.ts"
import { CurrentElements } from "./onceModel.ts"

// Shared by idle sessions, never changed.
const noRequests: Map<string, EngineRequest> = new Map()
const noFibers: Set<Fiber.Fiber<unknown, unknown>> = new Set()
const noWaiters: Array<() => void> = []
const noContext = Context.empty()

const defaultConcurrency = 256
const defaultWaiting = 1024
const defaultRequestBytes = 8 * 1024 * 1024
const defaultHighWater = 1024 * 1024

/**
 * The requests of one connection, as they run.
 *
 * @internal
 */
export class EngineSession implements Session {
  readonly connection: Connection
  private readonly options: Options
  private readonly traced: boolean
  private readonly concurrency: number
  private readonly maxWaiting: number
  private readonly maxBytes: number
  private readonly highWater: number
  private readonly client: Rpc.ServerClient
  private readonly counts: Counts | undefined
  private readonly clock: Clock.Clock
  private byKey = noRequests
  private fibers = noFibers
  private closing = noFibers
  private line = noLine
  private running = 0
  /** Requests that run and take no place among those that run at once. */
  private forked = 0
  /** Bytes held by what runs and waits. */
  private held = 0
  /** Whether the line goes on as soon as the outbox has room. */
  private awaitsRoom = false
  private method: RpcMethods.ServedMethod | undefined
  private context: Context.Context<never> = noContext
  private pumping = false
  private closed = false
  private waiters = noWaiters

  constructor(connection: Connection, options: Options, traced: boolean, context: Context.Context<never>) {
    this.connection = connection
    this.options = options
    this.traced = traced
    this.concurrency = options.concurrency ?? defaultConcurrency
    this.maxWaiting = options.maxWaiting ?? defaultWaiting
    this.maxBytes = options.maxRequestBytes ?? defaultRequestBytes
    this.highWater = options.highWaterMark ?? defaultHighWater
    this.client = new Rpc.ServerClient(connection.id)
    this.counts = options.metrics === false ? undefined : countsOf(context)
    this.clock = Context.get(context, Clock.Clock)
  }

  submit(request: EngineRequest): boolean {
    // who was told that the connection closes is served no more
    const { outbox } = this.connection
    if (this.closed || outbox?.isClosed() === true) return true
    const room = outbox === undefined ? Infinity : outbox.room()
    const { maxWeight } = request
    if ((this.held + maxWeight > this.maxBytes || maxWeight > room) && !this.fits(request, room)) {
      return this.refuse(request)
    }
    if (this.counts !== undefined) this.counts.inFlight++
    if (this.running < this.concurrency && this.line.isOver && !this.isCongested) {
      this.start(request)
    } else {
      if (request.key !== undefined && this.line.answered >= this.maxWaiting) {
        if (this.counts !== undefined) this.counts.inFlight--
        return this.refuse(request)
      }
      this.stamp(request)
      this.register(request)
      if (this.line === noLine) this.line = new Line()
      this.line.push(request)
      this.awaitRoom()
    }
    if (!request.done) {
      this.hold(request, request.weight)
    }
    return true
  }

  private hold(request: EngineRequest, bytes: number): void {
    this.held += bytes
    request.held += bytes
    this.connection.outbox?.account.take(bytes)
  }

  /** What a stream keeps for its answer ends the stream, not the connection, where there is no room for it. */
  private holdMore(request: EngineRequest, bytes: number): boolean {
    if (this.held + bytes > this.maxBytes || bytes > (this.connection.outbox?.room() ?? Infinity)) return false
    this.hold(request, bytes)
    return true
  }

  /** `room`: what the connection may hold more, requests or not. */
  private fits(request: EngineRequest, room: number): boolean {
    const { weight } = request
    return weight <= room && (this.active() === 0 || this.held + weight <= this.maxBytes)
  }

  private refuse(request: EngineRequest): false {
    this.count(request, "refused")
    return false
  }

  /** Too much waits for the peer to be read: nothing further is started that would add to it. */
  private get isCongested(): boolean {
    const outbox = this.connection.outbox
    return outbox !== undefined && outbox.waiting() > this.highWater
  }

  private awaitRoom(): void {
    if (this.awaitsRoom || !this.isCongested) return
    this.awaitsRoom = true
    Effect.runForkWith(noContext)(this.connection.outbox!.drained(this.highWater)).addObserver(() => {
      this.awaitsRoom = false
      this.pump()
    })
  }

  private register(request: EngineRequest): void {
    if (request.key === undefined) return
    request.registered = true
    if (this.byKey === noRequests) this.byKey = new Map()
    this.byKey.set(request.key, request)
  }

  private stamp(request: EngineRequest): void {
    if (this.counts !== undefined && request.startedAt < 0) request.startedAt = this.clock.currentTimeMillisUnsafe()
  }

  private count(request: EngineRequest, outcome: Outcome): void {
    const counts = this.counts
    if (counts === undefined) return
    const seconds = request.startedAt < 0 ? 0 : (this.clock.currentTimeMillisUnsafe() - request.startedAt) / 1000
    counts.of(request.method.name).add(outcome, seconds)
  }

  keys(): IterableIterator<string> {
    return this.byKey.keys()
  }
  find(key: string): EngineRequest | undefined {
    return this.byKey.size > 0 ? this.byKey.get(key) : undefined
  }

  cancel(key: string): boolean {
    const request = this.byKey.get(key)
    if (request === undefined || request.done) return false
    request.cancelled = true
    if (request.fiber !== undefined) {
      request.fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation)
    } else {
      if (!this.line.leave(request)) return true
      this.end(request)
      this.count(request, "interrupted")
      this.tell(request, () => request.onInterrupt(true))
      this.wake()
    }
    return true
  }

  active(): number {
    return this.running + this.forked + this.line.size
  }
  get idle(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.closed || this.active() === 0) return resume(Effect.void)
      const waiter = () => resume(Effect.void)
      this.waiters = [...this.waiters, waiter]
      return Effect.sync(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter)
      })
    })
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.closed) {
        this.closed = true
        this.dropLine()
        this.byKey = noRequests
        const waiters = this.waiters
        this.waiters = noWaiters
        for (const resume of waiters) resume()
        for (const fiber of this.fibers) fiber.interruptUnsafe()
      }
      const left = [...this.fibers, ...this.closing]
      // the scopes of interrupted requests may take their time to close
      return left.length === 0 ? Effect.void : Effect.andThen(Fiber.awaitAll(left), this.close)
    })
  }

  private dropLine(): void {
    if (this.counts !== undefined) this.counts.inFlight -= this.line.size
    this.line.forEach((request) => this.forget(request))
    this.line = noLine
  }

  private start(request: EngineRequest): void {
    this.running++
    try {
      this.decode(request)
    } catch (defect) {
      this.crashed(request, defect)
    }
  }

  /**
   * What the application gave (handlers, codecs, values with getters and traps) threw where no effect runs. There are two
   * ways into a request, {@link EngineSession.start} and the end of a fiber of its own: both end here.
   */
  private crashed(request: EngineRequest, defect: unknown): void {
    if (!request.done) this.settle(request, "defect", () => request.onDefect(Cause.die(defect)))
  }

  private decode(request: EngineRequest): void {
    const { payload } = request
    if (payload instanceof RpcMethods.PositionalError) {
      return this.settle(request, "invalid", () => request.onInvalid(payload))
    }
    const decoded = request.method.decodePayload(payload)
    if (isExit(decoded)) {
      if (decoded._tag === "Success") return this.invoke(request, decoded.value)
      return this.invalid(request, decoded as Exit.Failure<never, Schema.SchemaError>)
    }
    // schemas with services or asynchronous steps
    this.run(request, Effect.contextWith(() => decoded), (exit) => {
      if (exit._tag === "Failure") this.invalid(request, exit as Exit.Failure<never, Schema.SchemaError>)
      else this.invoke(request, exit.value)
    })
  }

  private invalid(request: EngineRequest, exit: Exit.Failure<never, Schema.SchemaError>): void {
    for (const reason of exit.cause.reasons) {
      if (reason._tag === "Fail") return this.settle(request, "invalid", () => request.onInvalid(reason.error))
    }
    this.failed(request, exit.cause)
  }

  private invoke(request: EngineRequest, payload: unknown): void {
    const method = request.method
    const metadata = {
      rpc: method.rpc,
      client: this.client,
      requestId: RequestId(request.key ?? ""),
      headers: request.headers,
      payload
    }
    let effect: Effect.Effect<unknown, unknown, any>
    let uninterruptible = false
    try {
      // a keyed call may have been executed before: its handler is not even called then
      let result: any = request.once === undefined
        ? method.handler(payload, metadata)
        : handledLater(method, payload, metadata)
      const trace = this.traced || (request.trace !== undefined && this.options.tracing !== false)
      if (isExit(result)) {
        if (!trace && method.rpc.middlewares.size === 0 && (!method.isStream || result._tag === "Failure")) {
          return this.complete(request, result as Exit.Exit<unknown, unknown>)
        }
      } else if (typeof result === "object" && result !== null && Rpc.isWrapper(result)) {
        uninterruptible = result.uninterruptible
        // it takes no place among those that run at once
        request.forked = result.fork
        result = result.value
      }
      if (method.isStream) {
        request.hold = (bytes) => this.holdMore(request, bytes)
        effect = collect(request, result)
      } else effect = effectOf(result)
      for (const tag of method.rpc.middlewares) {
        const middleware = Context.getUnsafe(method.context as Context.Context<any>, tag as any) as any
        effect = middleware(effect, metadata)
      }
      if (trace) effect = this.span(request, effect)
    } catch (defect) {
      effect = Exit.die(defect)
    }
    const { forked } = request
    if (forked) {
      this.running--
      this.forked++
    }
    this.run(request, effect, (exit) => this.complete(request, exit), uninterruptible)
    if (forked) this.pump()
  }

  private span(request: EngineRequest, effect: Effect.Effect<unknown, unknown, any>) {
    const { spanAttributes, spanPrefix } = this.options
    const name = request.method.name
    return Effect.withSpan(effect, spanPrefix === undefined ? name : `${spanPrefix}.${name}`, {
      captureStackTrace: false,
      kind: "server",
      attributes: { ...request.spanAttributes, "rpc.method": name, ...spanAttributes },
      parent: request.trace
    })
  }

  private run(
    request: EngineRequest,
    effect: Effect.Effect<unknown, unknown, any>,
    then: (exit: Exit.Exit<unknown, unknown>) => void,
    uninterruptible = false
  ): void {
    const scope = Scope.makeUnsafe()
    let context = Context.add(this.contextOf(request.method), Scope.Scope, scope) as Context.Context<any>
    const progress = request.progress
    if (progress !== undefined) context = Context.add(context, Progress.Reporter, progress)
    const { once } = request
    if (once !== undefined) {
      context = Context.add(context, CurrentKey, once).pipe(
        Context.add(CurrentElements, (values: ReadonlyArray<unknown>) => request.onElements(values))
      )
    }
    const fiber = Effect.runForkWith(context)(effect, uninterruptible ? { uninterruptible } : undefined)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.finish(request, scope, exit, then)
    this.stamp(request)
    if (!request.registered && !this.closed) this.register(request)
    request.fiber = fiber
    if (this.fibers === noFibers) this.fibers = new Set()
    this.fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.fibers.delete(fiber)
      request.fiber = undefined
      this.finish(request, scope, exit, then)
    })
    if (request.cancelled) fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation)
    else if (this.closed) fiber.interruptUnsafe()
  }

  // What all requests of one method share: mostly the next one is for the same method.
  private contextOf(method: RpcMethods.ServedMethod): Context.Context<never> {
    if (this.method === method) return this.context
    const annotations = Context.get(method.context, References.CurrentLogAnnotations)
    this.method = method
    this.context = Context.add(
      Context.add(method.context, CurrentConnection, this.connection),
      References.CurrentLogAnnotations,
      { ...annotations, "rpc.method": method.name, "rpc.connection": this.connection.id }
    ) as Context.Context<never>
    return this.context
  }

  private finish(
    request: EngineRequest,
    scope: Scope.Closeable,
    exit: Exit.Exit<unknown, unknown>,
    then: (exit: Exit.Exit<unknown, unknown>) => void
  ): void {
    try {
      then(exit)
    } catch (defect) {
      this.crashed(request, defect)
    }
    const close = Scope.closeUnsafe(scope, exit)
    if (close === undefined) return
    const fiber = Effect.runFork(close)
    if (this.closing === noFibers) this.closing = new Set()
    this.closing.add(fiber)
    fiber.addObserver(() => this.closing.delete(fiber))
  }

  private complete(request: EngineRequest, exit: Exit.Exit<unknown, unknown>): void {
    if (exit._tag === "Failure") return this.failed(request, exit.cause)
    const { value } = exit
    if (request.method.isStream) return this.encoded(request, endOfStream)
    if (typeof value === "object" && value !== null && Deferred.isDeferred(value)) {
      return this.run(request, Deferred.await(value), (exit) => this.complete(request, exit))
    }
    const encoded = request.method.encodeSuccess(value)
    if (isExit(encoded)) return this.encoded(request, encoded as Exit.Exit<unknown, unknown>)
    this.run(request, encoded, (exit) => this.encoded(request, exit))
  }

  private encoded(request: EngineRequest, exit: Exit.Exit<unknown, unknown>): void {
    if (exit._tag === "Success") {
      // the hot path: `settle` without its closure
      if (this.release(request)) {
        this.count(request, "success")
        try {
          request.onSuccess(exit.value)
        } catch (defect) {
          this.defect(request, Cause.die(defect))
        }
      }
      return this.pump()
    }
    // a failure to encode is the handler's, not the caller's
    if (request.cancelled && Cause.hasInterruptsOnly(exit.cause)) {
      return this.settle(request, "interrupted", () => request.onInterrupt(true))
    }
    this.settle(request, "defect", () => request.onDefect(exit.cause))
  }

  private failed(request: EngineRequest, cause: Cause.Cause<unknown>): void {
    for (const reason of cause.reasons) {
      if (reason._tag === "Fail") return this.failure(request, reason.error)
    }
    for (const reason of cause.reasons) {
      if (reason._tag === "Die") return this.settle(request, "defect", () => request.onDefect(cause))
    }
    this.settle(request, "interrupted", () => request.onInterrupt(request.cancelled))
  }

  /** A failure of the handler: encoded as the contract declares it, by a fiber of this session where it takes its time. */
  private failure(request: EngineRequest, error: unknown): void {
    const declared = request.method.errors.find((candidate) => candidate.is(error))
    if (declared === undefined) {
      return this.settle(request, "failure", () => request.onFailure(error, undefined, undefined))
    }
    const then = (exit: Exit.Exit<unknown, unknown>) =>
      exit._tag === "Failure"
        ? this.encoded(request, exit)
        : this.settle(request, "failure", () => request.onFailure(error, declared, exit.value))
    const encoded = declared.encode(error)
    if (isExit(encoded)) return then(encoded as Exit.Exit<unknown, unknown>)
    this.run(request, encoded, then)
  }

  /** Tells the wire an outcome. What the wire cannot write down is a defect of this request, and of nothing else. */
  private tell(request: EngineRequest, outcome: () => void): void {
    try {
      outcome()
    } catch (defect) {
      this.defect(request, Cause.die(defect))
    }
  }

  private defect(request: EngineRequest, cause: Cause.Cause<unknown>): void {
    try {
      request.onDefect(cause)
    } catch {
      // the wire has nothing left to say
    }
  }

  private release(request: EngineRequest): boolean {
    if (request.forked) this.forked--
    else this.running--
    if (request.done) return false
    this.end(request)
    if (!this.closed) return true
    this.count(request, "interrupted")
    return false
  }

  private end(request: EngineRequest): void {
    request.done = true
    this.forget(request)
    if (this.counts !== undefined) this.counts.inFlight--
  }

  /** What it held is free, and so is its key. */
  private forget(request: EngineRequest): void {
    if (request.held > 0) {
      this.held -= request.held
      this.connection.outbox?.account.give(request.held)
      request.held = 0
    }
    if (request.registered) this.byKey.delete(request.key!)
  }

  private settle(request: EngineRequest, outcome: Outcome, answer: () => void): void {
    if (this.release(request)) {
      this.count(request, outcome)
      this.tell(request, answer)
    }
    this.pump()
  }

  private pump(): void {
    if (this.pumping) return
    if (this.line !== noLine && this.connection.outbox?.isClosed() === true) this.dropLine()
    if (!this.line.isOver) {
      this.pumping = true
      while (this.running < this.concurrency && !this.line.isOver && !this.isCongested) {
        const next = this.line.shift()
        if (next !== undefined) this.start(next)
      }
      this.pumping = false
      if (this.line.isOver) this.line = noLine
      else this.awaitRoom()
    }
    this.wake()
  }

  private wake(): void {
    if (this.waiters.length === 0 || this.active() > 0) return
    const waiters = this.waiters
    this.waiters = noWaiters
    for (const resume of waiters) resume()
  }
}

const endOfStream = Exit.succeed(undefined)
