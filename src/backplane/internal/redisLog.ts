/**
 * The log of the Redis backplane: for each channel a hash that counts and a stream of what was published, and the scripts on
 * them. An entry's id is its epoch and its number, so the order of ids is the order of publications over all epochs.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import { type CatchUpRow, type Log, page } from "./log.ts"

/** @internal */
export interface RedisLogOptions {
  readonly prefix: string
  /** How many of a channel are kept at least. */
  readonly perChannel: number
  /** Milliseconds. */
  readonly age: number
  /** Whether a server that was started again has all that it acknowledged before. */
  readonly isDurable: () => boolean
}

/** An entry of a stream, read. @internal */
export interface StreamEntry {
  readonly id: string
  readonly epoch: string
  readonly sequence: number
  readonly payload: string
  readonly retain: boolean
  /** When it was published, in milliseconds by the clock of Redis. */
  readonly time: number
}

/** @internal */
export interface RedisLog extends Log<Redis.RedisError> {
  readonly publish: (channel: string, payload: string, retain: boolean) => Effect.Effect<number, Redis.RedisError>
  /** The name of the stream of a channel. */
  readonly streamOf: (channel: string) => string
  /** The id after which comes what is published from now on. */
  readonly position: (channel: string) => Effect.Effect<string, Redis.RedisError>
}

type RawEntry = readonly [id: string, fields: ReadonlyArray<string>]

/** @internal */
export const readEntry = ([id, fields]: RawEntry): StreamEntry | undefined => {
  const dash = id.indexOf("-")
  const [, payload, , time, , retain] = fields
  if (dash < 0 || payload === undefined) return undefined
  return {
    id,
    epoch: id.slice(0, dash),
    sequence: Number(id.slice(dash + 1)),
    payload,
    retain: retain === "1",
    time: Number(time)
  }
}

// Opens a channel: its count and epoch. The epoch is the time in microseconds at which it began, later than any before. One begins
// where there is no count, and where another server counted before (started again, or another that took over), unless it is known
// to have lost nothing.
const open = `
local meta, stream = KEYS[1], KEYS[2]
local function begin(after)
  local t = redis.call('TIME')
  local now = t[1] * 1000000 + t[2]
  if after and now <= tonumber(after) then now = after + 1 end
  return string.format('%.0f', now)
end
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local state = redis.call('HMGET', meta, 'sequence', 'epoch', 'start', 'server')
local sequence, epoch, start = state[1], state[2], state[3]
if not sequence then
  redis.call('DEL', stream)
  sequence, epoch, start = '0', begin(epoch), '0'
  redis.call('HSET', meta, 'sequence', sequence, 'epoch', epoch, 'start', start, 'server', server)
elseif state[4] ~= server then
  if ARGV[1] ~= '1' then
    epoch, start = begin(epoch), sequence
    redis.call('HSET', meta, 'epoch', epoch, 'start', start)
  end
  redis.call('HSET', meta, 'server', server)
end
`

const count = "{sequence, epoch, start, redis.call('HGET', meta, 'at'), redis.call('HGET', meta, 'last')}"

const keysAnd = (keys: readonly [string, string], args: ReadonlyArray<string | number>) => [...keys, ...args]

const standing = Redis.script(keysAnd, { lua: `${open} return ${count}`, numberOfKeys: 2 }).withReturnType<Count>()

type Count = readonly [
  sequence: string,
  epoch: string,
  start: string,
  at: string | null,
  last: string | null
]

// What is too old goes when something new comes, some of it each time; the whole stream when nothing comes any more.
const publish = Redis.script(keysAnd, {
  lua: `${open}
local payload, retain, perChannel, age = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local number = redis.call('HINCRBY', meta, 'sequence', 1)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('XADD', stream, 'MAXLEN', '~', perChannel, epoch .. '-' .. number,
  'p', payload, 't', string.format('%.0f', now), 'r', retain)
if retain == '1' then redis.call('HSET', meta, 'last', payload, 'at', number) end
if number % 16 == 0 then
  for i = 1, 64 do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if not oldest or tonumber(oldest[2][4]) >= now - age then break end
    redis.call('XDEL', stream, oldest[1])
  end
end
redis.call('PEXPIRE', stream, age)
return number`,
  numberOfKeys: 2
}).withReturnType<number>()

