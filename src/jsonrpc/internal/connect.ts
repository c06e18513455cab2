import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import * as RpcEngine from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as Outbox from "../../socket/Outbox.ts"
import type * as Codec from "../JsonRpcCodec.ts"
import type { Caller } from "./caller.ts"
import { Endpoint, type EndpointConfig } from "./endpoint.ts"
import { ScalarParams } from "./scalar.ts"
import type { Wire } from "./wireModel.ts"

/**
 * Options that both ends of a connection take.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends RpcEngine.Options {
  /** Nesting of arrays and objects in a message; default 128. */
  readonly maxDepth?: number | undefined
  /** Entries of a batch; default 100. */
  readonly maxBatch?: number | undefined
  /** Characters waiting for a slow reader over which no further requests are read; default 1 MiB. */
  readonly highWaterMark?: number | undefined
}

/**
 * What the decoder takes: the limits, what the wire accepts, and bare parameters for the methods annotated so.
 *
 * @internal
 */
export const decodeOptions = (
  wire: Wire,
  options: ConnectOptions,
  methods: ReadonlyMap<string, RpcMethods.Method>
): Codec.DecodeOptions => {
  const names = new Set<string>()
  for (const [name, method] of methods) if (Context.get(method.rpc.annotations, ScalarParams)) names.add(name)
  return {
    maxBatch: options.maxBatch,
    maxDepth: options.maxDepth,
    scalarParams: wire.scalarParams ? () => true : names.size === 0 ? undefined : (method) => names.has(method),
    nullIdIsNotification: wire.nullIdIsNotification
  }
}

/**
 * What the connections of one server, or of one client, share.
 *
 * @internal
 */
export interface ConnectConfig extends EndpointConfig {
  readonly options: ConnectOptions
  readonly onFrame: ((frame: string | Uint8Array) => void) | undefined
  /**
   * Whether nothing is read while too much waits to be sent. Servers do that. A client must not: its own calls wait there,
   * and two ends that both wait for the other to read would wait for ever.
   */
  readonly isServer: boolean
}

/**
 * One connection under way.
 *
 * @internal
 */
export class Connected {
  readonly endpoint: Endpoint
  readonly outbox: Outbox.Outbox
  readonly session: RpcEngine.Session
  private readonly caller: Caller
  /** Called when the connection is over, before its requests are interrupted. */
  onClose: (() => void) | undefined = undefined
  private readonly config: ConnectConfig
  private readonly pull: Pull

  constructor(config: ConnectConfig, session: RpcEngine.Session, outbox: Outbox.Outbox, caller: Caller, pull: Pull) {
    this.config = config
    this.caller = caller
    this.session = session
    this.outbox = outbox
    this.endpoint = new Endpoint(config, session, caller)
    this.pull = pull
  }

  get connection(): RpcConnection.Connection {
    return this.session.connection
  }

  /** Reads until the connection ends; never succeeds. */
  get read(): Effect.Effect<never, Socket.SocketError> {
    return Effect.forever(Effect.flatMap(this.pull, (frames) => this.receive(frames, 0)), { disableYield: true })
  }

  // frames that were pulled together are bounded one by one: a peer may send any number in one turn
  private receive(frames: ReadonlyArray<string | Uint8Array>, from: number): Effect.Effect<void> {
    const { endpoint, outbox } = this
    const { onFrame } = this.config
    let i = from
    let held = false
    outbox.cork()
    while (i < frames.length && !(held = this.isHeld())) {
      const frame = frames[i++]!
      if (onFrame !== undefined) onFrame(frame)
      endpoint.receive(frame)
    }
    outbox.uncork()
    const wait = held || this.isHeld() ? this.room : Effect.void
    return i === frames.length ? wait : Effect.flatMap(wait, () => this.receive(frames, i))
  }

  // Requests that run may wait for answers of the peer, which come behind whatever else it has sent: while there are calls
  // of our own, reading goes on (requests beyond twice the limit are refused), up to a peer that takes nothing itself.
  private isHeld(): boolean {
    const { caller, outbox, session } = this
    if (caller.inFlight > 0) return this.config.isServer && outbox.waiting() > 4 * this.highWater
    return session.isFull() || (this.config.isServer && outbox.waiting() > this.highWater)
  }

  private get room(): Effect.Effect<void> {
    const { caller, outbox, session } = this
    return Effect.suspend(() =>
      caller.inFlight > 0
        ? outbox.drained(4 * this.highWater)
        : Effect.raceFirst(session.isFull() ? session.room : outbox.drained(this.highWater), caller.calling)
    )
  }

  private get highWater(): number {
    return this.config.options.highWaterMark ?? 1024 * 1024
  }
}

type Pull = Effect.Success<Socket.Socket["reader"]>["pull"]

/**
 * Opens a socket for the current scope: the connection, its outbox, its session of requests.
 *
 * @internal
 */
export const connect = (
  socket: Socket.Socket,
  config: ConnectConfig,
  caller: Caller
): Effect.Effect<Connected, Socket.SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const outbox = Outbox.makeUnsafe(yield* socket.writer, config.context)
    const connection = yield* Effect.onError(RpcConnection.make(outbox), () => Effect.sync(() => outbox.release()))
    const session = RpcEngine.openUnsafe(connection, config.options, config.context)
    const connected = new Connected(config, session, outbox, caller, pull)
    yield* Scope.addFinalizer(
      connection.scope,
      Effect.suspend(() => {
        connected.onClose?.()
        return Effect.ensuring(session.close, Effect.sync(() => outbox.release()))
      })
    )
    return connected
  })
