/**
 * One state in many processes: every process holds a copy, any of them writes, all of them see the same changes in the
 * same order. The `Backplane` carries the changes and numbers them (on PostgreSQL by a row that every publication locks),
 * and a change counts when it comes back by it, at the same place in the order everywhere.
 *
 * A change says on which version it was made, and which places it has looked at and writes to. If another one that touched
 * these came first it is refused, by every process alike, and its writer makes it anew on the newer version; so
 * `draft.count += 1` counts, whoever else counts at the same time. Changes of different places do not meet. What a process
 * writes while a publication of its own is under way is published together, as soon as that one is heard.
 *
 * Versions belong to an epoch. A process that joins, or that missed something (the backplane says so, or a number is missing,
 * or its own publication does not come, or it could not apply what others could), asks for the whole; where nobody answers it takes the last snapshot that the backplane retained, or its own copy, into a new epoch.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Backplane from "../backplane/Backplane.ts"
import { compress, type Entry, touchedBy, type Write } from "./internal/clusterModel.ts"
import { type Outcomes, Replica } from "./internal/clusterReplica.ts"
import type { Known } from "./internal/clusterSpoken.ts"
import * as Sharing from "./internal/sharing.ts"
import { Store } from "./internal/store.ts"
import * as JsonPatch from "./JsonPatch.ts"
import * as JsonPointer from "./JsonPointer.ts"
import type { Json, Pointer } from "./JsonPointer.ts"
import * as JugglerState from "./JugglerState.ts"

/**
 * How a shared state is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, I> extends JugglerState.Options<A, I> {
  /** Channel of the backplane; one for each state. */
  readonly channel: string
  /** How long a process that joins waits for another to answer; default 1 s. */
  readonly joinTimeout?: Duration.Input | undefined
  /** After so many changes the whole is retained by the backplane, for a start after all processes ended; default 256. */
  readonly snapshotEvery?: number | undefined
}

/**
 * Where a copy stands: two copies that stand at the same place are equal.
 *
 * @category models
 * @since 0.1.0
 */
export interface Position {
  /** Names the run of versions; another one after all processes had ended or had lost each other. */
  readonly epoch: string
  /** Counts the changes of the epoch. */
  readonly version: number
}

/**
 * A state that other processes share. Writes complete when they count, and fail with `BackplaneError` when the backplane
 * does; reads are those of this process's copy and never wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClusterState<in out A, in out I = Json>
  extends JugglerState.JugglerState<A, I, Backplane.BackplaneError>
{
  readonly position: Effect.Effect<Position>
}

const randomName = Effect.map(Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER), (number) => number.toString(36))

/** So many writes are published together, and so many characters, or one write that is longer. */
const maxBatch = 256
const maxCharacters = 262_144

const nothing: Known = { e: "", v: 0 }

/** A write that waits to be published. */
interface Job {
  /** What it comes to on the present state; tells the places that it looks at. */
  readonly plan: (onRead: (place: Pointer) => void) => JsonPatch.JsonPatchError | ReadonlyArray<JsonPatch.Change>
  readonly settle: (
    outcome: Effect.Effect<ReadonlyArray<JsonPatch.Change>, JsonPatch.JsonPatchError | Backplane.BackplaneError>
  ) => void
  /** Whoever waited for it was interrupted. */
  gone: boolean
}

