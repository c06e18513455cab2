import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Scope from "effect/Scope"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import * as RpcConnection from "../RpcConnection.ts"
import * as RpcMethods from "../RpcMethods.ts"
import { CurrentKey, Forgotten, type Key } from "./idempotencyModel.ts"
import { KeyedStream, type Window } from "./keyedStream.ts"
import { type Answer, type AnswerStore, type CallRecord, CurrentElements, type Known } from "./onceModel.ts"

/** @internal */
export interface OnceOptions {
  readonly maxAnswer: number
  /** Milliseconds. */
  readonly linger: number
  readonly maxLingering: number
  readonly window: Window
}

type Handled = Effect.Effect<any, any, any>

/** The failure of an execution that keeps nothing. */
class NotKept {
  readonly cause: Cause.Cause<unknown>
  constructor(cause: Cause.Cause<unknown>) {
    this.cause = cause
  }
}

/** One execution under way, and those who wait for it. */
interface Running {
  readonly fingerprint: string
  readonly known: Deferred.Deferred<Known, unknown>
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  waiters: number
}

/** One run of a stream. */
interface Run {
  readonly id: string
  readonly fingerprint: string
  readonly stream: KeyedStream
  readonly since: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  takers: number
  linger: Fiber.Fiber<unknown> | undefined
}

const isKey = (key: string): boolean => key.length > 0 && key.length <= 255

const forgotten: Effect.Effect<never, Forgotten> = Effect.suspend(() =>
  Effect.fail(new Forgotten({ reason: "Forgotten" }))
)
const otherPayload: Effect.Effect<never, Forgotten> = Effect.suspend(() =>
  Effect.fail(new Forgotten({ reason: "OtherPayload" }))
)

/** Whether the peer itself gave the request up. */
const isCancelled = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason._tag === "Interrupt" && reason.annotations.has(RpcSchema.ClientAbort.key))

/** 53 bits of a text (cyrb53): tells payloads apart that were confused, not those that were made to look alike. */
const fingerprintOf = (text: string): string => {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = Math.imul(a ^ code, 2654435761)
    b = Math.imul(b ^ code, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36)
}

/** The answer that an exit of a handler makes, as text; fails with what keeps nothing. */
const answerOf = (
  method: RpcMethods.Method,
  exit: Exit.Exit<unknown, unknown>,
  maxAnswer: number
): Effect.Effect<Answer, NotKept> => {
  const text = (isSuccess: boolean) => (encoded: unknown): Answer => {
    const json = JSON.stringify(encoded) ?? "null"
    return { isSuccess, text: json.length > maxAnswer ? undefined : json }
  }
  const keepNothing = (cause: Cause.Cause<unknown>) => Effect.fail(new NotKept(cause))
  if (exit._tag === "Success") {
    return Effect.catchCause(Effect.map(method.encodeSuccess(exit.value), text(true)), keepNothing)
  }
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  const declared = failure === undefined ? undefined : method.errors.find((one) => one.is(failure.error))
  return failure === undefined || declared === undefined
    ? keepNothing(exit.cause)
    : Effect.catchCause(Effect.map(declared.encode(failure.error), text(false)), keepNothing)
}

/** What an answer says, as a handler would. */
const read = (method: RpcMethods.Method, known: Known): Effect.Effect<unknown, unknown> => {
  if (known === "OtherPayload") return otherPayload
  if (known === "Forgotten" || known.text === undefined) return forgotten
  const json: unknown = JSON.parse(known.text)
  if (known.isSuccess) return method.decodeSuccess(json)
  return Effect.firstSuccessOf(method.errors.map((declared) => declared.decode(json))).pipe(
    Effect.flatMap((error) => Effect.fail(error))
  )
}

