/**
 * What carries publications between the processes that serve as one: a channel name, a text (JSON, as a rule), and a
 * number that counts the publications of that channel. Topics use it, and so does every other state that several
 * processes share. It knows nothing of what it carries.
 *
 * **What is promised, by every layer**
 *
 * - *Order*: the publications of one channel are numbered 1, 2, 3, … in one order that all processes agree on, and a
 *   listener sees them in this order. Nothing is promised between two channels.
 * - *Loss*: a listener sees every publication after its registration, or a {@link Gap} in its place. A publication that
 *   was refused (`publish` failed) may nevertheless have been carried, when the answer of the database was lost.
 * - *Duplication*: a listener sees no publication twice. `publish` is never repeated by itself.
 * - *Last values*: what was published with `retain` is kept, one value for each channel, and is handed to a listener at
 *   its registration, atomically with what follows. A gap that swallows a retained value is followed by that value.
 * - *Epochs*: a number counts within an epoch, a name that the channel has from its beginning. Where the count begins
 *   anew, or went back, the epoch is a new one and listeners are told by a gap: number and epoch together name one publication.
 * - *History*: who asks for it has at registration what was published last, without a hole, as far as it is still kept.
 *
 * **What is not promised**: that a publication reached anybody (nobody may be listening), and that a publication that was
 * acknowledged outlives what carries it: the one in memory is gone with its process, those on
 * PostgreSQL and Redis say what a crash of the engine means (`NodePostgresBackplane`, `RedisBackplane`).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { backplaneIds } from "./internal/ids.ts"
import { boundsOf, bytesOf, type Entry, Ring } from "./internal/ring.ts"

/**
 * One text that was published on a channel, with its place in the order of that channel.
 *
 * @category models
 * @since 0.1.0
 */
export interface Publication {
  readonly _tag: "Publication"
  readonly channel: string
  readonly payload: string
  /** Counts the publications of the channel, from 1, the same in all processes. */
  readonly sequence: number
}

/**
 * Publications that will not be delivered: those after number `after` up to and including number `sequence`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Gap {
  readonly _tag: "Gap"
  readonly channel: string
  readonly after: number
  readonly sequence: number
  /** How many were lost; `undefined` when the count began anew (the database was restored or emptied). */
  readonly missed: number | undefined
  /** The epoch of `sequence` and of what follows; another than before when the count began anew. */
  readonly epoch: string
}

/**
 * What a listener sees.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = Publication | Gap

/**
 * How much of a channel is kept to be gone back to: whatever bound is met first. The newest is kept
 * whatever its size and age.
 *
 * @category models
 * @since 0.2.0
 */
export interface History {
  /** Publications. Default 1,000. */
  readonly values?: number | undefined
  /** Bytes of their texts (UTF-8). Default 4 MiB. */
  readonly bytes?: number | undefined
  /** How long. Default 5 minutes. */
  readonly age?: Duration.Input | undefined
}

/**
 * A publication that is kept, and when it was published: milliseconds since 1970 by the `Clock` of this process.
 *
 * @category models
 * @since 0.2.0
 */
export interface Kept {
  readonly publication: Publication
  readonly time: number
}

/**
 * The state of a channel at the moment from which a listener hears it: everything after `sequence` follows as events.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registration {
  readonly sequence: number
  /** Names this count of the channel: a number means the same publication as long as the epoch is the same. */
  readonly epoch: string
  /** The newest retained publication of the channel, if there is one. */
  readonly last: Publication | undefined
  /** What was published last, up to `sequence` and without a hole; empty unless it was asked for. */
  readonly history: ReadonlyArray<Kept>
}

/**
 * @category models
 * @since 0.2.0
 */
export interface ListenOptions {
  /**
   * Hands over what was published last. The backplane in memory keeps of a channel what was asked for, from then on and
   * as long as it lives; the others keep by their own bounds (`retention` of PostgreSQL). Default: none.
   */
  readonly history?: History | undefined
}

/**
 * The backplane could not do what was asked: the database cannot be reached, or the name or the text is one that it
 * cannot carry.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackplaneError extends Schema.TaggedError<BackplaneError>(
  "effect-wire/backplane/Backplane/BackplaneError"
)("BackplaneError", {
  operation: Schema.Literals(["publish", "listen", "last", "connect"]),
  channel: Schema.optionalKey(Schema.String),
  /** `true` when the publication may have been carried nevertheless. */
  uncertain: Schema.Boolean,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const where = this.channel === undefined ? "" : ` on channel ${JSON.stringify(this.channel.slice(0, 80))}`
    return `Backplane: ${this.operation}${where} failed${this.uncertain ? ", and may have happened nevertheless" : ""}`
  }
}

/**
 * Carries publications between processes. See the head of this module for what is promised.
 *
 * @category services
 * @since 0.1.0
 */
