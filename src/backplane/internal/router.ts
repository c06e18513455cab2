/**
 * The receiving half of a backplane with a log: where each channel stands, in one process. Notices are a hint, the log is
 * the truth: a notice that is the next of its channel is delivered at once, any other starts a catch-up.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Event, Kept, ListenOptions, Publication, Registration } from "../Backplane.ts"
import { type CatchUpRow, type Log, type LogRow, type Notice, page } from "./log.ts"
import { type Bounds, boundsOf, bytesOf, type Entry, Ring } from "./ring.ts"

/** @internal */
export interface Router<E> {
  readonly notice: (notice: Notice) => void
  /** Compares all channels with their counters and catches up where they differ. */
  readonly poll: Effect.Effect<void, E>
  readonly listen: (
    channel: string,
    onEvent: (event: Event) => void,
    options?: ListenOptions
  ) => Effect.Effect<Registration, E, Scope.Scope>
}

interface Listener {
  /** Hears what comes after this number. */
  from: number
  onEvent: (event: Event) => void
}

type KeptEntry = Kept & Entry

/** `sequence` is what was delivered last, `undefined` until it is known; `highest` what is known to exist. */
interface Channel {
  readonly name: string
  readonly listeners: Set<Listener>
  users: number
  sequence: number | undefined
  epoch: string
  highest: number
  last: Publication | undefined
  catchingUp: boolean
}

