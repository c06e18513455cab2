/**
 * The broker behind the backplanes of a world: it lives as long as the world, and hands publications to the listeners of
 * all nodes, each in a turn of its own node, in order.
 */
import * as Effect from "effect/Effect"
import * as Backplane from "../../backplane/Backplane.ts"
import type { Life, Loop } from "./loop.ts"
import type { Prng } from "./prng.ts"

/** What goes wrong at the moment. */
export interface Trouble {
  readonly lose: number
  readonly delay: number
  readonly unsure: number
}

interface Listener {
  readonly life: Life
  readonly onEvent: (event: Backplane.Event) => void
  /** What is on its way, in order. */
  readonly way: Array<Backplane.Event>
  /** When the newest event arrives. */
  at: number
  /** The last publication before those that were lost and are not told yet. */
  lostAfter: number | undefined
}

interface Channel {
  readonly name: string
  sequence: number
  last: Backplane.Publication | undefined
  readonly listeners: Set<Listener>
}

/** A gap is told so many milliseconds after the loss, or with the next publication. */
const toldAfter = 1000

/** One count for as long as the world lives; it keeps no history. */
const epoch = "world"

export class Broker {
  private readonly loop: Loop
  private readonly random: Prng
  private readonly trouble: () => Trouble
  private readonly channels = new Map<string, Channel>()

  constructor(loop: Loop, random: Prng, trouble: () => Trouble) {
    this.loop = loop
    this.random = random
    this.trouble = trouble
  }

  private channel(name: string): Channel {
    let channel = this.channels.get(name)
    if (channel === undefined) {
      this.channels.set(name, channel = { name, sequence: 0, last: undefined, listeners: new Set() })
    }
    return channel
  }

  private delay(): number {
    return 0.2 + this.random.next() * this.trouble().delay
  }

  /** The backplane of one life of a node. */
  of(life: Life): Backplane.Backplane["Service"] {
    return Backplane.make({
      publish: (name, payload, options) =>
        Effect.suspend(() => Effect.sleep(this.delay())).pipe(
          Effect.andThen(Effect.sync(() => this.publish(this.channel(name), payload, options?.retain === true))),
          Effect.tap(Effect.suspend(() => Effect.sleep(this.delay()))),
          Effect.flatMap((sequence) =>
            this.random.chance(this.trouble().unsure)
              ? Effect.fail(
                new Backplane.BackplaneError({
                  operation: "publish",
                  channel: name,
                  uncertain: true,
                  cause: new Error("no answer from the broker")
                })
              )
              : Effect.succeed(sequence)
          )
        ),
      listen: (name, onEvent) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const channel = this.channel(name)
            const { last, sequence } = channel
            const listener: Listener = {
              life,
              onEvent,
              way: [],
              at: 0,
              lostAfter: undefined
            }
            channel.listeners.add(listener)
            return { channel, listener, registration: { sequence, epoch, last, history: [] } }
          }),
          ({ channel, listener }) => Effect.sync(() => channel.listeners.delete(listener))
        ).pipe(Effect.map(({ registration }) => registration)),
      last: (name) => Effect.sync(() => this.channels.get(name)?.last)
    })
  }

  private publish(channel: Channel, payload: string, retain: boolean): number {
    const publication: Backplane.Publication = {
      _tag: "Publication",
      channel: channel.name,
      payload,
      sequence: ++channel.sequence
    }
    if (retain) channel.last = publication
    const { lose } = this.trouble()
    for (const listener of channel.listeners) {
      if (listener.life.dead) {
        channel.listeners.delete(listener)
        continue
      }
      if (this.random.chance(lose)) {
        if (listener.lostAfter === undefined) {
          listener.lostAfter = publication.sequence - 1
          this.loop.timer(this.loop.root, toldAfter, () => this.tellGap(channel, listener, channel.sequence))
        }
        continue
      }
      this.tellGap(channel, listener, publication.sequence - 1)
      this.hand(channel, listener, publication)
    }
    return publication.sequence
  }

  private tellGap(channel: Channel, listener: Listener, sequence: number): void {
    const after = listener.lostAfter
    if (after === undefined) return
    listener.lostAfter = undefined
    const { name } = channel
    this.hand(channel, listener, { _tag: "Gap", channel: name, after, sequence, missed: sequence - after, epoch })
    const { last } = channel
    if (last !== undefined && last.sequence > after && last.sequence <= sequence) this.hand(channel, listener, last)
  }

  private hand(channel: Channel, listener: Listener, event: Backplane.Event): void {
    const { loop } = this
    listener.at = Math.max(listener.at, loop.now + this.delay())
    listener.way.push(event)
    loop.timer(loop.root, listener.at - loop.now, () => {
      loop.post(listener.life, () => {
        const next = listener.way.shift()
        if (next !== undefined && channel.listeners.has(listener)) listener.onEvent(next)
      })
    })
  }
}
