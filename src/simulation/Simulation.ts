/**
 * Any history of an application from one seed: its nodes run in a world whose network, clocks, scheduler and disks follow
 * from the seed and fail on purpose, without a port and without waiting; judges say which promise a history breaks; a
 * failure is made smaller and told as a story. What is simulated is the program itself: its layers, unchanged.
 *
 * It does not simulate real input and output: files, databases in other processes and sockets of the operating system
 * are the program's edge, and are provided by the world (`World`) or left out. Code that waits for a promise is fine as
 * long as nothing outside of the world settles it.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Draw } from "./Draw.ts"
import * as Fault from "./Fault.ts"
import type { History, Outcome } from "./History.ts"
import type * as Model from "./internal/model.ts"
import type { Plan } from "./internal/model.ts"
import * as Plans from "./internal/plan.ts"
import { shrink } from "./internal/shrink.ts"
import * as Story from "./internal/story.ts"
import * as Worlds from "./internal/world.ts"
import * as Judge from "./Judge.ts"
import type { World } from "./World.ts"

export type { Plan } from "./internal/model.ts"

/**
 * Something that a node does now and then, drawn by its weight.
 *
 * @category models
 * @since 0.2.0
 */
export interface Operation<out R> {
  /** The services that it needs. */
  readonly _R: () => R
}

/**
 * A part of the application that lives and dies by itself.
 *
 * @category models
 * @since 0.2.0
 */
export interface Node<out R> {
  /** The services that it needs. */
  readonly _R: () => R
}

/**
 * An application under simulation.
 *
 * @category models
 * @since 0.2.0
 */
export interface App {
  readonly name: string
  /** @internal */
  readonly spec: Model.AppSpec
}

/**
 * Makes an operation. `input` draws what it is called with, as JSON, so that it can be told, replayed and left out; `run`
 * does it in the node, with the services of its layer. It ends with its effect, and is interrupted there by the plan, at
 * any time, unless `interruptible` is false. `weight` says how often it is drawn (default 1).
 *
 * @category constructors
 * @since 0.2.0
 */
export const operation = <I, A, E, R>(options: {
  readonly weight?: number | undefined
  readonly interruptible?: boolean | undefined
  readonly input?: ((draw: Draw) => I) | undefined
  readonly run: (input: I) => Effect.Effect<A, E, R>
}): Operation<Exclude<R, World | Scope.Scope>> => {
  const spec: Model.OperationSpec = {
    weight: options.weight ?? 1,
    interruptible: options.interruptible ?? true,
    input: options.input ?? (() => undefined),
    run: options.run
  }
  return spec as never
}

/**
 * Makes a node. Its `layer` is built when the node starts and released when it stops; after a crash nothing of it is
 * left. A fault may restart it as one of its `versions` instead. `rest` is run when all is quiet, as an operation with
 * that name: what it gives is what judges see of the node's state. `left` counts what the node keeps for its clients (entries
 * of maps, bytes of a budget), by name: before they come, and after they have gone, for `Judge.nothingLeft`. `faults` are the kinds that may strike the node itself
 * (default: all).
 *
 * @category constructors
 * @since 0.2.0
 */
export const node = <A, E, R, V = never>(options: {
  readonly layer: Layer.Layer<A, E, R>
  readonly versions?: ReadonlyArray<Layer.Layer<NoInfer<A>, unknown, V>> | undefined
  readonly operations?: { readonly [name: string]: Operation<NoInfer<A>> } | undefined
  readonly rest?: Effect.Effect<unknown, unknown, NoInfer<A> | World | Scope.Scope> | undefined
  readonly left?:
    | Effect.Effect<{ readonly [what: string]: number }, never, NoInfer<A> | World | Scope.Scope>
    | undefined
  readonly faults?: ReadonlyArray<Fault.Kind> | undefined
}): Node<Exclude<R | V, World>> => {
  const spec: Model.NodeSpec = {
    versions: [options.layer, ...options.versions ?? []] as unknown as Model.NodeSpec["versions"],
    operations: Object.entries(options.operations ?? {}) as never,
    rest: options.rest,
    left: options.left,
    kinds: options.faults ??
      ["crash", "stop", "pause", "sluggish", "jump", "skew", "refuse", "hang", "deaf", "unheard"]
  }
  return spec as never
}