/**
 * Makes the copy of this process. Completes when it stands where the others do; `initial` is what the state is where there
 * are no others and nothing is retained. Fails with `JsonPatchError` where schema or limits refuse `initial` or what is retained.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, I>(
  options: Options<A, I>
): Effect.Effect<
  ClusterState<A, I>,
  JsonPatch.JsonPatchError | Schema.SchemaError | Backplane.BackplaneError,
  Backplane.Backplane | Scope.Scope
> =>
  Effect.gen(function*() {
    const backplane = yield* Backplane.Backplane
    const sharing = Sharing.make(options.schema)
    const { channel } = options
    const me = yield* randomName
    const store = new Store(null, { ...JsonPatch.defaultLimits, ...options.limits }, me, sharing.inspect)
    const refused = store.set(yield* sharing.encode(options.initial))
    if (refused !== undefined) return yield* refused
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const fork = (effect: Effect.Effect<unknown, unknown>) => {
      Effect.runForkWith(context)(Effect.forkIn(Effect.ignore(effect), scope))
    }
    /** After a moment that is another one for each process. */
    const later = <A, E>(effect: () => Effect.Effect<A, E>) =>
      Effect.flatMap(Random.nextBetween(0, 50), (delay) => Effect.andThen(Effect.sleep(delay), Effect.suspend(effect)))
    const publish = (entry: Entry, retain: boolean) => backplane.publish(channel, JSON.stringify(entry), { retain })
    const patience = options.joinTimeout ?? "1 second"

    const replica = new Replica(store, options.snapshotEvery ?? 256, {
      answer: (since) =>
        fork(later(() => {
          const entry = replica.entry(since)
          return entry === undefined ? Effect.void : publish(entry, true)
        })),
      rejoin: () => ask(),
      announce: (since) =>
        fork(later(() => replica.mayAnnounce(since) ? publish({ t: "ask", ...replica.known }, false) : Effect.void)),
      deny: (n, i) => fork(publish({ t: "no", n, i }, false)),
      doubt: (name, index) =>
        fork(Effect.andThen(Effect.sleep(patience), Effect.sync(() => replica.settle(name, index)))),
      broken: (error) => fork(Effect.logError(`the shared state ${channel} cannot be taken over`, error))
    })

    let pauses = false
    let again = false
    /** Joins anew, but not at every loss: an ask that is lost is a loss for all who wait, and each of them would ask. */
    const ask = (): void => {
      again = pauses
      if (pauses) return
      pauses = true
      fork(Effect.retry(join, Schedule.spaced("1 second")))
      fork(later(() =>
        Effect.sync(() => {
          pauses = false
          if (again && replica.waiting) ask()
        })
      ))
    }

    let joins = 0
    /** Asks for the whole until it comes; where nobody answers, what we have is the whole, in a new epoch. */
    const join: Effect.Effect<void, Backplane.BackplaneError> = Effect.gen(function*() {
      const mine = ++joins
      const waits = () => replica.waiting && joins === mine
      const waited = Effect.suspend(() => Effect.timeoutOption(Deferred.await(replica.ready), patience))
      let hears = true
      while (waits()) {
        // who does not hear himself is nobody whom others should wait for
        const asked: number = yield* publish({ t: "ask", ...(hears ? replica.known : nothing) }, false)
        yield* waited
        hears = replica.heard >= asked
        if (!waits() || !replica.mayBegin(asked)) continue
        const k = replica.known
        const { count: c } = replica
        const e = yield* randomName
        const s = store.document.root
        // everybody who waits takes the first of these that comes, and holds
        yield* publish({ t: "whole", c, e, v: k.v, o: 0, at: Number.MAX_SAFE_INTEGER, s, l: [], k, a: asked }, true)
        yield* waited
      }
    })
    const unfit = replica.begin(yield* backplane.listen(channel, (event) => replica.hear(event)))
    if (unfit !== undefined) return yield* unfit
    yield* join
    yield* Deferred.await(replica.ready)

    const lost = (reason: string) =>
      new Backplane.BackplaneError({ operation: "publish", channel, uncertain: true, cause: new Error(reason) })
    let queue: Array<Job> = []
    let running = false
    let closed = false
    let count = 0
    /** Writes that have no end yet, those whose publication is under way too. */
    const open = new Set<Job>()

    /** Makes the writes that wait, one on top of the other, and publishes what they come to. */
    const publishSome: Effect.Effect<void> = Effect.gen(function*() {
      yield* Deferred.await(replica.ready)
      const jobs: Array<Job> = []
      const rest: Array<Job> = []
      const planned: Array<ReadonlyArray<JsonPatch.Change>> = []
      const writes: Array<Write> = []
      const batch = queue.filter(({ gone }) => !gone)
      queue = batch.splice(maxBatch)
      const reads = batch.map((): Array<Pointer> => [])
      let characters = 0
      // whoever waits goes on when the state is what it was: in between it has what does not count yet
      const settled: Array<() => void> = []
      const settle = (job: Job, outcome: Parameters<Job["settle"]>[0]) => settled.push(() => job.settle(outcome))
      store.rehearse(
        batch.map((job, i) => () => {
          if (characters > maxCharacters) return []
          const made = Effect.runSyncExit(Effect.sync(() => job.plan((place) => reads[i]!.push(place))))
          if (made._tag === "Success") return made.value
          // what a recipe throws is its writer's
          settle(job, Effect.failCause(made.cause))
          return []
        }),
        (i, changes) => {
          const job = batch[i]!
          if (characters > maxCharacters) return void rest.push(job)
          if (changes instanceof JsonPatch.JsonPatchError) return void settle(job, Effect.fail(changes))
          if (changes.length === 0) return void settle(job, Effect.succeed(changes))
          const write: Write = {
            p: JsonPatch.encode(changes),
            r: compress(reads[i]!.map(JsonPointer.format)),
            w: touchedBy(store.document, changes)
          }
          characters += JSON.stringify(write).length
          jobs.push(job)
          planned.push(changes)
          writes.push(write)
        }
      )
      queue = [...rest, ...queue]
      for (const run of settled) run()
      if (jobs.length === 0) return
      const n = `${me}.${++count}`
      const waiter = Deferred.makeUnsafe<Outcomes>()
      replica.waiters.set(n, waiter)
      const published = yield* Effect.exit(
        publish({ t: "writes", e: replica.epoch, b: replica.version, n, w: writes }, false)
      )
      if (published._tag === "Failure") {
        replica.waiters.delete(n)
        for (const job of jobs) job.settle(Effect.failCause(published.cause))
        return
      }
      const heard = yield* Effect.timeoutOption(Deferred.await(waiter), patience)
      // what was published, and is not heard, was lost on its way here
      if (heard._tag === "None" && replica.waiters.has(n)) replica.lose()
      const outcomes = yield* Deferred.await(waiter)
      const again: Array<Job> = []
      jobs.forEach((job, i) => {
        const outcome = outcomes === "lost" ? outcomes : outcomes[i]!
        if (outcome === "counted") job.settle(Effect.succeed(planned[i]!))
        else if (outcome === "again") again.push(job)
        else if (outcome !== "lost") job.settle(Effect.fail(outcome))
        else job.settle(Effect.fail(lost("publications were lost, and perhaps this change with them")))
      })
      queue = [...again, ...queue]
    })

    const run: Effect.Effect<void> = Effect.gen(function*() {
      while (queue.length > 0) {
        // those who write in the same turn are published together
        yield* Effect.yieldNow
        yield* publishSome
      }
      running = false
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
        queue = []
        for (const job of open) job.settle(Effect.fail(lost("the state was closed")))
      })
    )

    const write = (plan: Job["plan"]) =>
      Effect.callback<ReadonlyArray<JsonPatch.Change>, JsonPatch.JsonPatchError | Backplane.BackplaneError>(
        (settle) => {
          if (closed) return settle(Effect.fail(lost("the state was closed")))
          const job: Job = {
            plan,
            settle: (outcome) => {
              open.delete(job)
              settle(outcome)
            },
            gone: false
          }
          open.add(job)
          queue.push(job)
          if (!running) {
            running = true
            fork(run)
          }
          return Effect.sync(() => {
            job.gone = true
            open.delete(job)
          })
        }
      )
    const all: Pointer = []
    const patch = (changes: () => ReadonlyArray<JsonPatch.Change>) =>
      Effect.asVoid(write((onRead) => {
        const made = changes()
        // what is looked at is written to elsewhere, or compared
        for (const change of made) {
          if ("from" in change) onRead(change.from)
          else if (change.op === "test") onRead(change.path)
        }
        return made
      }))

    const state: ClusterState<A, I> = {
      ...JugglerState.readable(store, sharing),
      set: (value) =>
        Effect.flatMap(sharing.encode(value), (encoded) =>
          Effect.asVoid(write((onRead) => {
            onRead(all)
            return store.compare(encoded)
          }))),
      update: (recipe) => write((onRead) => store.recipe(recipe as (draft: unknown) => unknown, onRead)),
      put: (place, value) => patch(() => JugglerState.putChanges(store, place, value)),
      remove: (place) => patch(() => [{ op: "remove", path: place }]),
      patch: (changes) => patch(() => changes),
      position: Effect.sync(() => ({ epoch: replica.epoch, version: replica.version }))
    }
    return JugglerState.register(state, store)
  })
