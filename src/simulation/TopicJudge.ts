/**
 * Judges of topics. They read `heard`, which a program notes of each event that a reader gets: `{ topic, reader, n }`, where
 * `n` is a number that no other publication of the world has, or `null` for what was missed. Of a topic with a history it
 * has `from` and `to` besides, the positions of `TopicsClient.Event` (`to` of a value: its own). A reader that goes on
 * elsewhere notes `resumes`: `{ topic, reader, from }`.
 *
 * @since 0.2.0
 */
import * as History from "./History.ts"
import { type Judge, make } from "./Judge.ts"

/**
 * What a reader heard, as it is noted.
 *
 * @category models
 * @since 0.2.0
 */
export interface Heard {
  readonly topic: string
  readonly reader: string
  readonly n: number | null
  readonly from?: Position | null | undefined
  readonly to?: Position | null | undefined
}

/**
 * A position in a topic.
 *
 * @category models
 * @since 0.2.0
 */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

const heardOf = (history: History.History): ReadonlyArray<Heard> =>
  History.notes(history, "heard").map(({ data }) => data)

const readings = (history: History.History): ReadonlyMap<string, ReadonlyArray<Heard>> => {
  const map = new Map<string, Array<Heard>>()
  for (const heard of heardOf(history)) {
    const list = map.get(heard.reader)
    if (list === undefined) map.set(heard.reader, [heard])
    else list.push(heard)
  }
  return map
}

/**
 * No reader hears a publication twice.
 *
 * @category judges
 * @since 0.2.0
 */
export const once: Judge = make(
  "nothing comes twice",
  "no publication arrives twice on one connection; after a reconnection the client passes over a state value that it knows",
  (history) => {
    for (const [reader, heard] of readings(history)) {
      const seen = new Set<number>()
      for (const { n } of heard) {
        if (n === null) continue
        if (seen.has(n)) return `${reader} heard ${n} twice`
        seen.add(n)
      }
    }
    return undefined
  }
)

/** For each publication those that some reader heard before it, without a gap in between or not. */
const orderOf = (history: History.History): ReadonlyMap<number, ReadonlySet<number>> => {
  const before = new Map<number, Set<number>>()
  for (const heard of readings(history).values()) {
    const seen: Array<number> = []
    for (const { n } of heard) {
      if (n === null) continue
      let set = before.get(n)
      if (set === undefined) before.set(n, set = new Set())
      for (const other of seen) set.add(other)
      seen.push(n)
    }
  }
  return before
}

/**
 * No two readers hear two publications in different orders; of a topic with a history a position is one publication's.
 *
 * @category judges
 * @since 0.2.0
 */
export const oneOrder: Judge = make(
  "one order",
  "the publications of one topic reach all subscribers, in all processes, in one order",
  (history) => {
    const before = orderOf(history)
    for (const [n, others] of before) {
      for (const other of others) {
        if (before.get(other)?.has(n) === true) {
          return `${other} came before ${n} for one reader, and after it for another`
        }
      }
    }
    const places = new Map<string, number>()
    for (const { n, to, topic } of heardOf(history)) {
      if (n === null || to === null || to === undefined) continue
      const place = `${topic} ${to.epoch} ${to.offset}`
      const other = places.get(place)
      if (other !== undefined && other !== n) return `${other} and ${n} have the same position, ${place}`
      places.set(place, n)
    }
    return undefined
  }
)

/**
 * Between two publications that a reader hears without a word there is none that another reader heard in between. For
 * plain topics, whose names are given, without a history.
 *
 * @category judges
 * @since 0.2.0
 */
export const toldOrHeard = (topics: ReadonlyArray<string>): Judge =>
  make(
    "what is lost is told",
    "what was published while a connection was open and read quickly enough arrives, or is told as a gap",
    (history) => {
      const before = orderOf(history)
      for (const [reader, heard] of readings(history)) {
        if (!topics.includes(heard[0]!.topic)) continue
        const all = new Set(heard.map(({ n }) => n))
        let last: number | undefined
        let isTold = false
        for (const { n } of heard) {
          if (n === null) {
            isTold = true
            continue
          }
          if (last !== undefined && !isTold) {
            for (const between of before.get(n)!) {
              if (!all.has(between) && before.get(between)!.has(last)) {
                return `${reader} heard ${last}, then ${n}: not ${between}, which came in between, and no word of it`
              }
            }
          }
          last = n
          isTold = false
        }
      }
      return undefined
    }
  )

/**
 * Of a topic with a history each reader hears one position after the other, or is told from where to where it does not.
 *
 * @category judges
 * @since 0.2.0
 */
export const noHoles: Judge = make(
  "everything arrives, once and in order, or is told",
  "everything arrives, over any number of connections and servers of the cluster, or is told, from where to where",
  (history) => {
    const at = new Map<string, Position>()
    for (const { data } of History.notes(history, "resumes")) at.set(data.reader, data.from)
    for (const { from, n, reader, to, topic } of heardOf(history)) {
      const before = at.get(reader)
      const told = n === null ? `a hole from ${from?.offset} to ${to?.offset}` : `${n} at ${to?.offset}`
      if (to === null || to === undefined) return `${reader} was told ${told}, of a topic with a history`
      at.set(reader, to)
      if (before === undefined) continue
      if (before.epoch === to.epoch && to.offset <= before.offset) {
        return `${reader} was told ${told}, and was at ${before.offset} by then`
      }
      if (n !== null) {
        if (before.epoch !== to.epoch || to.offset !== before.offset + 1) {
          return `${reader} of ${topic} heard ${told} after ${before.offset}, and no word of what lies between`
        }
      } else if (
        from !== null && from !== undefined && (from.epoch !== before.epoch || from.offset !== before.offset)
      ) return `${reader} was told ${told}, and is at ${before.offset}`
    }
    return undefined
  }
)

/**
 * When all is quiet every reader has come to the same place: what `rest` of the nodes gives is equal. A node that knows
 * nothing yet gives `null`.
 *
 * @category judges
 * @since 0.2.0
 */
export const sameEnd: Judge = make(
  "readers end at the same place",
  "what was published while it was away is lost, except for the newest value of a state topic",
  (history) => {
    const rests = History.operations(history).filter(({ operation, outcome, value }) =>
      operation === "rest" && outcome === "Success" && value !== null
    )
    return new Set(rests.map(({ value }) => JSON.stringify(value))).size < 2
      ? undefined
      : rests.map(({ node, value }) => `${node}: ${JSON.stringify(value)}`).join(", ")
  }
)
