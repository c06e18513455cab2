/**
 * One end that follows a store, and texts that are framed once for all who take them alike.
 */
import type { Outbox } from "../../socket/Outbox.ts"
import type { Generation, Stamp } from "../JugglerGeneration.ts"
import type { History, Point } from "./resume.ts"
import type { Run } from "./store.ts"

/** One end that follows a store. */
export class Follower {
  readonly generation: Generation
  readonly segmentSize: number
  readonly outbox: Outbox
  /** Characters that may wait in the outbox before patches are held back. */
  readonly highWater: number
  /** Knows what was missed, where the peer may ask for it. */
  readonly history: History | undefined
  /** It has to get the whole before it can get patches. */
  stale = true
  /** It is not known yet whether it resumes: nothing is sent. */
  asked = false
  /** It is told epoch and version. */
  stamped = false
  /** Where it stopped: what it missed since then may stand for the whole. */
  point: Point | undefined = undefined
  /** Something was sent to it; until then it holds `null`. */
  started = false
  /** Its outbox is full. */
  congested = false
  /** Characters of the whole, or of what was missed, that was sent last, as long as they may be waiting: they are no sign of a slow reader. */
  allowance = 0

  constructor(
    generation: Generation,
    segmentSize: number,
    outbox: Outbox,
    highWater: number,
    history: History | undefined
  ) {
    this.generation = generation
    this.segmentSize = segmentSize
    this.outbox = outbox
    this.highWater = highWater
    this.history = history
  }

  /** Nothing can be sent to it at the moment. */
  get waits(): boolean {
    return this.congested || this.asked
  }

  isFull(): boolean {
    const waiting = this.outbox.waiting()
    if (waiting <= this.highWater) this.allowance = 0
    return waiting > this.highWater + this.allowance
  }
}

/** Between which versions a patch leads; without a `base` it is the whole. */
type Step = Omit<Stamp, "epoch">

interface Made {
  readonly generation: Generation
  readonly segmentSize: number
  readonly stamped: boolean
  readonly frames: ReadonlyArray<string>
}

/** The frames of a text, made once for each generation and segment size, with and without a stamp. */
export class Frames {
  private readonly made: Array<Made> = []
  private last: Made | undefined
  private readonly text: string
  private readonly step: Step
  constructor(text: string, step: Step) {
    this.text = text
    this.step = step
  }
  get length(): number {
    return this.text.length
  }
  /** How versions are told. */
  private stamp({ epoch, offset }: Run): Stamp {
    const { base, more, version } = this.step
    const stamp = { epoch, version: version + offset }
    return base === undefined ? stamp : { ...stamp, base: base + offset, more }
  }
  send(follower: Follower): void {
    const { generation, outbox, segmentSize, stamped } = follower
    follower.started = true
    if (this.last === undefined || !fits(this.last, follower)) {
      this.last = this.made.find((made) => fits(made, follower))
      if (this.last === undefined) {
        const stamp = stamped ? this.stamp(follower.history!.run) : undefined
        this.last = { generation, segmentSize, stamped, frames: generation.encodeState(this.text, segmentSize, stamp) }
        this.made.push(this.last)
      }
    }
    const { frames } = this.last
    for (let i = 0; i < frames.length; i++) outbox.send(frames[i]!)
  }
}

const fits = (made: Made, { generation, segmentSize, stamped }: Follower): boolean =>
  made.generation === generation && made.segmentSize === segmentSize && made.stamped === stamped
