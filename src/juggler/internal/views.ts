/**
 * The views of one server: each has a store of its own, which is followed like any other, shared by all connections that
 * are shown it. A part is kept up to date by the operations themselves; a function runs once for each autoflush delay.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { JsonPatchError } from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import * as JugglerState from "../JugglerState.ts"
import type { View } from "../JugglerView.ts"
import type { Change } from "./model.ts"
import { PathIndex } from "./pathIndex.ts"
import { Pending } from "./pending.ts"
import { flushAll } from "./publisher.ts"
import * as Sharing from "./sharing.ts"
import { Store } from "./store.ts"
import { within } from "./within.ts"

type Fork = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

/** What one connection is shown. */
export interface Shown {
  readonly state: JugglerState.JugglerState<Json, any>
  /** Milliseconds that changes of the state are gathered; `undefined`: until a flush. */
  readonly delay: number | undefined
  /** Brings the state up to date. */
  readonly flush: () => void
  /** The version that will show what has happened so far. */
  readonly version: () => number
  readonly leave: () => void
}

/** Views that nobody is shown are kept for those who come back, so many. */
const maxIdle = 64

/** Characters of the operations that a function is told of; of more it is told that everything may be another. */
const maxPending = 1_048_576

export class Views {
  private readonly source: Store
  private readonly sharing: Sharing.Sharing<Json>
  private readonly delay: number | undefined
  private readonly fork: Fork
  private readonly groups = new Map<string | View, Group>()
  private readonly idle = new Set<Group>()
  private readonly index = new PathIndex<Group>()
  private stop: (() => void) | undefined

  constructor(source: Store, sharing: Sharing.Sharing<Json>, delay: number | undefined, fork: Fork) {
    this.source = source
    this.sharing = sharing
    this.delay = delay
    this.fork = fork
  }

  /** Shows a view to one more connection; `onFault` when there is nothing more to be shown. */
  show(view: View, onFault: () => void): Shown {
    const key = view.key ?? view
    let group = this.groups.get(key)
    if (group === undefined) {
      this.stop ??= this.source.listen(({ changes }) => {
        for (const touched of this.index.touched(this.source.document, changes)) {
          const seen = within(this.source.document, changes, touched.view.part)
          if (seen !== undefined) touched.changed(seen)
        }
      })
      group = new Group(view, this.source, this.sharing, this.delay, this.fork)
      this.groups.set(key, group)
      this.index.add(view.part, group)
    }
    const shown = group
    this.idle.delete(shown)
    shown.join(onFault)
    return {
      state: shown.state,
      delay: view.run === undefined || this.delay === undefined ? this.delay : 0,
      flush: () => shown.compute(),
      version: () => shown.nextVersion(),
      leave: () => {
        if (!shown.leave(onFault)) return
        if (view.key === undefined || shown.failed) return this.drop(shown)
        this.idle.add(shown)
        if (this.idle.size > maxIdle) { for (const oldest of this.idle) return this.drop(oldest) }
      }
    }
  }

  private drop(group: Group): void {
    this.idle.delete(group)
    this.groups.delete(group.view.key ?? group.view)
    this.index.delete(group.view.part, group)
    if (this.groups.size > 0) return
    this.stop?.()
    this.stop = undefined
  }
}

class Group {
  readonly view: View
  readonly state: JugglerState.JugglerState<Json, any>
  failed = false
  private readonly source: Store
  private readonly store: Store
  private readonly delay: number | undefined
  private readonly fork: Fork
  private readonly shownTo = new Set<() => void>()
  /** What happened in the part since the function ran; `whole`: everything may be another. */
  private readonly pending = new Pending(maxPending)
  private whole = true
  private dirty = true
  private previous: Json | undefined
  private timer = false
  /** Somebody waits for the next version. */
  private promised = false

  constructor(view: View, source: Store, sharing: Sharing.Sharing<Json>, delay: number | undefined, fork: Fork) {
    this.view = view
    this.source = source
    this.delay = delay
    this.fork = fork
    this.store = new Store(null, source.limits)
    this.state = JugglerState.fromStore<Json, any>(this.store, sharing)
  }

  join(onFault: () => void): void {
    this.shownTo.add(onFault)
    this.compute()
  }

  /** `true` when nobody is left. */
  leave(onFault: () => void): boolean {
    return this.shownTo.delete(onFault) && this.shownTo.size === 0
  }

  nextVersion(): number {
    if (!this.dirty) return this.store.version
    this.promised = true
    return this.store.version + 1
  }

  private get part(): Json {
    return this.source.document.snapshot(this.view.part) ?? null
  }

  changed(seen: ReturnType<typeof within> & {}): void {
    if (this.view.run === undefined) {
      if (seen !== "whole" && this.store.write(seen, "program") === undefined) return
      this.store.set(this.part)
      return
    }
    if (seen === "whole" || this.shownTo.size === 0 || this.pending.characters > maxPending) this.whole = true
    if (this.whole) this.pending.clear()
    else this.pending.add(seen as ReadonlyArray<Change>)
    this.dirty = true
    if (this.shownTo.size === 0) return
    if (this.delay === 0) return this.run()
    if (this.delay === undefined || this.timer) return
    this.timer = true
    this.fork(Effect.andThen(
      Effect.sleep(this.delay),
      Effect.sync(() => {
        this.timer = false
        this.run()
      })
    ))
  }

  /** Brings the store up to date. */
  compute(): void {
    if (this.dirty) this.run()
  }

  private run(): void {
    if (!this.dirty || this.failed) return
    const { run } = this.view
    this.dirty = false
    if (run === undefined) {
      this.store.set(this.part)
      return
    }
    this.fork(Effect.catchCause(Effect.suspend(() => this.runNow(run)), (cause) => this.fail(cause)))
  }

  private runNow(run: NonNullable<View["run"]>): Effect.Effect<void, JsonPatchError> {
    const changes = this.whole ? undefined : this.pending.list
    this.whole = false
    this.pending.clear()
    const before = this.store.version
    const value = run(this.part, { changes, previous: this.previous })
    const error = this.store.set(value)
    if (error !== undefined) return Effect.fail(error)
    this.previous = value
    if (this.promised && this.store.version === before) {
      // nothing is new, which somebody waits to hear
      this.store.version++
      flushAll(this.store)
    }
    this.promised = false
    return Effect.void
  }

  private fail(cause: unknown): Effect.Effect<void> {
    return Effect.andThen(
      Effect.logError("a view failed", cause),
      Effect.sync(() => {
        this.failed = true
        for (const onFault of Array.from(this.shownTo)) onFault()
      })
    )
  }
}
