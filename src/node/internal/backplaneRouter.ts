/**
 * The receiving half of the PostgreSQL backplane: where each channel stands, in one process. Notifications are a hint,
 * the log is the truth: a notification that is the next of its channel is delivered at once, any other starts a catch-up.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { Event, Publication, Registration } from "../../backplane/Backplane.ts"
import { type CatchUpRow, type Notice, page, type Statements } from "./backplaneSchema.ts"

/** @internal */
export interface Router {
  readonly notice: (notice: Notice) => void
  /** Compares all channels with their counters and catches up where they differ. */
  readonly poll: Effect.Effect<void, SqlError>
  readonly listen: (
    channel: string,
    onEvent: (event: Event) => void
  ) => Effect.Effect<Registration, SqlError, Scope.Scope>
}

interface Listener {
  readonly from: number
  readonly onEvent: (event: Event) => void
}

/** `sequence` is what was delivered last, `undefined` until it is known; `highest` what is known to exist. */
interface Channel {
  readonly name: string
  readonly listeners: Set<Listener>
  users: number
  sequence: number | undefined
  highest: number
  last: Publication | undefined
  catchingUp: boolean
}

/** @internal */
export const makeRouter = Effect.fnUntraced(
  function*(statements: Statements): Effect.fn.Return<Router, never, Scope.Scope> {
    const channels = new Map<string, Channel>()
    const run = yield* FiberSet.makeRuntime()

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
      if (sequence === after) return
      channel.sequence = sequence
      const missed = sequence > after ? sequence - after : undefined
      for (const listener of channel.listeners) {
        listener.onEvent({ _tag: "Gap", channel: channel.name, after, sequence, missed })
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

    const apply = (channel: Channel, rows: ReadonlyArray<CatchUpRow>): boolean => {
      const first = rows[0]
      if (first === undefined) {
        // The row of the channel is gone: the count begins anew.
        if (channel.sequence! > 0) skip(channel, 0)
        channel.highest = 0
        return true
      }
      if (first.counter < channel.sequence!) {
        channel.highest = first.counter
        skip(channel, first.counter)
        return true
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
      const step: Effect.Effect<void, SqlError> = Effect.suspend(() =>
        channel.users === 0
          ? Effect.void
          : Effect.flatMap(
            statements.catchUp(channel.name, channel.sequence!),
            (rows) => {
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
    const start = (channel: Channel): Effect.Effect<void, SqlError> =>
      channel.sequence !== undefined ? Effect.void : Effect.map(statements.last(channel.name), ([row]) => {
        if (channel.sequence !== undefined) return
        channel.sequence = row?.counter ?? 0
        if (row !== undefined && row.sequence !== null && row.payload !== null) {
          channel.last = { _tag: "Publication", channel: channel.name, payload: row.payload, sequence: row.sequence }
        }
        if (channel.highest > channel.sequence) catchUp(channel)
      })

    return {
      notice: (notice) => {
        const channel = channels.get(notice.channel)
        if (channel === undefined) return
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
        return Effect.map(statements.counters(started.map((channel) => channel.name)), (rows) => {
          const counters = new Map(rows.map((row) => [row.channel, row.counter]))
          for (const channel of started) {
            if ((counters.get(channel.name) ?? 0) !== channel.sequence) catchUp(channel)
          }
        })
      }),
      listen: (name, onEvent) =>
        Effect.gen(function*() {
          const channel = yield* Effect.acquireRelease(acquire(name), release)
          yield* start(channel)
          return yield* Effect.map(
            Effect.acquireRelease(
              Effect.sync(() => {
                const registration: Registration = { sequence: channel.sequence!, last: channel.last }
                const listener: Listener = { from: channel.sequence!, onEvent }
                channel.listeners.add(listener)
                return { listener, registration }
              }),
              ({ listener }) => Effect.sync(() => channel.listeners.delete(listener))
            ),
            ({ registration }) => registration
          )
        })
    }
  }
)
