/**
 * `bench`: loads a server with one call over and over, and says how long it took.
 */
import type * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type { Client } from "../../jsonrpc/JsonRpcClient.ts"
import type { JsonRpcError } from "../../jsonrpc/JsonRpcError.ts"
import { connect } from "./client.ts"
import type * as Configs from "./configs.ts"
import { explain } from "./discovery.ts"
import { Failure } from "./failure.ts"
import * as Output from "./output.ts"
import { read } from "./params.ts"
import { Histogram, latency, plot, spark } from "./plot.ts"

type Input = Command.Command.Config.Infer<typeof Configs.bench>

/** Milliseconds, with parts. */
const now = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

class Tally {
  histogram = new Histogram()
  /** Answers in each second. */
  seconds: Array<number> = []
  failures = new Map<string, number>()
  started = 0
  isOn = false

  begin(at: number): void {
    this.started = at
    this.isOn = true
  }
  answer(from: number, to: number): void {
    if (!this.isOn) return
    this.histogram.add(to - from)
    const second = Math.max(0, Math.floor((to - this.started) / 1000))
    while (this.seconds.length <= second) this.seconds.push(0)
    this.seconds[second]!++
  }
  failure(message: string): void {
    if (this.isOn) this.failures.set(message, (this.failures.get(message) ?? 0) + 1)
  }
}

type Once = (client: Client, from: number) => Effect.Effect<void>

/** As many calls as are wanted at once, each followed by the next. */
const closed = (clients: ReadonlyArray<Client>, inFlight: number, once: Once) =>
  Effect.forEach(
    clients.flatMap((client) => Array.from({ length: inFlight }, () => client)),
    (client) => Effect.forever(Effect.flatMap(now, (from) => once(client, from))),
    { concurrency: "unbounded", discard: true }
  )

/**
 * So many calls a second, whether they are answered or not. The time of a call counts from when it was due: a server that
 * stops for a while does not make its own pause unseen.
 */
const open = (clients: ReadonlyArray<Client>, rate: number, once: Once) =>
  Effect.gen(function*() {
    const calls = yield* FiberSet.make()
    const begin = yield* now
    for (let made = 0;;) {
      const at = yield* now
      for (; begin + made * 1000 / rate <= at; made++) {
        yield* FiberSet.run(calls, once(clients[made % clients.length]!, begin + made * 1000 / rate))
      }
      yield* Effect.sleep(Math.max(1, begin + made * 1000 / rate - (yield* now)))
    }
  })

const percentiles = [["p50", 0.5], ["p90", 0.9], ["p99", 0.99], ["p99.9", 0.999]] as const

const failuresOf = (tally: Tally) => Array.from(tally.failures).sort(([, a], [, b]) => b - a)

const summary = (tally: Tally, seconds: number, connections: number) => {
  const { histogram } = tally
  return {
    calls: histogram.count,
    failures: failuresOf(tally).reduce((sum, [, count]) => sum + count, 0),
    connections,
    seconds: Number(seconds.toFixed(3)),
    callsPerSecond: Number((histogram.count / seconds).toFixed(1)),
    latencyMillis: {
      min: histogram.count === 0 ? 0 : Number(histogram.min.toFixed(4)),
      mean: histogram.count === 0 ? 0 : Number((histogram.sum / histogram.count).toFixed(4)),
      ...Object.fromEntries(percentiles.map(([name, part]) => [name, Number(histogram.percentile(part).toFixed(4))])),
      max: Number(histogram.max.toFixed(4))
    },
    perSecond: tally.seconds
  }
}

const text = (tally: Tally, found: ReturnType<typeof summary>): string => {
  const { callsPerSecond, calls, connections, failures, seconds } = found
  const { histogram } = tally
  const head = `${calls} calls in ${seconds.toFixed(1)} s over ${connections} connection${
    connections === 1 ? "" : "s"
  }: ${Math.round(callsPerSecond)}/s${failures === 0 ? "" : `, ${failures} failed`}`
  if (histogram.count === 0) return head
  const numbers = [
    ["min", histogram.min],
    ...percentiles.map(([name, part]) => [name, histogram.percentile(part)] as const),
    ["max", histogram.max]
  ] as const
  const width = Math.max(20, Math.min(72, (process.stdout.columns || 80) - 12))
  return [
    Output.bold(head),
    Output.table([numbers.map(([name]) => name), numbers.map(([, millis]) => latency(millis))]),
    "",
    Output.dim("calls by latency"),
    plot(histogram, { width, height: 8 }),
    ...(tally.seconds.length > 1
      ? [`calls by second  ${spark(tally.seconds)}  at most ${Math.max(...tally.seconds)}`]
      : [])
  ].join("\n")
}

/** @internal */
export const bench = Effect.fnUntraced(function*(input: Input) {
  const params = yield* read(input.params)
  const { connections, inFlight, method } = input
  const rate = Option.getOrUndefined(input.rate)
  const connected = yield* Effect.forEach(
    Array.from({ length: connections }),
    () => connect(input.url, input, { maxInFlight: rate === undefined ? inFlight : 1_000_000 }),
    { concurrency: 16 }
  )
  const clients = connected.map(({ client }) => client)
  // what does not work once does not work a million times
  yield* Effect.catch(clients[0]!.call(method, params), explain(clients[0]!, method))
  const tally = new Tally()
  let last: JsonRpcError | undefined
  const once: Once = (client, from) =>
    Effect.matchEffect(client.call(method, params), {
      onSuccess: () => Effect.map(now, (to) => tally.answer(from, to)),
      onFailure: (error) => {
        tally.failure(error.message)
        last = error
        // a server that refuses at once is not asked again at once
        return error.reason._tag === "ConnectionError" ? Effect.sleep(10) : Effect.yieldNow
      }
    })
  const load = yield* Effect.forkScoped(
    rate === undefined ? closed(clients, inFlight, once) : open(clients, rate, once)
  )
  yield* Effect.sleep(input.warmup)
  const begin = yield* now
  tally.begin(begin)
  yield* Effect.sleep(input.duration)
  const seconds = ((yield* now) - begin) / 1000
  tally.isOn = false
  yield* Fiber.interrupt(load)
  const found = summary(tally, seconds, connections)
  yield* input.json ? Output.show(found, true) : Output.line(text(tally, found))
  if (last === undefined || found.failures === 0) return
  const [[message, count] = ["", 0]] = failuresOf(tally)
  return yield* new Failure({
    kind: "Refused",
    message: `${found.failures} of ${found.calls + found.failures} calls failed; ${count} of them: ${message}`
  })
}, Effect.scoped)