export class Backplane extends Context.Service<Backplane, {
  /**
   * Publishes a text on a channel and answers with its number. Completes when the backplane has taken it over, not
   * when anybody heard it. With `retain` it becomes the last value of the channel. Calls of one fiber keep their order;
   * an interrupted call may or may not have published.
   */
  readonly publish: (
    channel: string,
    payload: string,
    options?: { readonly retain?: boolean | undefined }
  ) => Effect.Effect<number, BackplaneError>
  /**
   * Hears a channel until the scope closes. `onEvent` is called synchronously, in order, and must neither throw nor
   * wait; no event comes before the registration is returned, none after it is missing.
   */
  readonly listen: (
    channel: string,
    onEvent: (event: Event) => void,
    options?: ListenOptions
  ) => Effect.Effect<Registration, BackplaneError, Scope.Scope>
  /**
   * Hears a channel as a stream, from the moment it starts. A reader that falls more than `capacity` (default 1,024)
   * events behind loses the oldest and is told so by a {@link Gap}.
   */
  readonly subscribe: (
    channel: string,
    options?: { readonly capacity?: number | undefined }
  ) => Stream.Stream<Event, BackplaneError>
  /** The newest retained publication of a channel. */
  readonly last: (channel: string) => Effect.Effect<Publication | undefined, BackplaneError>
}>()("effect-wire/backplane/Backplane") {}

/**
 * Completes a backplane: `subscribe` follows from `listen`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Pick<Backplane["Service"], "publish" | "listen" | "last">
): Backplane["Service"] => ({
  publish: options.publish,
  listen: (channel, onEvent, listenOptions) => options.listen(channel, guarded(onEvent), listenOptions),
  last: options.last,
  subscribe: (channel, subscribeOptions) =>
    Stream.unwrap(Effect.gen(function*() {
      const queue = yield* Queue.sliding<Event>(subscribeOptions?.capacity ?? 1024)
      const registration = yield* options.listen(channel, (event) => {
        Queue.offerUnsafe(queue, event)
      })
      let { epoch, sequence } = registration
      return Stream.mapArray(Stream.fromQueue(queue), (events) => {
        const out: Array<Event> = []
        for (const event of events) {
          const first = event._tag === "Gap" ? event.after : event.sequence - 1
          if (first > sequence) out.push(gap(channel, sequence, first, epoch))
          out.push(event)
          sequence = event.sequence
          if (event._tag === "Gap") epoch = event.epoch
        }
        return out as [Event, ...Array<Event>]
      })
    }))
})

/** A listener that throws, which it must not, is logged and does not disturb the others. */
const guarded = (onEvent: (event: Event) => void) => (event: Event): void => {
  try {
    onEvent(event)
  } catch (defect) {
    Effect.runFork(Effect.logError("Backplane: a listener threw", defect))
  }
}

const gap = (channel: string, after: number, sequence: number, epoch: string): Gap => ({
  _tag: "Gap",
  channel,
  after,
  sequence,
  missed: sequence - after,
  epoch
})

interface MemoryChannel {
  sequence: number
  history: Ring<Kept & Entry> | undefined
  last: Publication | undefined
  readonly listeners: Set<{ readonly from: number; readonly onEvent: (event: Event) => void }>
}

/**
 * Makes a backplane that lives in this process, and all that was published with it: the next one has another epoch. Give
 * the same value to several servers (`Layer.succeed`) to let them serve as one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory: Effect.Effect<Backplane["Service"]> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const random = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
  const epoch = `${clock.currentTimeMillisUnsafe().toString(36)}-${random.toString(36)}-${
    (++backplaneIds.last).toString(36)
  }`
  const channels = new Map<string, MemoryChannel>()
  const waiting: Array<Publication> = []
  let delivering = false
  const channelOf = (name: string): MemoryChannel => {
    let channel = channels.get(name)
    if (channel === undefined) {
      channel = { sequence: 0, history: undefined, last: undefined, listeners: new Set() }
      channels.set(name, channel)
    }
    return channel
  }
  // A listener that publishes must not overtake the publication that it is hearing.
  const deliver = (publication: Publication): void => {
    if (delivering) {
      waiting.push(publication)
      return
    }
    delivering = true
    let next: Publication | undefined = publication
    while (next !== undefined) {
      for (const listener of channelOf(next.channel).listeners) {
        if (next.sequence > listener.from) listener.onEvent(next)
      }
      next = waiting.shift()
    }
    delivering = false
  }
  const historyOf = (channel: MemoryChannel, options: History | undefined): ReadonlyArray<Kept> => {
    if (options === undefined) return []
    const bounds = boundsOf(options)
    if (channel.history === undefined) channel.history = new Ring(bounds, channel.sequence)
    else channel.history.widen(bounds)
    channel.history.expire(clock.currentTimeMillisUnsafe())
    return channel.history.all()
  }
  return make({
    publish: (name, payload, options) =>
      Effect.sync(() => {
        const channel = channelOf(name)
        const publication: Publication = { _tag: "Publication", channel: name, payload, sequence: ++channel.sequence }
        if (options?.retain === true) channel.last = publication
        channel.history?.push({
          publication,
          time: clock.currentTimeMillisUnsafe(),
          sequence: publication.sequence,
          bytes: bytesOf(payload)
        })
        deliver(publication)
        return publication.sequence
      }),
    listen: (name, onEvent, options) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const channel = channelOf(name)
          const { last, sequence } = channel
          const listener = { from: sequence, onEvent }
          channel.listeners.add(listener)
          return {
            channel,
            listener,
            registration: { sequence, epoch, last, history: historyOf(channel, options?.history) }
          }
        }),
        ({ channel, listener }) => Effect.sync(() => channel.listeners.delete(listener))
      ).pipe(Effect.map(({ registration }) => registration)),
    last: (name) => Effect.sync(() => channels.get(name)?.last)
  })
})

/**
 * The backplane of a single process, and the default wherever there is one process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<Backplane> = Layer.effect(Backplane, makeMemory)
