import * as Codec from "../../jsonrpc/JsonRpcCodec.ts"
import type { Connection } from "../../rpc/RpcConnection.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import type { SlowPolicy } from "../Topic.ts"
import { notices } from "./topicNotices.ts"

/**
 * What a subscription needs of its server.
 *
 * @internal
 */
export interface SlowReading {
  /** Characters waiting in the outbox beyond which a reader is slow. */
  readonly highWater: number
  /** Publications kept for a slow reader of a plain topic. */
  readonly capacity: number
  /** Calls `then` once at most `limit` characters wait in the outbox, or it is closed. */
  readonly whenDrained: (outbox: Outbox, limit: number, then: () => void) => void
  /** Closes a connection that reads too slowly. */
  readonly disconnect: (connection: Connection, topic: string) => void
  readonly onDropped: (count: number) => void
}

/**
 * One connection's subscription of one topic. A reader that keeps up gets each frame as it is; for one that does not,
 * a bounded number is kept here (for a state topic the newest), and what had to be dropped is counted and told.
 *
 * @internal
 */
export class Subscription {
  readonly connection: Connection
  readonly outbox: Outbox
  readonly topic: string
  /** Whether the client understands {@link notices}. */
  readonly hearsNotices: boolean
  /** Encoded, to compare with those of another request; `undefined` for none. */
  readonly parametersText: string | undefined
  readonly accepts: ((value: unknown) => boolean) | undefined
  /** Place among the subscriptions of the topic; kept by the topic. */
  index = -1
  /** `undefined` while the reader keeps up. */
  waiting: Array<string> | undefined
  private dropped = 0
  /** How many of those that wait come before what was lost from a backplane and cannot be counted. */
  private lost: number | null = 0
  private ended = false
  private readonly slow: SlowReading
  private readonly policy: SlowPolicy | "newest"

  constructor(options: {
    readonly connection: Connection
    readonly outbox: Outbox
    readonly topic: string
    readonly hearsNotices: boolean
    readonly parametersText: string | undefined
    readonly accepts: ((value: unknown) => boolean) | undefined
    readonly policy: SlowPolicy | "newest"
    readonly slow: SlowReading
  }) {
    this.connection = options.connection
    this.outbox = options.outbox
    this.topic = options.topic
    this.hearsNotices = options.hearsNotices
    this.parametersText = options.parametersText
    this.accepts = options.accepts
    this.policy = options.policy
    this.slow = options.slow
  }

  /** Sends a frame, or keeps it while the reader is slow. */
  deliver(frame: string): void {
    if (this.waiting === undefined && this.outbox.waiting() <= this.slow.highWater) {
      this.outbox.send(frame)
    } else {
      this.keep(frame)
    }
  }

  private keep(frame: string): void {
    if (this.waiting === undefined) {
      this.waiting = []
      this.slow.whenDrained(this.outbox, this.slow.highWater >> 1, () => this.resume())
    }
    this.waiting.push(frame)
    if (this.policy === "newest") {
      if (this.waiting.length > 1) this.waiting.shift()
    } else if (this.waiting.length > this.slow.capacity) {
      if (this.policy === "disconnect") return this.slow.disconnect(this.connection, this.topic)
      this.waiting.shift()
      this.dropped++
    }
  }

  private resume(): void {
    const waiting = this.waiting
    if (waiting === undefined || this.ended || this.outbox.isClosed()) return
    this.tellGap()
    while (waiting.length > 0 && this.outbox.waiting() <= this.slow.highWater) this.outbox.send(waiting.shift()!)
    if (waiting.length === 0) this.waiting = undefined
    else this.slow.whenDrained(this.outbox, this.slow.highWater >> 1, () => this.resume())
  }

  /** Publications were lost before they reached this server; `undefined` when nobody knows how many. */
  missed(count: number | undefined): void {
    this.lost = count === undefined || this.lost === null ? null : this.lost + count
    if (this.waiting === undefined) this.tellGap()
  }

  private tellGap(): void {
    const missed = this.lost === null ? null : this.lost + this.dropped
    if (this.dropped > 0) this.slow.onDropped(this.dropped)
    this.lost = 0
    this.dropped = 0
    if (missed !== 0 && this.hearsNotices) {
      this.outbox.send(Codec.encodeNotification(notices.gap, { topic: this.topic, missed }))
    }
  }

  /** Ends it; with a reason that the client is told. */
  end(reason?: string): void {
    this.ended = true
    this.waiting = undefined
    if (this.dropped > 0) this.slow.onDropped(this.dropped)
    this.dropped = 0
    if (reason !== undefined && this.hearsNotices) {
      this.outbox.send(Codec.encodeNotification(notices.ended, { topic: this.topic, reason }))
    }
  }
}
