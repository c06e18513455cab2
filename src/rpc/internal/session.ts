import type * as Cause from "effect/Cause"
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
import * as Tracer from "effect/Tracer"
import * as Progress from "../Progress.ts"
import { type Connection, CurrentConnection } from "../RpcConnection.ts"
import type { EngineRequest, Options, Session } from "../RpcEngine.ts"
import * as RpcMethods from "../RpcMethods.ts"
import * as RpcMetrics from "../RpcMetrics.ts"
import { collect } from "./collect.ts"

// Shared by idle sessions, never changed.
const noRequests: Map<string, EngineRequest> = new Map()
const noFibers: Set<Fiber.Fiber<unknown, unknown>> = new Set()
const noLine: Array<EngineRequest> = []
const noWaiters: Array<{ readonly ready: () => boolean; readonly resume: () => void }> = []
const noContext = Context.empty()

const defaultConcurrency = 256
const defaultWaiting = 1024
const defaultStreamElements = 100_000
// more than a batch has by default
const leastReserve = 128

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
  private readonly client: Rpc.ServerClient
  private readonly counts: RpcMetrics.Counts | undefined
  private readonly clock: Clock.Clock
  private byKey = noRequests
  private fibers = noFibers
  private closing = noFibers
  private line = noLine
  private head = 0
  private running = 0
  /** Requests that run and take no place among those that run at once. */
  private forked = 0
  /** Requests in the line that were cancelled there. */
  private skipped = 0
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
    this.client = new Rpc.ServerClient(connection.id)
    this.counts = options.metrics === false ? undefined : RpcMetrics.countsOf(context)
    this.clock = Context.get(context, Clock.Clock)
  }

  submit(request: EngineRequest): void {
    if (this.closed) return
    if (this.counts !== undefined) this.counts.inFlight++
    if (this.running < this.concurrency && this.head === this.line.length) {
      this.start(request)
    } else {
      this.stamp(request)
      this.register(request)
      if (this.line === noLine) this.line = [request]
      else this.line.push(request)
    }
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

  private count(request: EngineRequest, outcome: RpcMetrics.Outcome): void {
    const counts = this.counts
    if (counts === undefined) return
    const ms = request.startedAt < 0 ? 0 : this.clock.currentTimeMillisUnsafe() - request.startedAt
    counts.of(request.method.name).add(outcome, ms)
  }

  keys(): IterableIterator<string> {
    return this.byKey.keys()
  }
  has(key: string): boolean {
    return this.byKey.size > 0 && this.byKey.has(key)
  }

  cancel(key: string): boolean {
    const request = this.byKey.get(key)
    if (request === undefined || request.done) return false
    request.cancelled = true
    if (request.fiber !== undefined) {
      request.fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation)
    } else if (this.line.includes(request, this.head)) {
      // it keeps its place in the line and is skipped there
      this.skipped++
      this.end(request)
      this.count(request, "interrupted")
      request.onInterrupt(true)
      this.wake()
    }
    return true
  }

  private get waiting(): number {
    return this.line.length - this.head - this.skipped
  }
  isFull(): boolean {
    return this.waiting >= this.maxWaiting
  }
  isOverfull(): boolean {
    return this.waiting >= this.maxWaiting + Math.max(this.maxWaiting, leastReserve)
  }
  active(): number {
    return this.running + this.forked + this.waiting
  }
  get room(): Effect.Effect<void> {
    return this.when(() => !this.isFull())
  }
  get idle(): Effect.Effect<void> {
    return this.when(() => this.active() === 0)
  }

  private when(ready: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.closed || ready()) return resume(Effect.void)
      const waiter = { ready, resume: () => resume(Effect.void) }
      this.waiters = [...this.waiters, waiter]
      return Effect.sync(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter)
      })
    })
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.closed) {
        if (this.counts !== undefined) this.counts.inFlight -= this.waiting
        this.closed = true
        this.line = noLine
        this.head = 0
        this.skipped = 0
        this.byKey = noRequests
        for (const waiter of this.waiters) waiter.resume()
        this.waiters = noWaiters
        for (const fiber of this.fibers) fiber.interruptUnsafe()
      }
      const left = [...this.fibers, ...this.closing]
      // the scopes of interrupted requests may take their time to close
      return left.length === 0 ? Effect.void : Effect.andThen(Fiber.awaitAll(left), this.close)
    })
  }

  private start(request: EngineRequest): void {
    this.running++
    if (request.payload instanceof RpcMethods.PositionalError) {
      return this.settle(
        request,
        "invalid",
        () => request.onInvalid(request.payload as RpcMethods.PositionalError)
      )
    }
    const decoded = request.method.decodePayload(request.payload)
    if (Exit.isExit(decoded)) {
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
    let result: any
    try {
      result = method.handler(payload, metadata)
    } catch (defect) {
      result = Exit.die(defect)
    }
    const trace = this.traced || (request.trace !== undefined && this.options.tracing !== false)
    let uninterruptible = false
    let fork = false
    if (Exit.isExit(result)) {
      if (!trace && method.rpc.middlewares.size === 0 && (!method.isStream || result._tag === "Failure")) {
        return this.complete(request, result as Exit.Exit<unknown, unknown>)
      }
    } else if (Rpc.isWrapper(result)) {
      uninterruptible = result.uninterruptible
      fork = result.fork
      result = result.value
    }
    let effect: Effect.Effect<unknown, unknown, any> = method.isStream
      ? collect(request, result, this.options.maxStreamElements ?? defaultStreamElements)
      : result
    try {
      for (const tag of method.rpc.middlewares) {
        const middleware = Context.getUnsafe(method.context as Context.Context<any>, tag as any) as any
        effect = middleware(effect, metadata)
      }
    } catch (defect) {
      effect = Exit.die(defect)
    }
    if (trace) effect = this.span(request, effect)
    if (fork) {
      // it takes no place among those that run at once
      request.forked = true
      this.running--
      this.forked++
    }
    this.run(request, effect, (exit) => this.complete(request, exit), uninterruptible)
    if (fork) this.pump()
  }

  private span(request: EngineRequest, effect: Effect.Effect<unknown, unknown, any>) {
    const { spanAttributes, spanPrefix } = this.options
    const name = request.method.name
    return Effect.withSpan(effect, spanPrefix === undefined ? name : `${spanPrefix}.${name}`, {
      captureStackTrace: false,
      kind: "server",
      attributes: { "rpc.system.name": "effect_wire", "rpc.method": name, ...spanAttributes },
      parent: request.trace === undefined ? undefined : Tracer.externalSpan(request.trace)
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
    const fiber = Effect.runForkWith(context)(effect, uninterruptible ? { uninterruptible } : undefined)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.finish(scope, exit, then)
    this.stamp(request)
    if (!request.registered && !this.closed) this.register(request)
    request.fiber = fiber
    if (this.fibers === noFibers) this.fibers = new Set()
    this.fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.fibers.delete(fiber)
      request.fiber = undefined
      this.finish(scope, exit, then)
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
    scope: Scope.Closeable,
    exit: Exit.Exit<unknown, unknown>,
    then: (exit: Exit.Exit<unknown, unknown>) => void
  ): void {
    then(exit)
    const close = Scope.closeUnsafe(scope, exit)
    if (close === undefined) return
    const fiber = Effect.runFork(close)
    if (this.closing === noFibers) this.closing = new Set()
    this.closing.add(fiber)
    fiber.addObserver(() => this.closing.delete(fiber))
  }

  private complete(request: EngineRequest, exit: Exit.Exit<unknown, unknown>): void {
    if (exit._tag === "Failure") return this.failed(request, exit.cause)
    if (request.method.isStream) return this.encoded(request, exit)
    if (typeof exit.value === "object" && Deferred.isDeferred(exit.value)) {
      return this.run(request, Deferred.await(exit.value), (exit) => this.complete(request, exit))
    }
    const encoded = request.method.encodeSuccess(exit.value)
    if (Exit.isExit(encoded)) return this.encoded(request, encoded as Exit.Exit<unknown, unknown>)
    this.run(request, encoded, (exit) => this.encoded(request, exit))
  }

  private encoded(request: EngineRequest, exit: Exit.Exit<unknown, unknown>): void {
    if (exit._tag === "Success") {
      // the hot path: `settle` without its closure
      if (this.release(request)) {
        this.count(request, "success")
        request.onSuccess(exit.value)
      }
      return this.pump()
    }
    // a failure to encode is the handler's, not the caller's
    if (request.cancelled && !exit.cause.reasons.some((reason) => reason._tag !== "Interrupt")) {
      return this.settle(request, "interrupted", () => request.onInterrupt(true))
    }
    this.settle(request, "defect", () => request.onDefect(exit.cause))
  }

  private failed(request: EngineRequest, cause: Cause.Cause<unknown>): void {
    for (const reason of cause.reasons) {
      if (reason._tag === "Fail") return this.settle(request, "failure", () => request.onFailure(reason.error))
    }
    for (const reason of cause.reasons) {
      if (reason._tag === "Die") return this.settle(request, "defect", () => request.onDefect(cause))
    }
    this.settle(request, "interrupted", () => request.onInterrupt(request.cancelled))
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
    if (request.registered) this.byKey.delete(request.key!)
    if (this.counts !== undefined) this.counts.inFlight--
  }

  private settle(request: EngineRequest, outcome: RpcMetrics.Outcome, answer: () => void): void {
    if (this.release(request)) {
      this.count(request, outcome)
      answer()
    }
    this.pump()
  }

  private pump(): void {
    if (this.pumping) return
    if (this.head < this.line.length) {
      this.pumping = true
      while (this.running < this.concurrency && this.head < this.line.length) {
        const next = this.line[this.head]!
        this.head++
        if (next.done) this.skipped--
        else this.start(next)
      }
      this.pumping = false
      if (this.head === this.line.length) {
        this.line = noLine
        this.head = 0
      } else if (this.head > 1024) {
        this.line = this.line.slice(this.head)
        this.head = 0
      }
    }
    this.wake()
  }

  private wake(): void {
    if (this.waiters.length === 0) return
    const ready = this.waiters.filter((waiter) => waiter.ready())
    this.waiters = this.waiters.filter((waiter) => !ready.includes(waiter))
    for (const waiter of ready) waiter.resume()
  }
}
