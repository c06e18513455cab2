/**
 * One state in many processes: every process holds a copy, any of them writes, all of them see the same changes in the
 * same order. The `Backplane` carries the changes and numbers them (on PostgreSQL by a row that every publication locks),
 * and a change counts when it comes back by it, at the same place in the order everywhere.
 *
 * A change says on which version it was made. If another one came first it is refused, by every process alike, and its
 * writer makes it anew on the newer version; so `draft.count += 1` counts, whoever else counts at the same time.
 *
 * Versions belong to an epoch. A process that joins, or that missed something (the backplane says so), asks for the whole;
 * where nobody answers it takes the last snapshot that the backplane retained, or its own copy, into a new epoch.
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
import * as Sharing from "./internal/sharing.ts"
import { Store } from "./internal/store.ts"
import * as JsonPatch from "./JsonPatch.ts"
import type { Json } from "./JsonPointer.ts"
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

type Entry =
  /** A change: its epoch, the version it was made on, the operations, and a name for whoever waits for it. */
  | {
    readonly t: "patch"
    readonly e: string
    readonly b: number
    readonly p: ReadonlyArray<JsonPatch.Operation>
    readonly n: string
  }
  /** Somebody needs the whole. */
  | { readonly t: "ask" }
  /**
   * The whole, as it was after number `at` of the channel. `o` is the number at which the epoch began, 0 for the entry that
   * begins it: of two epochs the older one holds.
   */
  | {
    readonly t: "whole"
    readonly e: string
    readonly v: number
    readonly o: number
    readonly at: number
    readonly s: Json
  }

type Outcome = JsonPatch.JsonPatchError | "counted" | "again" | "lost"

const parse = (payload: string): Entry | undefined => {
  try {
    const entry = JSON.parse(payload) as Entry
    return typeof entry === "object" && entry !== null && typeof entry.t === "string" ? entry : undefined
  } catch {
    return undefined
  }
}

const randomName = Effect.map(Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER), (number) => number.toString(36))

/** The copy of this process and its place in the order. Everything here happens as the entries come, at once. */
class Replica {
  readonly store: Store
  readonly waiters = new Map<string, Deferred.Deferred<Outcome>>()
  epoch = ""
  version = 0
  /** Completed while the copy stands where the others do; `undefined` entries are kept until it does. */
  ready = Deferred.makeUnsafe<void>()
  waiting = true
  private origin = 0
  /** Number of the last entry that the copy reflects. */
  private at = 0
  /** Number of the last whole that came. */
  private wholeAt = 0
  private kept: Array<{ readonly entry: Extract<Entry, { readonly t: "patch" }>; readonly sequence: number }> = []
  private sinceWhole = 0
  private readonly snapshotEvery: number
  /** Publishes the whole after a moment, unless somebody else did since the number. */
  private readonly answer: (since: number) => void
  private readonly rejoin: () => void

  constructor(store: Store, snapshotEvery: number, answer: (since: number) => void, rejoin: () => void) {
    this.store = store
    this.snapshotEvery = snapshotEvery
    this.answer = answer
    this.rejoin = rejoin
  }

  hear(event: Backplane.Event): void {
    if (event._tag === "Gap") return this.lose()
    const entry = parse(event.payload)
    if (entry === undefined) return
    if (entry.t === "whole") this.whole(entry, event.sequence)
    else if (entry.t === "ask") {
      if (!this.waiting) this.answer(event.sequence)
    } else if (this.waiting) this.kept.push({ entry, sequence: event.sequence })
    else this.patch(entry, event.sequence)
  }

  /** Entries were missed: only the whole helps, and nobody knows which of our changes counted. */
  private lose(): void {
    for (const waiter of this.waiters.values()) Deferred.doneUnsafe(waiter, Effect.succeed("lost" as const))
    this.waiters.clear()
    this.kept = []
    if (!this.waiting) {
      this.waiting = true
      this.ready = Deferred.makeUnsafe()
    }
    this.rejoin()
  }

  private patch(entry: Extract<Entry, { readonly t: "patch" }>, sequence: number): void {
    this.at = sequence
    const waiter = this.waiters.get(entry.n)
    let outcome: Outcome = "again"
    if (entry.e === this.epoch && entry.b === this.version) {
      outcome = this.store.patch(entry.p, "wire") ?? "counted"
      if (outcome === "counted") {
        this.version++
        if (++this.sinceWhole >= this.snapshotEvery) {
          this.sinceWhole = 0
          this.answer(sequence)
        }
      }
    }
    if (waiter === undefined) return
    this.waiters.delete(entry.n)
    Deferred.doneUnsafe(waiter, Effect.succeed(outcome))
  }

  private whole(entry: Extract<Entry, { readonly t: "whole" }>, sequence: number): void {
    const origin = entry.o === 0 ? sequence : entry.o
    this.wholeAt = sequence
    this.sinceWhole = 0
    if (!this.waiting) {
      if (entry.e === this.epoch) return
      // two epochs, since a process that was slow to answer was taken for gone: the older one holds
      if (this.origin < origin) this.answer(sequence)
      else this.lose()
      return
    }
    if (this.store.merge(entry.s) !== undefined) return
    this.epoch = entry.e
    this.version = entry.v
    this.origin = origin
    this.at = Math.min(entry.at, sequence)
    this.waiting = false
    const kept = this.kept
    this.kept = []
    for (const { entry: later, sequence } of kept) if (sequence > this.at) this.patch(later, sequence)
    Deferred.doneUnsafe(this.ready, Effect.void)
  }