/**
 * A fault of the application's own: a database that is locked, a deployment. It runs beside the nodes, with what they
 * share.
 *
 * @category models
 * @since 0.2.0
 */
export interface OwnFault<I, S> {
  readonly weight?: number | undefined
  /** Draws what `run` gets. */
  readonly input?: ((draw: Draw) => I) | undefined
  /** Does it to the world. */
  readonly run: (input: I) => Effect.Effect<void, unknown, S | World>
}

/**
 * Makes an application of nodes, which start in the order given, each when the one before is up: servers first.
 *
 * - `shared`: what all nodes use and no fault takes away: a database, a broker. It is built anew for each history.
 * - `judges`: besides `defaults` (default: `Judge.defaults`).
 * - `faults`: the kinds that strike (default: all of networks and nodes, but for `midway` and those of the broker). `ownFaults`: the application's.
 * - `links`: which nodes talk to which, the dialling one first (default: who has dialled whom at the start).
 * - `places`: names for `World.reach`, of which a summary tells those that were never reached.
 * - `settle`: virtual time after the last operation, with a good network, in which all comes to rest. Default 60 s.
 * - `checkLeft`: whether fibers, timers and connections that are left are counted. Default true.
 * - `preempt`: whether fibers yield at any operation in some histories, as every 2,048th does in production. Default true.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = <S = never>(options: {
  readonly name: string
  readonly shared?: Layer.Layer<S, unknown, World> | undefined
  readonly nodes: { readonly [name: string]: Node<NoInfer<S>> }
  readonly judges?: ReadonlyArray<Judge.Judge> | undefined
  readonly defaults?: ReadonlyArray<Judge.Judge> | undefined
  readonly faults?: ReadonlyArray<Fault.Kind> | undefined
  readonly ownFaults?: { readonly [name: string]: OwnFault<any, NoInfer<S>> } | undefined
  readonly links?: ReadonlyArray<Fault.Link> | undefined
  readonly places?: ReadonlyArray<string> | undefined
  readonly settle?: Duration.Input | undefined
  readonly checkLeft?: boolean | undefined
  readonly preempt?: boolean | undefined
}): App => {
  const kinds = options.faults ?? Object.keys(Fault.weights) as Array<keyof typeof Fault.weights>
  return {
    name: options.name,
    spec: {
      name: options.name,
      shared: options.shared,
      nodes: Object.entries(options.nodes) as never,
      judges: [...options.defaults ?? Judge.defaults, ...options.judges ?? []],
      kinds: kinds.map((kind) =>
        [kind, Object.hasOwn(Fault.weights, kind) ? Fault.weights[kind as keyof typeof Fault.weights] : 3] as const
      ),
      ownFaults: Object.entries(options.ownFaults ?? {}).map(([name, fault]) => [name, {
        weight: fault.weight ?? 2,
        input: fault.input ?? (() => undefined),
        run: fault.run
      }]),
      links: options.links,
      places: options.places ?? [],
      settle: Duration.toMillis(Duration.fromInputUnsafe(options.settle ?? "60 seconds")),
      checkLeft: options.checkLeft ?? true,
      preempt: options.preempt ?? true
    }
  }
}

/**
 * How much happens in one history.
 *
 * @category models
 * @since 0.2.0
 */
export interface SizeOptions {
  /** Default 50. */
  readonly operations?: number | undefined
  /** At most; default 10. */
  readonly faults?: number | undefined
  /** The virtual time in which they fall; default 20 s. Some histories are denser. */
  readonly over?: Duration.Input | undefined
}

const sizeOf = (options: SizeOptions | undefined): Model.Size => ({
  operations: options?.operations ?? 50,
  faults: options?.faults ?? 10,
  over: Duration.toMillis(Duration.fromInputUnsafe(options?.over ?? "20 seconds"))
})

