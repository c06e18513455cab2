/**
 * What one end holds of the other's state, over all connections: it knows where it stopped, sees what is missing, and shows
 * guesses of its own on top of what it was told. A guess is a recipe; when something is told the guesses are taken back,
 * what was told is applied, and they run again on that. All is synchronous: what is in between is seen by nobody.
 */
import { JsonPatchError } from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import type { Stamp } from "../JugglerGeneration.ts"
import type { Change } from "./model.ts"
import type { Point } from "./resume.ts"
import { Store } from "./store.ts"

/** Something that is shown before the other end has said it. */
export interface Guess {
  readonly recipe: (draft: any) => unknown
  /** What takes it back, in this order. */
  undo: ReadonlyArray<Change>
  /** The answer has come; the guess goes with the state that shows what was answered, or with the next. */
  until: Point | "next" | undefined
}

/** So many patches may be dropped while what is missing is on its way. */
const maxDropped = 1_024

export class Replica {
  readonly store: Store
  /** What was told last; `undefined` where nothing was, or without a stamp. */
  private held: Point | undefined
  /** Half of a step was applied: nothing can be resumed. */
  private partial = false
  /** Nothing was told on this connection; by the protocol it starts from `null`. */
  private fresh = true
  /** Something was told on some connection. */
  private known = false
  /** Patches dropped since what is missing was asked for. */
  private dropped = 0
  /** The version that the last answer spoke of. */
  private answered: number | undefined
  private guesses: Array<Guess> = []

  constructor(store: Store) {
    this.store = store
  }

  /** What is held from elsewhere, before the first connection. */
  begin(value: Json, point: Point | undefined): JsonPatchError | undefined {
    const error = this.store.set(value)
    if (error !== undefined) return error
    this.known = true
    this.held = point
    return undefined
  }

  /** A connection begins; gives where the last one stopped. */
  opened(): Point | undefined {
    this.fresh = true
    this.dropped = 0
    this.answered = undefined
    return this.point
  }

  /** Where it stands, if it can be gone on from there. */
  get point(): Point | undefined {
    return this.partial ? undefined : this.held
  }

  /** Whether a state was told on any connection. */
  get isKnown(): boolean {
    return this.known
  }

  /** Takes a patch; `"ask"` where something before it is missing, `"lost"` where that does not come. */
  receive(patch: unknown, stamp: Stamp | undefined): JsonPatchError | "ask" | "lost" | undefined {
    const verdict = this.judge(stamp)
    if (verdict === "duplicate") return undefined
    if (verdict === "gap") {
      if (++this.dropped > maxDropped) return "lost"
      return this.dropped === 1 ? "ask" : undefined
    }
    const before = this.known
    let error: JsonPatchError | undefined
    const told = () => {
      // those who are told of it look at once
      this.known = true
      error = verdict === "whole" && before ? this.become(patch) : this.store.patch(patch, "wire")
      if (error !== undefined) {
        this.known = before
        return
      }
      this.fresh = false
      this.dropped = 0
      this.partial = stamp?.more === true
      this.held = stamp === undefined ? undefined : { epoch: stamp.epoch, version: stamp.version }
    }
    if (this.guesses.length === 0) told()
    else {
      this.rebase(0, () => {
        told()
        if (error === undefined) this.guesses = this.guesses.filter((guess) => !this.isOver(guess))
      })
    }
    return error
  }

  private judge(stamp: Stamp | undefined): "whole" | "next" | "duplicate" | "gap" {
    const { held } = this
    if (stamp === undefined) return this.fresh ? "whole" : "next"
    if (stamp.base === undefined) return "whole"
    // after something without a stamp, on this very connection, nothing can be missing
    if (held === undefined) return this.fresh ? "gap" : "next"
    if (stamp.epoch !== held.epoch) return "gap"
    if (stamp.base === held.version) return "next"
    return stamp.version <= held.version && !this.partial ? "duplicate" : "gap"
  }

  /** The whole comes anew: what is equal stays what it was. */
  private become(patch: unknown): JsonPatchError | undefined {
    const start = new Store(null, this.store.limits)
    return start.patch(patch, "wire") ?? this.store.merge(start.document.root)
  }

  /** An answer has come, which speaks of a version. */
  onAnswer(version: number | undefined): void {
    if (version !== undefined) this.answered = version
  }

  /** Guesses that are shown. */
  get size(): number {
    return this.guesses.length
  }

  /** Shows a guess, on top of those that are shown already. */
  predict(recipe: (draft: any) => unknown): Guess {
    const guess: Guess = { recipe, undo: [], until: undefined }
    this.store.batch(() => this.showAgain(guess))
    this.guesses.push(guess)
    return guess
  }

  /** What was guessed has been answered. `true`: the guess goes with the next state, whenever that is. */
  settle(guess: Guess): boolean {
    if (!this.guesses.includes(guess)) return false
    if (this.held === undefined || this.answered === undefined) {
      guess.until = "next"
      return true
    }
    guess.until = { epoch: this.held.epoch, version: this.answered }
    if (this.isOver(guess)) this.withdraw(guess)
    return false
  }

  /** Takes a guess back. */
  withdraw(guess: Guess): void {
    const index = this.guesses.indexOf(guess)
    if (index >= 0) this.rebase(index, () => this.guesses.splice(index, 1))
  }

  private isOver({ until }: Guess): boolean {
    if (until === undefined) return false
    const { held } = this
    return until === "next" || held === undefined || held.epoch !== until.epoch || held.version >= until.version
  }

  /** Does something below the guesses from `index` on. */
  private rebase(index: number, change: () => void): void {
    const { guesses, store } = this
    store.batch(() => {
      for (let i = guesses.length - 1; i >= index; i--) {
        store.write(guesses[i]!.undo, "found")
        guesses[i]!.undo = []
      }
      change()
      for (let i = index; i < this.guesses.length; i++) this.showAgain(this.guesses[i]!)
    })
  }

  /** A guess that does not fit what is there, or not any more, shows nothing. */
  private showAgain(guess: Guess): void {
    try {
      this.show(guess)
    } catch {
      guess.undo = []
    }
  }

  private show(guess: Guess): JsonPatchError | undefined {
    const changes = this.store.recipe(guess.recipe)
    if (changes instanceof JsonPatchError) return changes
    const undo = this.store.invert(changes)
    if (undo instanceof JsonPatchError) return undo
    guess.undo = undo
    return undefined
  }
}
