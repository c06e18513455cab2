import type { Ring } from "../../backplane/internal/ring.ts"
import { notices, type Position } from "./topicNotices.ts"
import type { Published } from "./topicPublished.ts"
import { Subscription, type SubscriptionOptions } from "./topicSubscription.ts"

/**
 * The history of a topic, one for all its subscribers in this process.
 *
 * @internal
 */
export interface TopicHistory {
  readonly ring: Ring<Published>
  readonly epoch: string
  readonly isState: boolean
}

/** After so many in a row that were not for it, a subscriber is told how far it is. */
const silent = 64

/**
 * A subscription of a topic with a history: a place in it, from which it is read as fast as the reader takes it. What has
 * gone from the history before it was read is told, as a position for those who asked for positions, as a gap for others.
 *
 * @internal
 */
export class Follower extends Subscription {
  private readonly history: TopicHistory
  private epoch: string
  private cursor: number
  private paused = false
  private passed = 0

  constructor(options: SubscriptionOptions, history: TopicHistory) {
    super(options)
    this.history = history
    this.epoch = history.epoch
    this.cursor = history.ring.end
  }

  /** Says where it begins, and sends what there is after that. */
  begin(position: Position | undefined): void {
    const { epoch, isState, ring } = this.history
    if (!this.options.positions) return
    const isKnown = position !== undefined && position.epoch === epoch
    // a number that is not here yet comes from a server that is ahead of this one: it has seen what comes next
    const recovered = isKnown && position.offset >= ring.start
    const oldest = isState ? this.newest : ring.start
    const from = position === undefined ? ring.end : recovered ? Math.min(position.offset, ring.end) : oldest
    // whoever subscribes to a state topic has its value; who had it knows it by its number
    this.cursor = isState ? Math.min(from, this.newest) : from
    this.tell(notices.position, { epoch, offset: this.cursor, recovered })
    this.pump()
  }

  deliver(published: Published): void {
    const { accepts, connection, outbox, policy, positions, slow, topic, wire } = this.options
    if (this.paused) {
      if (policy === "disconnect" && this.cursor < this.history.ring.start) slow.disconnect(connection, topic)
      return
    }
    // who keeps up and wants all of it needs no look at the history
    if (
      accepts !== undefined || this.cursor !== published.sequence - 1 || this.epoch !== this.history.epoch ||
      this.ended || outbox.waiting() > slow.highWater
    ) return this.pump()
    this.cursor = published.sequence
    outbox.send(positions ? published.positionedFrame(wire) : published.frame(wire))
  }

  /** What the backplane lost, the history has lost: it is seen there. */
  missed(): void {
    this.pump()
  }

  private get newest(): number {
    const { ring } = this.history
    return Math.max(ring.start, ring.end - 1)
  }

  private pump(): void {
    const { outbox, positions, slow, wire } = this.options
    if (this.paused || this.ended) return
    const { history } = this
    const { ring } = history
    while (true) {
      if (this.cursor < ring.start || this.epoch !== history.epoch) this.skip()
      if (this.cursor >= ring.end) return
      if (outbox.waiting() > slow.highWater) {
        this.paused = true
        slow.whenDrained(outbox, slow.highWater >> 1, () => {
          this.paused = false
          if (!outbox.isClosed()) this.pump()
        })
        return
      }
      const published = ring.at(++this.cursor)!
      if (this.wants(published)) {
        this.passed = 0
        outbox.send(positions ? published.positionedFrame(wire) : published.frame(wire))
      } else if (positions && ++this.passed >= silent) {
        this.passed = 0
        this.tell(notices.position, { epoch: this.epoch, offset: this.cursor, recovered: true })
      }
    }
  }

  private skip(): void {
    const { hearsNotices, positions, slow } = this.options
    const { epoch, isState, ring } = this.history
    const from = this.cursor
    const isCounted = this.epoch === epoch
    this.epoch = epoch
    this.cursor = isState ? this.newest : ring.start
    const missed = isCounted ? this.cursor - from : undefined
    if (missed !== undefined && missed > 0) slow.onDropped(missed)
    if (positions) this.tell(notices.position, { epoch, offset: this.cursor, recovered: false })
    else if (hearsNotices && missed !== 0) {
      this.tell(notices.gap, { missed: this.options.accepts === undefined ? missed ?? null : null })
    }
  }

  protected release(): void {}
}