const runSeed = (app: App, seed: number, options: SizeOptions | undefined): Effect.Effect<Model.Run> =>
  Worlds.run(app.spec, Plans.frame(app.spec, seed), Plans.fill(app.spec, seed, sizeOf(options)))

const runPlan = (app: App, plan: Plan): Effect.Effect<Model.Run> =>
  Worlds.run(app.spec, { seed: plan.seed, network: plan.network, interleaving: plan.interleaving }, () => plan)

/**
 * The history of a seed.
 *
 * @category running
 * @since 0.2.0
 */
export const replay = (app: App, seed: number, options?: SizeOptions): Effect.Effect<History> =>
  Effect.map(runSeed(app, seed, options), (run) => run.history)

/**
 * The history of a plan.
 *
 * @category running
 * @since 0.2.0
 */
export const perform = (app: App, plan: Plan): Effect.Effect<History> =>
  Effect.map(runPlan(app, plan), (run) => run.history)

/**
 * A broken promise.
 *
 * @category models
 * @since 0.2.0
 */
export interface Failure {
  readonly seed: number
  readonly judge: Judge.Judge
  readonly message: string
  /** What is left of the plan after shrinking. */
  readonly plan: Plan
  readonly history: History
  /** From top to bottom, for a person; under 200 lines. */
  readonly story: string
  /** A test to paste, which fails as long as the promise is broken. */
  readonly test: string
}

/**
 * What was explored.
 *
 * @category models
 * @since 0.2.0
 */
export interface Report {
  readonly app: string
  /** How many histories were seen, the failing one included. */
  readonly histories: number
  readonly failure: Failure | undefined
  /** How often each kind of fault struck something. */
  readonly faults: ReadonlyMap<string, number>
  /** How operations ended. */
  readonly outcomes: ReadonlyMap<Outcome, number>
  /** Places of the application that no history reached. */
  readonly notReached: ReadonlyArray<string>
  readonly steps: number
}

/**
 * What to explore.
 *
 * @category models
 * @since 0.2.0
 */
export interface ExploreOptions extends SizeOptions {
  /** How many seeds; default 100. */
  readonly seeds?: number | undefined
  /** The first seed; default 1. */
  readonly from?: number | undefined
  /** No further history begins after so long, by the clock of whoever explores. Default: no limit. */
  readonly time?: Duration.Input | undefined
  /** Runs that a failure may take to be made smaller; default 400, 0: it is told as it is. */
  readonly shrink?: number | undefined
  /** Called after each history. */
  readonly onProgress?: ((histories: number) => void) | undefined
}

const judged = (app: App, history: History): { readonly judge: Judge.Judge; readonly message: string } | undefined => {
  for (const judge of app.spec.judges) {
    const message = judge.check(history)
    if (message !== undefined) return { judge, message }
  }
  return undefined
}

const failureOf = (app: App, run: Model.Run, budget: number): Effect.Effect<Failure | undefined> =>
  Effect.gen(function*() {
    const first = judged(app, run.history)
    if (first === undefined) return undefined
    const { judge } = first
    let stepsLeft = run.history.quiet ? Infinity : 1_000_000
    const plan = budget === 0 ? run.plan : yield* shrink(
      run.plan,
      (plan) =>
        Effect.suspend(() =>
          stepsLeft < 0 ? Effect.succeed(false) : Effect.map(runPlan(app, plan), ({ history, steps }) => {
            stepsLeft -= steps
            return judge.check(history) !== undefined
          })
        ),
      budget
    )
    const history = plan === run.plan ? run.history : yield* perform(app, plan)
    const message = judge.check(history) ?? first.message
    return {
      seed: plan.seed,
      judge,
      message,
      plan,
      history,
      story: Story.tell(judge, message, history, plan, run.plan),
      test: Story.test("app", judge, plan)
    }
  })

/**
 * Runs one history after the other until a judge finds a promise broken, the seeds are used up, or the time is over.
 *
 * **Example** (A hundred worlds)
 *
 * ```ts
 * const report = yield* Simulation.explore(app, { seeds: 100 })
 * if (report.failure !== undefined) yield* Console.log(report.failure.story)
 * ```
 *
 * @category running
 * @since 0.2.0
 */
