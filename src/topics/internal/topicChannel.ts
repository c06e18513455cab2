import type * as Backplane from "../../backplane/Backplane.ts"
import { boundsOf, bytesOf, Ring } from "../../backplane/internal/ring.ts"
import type { Any } from "../Topic.ts"
import { Follower, type TopicHistory } from "./topicFollower.ts"
import type { Position } from "./topicNotices.ts"
import { Published, Writing } from "./topicPublished.ts"
import { BufferedSubscription, type Subscription, type SubscriptionOptions } from "./topicSubscription.ts"

/**
 * One topic of a server: who is subscribed here, what was published last, and its history where it has one.
 *
 * @internal
 */
export class TopicChannel {
  readonly topic: Any
  readonly writing: Writing
  private readonly now: () => number
  private readonly isState: boolean
  private subscriptions: Array<Subscription> = []
  /** The last value of a state topic. */
  private last: Published | undefined
  private history: TopicHistory & { epoch: string } | undefined

  constructor(topic: Any, now: () => number) {
    this.topic = topic
    this.now = now
    this.isState = topic.kind === "state"
    this.writing = new Writing(topic)
  }

  /** What the backplane carries: the text of the notification's parameters, empty for none. Throws what is no JSON. */
  encode(encoded: unknown): string {
    const params = this.writing.codec.toParams(encoded)
    return params === undefined ? "" : JSON.stringify(params)
  }

  private published({ payload, sequence }: Backplane.Publication, time: number): Published {
    return new Published(
      this.writing,
      payload,
      sequence,
      this.topic.history === undefined ? 0 : bytesOf(payload),
      time
    )
  }

  /** The last value of a state topic, decoded. */
  get current(): { readonly value: unknown } | undefined {
    return this.last
  }

  start({ epoch, history, last, sequence }: Backplane.Registration): void {
    const now = this.now()
    if (this.isState && last !== undefined) this.last = this.published(last, now)
    if (this.topic.history === undefined) return
    const ring = new Ring<Published>(boundsOf(this.topic.history), sequence)
    for (const { publication, time } of history) ring.push(this.published(publication, time))
    if (this.last?.sequence === sequence && ring.at(sequence) === undefined) ring.push(this.last)
    this.history = { ring, epoch, isState: this.isState }
  }

  onEvent(event: Backplane.Event): void {
    const { history, subscriptions } = this
    if (event._tag === "Gap") {
      if (history !== undefined) {
        history.ring.reset(event.sequence)
        history.epoch = event.epoch
      }
      for (const subscription of [...subscriptions]) subscription.missed(event.missed)
      return
    }
    const published = this.published(event, history === undefined ? 0 : this.now())
    if (this.isState) this.last = published
    history?.ring.push(published)
    // backwards: a slow reader may be removed by its turn, and the last one takes its place
    for (let i = subscriptions.length - 1; i >= 0; i--) subscriptions[i]!.deliver(published)
  }

  /**
   * Adds a subscription; in the same turn it gets the last value of a state topic, or what there is after the position
   * that it asks for, so that none is missed or doubled.
   */
  add(options: SubscriptionOptions, position: Position | undefined): Subscription {
    const { history } = this
    // who knows no positions has of a state topic the newest value only
    if (history === undefined || (this.isState && !options.positions)) {
      const subscription = new BufferedSubscription(options)
      this.insert(subscription)
      if (this.last !== undefined) subscription.deliver(this.last)
      return subscription
    }
    history.ring.expire(this.now())
    const subscription = new Follower(options, history)
    this.insert(subscription)
    subscription.begin(position)
    return subscription
  }

  private insert(subscription: Subscription): void {
    subscription.index = this.subscriptions.push(subscription) - 1
  }

  remove(subscription: Subscription): void {
    const { index } = subscription
    if (index < 0) return
    subscription.index = -1
    const moved = this.subscriptions.pop()!
    if (moved === subscription) return
    this.subscriptions[index] = moved
    moved.index = index
  }

  get subscribers(): ReadonlyArray<Subscription> {
    return this.subscriptions
  }
}