  /** The whole as an entry, unless one came since the number, or we have none. */
  since(number: number): Entry | undefined {
    if (this.waiting || this.wholeAt > number) return undefined
    return { t: "whole", e: this.epoch, v: this.version, o: this.origin, at: this.at, s: this.store.document.root }
  }
}

/**
 * Makes the copy of this process. Completes when it stands where the others do; `initial` is what the state is where there
 * are no others and nothing is retained.
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
    const store = new Store(null, { ...JsonPatch.defaultLimits, ...options.limits }, "", sharing.inspect)
    const refused = store.set(yield* sharing.encode(options.initial))
    if (refused !== undefined) return yield* refused
    const { channel } = options
    const me = yield* randomName
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const fork = (effect: Effect.Effect<unknown, unknown>) => {
      Effect.runForkWith(context)(Effect.forkIn(Effect.ignore(effect), scope))
    }
    const publish = (entry: Entry, retain: boolean) => backplane.publish(channel, JSON.stringify(entry), { retain })

    const replica = new Replica(
      store,
      options.snapshotEvery ?? 256,
      (since) =>
        fork(Effect.flatMap(Random.nextBetween(0, 50), (delay) =>
          Effect.andThen(
            Effect.sleep(delay),
            Effect.suspend(() => {
              const entry = replica.since(since)
              return entry === undefined ? Effect.void : Effect.asVoid(publish(entry, true))
            })
          ))),
      () => fork(Effect.retry(join(undefined), Schedule.spaced("1 second")))
    )

    /** Asks for the whole; where nobody answers, what we have is the whole, in a new epoch. */
    const join = (last: Backplane.Publication | undefined): Effect.Effect<void, Backplane.BackplaneError> =>
      Effect.gen(function*() {
        yield* publish({ t: "ask" }, false)
        yield* Effect.raceFirst(Deferred.await(replica.ready), Effect.sleep(options.joinTimeout ?? "1 second"))
        if (!replica.waiting) return
        const retained = last === undefined ? undefined : parse(last.payload)
        const [s, v] = retained?.t === "whole" ? [retained.s, retained.v] : [store.document.root, replica.version]
        // everybody who waits takes the first of these that comes
        yield* publish({ t: "whole", e: yield* randomName, v, o: 0, at: Number.MAX_SAFE_INTEGER, s }, true)
        yield* Deferred.await(replica.ready)
      })
    const registration = yield* backplane.listen(channel, (event) => replica.hear(event))
    yield* join(registration.last)

    let count = 0
    /** Publishes what `plan` comes to on the present version, anew until it counts. */
    const write = <E>(
      plan: () => E | ReadonlyArray<JsonPatch.Change>
    ): Effect.Effect<ReadonlyArray<JsonPatch.Change>, E | JsonPatch.JsonPatchError | Backplane.BackplaneError> =>
      Effect.gen(function*() {
        while (true) {
          yield* Deferred.await(replica.ready)
          const planned = plan()
          if (!Array.isArray(planned)) return yield* Effect.fail(planned as E)
          const operations = planned as ReadonlyArray<JsonPatch.Change>
          if (operations.length === 0) return operations
          const name = `${me}.${++count}`
          const deferred = Deferred.makeUnsafe<Outcome>()
          replica.waiters.set(name, deferred)
          yield* publish(
            { t: "patch", e: replica.epoch, b: replica.version, p: JsonPatch.encode(operations), n: name },
            false
          ).pipe(
            Effect.onError(() => Effect.sync(() => replica.waiters.delete(name)))
          )
          const outcome = yield* Deferred.await(deferred)
          if (outcome === "counted") return operations
          if (outcome === "lost") {
            return yield* new Backplane.BackplaneError({
              operation: "publish",
              channel,
              uncertain: true,
              cause: new Error("publications were lost, and perhaps this change with them")
            })
          }
          if (outcome !== "again") return yield* outcome
        }
      })
    const patch = (operations: () => ReadonlyArray<JsonPatch.Change>) =>
      Effect.asVoid(write(() => store.plan(operations())))

    const state: ClusterState<A, I> = {
      ...JugglerState.readable(store, sharing),
      set: (value) =>
        Effect.flatMap(sharing.encode(value), (encoded) => Effect.asVoid(write(() => store.compare(encoded)))),
      update: (recipe) =>
        write(() => {
          const changes = store.recipe(recipe as (draft: unknown) => unknown)
          return Array.isArray(changes) ? store.plan(changes) : changes as JsonPatch.JsonPatchError
        }),
      put: (place, value) => patch(() => JugglerState.putChanges(store, place, value)),
      remove: (place) => patch(() => [{ op: "remove", path: place }]),
      patch: (operations) => patch(() => operations),
      position: Effect.sync(() => ({ epoch: replica.epoch, version: replica.version }))
    }
    return JugglerState.register(state, store)
  })