export const explore = (app: App, options: ExploreOptions = {}): Effect.Effect<Report> =>
  Effect.gen(function*() {
    const from = options.from ?? 1
    const to = from + (options.seeds ?? 100)
    const until = options.time === undefined
      ? Infinity
      : (yield* Clock.currentTimeMillis) + Duration.toMillis(Duration.fromInputUnsafe(options.time))
    const faults = new Map<string, number>()
    const outcomes = new Map<Outcome, number>()
    const notReached = new Set(app.spec.places)
    let histories = 0
    let steps = 0
    let failure: Failure | undefined
    for (let seed = from; seed < to && failure === undefined; seed++) {
      if (until !== Infinity && (yield* Clock.currentTimeMillis) >= until) break
      const run = yield* runSeed(app, seed, options)
      histories++
      steps += run.steps
      for (const event of run.history.events) {
        if (event._tag === "Struck" && event.hit) {
          const name = event.fault.kind === "own" ? event.fault.name : event.fault.kind
          faults.set(name, (faults.get(name) ?? 0) + 1)
        } else if (event._tag === "Ended") outcomes.set(event.outcome, (outcomes.get(event.outcome) ?? 0) + 1)
      }
      for (const place of run.places) notReached.delete(place)
      failure = yield* failureOf(app, run, options.shrink ?? 400)
      options.onProgress?.(histories)
      // the rest of the process goes on in between
      if (histories % 8 === 0) yield* Effect.yieldNow
    }
    return { app: app.name, histories, failure, faults, outcomes, notReached: [...notReached], steps }
  })

/**
 * A promise that a history broke; the message is the story, with the test to paste.
 *
 * @category errors
 * @since 0.2.0
 */
export class SimulationFailed extends Schema.TaggedError<SimulationFailed>(
  "effect-wire/simulation/Simulation/SimulationFailed"
)("SimulationFailed", {
  seed: Schema.Int,
  /** The name of the judge. */
  judge: Schema.String,
  story: Schema.String,
  test: Schema.String
}) {
  override get message(): string {
    return `${this.story}\n\n${this.test}`
  }
}

const failed = ({ judge, seed, story, test }: Failure): Effect.Effect<never, SimulationFailed> =>
  Effect.fail(new SimulationFailed({ seed, judge: judge.name, story, test }))

/**
 * Explores, and fails with {@link SimulationFailed} when a promise is broken: what a test does.
 *
 * @category running
 * @since 0.2.0
 */
export const check = (app: App, options?: ExploreOptions): Effect.Effect<Report, SimulationFailed> =>
  Effect.flatMap(
    explore(app, options),
    (report) =>
      report.failure === undefined
        ? Effect.succeed(report)
        : failed(report.failure)
  )

/**
 * Runs one plan, and fails with {@link SimulationFailed} when it breaks a promise: the test of a failure that was found.
 *
 * @category running
 * @since 0.2.0
 */
export const hold = (app: App, plan: Plan): Effect.Effect<void, SimulationFailed> =>
  Effect.flatMap(
    runPlan(app, plan),
    (run) => Effect.flatMap(failureOf(app, run, 0), (failure) => failure === undefined ? Effect.void : failed(failure))
  )

/**
 * A report as text.
 *
 * @category running
 * @since 0.2.0
 */
export const summary = (report: Report): string => {
  const counts = (map: ReadonlyMap<string, number>): string =>
    [...map].sort(([a], [b]) => a < b ? -1 : 1).map(([name, count]) => `${name} ${count}`).join(", ") || "none"
  return [
    `${report.app}: ${report.histories} histories, ${report.failure === undefined ? "no promise broken" : "BROKEN"}`,
    `  faults: ${counts(report.faults)}`,
    `  operations: ${counts(report.outcomes)}`,
    ...report.notReached.length === 0 ? [] : [`  never reached: ${report.notReached.join(", ")}`]
  ].join("\n")
}
