/**
 * What one end shows the other over a connection, and what the two say to each other about going on where one stopped.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Outbox } from "../../socket/Outbox.ts"
import type { Generation } from "../JugglerGeneration.ts"
import { Follower } from "./follower.ts"
import { type Publisher, publisherOf } from "./publisher.ts"
import * as Resume from "./resume.ts"
import type { Store } from "./store.ts"

/** States up to this size, in bytes of memory, are sent before it is known whether the peer resumes. */
const sentUnasked = 16_384

/** How often a peer may ask on one connection for what it missed. */
const maxAsked = 16

export interface Options {
  readonly generation: Generation
  readonly segmentSize: number
  readonly highWater: number
  /** Milliseconds that changes are gathered; `undefined`: until a flush. */
  readonly delay: number | undefined
  /** Characters of the last operations that are kept; `undefined` where nobody can go on. */
  readonly resume: number | undefined
  /** Names the versions of a state that has no name for them. */
  readonly epoch: string
}

export class Showing {
  private readonly store: Store
  private readonly publisher: Publisher
  private readonly follower: Follower
  /** How often the peer has asked for what it missed. */
  private timesAsked = 0

  constructor(
    store: Store,
    outbox: Outbox,
    options: Options,
    fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  ) {
    const { delay, epoch, generation, highWater, resume, segmentSize } = options
    this.store = store
    const history = resume === undefined ? undefined : Resume.historyOf(store, epoch, resume)
    this.publisher = publisherOf(store, delay, fork)
    this.follower = new Follower(generation, segmentSize, outbox, highWater, history)
    this.follower.asked = history !== undefined && store.document.size > sentUnasked
    this.publisher.join(this.follower)
  }

  /** The peer was asked whether it resumes, and has not answered. */
  get asks(): boolean {
    return this.follower.asked
  }

  /** The peer does not resume, or did not say so in time. */
  release(): void {
    this.publisher.release(this.follower)
  }

  /** A ping of the peer, which may be more than that; `false` where it was that too often. */
  onPing(payload: string): boolean {
    const hello = this.follower.history === undefined ? undefined : Resume.readHello(payload)
    if (hello === undefined) return true
    if (++this.timesAsked > maxAsked) return false
    this.publisher.resume(this.follower, hello.point)
    return true
  }

  /** The version that shows what has happened so far, as the peer is told it, if it is. */
  version(ofView: () => number | undefined): number | undefined {
    if (!this.follower.stamped) return undefined
    return (ofView() ?? this.store.version) + this.follower.history!.run.offset
  }

  flush(): void {
    this.publisher.flush()
  }

  leave(): void {
    this.publisher.leave(this.follower)
  }
}
