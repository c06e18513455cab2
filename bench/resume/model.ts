/** What the three kinds of processes of `npm run bench -- resume` say to one another. */
import { Schema } from "effect"
import { Topic } from "../../src/topics/index.ts"

export const kinds = [
  "effect-wire, memory",
  "effect-wire, PostgreSQL",
  "effect-wire, Redis",
  "Socket.IO, memory",
  "Socket.IO, Redis",
  "plain ws loop"
] as const
export type Kind = (typeof kinds)[number]

/** The others live in the memory of one process: when it is killed there is none for a while. */
export const hasTwoServers = (kind: Kind): boolean => kind.endsWith("PostgreSQL") || kind.endsWith("Redis")

export const Ticks = Topic.make("ticks", {
  payload: Schema.Struct({ n: Schema.Int, at: Schema.Finite }),
  history: { values: 20_000, bytes: 64 * 1024 * 1024, age: "10 minutes" }
})
/** One publication: its number, and when it was given to a server, in milliseconds since 1970. */
export interface Tick {
  readonly n: number
  readonly at: number
}

/** A tick before the first: who has heard one is subscribed. */
export const warmUp = -1

export interface FromServer {
  readonly port?: number
  /** The number of a tick that the server has acknowledged. */
  readonly acknowledged?: number
  /** Microseconds of processor time. */
  readonly cpu: number
}

export interface ToClients {
  /** Of the servers that there are. */
  readonly ports?: ReadonlyArray<number>
  /** Cuts begin, or end: `undefined` leaves it as it is. */
  readonly cutting?: boolean
  /** Ticks that were acknowledged, one byte each: what the clients of this process have heard of them is wanted. */
  readonly acknowledged?: ReadonlyArray<number>
}

export interface Heard {
  readonly cuts: number
  /** Of those that were acknowledged, over all clients. */
  readonly delivered: number
  /** Not delivered, and lying where the client was told that something is missing. */
  readonly told: number
  readonly unnoted: number
  readonly duplicates: number
  readonly disorder: number
  /** Milliseconds from each reconnection until the client had all there was at that moment. */
  readonly caughtUp: ReadonlyArray<number>
  /** Reconnections that were cut after more than a second, and had not caught up. */
  readonly late: number
  readonly cpu: number
}

export interface FromClients {
  /** Clients that have heard something. */
  readonly ready: number
  /** Values and tellings so far, and how often this was said. */
  readonly total: number
  readonly reports: number
  readonly result?: Heard
}

/** Ends with its parent, and in order when it is told to, so that a profile is written. */
export const endWithParent = (): void => {
  process.on("disconnect", () => process.exit(0))
  process.on("SIGTERM", () => process.exit(0))
}
