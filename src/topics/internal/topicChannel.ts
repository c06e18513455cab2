import * as Exit from "effect/Exit"
import type * as Backplane from "../../backplane/Backplane.ts"
import type { Any } from "../Topic.ts"
import { compile, type Compiled } from "../Topic.ts"
import type { Subscription } from "./topicSubscription.ts"

// What the application says of one value and one subscriber must not keep it from the others.
const accepts = (subscription: Subscription, value: unknown): boolean => {
  try {
    return subscription.accepts!(value)
  } catch {
    return false
  }
}

/**
 * One topic of a server: who is subscribed here, and what was published last.
 *
 * @internal
 */
export class TopicChannel {
  readonly topic: Any
  readonly codec: Compiled
  private readonly head: string
  private subscriptions: Array<Subscription> = []
  /** The last value of a state topic, as text and as a frame. */
  private last: { readonly text: string; readonly frame: string } | undefined

  constructor(topic: Any) {
    this.topic = topic
    this.codec = compile(topic)
    this.head = `{"jsonrpc":"2.0","method":${JSON.stringify(topic.name)}`
  }

  /** What the backplane carries: the text of the notification's parameters, empty for none. Throws what is no JSON. */
  encode(encoded: unknown): string {
    const params = this.codec.toParams(encoded)
    return params === undefined ? "" : JSON.stringify(params)
  }

  private frame(text: string): string {
    return text === "" ? `${this.head}}` : `${this.head},"params":${text}}`
  }

  private value(text: string): unknown {
    const decoded = this.codec.method.decodePayload(
      this.codec.fromParams(text === "" ? undefined : JSON.parse(text))
    )
    return Exit.isExit(decoded) && decoded._tag === "Success" ? decoded.value : undefined
  }

  /** The last value of a state topic, decoded. */
  get current(): { readonly value: unknown } | undefined {
    return this.last === undefined ? undefined : { value: this.value(this.last.text) }
  }

  start(registration: Backplane.Registration): void {
    const text = registration.last?.payload
    if (this.topic.kind === "state" && text !== undefined) this.last = { text, frame: this.frame(text) }
  }

  onEvent(event: Backplane.Event): void {
    const { subscriptions } = this
    if (event._tag === "Gap") {
      // the newest value of a state topic comes after the gap: nothing that matters was missed
      if (this.topic.kind === "state") return
      for (const subscription of subscriptions) subscription.missed(event.missed)
      return
    }
    const frame = this.frame(event.payload)
    if (this.topic.kind === "state") this.last = { text: event.payload, frame }
    let value: unknown
    let decoded = false
    // backwards: a slow reader may be removed by its turn, and the last one takes its place
    for (let i = subscriptions.length - 1; i >= 0; i--) {
      const subscription = subscriptions[i]!
      if (subscription.accepts !== undefined) {
        if (!decoded) {
          decoded = true
          value = this.value(event.payload)
        }
        if (!accepts(subscription, value)) continue
      }
      subscription.deliver(frame)
    }
  }

  /** Adds a subscription; in the same turn it gets the last value of a state topic, so that none is missed or doubled. */
  add(subscription: Subscription): void {
    subscription.index = this.subscriptions.push(subscription) - 1
    if (this.last === undefined) return
    if (subscription.accepts === undefined || accepts(subscription, this.value(this.last.text))) {
      subscription.deliver(this.last.frame)
    }
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
