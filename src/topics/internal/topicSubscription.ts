import type { Wire } from "../../jsonrpc/internal/wireModel.ts"
import type { Connection } from "../../rpc/RpcConnection.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import type { SlowPolicy } from "../Topic.ts"
import { notices } from "./topicNotices.ts"
import type { Published } from "./topicPublished.ts"

/**
 * What a subscription needs of its server.
 *
 * @internal
 */
export interface SlowReading {
  /** Characters waiting in the outbox beyond which a reader is slow. */
  readonly highWater: number
  /** Publications kept for a slow reader of a plain topic without a history. */
  readonly capacity: number
  /** Calls `then` once at most `limit` characters wait in the outbox, or it is closed. */
  readonly whenDrained: (outbox: Outbox, limit: number, then: () => void) => void
  /** Closes a connection that reads too slowly. */
  readonly disconnect: (connection: Connection, topic: string) => void
  readonly onDropped: (count: number) => void
}

/** @internal */
export interface SubscriptionOptions {
  readonly connection: Connection
  readonly outbox: Outbox
  /** What the subscriber speaks. */
  readonly wire: Wire
  readonly topic: string
  /** Whether the client understands {@link notices}. */
  readonly hearsNotices: boolean
  /** Whether it wants values with their positions. */
  readonly positions: boolean
  /** Encoded, to compare with those of another request; `undefined` for none. */
  readonly parametersText: string | undefined
  readonly accepts: ((value: unknown) => boolean) | undefined
  readonly policy: SlowPolicy | "newest"
  readonly slow: SlowReading
}

/**
 * One connection's subscription of one topic.
 *
 * @internal
 */
export abstract class Subscription {
  readonly options: SubscriptionOptions
  /** Place among the subscriptions of the topic; kept by the topic. */
  index = -1
  protected ended = false

  constructor(options: SubscriptionOptions) {
    this.options = options
  }

  get connection(): Connection {
    return this.options.connection
  }

  /** A publication of the topic, whether it is for this subscriber or not. */
  abstract deliver(published: Published): void
  /** Publications were lost before they reached this server; `undefined` when nobody knows how many. */
  abstract missed(count: number | undefined): void
  protected abstract release(): void

  // What the application says of one value and one subscriber must not keep it from the others.
  protected wants(published: Published): boolean {
    const { accepts } = this.options
    if (accepts === undefined) return true
    try {
      return accepts(published.value)
    } catch {
      return false
    }
  }

  protected tell(method: string, params: Record<string, unknown>): void {
    const { outbox, topic, wire } = this.options
    outbox.send(wire.encode.notification(method, { topic, ...params }))
  }

  /** Ends it; with a reason that the client is told. */
  end(reason?: string): void {
    this.ended = true
    this.release()
    if (reason !== undefined && this.options.hearsNotices) this.tell(notices.ended, { reason })
  }
}

/**
 * A subscription of a topic without a history, or of one that only its newest value is wanted of. A reader that keeps up
 * gets each frame as it is; for one that does not, a bounded number is kept here (for a state topic the newest), and what
 * had to be dropped is counted and told.
 *
 * @internal
 */
export class BufferedSubscription extends Subscription {
  /** `undefined` while the reader keeps up. */
  private waiting: Array<string> | undefined
  private dropped = 0
  /** How many of those that wait come before what was lost from a backplane and cannot be counted. */
  private lost: number | null = 0

  deliver(published: Published): void {
    if (!this.wants(published)) return
    const { outbox, slow, wire } = this.options
    const frame = published.frame(wire)
    if (this.waiting === undefined && outbox.waiting() <= slow.highWater) outbox.send(frame)
    else this.keep(frame)
  }

  private keep(frame: string): void {
    const { connection, outbox, policy, slow, topic } = this.options
    if (this.waiting === undefined) {
      this.waiting = []
      slow.whenDrained(outbox, slow.highWater >> 1, () => this.resume())
    }
    this.waiting.push(frame)
    if (policy === "newest") {
      if (this.waiting.length > 1) this.waiting.shift()
    } else if (this.waiting.length > slow.capacity) {
      if (policy === "disconnect") return slow.disconnect(connection, topic)
      this.waiting.shift()
      this.dropped++
    }
  }

  private resume(): void {
    const { waiting } = this
    const { outbox, slow } = this.options
    if (waiting === undefined || this.ended || outbox.isClosed()) return
    this.tellGap()
    while (waiting.length > 0 && outbox.waiting() <= slow.highWater) outbox.send(waiting.shift()!)
    if (waiting.length === 0) this.waiting = undefined
    else slow.whenDrained(outbox, slow.highWater >> 1, () => this.resume())
  }

  missed(count: number | undefined): void {
    // the newest value of a state topic comes after the gap: nothing that matters was missed
    if (this.options.policy === "newest") return
    this.lost = count === undefined || this.lost === null ? null : this.lost + count
    if (this.waiting === undefined) this.tellGap()
  }

  private tellGap(): void {
    const missed = this.lost === null ? null : this.lost + this.dropped
    if (this.dropped > 0) this.options.slow.onDropped(this.dropped)
    this.lost = 0
    this.dropped = 0
    if (missed !== 0 && this.options.hearsNotices) this.tell(notices.gap, { missed })
  }

  protected release(): void {
    this.waiting = undefined
    if (this.dropped > 0) this.options.slow.onDropped(this.dropped)
    this.dropped = 0
  }
}