/**
 * The middleware that executes keyed calls once.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*<E>(store: AnswerStore<E>, options: OnceOptions) {
  const fork = yield* FiberSet.makeRuntime<never>()
  const clock = yield* Clock.Clock
  const calls = new Map<string, Running>()
  const runs = new Map<string, Run>()
  /** Streams up to then are forgotten. */
  let streamsForgotten = monotonicMillis(clock)

  /** As a request of its own: it outlives the one that it came with. */
  const detached = (context: Context.Context<never>, effect: Handled): Effect.Effect<any, any> =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.onExit(
        Effect.provideContext(effect, Context.add(context, Scope.Scope, scope) as Context.Context<any>),
        (exit) => Scope.close(scope, exit)
      ))

  const begin = (record: CallRecord, method: RpcMethods.Method, effect: Effect.Effect<any, any>): Running => {
    const known = Deferred.makeUnsafe<Known, unknown>()
    const handled = Effect.flatMap(
      Effect.exit(
        store.within(
          Effect.flatMap(
            effect,
            (value): Effect.Effect<unknown, unknown> =>
              Deferred.isDeferred(value) ? Deferred.await(value) : Effect.succeed(value)
          )
        )
      ),
      (exit) => answerOf(method, exit, options.maxAnswer)
    )
    const running: Running = { fingerprint: record.fingerprint, known, fiber: undefined, waiters: 0 }
    calls.set(record.id, running)
    running.fiber = fork(Effect.onExit(store.answer(record, handled), (exit) =>
      Effect.sync(() => {
        calls.delete(record.id)
        Deferred.doneUnsafe(known, exit)
      })))
    return running
  }

  const once = (record: CallRecord, method: RpcMethods.Method, effect: Handled): Handled =>
    Effect.contextWith((context: Context.Context<never>) => {
      const running = calls.get(record.id) ?? begin(record, method, detached(context, effect))
      if (running.fingerprint !== record.fingerprint) return otherPayload
      running.waiters++
      return Deferred.await(running.known).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            running.waiters--
            if (exit._tag === "Failure" && running.waiters === 0 && isCancelled(exit.cause)) {
              running.fiber?.interruptUnsafe()
            }
          })
        ),
        Effect.catch((error) => error instanceof NotKept ? Effect.failCause(error.cause) : Effect.die(error)),
        Effect.flatMap((known) => read(method, known))
      )
    })

  const end = (run: Run): void => {
    if (runs.get(run.id) === run) runs.delete(run.id)
    streamsForgotten = Math.max(streamsForgotten, run.since)
    run.linger?.interruptUnsafe()
    run.fiber?.interruptUnsafe()
  }

  const lingering = (): void => {
    const waiting = [...runs.values()].filter((run) => run.takers === 0)
    for (let i = 0; i < waiting.length - options.maxLingering; i++) end(waiting[i]!)
  }

  const stream = (record: CallRecord, key: Key, effect: Handled): Handled =>
    Effect.contextWith((context: Context.Context<never>) => {
      const give = Context.get(context, CurrentElements)
      if (give === undefined) return effect
      let run = runs.get(record.id)
      if (run === undefined) {
        const isUnknown = record.age !== undefined && monotonicMillis(clock) - record.age <= streamsForgotten
        if (key.from > 0 || isUnknown) return forgotten
        const keyed = new KeyedStream(options.window)
        run = {
          id: record.id,
          fingerprint: record.fingerprint,
          stream: keyed,
          since: monotonicMillis(clock),
          fiber: undefined,
          takers: 0,
          linger: undefined
        }
        runs.set(record.id, run)
        const elements = (values: ReadonlyArray<unknown>) => keyed.push(values)
        run.fiber = fork(Effect.onExit(
          detached(Context.add(context, CurrentElements, elements), effect),
          (exit) => Effect.sync(() => keyed.finish(exit))
        ))
      }
      const found = run
      if (found.fingerprint !== record.fingerprint) return otherPayload
      if (!found.stream.has(key.from)) return forgotten
      found.takers++
      found.linger?.interruptUnsafe()
      found.linger = undefined
      return Effect.onExit(found.stream.take(key.from, give), (exit) =>
        Effect.sync(() => {
          found.takers--
          if (exit._tag === "Failure" && isCancelled(exit.cause)) return end(found)
          if (found.takers > 0 || runs.get(found.id) !== found) return
          found.linger = fork(Effect.delay(Effect.sync(() => end(found)), options.linger))
          // the newest is the last of those that wait
          runs.delete(found.id)
          runs.set(found.id, found)
          lingering()
        }))
    })

  return (effect: Handled, { payload, rpc }: { readonly payload: unknown; readonly rpc: Rpc.AnyWithProps }): Handled =>
    Effect.contextWith((context: Context.Context<never>) => {
      const key = Context.get(context, CurrentKey)
      if (key === undefined || !isKey(key.key)) return effect
      const method = RpcMethods.fromRpc(rpc as Rpc.Any)
      const connection = Context.getOption(context, RpcConnection.CurrentConnection)
      const caller = connection._tag === "None" ? "" : Context.get(context, RpcConnection.CallerName)(connection.value)
      // the age is that of when the repetition was sent, which was not before its connection was there
      const travelled = connection._tag === "None"
        ? 0
        : Math.max(0, clock.currentTimeMillisUnsafe() - connection.value.connectedAt)
      return Effect.flatMap(Effect.orDie(method.encodePayload(payload)), (encoded) => {
        const record: CallRecord = {
          id: `${caller.length}:${caller}${method.name.length}:${method.name}${key.key}`,
          fingerprint: fingerprintOf(JSON.stringify(encoded) ?? ""),
          age: key.age === undefined ? undefined : key.age + travelled
        }
        return method.isStream ? stream(record, key, effect) : once(record, method, effect)
      })
    })
})
