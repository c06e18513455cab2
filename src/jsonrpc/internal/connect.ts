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
import type { Dialect } from "./dialectModel.ts"
import { Endpoint } from "./endpoint.ts"

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
 * Methods whose parameters may be a bare value in every dialect.
 *
 * @internal
 */
export const decodeOptions = (
  dialect: Dialect,
  options: ConnectOptions,
  methods: ReadonlyMap<string, RpcMethods.Method>,
  scalar: Context.Reference<boolean>
): Codec.DecodeOptions => {
  const names = new Set<string>()
  for (const [name, method] of methods) if (Context.get(method.rpc.annotations, scalar)) names.add(name)
  return {
    maxBatch: options.maxBatch,
    maxDepth: options.maxDepth,
    scalarParams: dialect.scalarParams ? () => true : names.size === 0 ? undefined : (method) => names.has(method),
    nullIdIsNotification: dialect.nullIdIsNotification
  }
}

/**
 * One connection under way.
 *
 * @internal
 */
export interface Connected {
  readonly endpoint: Endpoint
  readonly outbox: Outbox.Outbox
  readonly session: RpcEngine.Session
  readonly connection: RpcConnection.Connection
  /** Reads until the connection ends; never succeeds. */
  readonly read: Effect.Effect<never, Socket.SocketError>
}

/**
 * Opens a socket for the current scope: the connection, its outbox, its session of requests.
 *
 * @internal
 */
export const connect = (socket: Socket.Socket, config: {
  readonly dialect: Dialect
  readonly options: ConnectOptions
  readonly methods: ReadonlyMap<string, RpcMethods.ServedMethod>
  readonly decode: Codec.DecodeOptions
  readonly caller: Caller
  readonly onNotification: ((notification: Codec.Call) => void) | undefined
  readonly onFrame: ((frame: string | Uint8Array) => void) | undefined
}): Effect.Effect<Connected, Socket.SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const outbox = yield* Outbox.make(yield* socket.writer)
    const connection = yield* RpcConnection.make(outbox)
    const session = yield* RpcEngine.open(connection, config.options)
    const context = Context.omit(Scope.Scope)(yield* Effect.context<Scope.Scope>())
    const endpoint = new Endpoint({
      dialect: config.dialect,
      connection,
      headers: connection.handshake.headers,
      outbox,
      methods: config.methods,
      session,
      access: Context.get(context, RpcConnection.MethodAccess),
      fork: Effect.runForkWith(context),
      caller: config.caller,
      decode: config.decode,
      onNotification: config.onNotification
    })
    const highWater = config.options.highWaterMark ?? 1024 * 1024
    const { onFrame } = config
    // frames that were pulled together are bounded one by one: a peer may send any number in one turn
    const receive = (frames: ReadonlyArray<string | Uint8Array>, from: number): Effect.Effect<void> => {
      let i = from
      outbox.cork()
      while (i < frames.length && !session.isFull() && outbox.waiting() <= highWater) {
        const frame = frames[i++]!
        if (onFrame !== undefined) onFrame(frame)
        endpoint.receive(frame)
      }
      outbox.uncork()
      const wait = session.isFull()
        ? session.room
        : outbox.waiting() > highWater
        ? outbox.drained(highWater)
        : Effect.void
      return i === frames.length ? wait : Effect.flatMap(wait, () => receive(frames, i))
    }
    const read = Effect.forever(Effect.flatMap(pull, (frames) => receive(frames, 0)), { disableYield: true })
    return { endpoint, outbox, session, connection, read }
  })
