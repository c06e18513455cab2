/**
 * The ear of the Redis backplane: one connection that waits for what comes next on all streams that somebody here listens to.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import type { Notice } from "./log.ts"
import { readEntry, type RedisLog } from "./redisLog.ts"

/** How long one command waits, in milliseconds, before it is given again: a connection that is dead without a sign is found then. */
const block = 5000
/** What one command brings of each stream. */
const batch = 64

interface Followed {
  readonly channel: string
  id: string
  users: number
}

type RawStreams = ReadonlyArray<readonly [stream: string, entries: ReadonlyArray<readonly [string, Array<string>]>]>

/** @internal */
export interface RedisReader {
  /** Follows a channel from now on, until `leave` was called as often. */
  readonly join: (channel: string) => Effect.Effect<void, Redis.RedisError>
  readonly leave: (channel: string) => Effect.Effect<void>
  /** Hears on a connection of its own until that is lost. */
  readonly hear: (connection: Redis.Connection) => Effect.Effect<never, Redis.RedisError>
}

/** Version 2 of Redis' protocol answers with pairs, version 3 with a map. */
const streamsOf = (reply: unknown): RawStreams =>
  reply === null || reply === undefined
    ? []
    : Array.isArray(reply)
    ? typeof reply[0] === "string" ? pairsOf(reply) : reply as unknown as RawStreams
    : reply instanceof Map
    ? [...reply] as unknown as RawStreams
    : Object.entries(reply) as unknown as RawStreams

const pairsOf = (flat: ReadonlyArray<unknown>): RawStreams =>
  flat.flatMap((key, i) => i % 2 === 0 ? [[key, flat[i + 1]] as unknown as RawStreams[number]] : [])

/** @internal */
export const make = (
  redis: Redis.Redis["Service"],
  log: RedisLog,
  bell: string,
  notice: (notice: Notice) => void
): RedisReader => {
  const followed = new Map<string, Followed>()
  let bellId = "0-0"

  // The reader may be waiting without the stream that is new: the bell is a stream of its own that it waits for, too.
  const ring = Effect.andThen(
    redis.send("XADD", bell, "MAXLEN", "1", "*", "r", "1"),
    Effect.asVoid(redis.send("PEXPIRE", bell, String(block * 12)))
  )

  const take = (streams: RawStreams): void => {
    for (const [name, entries] of streams) {
      if (name === bell) {
        bellId = entries.at(-1)?.[0] ?? bellId
        continue
      }
      const one = followed.get(name)
      if (one === undefined) continue
      for (const raw of entries) {
        const entry = readEntry(raw)
        one.id = raw[0]
        if (entry === undefined) continue
        const { epoch, payload, retain, sequence } = entry
        notice({ channel: one.channel, epoch, sequence, payload, retain })
      }
    }
  }

  return {
    join: (channel) => {
      const stream = log.streamOf(channel)
      const present = followed.get(stream)
      if (present !== undefined) {
        present.users++
        return Effect.void
      }
      return Effect.flatMap(log.position(channel), (id) => {
        const meanwhile = followed.get(stream)
        if (meanwhile !== undefined) {
          meanwhile.users++
          return Effect.void
        }
        followed.set(stream, { channel, id, users: 1 })
        return Effect.ignore(ring)
      })
    },
    leave: (channel) =>
      Effect.sync(() => {
        const stream = log.streamOf(channel)
        const one = followed.get(stream)
        if (one !== undefined && --one.users === 0) followed.delete(stream)
      }),
    hear: (connection) =>
      Effect.suspend(() => {
        const all = [...followed]
        const streams = [bell, ...all.map(([stream]) => stream), bellId, ...all.map(([, one]) => one.id)]
        return connection.send("XREAD", "COUNT", String(batch), "BLOCK", String(block), "STREAMS", ...streams)
      }).pipe(
        Effect.timeoutOrElse({
          duration: block * 3,
          orElse: () => Effect.fail(new Redis.RedisError({ cause: new Error("Redis does not answer") }))
        }),
        Effect.map((reply) => take(streamsOf(reply))),
        Effect.forever
      )
  }
}