const catchUp = Redis.script(keysAnd, {
  lua: `${open}
return {${count}, redis.call('XRANGE', stream, epoch .. '-' .. string.format('%.0f', ARGV[2] + 1), epoch, 'COUNT', ARGV[3])}`,
  numberOfKeys: 2
}).withReturnType<readonly [Count, ReadonlyArray<RawEntry>]>()

const history = Redis.script(keysAnd, {
  lua: `${open}
local t = redis.call('TIME')
return {string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)),
  redis.call('XREVRANGE', stream, epoch .. '-' .. ARGV[2], epoch .. '-0', 'COUNT', ARGV[3])}`,
  numberOfKeys: 2
}).withReturnType<readonly [string, ReadonlyArray<RawEntry>]>()

const renew = Redis.script(keysAnd, {
  lua: `${open}
if epoch == ARGV[2] and tonumber(sequence) < tonumber(ARGV[3]) then
  redis.call('HSET', meta, 'epoch', begin(epoch), 'start', sequence)
end`,
  numberOfKeys: 2
})

/** @internal */
export const make = (redis: Redis.Redis["Service"], options: RedisLogOptions): RedisLog => {
  // One hash tag: all keys are on one node of a cluster, as a script wants it.
  const metaOf = (channel: string) => `{${options.prefix}}:channel:${channel}`
  const streamOf = (channel: string) => `{${options.prefix}}:log:${channel}`
  const keys = (channel: string) => [metaOf(channel), streamOf(channel)] as const
  const durable = () => options.isDurable() ? 1 : 0
  const stand = (channel: string) => Effect.suspend(() => redis.eval(standing)(keys(channel), [durable()]))
  return {
    streamOf,
    publish: (channel, payload, retain) =>
      Effect.suspend(() =>
        redis.eval(publish)(keys(channel), [durable(), payload, retain ? 1 : 0, options.perChannel, options.age])
      ),
    position: (channel) => Effect.map(stand(channel), ([sequence, epoch]) => `${epoch}-${sequence}`),
    ensure: (channel) => Effect.asVoid(stand(channel)),
    last: (channel) =>
      Effect.map(stand(channel), ([counter, epoch, , at, last]) => [{
        counter: Number(counter),
        epoch,
        sequence: at === null ? null : Number(at),
        payload: last
      }]),
    counters: (channels) =>
      Effect.forEach(
        channels,
        (channel) => Effect.map(stand(channel), ([counter, epoch]) => ({ channel, counter: Number(counter), epoch })),
        {
          concurrency: 64
        }
      ),
    renew: (channel, epoch, reached) =>
      Effect.suspend(() => redis.eval(renew)(keys(channel), [durable(), epoch, reached])),
    history: (channel, to, { age, values }) =>
      Effect.suspend(() => redis.eval(history)(keys(channel), [durable(), to, values])).pipe(
        Effect.map(([now, entries]) =>
          entries.flatMap((raw) => {
            const entry = readEntry(raw)
            const passed = entry === undefined ? Infinity : Number(now) - entry.time
            return entry === undefined || passed > age
              ? []
              : [{ number: entry.sequence, payload: entry.payload, age: passed }]
          })
        )
      ),
    catchUp: (channel, after) =>
      Effect.suspend(() => redis.eval(catchUp)(keys(channel), [durable(), after, page])).pipe(
        Effect.map(([[counter, epoch, start, at, last], entries]) => {
          const channelRow = {
            counter: Number(counter),
            epoch,
            epoch_start: Number(start),
            last_sequence: at === null ? null : Number(at),
            last_payload: last
          }
          const rows = entries.flatMap((raw): ReadonlyArray<CatchUpRow> => {
            const entry = readEntry(raw)
            if (entry === undefined) return []
            const { payload, retain, sequence } = entry
            return [{ ...channelRow, sequence, payload, retain }]
          })
          return rows.length > 0 ? rows : [{ ...channelRow, sequence: null, payload: null, retain: null }]
        })
      )
  }
}
