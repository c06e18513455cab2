import { wireOf } from "../../jsonrpc/JsonRpcClients.ts"
import type { Connection } from "../../rpc/RpcConnection.ts"
import type { Any } from "../Topic.ts"
import type { TopicChannel } from "./topicChannel.ts"
import { notices } from "./topicNotices.ts"
import type { Subscription } from "./topicSubscription.ts"

/**
 * What one connection is subscribed to, and what it may not hear now and wants to.
 *
 * @internal
 */
export class ConnectionTopics {
  readonly subscriptions = new Map<string, Subscription>()
  /** Names of topics that its rights do not allow: it is told when they do, if it hears notices. */
  private readonly denied = new Set<string>()
  private readonly connection: Connection
  private readonly channels: ReadonlyMap<string, TopicChannel>

  constructor(connection: Connection, channels: ReadonlyMap<string, TopicChannel>) {
    this.connection = connection
    this.channels = channels
  }

  get names(): ReadonlyArray<string> {
    return [...this.subscriptions.keys()]
  }

  /** Ends those that `which` says, with a reason that the client is told. */
  drop(which: (topic: Any) => boolean, reason?: string): void {
    for (const [name, subscription] of this.subscriptions) {
      const channel = this.channels.get(name)!
      if (!which(channel.topic)) continue
      this.subscriptions.delete(name)
      channel.remove(subscription)
      subscription.end(reason)
    }
  }

  /** The topic is there, and not for this caller as it is now. */
  deny(name: string): void {
    this.denied.add(name)
  }

  allow(name: string): void {
    this.denied.delete(name)
  }

  /** The rights of the caller changed. */
  onRights(satisfies: (topic: Any) => boolean): void {
    for (const name of this.denied) {
      if (!satisfies(this.channels.get(name)!.topic)) continue
      this.denied.delete(name)
      this.connection.outbox?.send(
        wireOf(this.connection).encode.notification(notices.available, { topic: name })
      )
    }
    for (const [name, { options }] of this.subscriptions) {
      if (options.hearsNotices && !satisfies(this.channels.get(name)!.topic)) this.denied.add(name)
    }
    this.drop((topic) => !satisfies(topic), "forbidden")
  }
}