/** @internal */
export const makeRouter = Effect.fnUntraced(
  function*<E>(log: Log<E>): Effect.fn.Return<Router<E>, never, Scope.Scope> {
    const channels = new Map<string, Channel>()
    const run = yield* FiberSet.makeRuntime()
    const clock = yield* Clock.Clock

    const deliver = (channel: Channel, sequence: number, payload: string, retain: boolean): void => {
      const publication: Publication = { _tag: "Publication", channel: channel.name, payload, sequence }
      channel.sequence = sequence
      if (retain) channel.last = publication
      for (const listener of channel.listeners) {
        if (sequence > listener.from) listener.onEvent(publication)
      }
    }

    const skip = (channel: Channel, sequence: number): void => {
      const after = channel.sequence!
      if (sequence !== after) tell(channel, sequence, sequence - after)
    }

    const tell = (channel: Channel, sequence: number, missed: number | undefined): void => {
      const { epoch, name } = channel
      const after = channel.sequence!
      channel.sequence = sequence
      for (const listener of channel.listeners) {
        listener.onEvent({ _tag: "Gap", channel: name, after, sequence, missed, epoch })
      }
    }

    // A gap that swallows the retained value is followed by that value.
    const skipTo = (channel: Channel, sequence: number, row: CatchUpRow): void => {
      const last = row.last_sequence
      if (last !== null && row.last_payload !== null && last > channel.sequence! && last <= sequence) {
        skip(channel, last - 1)
        deliver(channel, last, row.last_payload, true)
      }
      skip(channel, sequence)
    }

    // The count begins anew, or went back to where the epoch starts: what comes after that follows the gap.
    const restart = (channel: Channel, row: CatchUpRow): void => {
      channel.epoch = row.epoch
      channel.highest = 0
      channel.last = undefined
      for (const listener of channel.listeners) listener.from = 0
      const last = row.last_sequence
      if (last === null || row.last_payload === null || last > row.epoch_start) {
        return tell(channel, row.epoch_start, undefined)
      }
      tell(channel, last - 1, undefined)
      deliver(channel, last, row.last_payload, true)
      skip(channel, row.epoch_start)
    }

    /** `true` when nothing is left to be read. */
    const apply = (channel: Channel, rows: ReadonlyArray<CatchUpRow>): boolean => {
      const first = rows[0]!
      if (first.epoch !== channel.epoch) {
        restart(channel, first)
        return first.counter === channel.sequence
      }
      for (const row of rows) {
        if (row.sequence === null || row.payload === null || row.sequence <= channel.sequence!) continue
        if (row.sequence > channel.sequence! + 1) skipTo(channel, row.sequence - 1, row)
        deliver(channel, row.sequence, row.payload, row.retain === true)
      }
      if (rows.length === page) return false
      if (first.counter > channel.sequence!) skipTo(channel, first.counter, first)
      return channel.highest <= channel.sequence!
    }

    const catchUp = (channel: Channel): void => {
      if (channel.catchingUp || channel.sequence === undefined) return
      channel.catchingUp = true
      const step: Effect.Effect<void, E> = Effect.suspend(() =>
        channel.users === 0
          ? Effect.void
          : Effect.flatMap(
            log.catchUp(channel.name, channel.sequence!),
            (rows) => {
              const first = rows[0]
              // the row is gone, and with it its count; or the count went back, and its numbers mean other publications
              if (first === undefined) return Effect.andThen(log.ensure(channel.name), step)
              if (first.epoch === channel.epoch && first.counter < channel.sequence!) {
                return Effect.andThen(log.renew(channel.name, channel.epoch, channel.sequence!), step)
              }
              if (!apply(channel, rows)) return step
              // Here and not later: a notice between this line and the end of the fiber would be overlooked.
              channel.catchingUp = false
              return Effect.void
            }
          )
      )
      run(step.pipe(
        Effect.retry(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")])),
        Effect.ignore
      ))
    }

    const acquire = (name: string): Effect.Effect<Channel> =>
      Effect.sync(() => {
        let channel = channels.get(name)
        if (channel === undefined) {
          channel = {
            name,
            listeners: new Set(),
            users: 0,
            sequence: undefined,
            epoch: "",
            highest: 0,
            last: undefined,
            catchingUp: false
          }
          channels.set(name, channel)
        }
        channel.users++
        return channel
      })

    const release = (channel: Channel): Effect.Effect<void> =>
      Effect.sync(() => {
        if (--channel.users === 0) channels.delete(channel.name)
      })

    // Reads where a channel stands; another fiber may have been faster.
    const start = (channel: Channel): Effect.Effect<void, E> =>
      channel.sequence !== undefined ? Effect.void : Effect.flatMap(log.last(channel.name), ([row]) => {
        if (row === undefined) return Effect.andThen(log.ensure(channel.name), start(channel))
        if (channel.sequence !== undefined) return Effect.void
        channel.sequence = row.counter
        channel.epoch = row.epoch
        if (row.sequence !== null && row.payload !== null) {
          channel.last = { _tag: "Publication", channel: channel.name, payload: row.payload, sequence: row.sequence }
        }
        if (channel.highest > channel.sequence) catchUp(channel)
        return Effect.void
      })

    // What the log holds up to where the channel stood when it began, and what came while it was read.
    const historyOf = (
      channel: Channel,
      bounds: Bounds,
      began: number,
      rows: ReadonlyArray<LogRow>,
      meanwhile: ReadonlyArray<Event>
    ): ReadonlyArray<Kept> => {
      const now = clock.currentTimeMillisUnsafe()
      const ring = new Ring<KeptEntry>(bounds, began)
      const keep = (publication: Publication, time: number): void => {
        const { payload, sequence } = publication
        ring.push({ publication, time, sequence, bytes: bytesOf(payload) })
      }
      for (const row of rows.toReversed()) {
        keep({ _tag: "Publication", channel: channel.name, payload: row.payload, sequence: row.number }, now - row.age)
      }
      // numbered and not in the log any more
      if (ring.end !== began) ring.reset(began)
      for (const event of meanwhile) {
        if (event._tag === "Gap") ring.reset(event.sequence)
        else keep(event, now)
      }
      return ring.all()
    }

    return {
      notice: (notice) => {
        const channel = channels.get(notice.channel)
        if (channel === undefined) return
        if (notice.epoch !== undefined && notice.epoch !== channel.epoch) return catchUp(channel)
        if (notice.sequence > channel.highest) channel.highest = notice.sequence
        if (channel.sequence === undefined || channel.catchingUp || notice.sequence <= channel.sequence) return
        if (notice.payload !== undefined && notice.sequence === channel.sequence + 1) {
          deliver(channel, notice.sequence, notice.payload, notice.retain)
        } else {
          catchUp(channel)
        }
      },
      poll: Effect.suspend(() => {
        const started = [...channels.values()].filter((channel) => channel.sequence !== undefined)
        if (started.length === 0) return Effect.void
        return Effect.map(log.counters(started.map((channel) => channel.name)), (rows) => {
          const found = new Map(rows.map((row) => [row.channel, row]))
          for (const channel of started) {
            const row = found.get(channel.name)
            if (row?.counter !== channel.sequence || row?.epoch !== channel.epoch) catchUp(channel)
          }
        })
      }),
      listen: (name, onEvent, options) =>
        Effect.gen(function*() {
          const channel = yield* Effect.acquireRelease(acquire(name), release)
          yield* start(channel)
          const began = channel.sequence!
          const meanwhile: Array<Event> = []
          const listener = yield* Effect.acquireRelease(
            Effect.sync(() => {
              const made: Listener = { from: began, onEvent: (event) => meanwhile.push(event) }
              channel.listeners.add(made)
              return made
            }),
            (made) => Effect.sync(() => channel.listeners.delete(made))
          )
          const bounds = options?.history === undefined ? undefined : boundsOf(options.history)
          const rows = bounds === undefined ? [] : yield* log.history(name, began, bounds)
          return yield* Effect.sync((): Registration => {
            const history = bounds === undefined ? [] : historyOf(channel, bounds, began, rows, meanwhile)
            listener.onEvent = onEvent
            return { sequence: channel.sequence!, epoch: channel.epoch, last: channel.last, history }
          })
        })
    }
  }
)
