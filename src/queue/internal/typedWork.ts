/**
 * @internal A handler of a typed queue made one of messages: payloads decoded, failures put into words, traces joined.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type * as Message from "../Message.ts"
import type { MessageQueue } from "../MessageQueue.ts"
import * as Metrics from "../QueueMetrics.ts"
import { type Gate, makeGate, open } from "./limits.ts"
import * as Outcome from "./outcome.ts"
import { Described, Permanent } from "./permanent.ts"
import type { Attempt, ConsumeOptions } from "./queueModel.ts"
import * as TraceContext from "./traceContext.ts"
import type { Codecs } from "./typed.ts"

export const undecodable = (problem: string): string => `the payload is none of this queue's: ${problem}`

/** What a worker says about its message while it works, and at the end: one after the other. */
const makeReporter = <A, E, S, P, R>(
  queue: MessageQueue["Service"],
  codecs: Codecs<A, E, S, P, R>,
  message: Message.Delivery
) => {
  const id = message.headers === undefined || !Object.hasOwn(message.headers, Outcome.header)
    ? undefined
    : message.headers[Outcome.header]
  let reports = 0
  const say = (said: Pick<Outcome.Outcome, "progress" | "success">) =>
    id === undefined ? Effect.void : Outcome.write(queue, id, { tries: message.tries, reports: ++reports, ...said })
  return {
    // Progress is for people: what cannot be told is no failure of the work.
    progress: (value: P) =>
      id === undefined ? Effect.void : Effect.ignore(
        Effect.flatMap(codecs.progress.encode(value), (progress) => say({ progress }))
      ),
    success: (value: S) =>
      id === undefined || codecs.success === undefined
        ? say({})
        : Effect.flatMap(
          Effect.mapError(
            codecs.success.encode(value),
            (problem) => new Described({ text: `the result is none of this queue's: ${problem}`, permanent: false })
          ),
          (success) => say({ success })
        )
  }
}

/** The handler that `MessageQueue.consume` is given. */
export const makeWork = Effect.fnUntraced(function*<A, E, S, P, R, RH>(
  queue: MessageQueue["Service"],
  name: string,
  codecs: Codecs<A, E, S, P, R>,
  handler: (payload: A, attempt: Attempt<P, R>) => Effect.Effect<S, E | Permanent<E>, RH>,
  options: ConsumeOptions<A>
) {
  const gate: Gate<A> = options.limits === undefined ? open : yield* makeGate(
    queue,
    name,
    options.limits,
    Duration.fromInputUnsafe(options.lease ?? "30 seconds")
  )
  const timeout = options.timeout === undefined ? Duration.infinity : Duration.fromInputUnsafe(options.timeout)
  const metrics = Metrics.of(name)

  const inTime = <B, E, R>(handled: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> =>
    Duration.isFinite(timeout)
      ? Effect.timeoutOrElse(handled, {
        duration: timeout,
        orElse: () => Effect.die(new Cause.TimeoutError(`the handler took longer than ${Duration.format(timeout)}`))
      })
      : handled

  const describe = (error: E | Permanent<E>) =>
    Effect.flatMap(
      codecs.error.encode(error instanceof Permanent ? error.error : error),
      (text) => Effect.fail(new Described({ text, permanent: error instanceof Permanent }))
    )

  const spanned = (
    message: Message.Delivery,
    pushedBy: Attempt<P, R>["pushedBy"]
  ) =>
  <B, E, R>(handled: Effect.Effect<B, E, R>) =>
    Effect.withSpan(handled, `process ${name}`, {
      kind: "consumer",
      attributes: {
        "messaging.system": "effect-wire",
        "messaging.operation.type": "process",
        "messaging.destination.name": name,
        "messaging.message.id": message.id,
        "messaging.message.delivery_count": message.tries
      },
      ...Option.match(pushedBy, {
        onNone: () => ({}),
        onSome: (span) => ({ parent: span, links: [{ span, attributes: {} }] })
      })
    })

  return Effect.fnUntraced(function*(message: Message.Delivery) {
    const payload = yield* Effect.mapError(
      codecs.payload.decode(message.payload),
      (problem) => new Described({ text: undecodable(problem), permanent: true })
    )
    return yield* gate(
      message.id,
      payload,
      Effect.gen(function*() {
        const started = yield* Clock.currentTimeMillis
        const report = makeReporter(queue, codecs, message)
        const maxTries = Math.min(message.maxTries, options.maxTries ?? Infinity)
        const pushedBy = TraceContext.of(message.headers)
        const attempt: Attempt<P, R> = {
          message,
          tries: message.tries,
          maxTries,
          isLast: message.tries >= maxTries,
          deadline: Duration.isFinite(timeout)
            ? Option.some(DateTime.makeUnsafe(started + Duration.toMillis(timeout)))
            : Option.none(),
          pushedBy,
          report: report.progress
        }
        const exit = yield* Effect.exit(
          handler(payload, attempt).pipe(
            inTime,
            Effect.catch(describe),
            Effect.tap((success) => Effect.catchTag(report.success(success), "MessageQueueError", Effect.die)),
            spanned(message, pushedBy)
          )
        )
        yield* Metric.update(metrics.duration, ((yield* Clock.currentTimeMillis) - started) / 1000)
        yield* Metric.update(metrics.tries, message.tries)
        if (message.tries === 1) {
          const from = (message.scheduledAt ?? message.createdAt).epochMilliseconds
          const pulled = (message.processingAt ?? message.createdAt).epochMilliseconds
          yield* Metric.update(metrics.waited, Math.max(0, pulled - from) / 1000)
        }
        return yield* exit
      })
    )
  })
})
