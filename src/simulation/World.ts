/**
 * What a program can reach of the world that it runs in: which node it is, where it writes down what judges should know,
 * its disk, and its part of the network.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { Backplane } from "../backplane/Backplane.ts"

/**
 * How a connection is dialled.
 *
 * @category models
 * @since 0.2.0
 */
export interface DialOptions {
  /**
   * The carrier is a stream of bytes, as TCP is: frames arrive split and merged, and may be cut in the middle. Put a
   * `Framing` on top, at both ends. Default: frames arrive whole, as over WebSocket.
   */
  readonly bytes?: boolean | undefined
  /** Without an answer for so long the dial fails with `SocketOpenError` of kind `Timeout`. Default 10 seconds. */
  readonly openTimeout?: Duration.Input | undefined
  readonly headers?: Headers.Input | undefined
  readonly url?: string | undefined
  readonly protocol?: string | undefined
}

/**
 * The disk of one node. It keeps its promises and no more: what was synced is there after a power failure; of what was
 * written since then each write is there, torn, or gone. All calls are synchronous. Nothing fails; but the fault `midway` may
 * strike before any change, which then throws, as every later one of that life does.
 *
 * @category models
 * @since 0.2.0
 */
export interface Disk {
  /** What the file holds, as its own node sees it; `undefined` where there is none. */
  readonly read: (path: string) => Uint8Array | undefined
  /** Replaces the file. */
  readonly write: (path: string, bytes: Uint8Array) => void
  /** Adds to the end of the file. */
  readonly append: (path: string, bytes: Uint8Array) => void
  /** Takes the file away, if it is there. */
  readonly remove: (path: string) => void
  /** Everything that was written to the file before survives from now on. */
  readonly sync: (path: string) => void
  /** The names of all files, sorted. */
  readonly list: () => ReadonlyArray<string>
}

/**
 * One node's view of its world; in what all nodes share, the node is called `world`.
 *
 * @category services
 * @since 0.2.0
 */
export class World extends Context.Service<World, {
  readonly node: string
  /** Which version of the node runs: 0, unless a fault started another one. */
  readonly version: number
  /** Virtual milliseconds since the world began, by a clock that is never wrong. */
  readonly now: () => number
  /** Writes something into the history, for judges. The data is kept as JSON, as it is at this moment. */
  readonly note: (kind: string, data?: unknown) => void
  /** Says that this place was reached: a summary lists the places of `Simulation.make` that no history reached. */
  readonly reach: (place: string) => void
  /** What survives a crash, as far as it was synced. */
  readonly disk: Disk
  /**
   * Carries publications between the nodes of this world: everything, in one order, as `Backplane` promises. It is a broker
   * with a log, as PostgreSQL and Redis have it, which outlives the nodes, and the receiving half of those backplanes. The
   * fault `backplane` makes it late, and lets it lose publications, of which it then tells a gap; `deaf` does so for one node, and
   * `emptied` makes it count anew.
   */
  readonly backplane: Backplane["Service"]
  /**
   * A place in the middle of synchronous code at which the fault `midway` may crash the node. It throws when it does; what
   * runs on behind it is not seen by anybody.
   */
  readonly step: () => void
  /** Calls a function when the node crashes: for what an operating system does then, as closing files. */
  readonly onCrash: (run: () => void) => void
  /** Accepts connections for this node. */
  readonly server: SocketServer.SocketServer["Service"]
  /** A socket that dials another node, anew each time its reader is acquired. */
  readonly socket: (to: string, options?: DialOptions) => Socket.Socket
}>()("effect-wire/simulation/World") {}

/**
 * Writes something into the history, for judges.
 *
 * @category combinators
 * @since 0.2.0
 */
export const note = (kind: string, data?: unknown): Effect.Effect<void, never, World> =>
  Effect.map(World, (world) => world.note(kind, data))

/**
 * The `SocketServer` of a node: what dials it by its name is accepted.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerServer: Layer.Layer<SocketServer.SocketServer, never, World> = Layer.effect(
  SocketServer.SocketServer,
  Effect.map(World, (world) => world.server)
)

/**
 * The `Socket` of a client that dials a node by its name.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerSocket = (to: string, options?: DialOptions): Layer.Layer<Socket.Socket, never, World> =>
  Layer.effect(Socket.Socket, Effect.map(World, (world) => world.socket(to, options)))

/**
 * The `Backplane` of the nodes of a world.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerBackplane: Layer.Layer<Backplane, never, World> = Layer.effect(
  Backplane,
  Effect.map(World, (world) => world.backplane)
)
