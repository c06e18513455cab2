/**
 * Going on where a connection stopped. A state has an epoch, which is of this process or of its cluster, and a version, which
 * counts its commits; those who ask for it are told both with every patch. The last operations are kept, so that whoever comes back
 * with a version gets what happened since. Ends that know nothing of this see a ping and its pong.
 */
import type { Change } from "./model.ts"
import { Pending } from "./pending.ts"
import type { Run, Store } from "./store.ts"

/** A state as somebody has seen it. */
export interface Point {
  readonly epoch: string
  readonly version: number
}

/** How the pings begin by which two ends tell each other that they resume. */
const greeting = "effect-wire/resume"

/** What a client pings with: where it stopped, or nothing. */
export const hello = (point: Point | undefined): string =>
  point === undefined ? greeting : `${greeting} ${point.epoch} ${point.version}`

/** The server's ping, to which a peer answers at once, whether it resumes or not. */
export const question = greeting

/** Reads a ping: `undefined` where it is an ordinary one. */
export const readHello = (payload: string): { readonly point: Point | undefined } | undefined => {
  if (!payload.startsWith(greeting)) return undefined
  const match = / ([0-9a-z]{1,64}) (\d{1,15})$/.exec(payload)
  return { point: match === null ? undefined : { epoch: match[1]!, version: Number(match[2]) } }
}

interface Step {
  readonly from: number
  readonly operations: ReadonlyArray<Change>
  readonly size: number
}

/** The last operations of a store, in steps between versions that somebody was told of. */
export class History {
  /** Names the versions, where the store has no name for them. */
  private readonly epoch: string
  private readonly store: Store
  private readonly maxSize: number
  private steps: Array<Step> = []
  private kept = 0
  /** What happened since the last step; writing the same scalar again and again is one operation. */
  private readonly open: Pending
  private openFrom: number

  constructor(store: Store, epoch: string, maxSize: number) {
    this.store = store
    this.epoch = epoch
    this.maxSize = maxSize
    this.open = new Pending(maxSize)
    this.openFrom = store.version
    store.record(({ changes }) => {
      this.open.add(changes)
      if (this.open.characters > this.limit) this.forget()
      // who comes from another process may have stopped at any version
      else if (this.store.run(this.epoch).shared) this.mark()
    })
    store.onRename(() => this.forget())
  }

  /** How versions are told. */
  get run(): Run {
    return this.store.run(this.epoch)
  }

  /** What is longer than the document is not worth keeping. */
  private get limit(): number {
    return Math.min(this.maxSize, this.store.document.size)
  }

  private forget(): void {
    this.steps = []
    this.kept = 0
    this.reopen()
  }

  private reopen(): void {
    this.open.clear()
    this.openFrom = this.store.version
  }

  /** Somebody is told of the present version. */
  mark(): void {
    if (this.store.version === this.openFrom) return
    const size = this.open.characters + 100
    this.steps.push({ from: this.openFrom, operations: this.open.list, size })
    this.kept += size
    this.reopen()
    const limit = this.limit
    let drop = 0
    while (drop < this.steps.length && this.kept > limit) this.kept -= this.steps[drop++]!.size
    if (drop > 0) this.steps.splice(0, drop)
  }

  /** What leads from a version to the present one; `undefined` where that is not known any more, or of another epoch. */
  since(point: Point): ReadonlyArray<Change> | undefined {
    const { epoch, offset } = this.run
    if (point.epoch !== epoch) return undefined
    const version = point.version - offset
    this.mark()
    if (version === this.store.version) return []
    let low = 0
    let high = this.steps.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.steps[middle]!.from < version) low = middle + 1
      else high = middle
    }
    return this.steps[low]?.from === version ? this.steps.slice(low).flatMap(({ operations }) => operations) : undefined
  }
}

const histories = new WeakMap<Store, History>()

/** The history of a store, kept from the first time that somebody asks for it; `epoch` and `maxSize` count then. */
export const historyOf = (store: Store, epoch: string, maxSize: number): History => {
  let history = histories.get(store)
  if (history === undefined) histories.set(store, history = new History(store, epoch, maxSize))
  return history
}
