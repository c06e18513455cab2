import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import type * as RpcEngine from "../../rpc/RpcEngine.ts"
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
  /**
   * Characters that may wait for a peer that does not read, at any time; default 16 MiB. Beyond it the connection is closed
   * with 1013.
   */
  readonly maxOutboxBytes?: number | undefined
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
    maxWeight: options.maxRequestBytes ?? 8_388_608,
    scalarParams: wire.scalarParams ? () => true : names.size === 0 ? undefined : (method) => names.has(method),
    nullIdIsNotification: wire.nullIdIsNotification,
    anyVersion: wire.anyVersion,
    params: wire.params
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
}

/**
 * One connection under way.
 *
 * @internal
 */
export class Connected {
  readonly endpoint: Endpoint
  readonly outbox: Outbox.Outbox
  readonly connection: RpcConnection.Connection
  readonly session: RpcEngine.Session | undefined
  /** Called when the connection is over, before its requests are interrupted. */
  onClose: (() => void) | undefined = undefined
  private readonly config: ConnectConfig
  private readonly pull: Pull

  constructor(
    config: ConnectConfig,
    connection: RpcConnection.Connection,
    session: RpcEngine.Session | undefined,
    outbox: Outbox.Outbox,
    caller: Caller,
    pull: Pull
  ) {
    this.config = config
    this.connection = connection
    this.session = session
    this.outbox = outbox
    this.endpoint = new Endpoint(config, connection, session, caller)
    this.pull = pull
  }

  /** Reads until the connection ends; never succeeds. */
  get read(): Effect.Effect<never, Socket.SocketError> {
    return Effect.forever(
      Effect.flatMap(this.pull, (frames) => {
        this.receive(frames)
        return Effect.void
      }),
      { disableYield: true }
    )
  }

  // Everything that comes is read, so that no cancel waits behind a request: what has no room is refused.
  private receive(frames: ReadonlyArray<string | Uint8Array>): void {
    const { endpoint, outbox } = this
    const { onFrame } = this.config
    const { highWater } = endpoint
    outbox.cork()
    for (let i = 0; i < frames.length; i++) {
      const frame = frames[i]!
      if (onFrame !== undefined) onFrame(frame)
      endpoint.receive(frame)
      if (outbox.waiting() > highWater) {
        // what fits onto the wire goes now: it must not look as if the peer did not read
        outbox.uncork()
        outbox.cork()
      }
    }
    outbox.uncork()
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
    const outbox = Outbox.makeUnsafe(yield* socket.writer, config.context, {
      maxWaiting: config.options.maxOutboxBytes
    })
    const connection = yield* Effect.onError(RpcConnection.make(outbox), () => Effect.sync(() => outbox.release()))
    const session = config.serving?.open(connection, config.options, config.context)
    const connected = new Connected(config, connection, session, outbox, caller, pull)
    yield* Scope.addFinalizer(
      connection.scope,
      Effect.suspend(() => {
        connected.onClose?.()
        return Effect.ensuring(session?.close ?? Effect.void, Effect.sync(() => outbox.release()))
      })
    )
    return connected
  })
