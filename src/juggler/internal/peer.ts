/**
 * Opens a connection: its parts, as the options want them, and the engine that drives them.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import * as RpcEngine from "../../rpc/RpcEngine.ts"
import type { Account } from "../../socket/Budget.ts"
import * as Outbox from "../../socket/Outbox.ts"
import * as JsonPatch from "../JsonPatch.ts"
import * as JugglerGeneration from "../JugglerGeneration.ts"
import * as JugglerState from "../JugglerState.ts"
import { Engine } from "./engine.ts"
import { FrameReader } from "./frameReader.ts"
import { keepAlive } from "./keepAlive.ts"
import * as Mailbox from "./mailbox.ts"
import type { Peer, PeerConfig, PeerOptions } from "./peerModel.ts"
import { Replica } from "./replica.ts"
import { Sender } from "./sender.ts"
import { Serving } from "./serving.ts"
import { Store } from "./store.ts"

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** Milliseconds that changes are gathered; `undefined`: until a flush. */
export const delayOf = (autoflush: PeerOptions["autoflush"]): number | undefined =>
  autoflush === "off" ? undefined : millis(autoflush ?? 200)

/** Bytes of memory that a message of a client may cost. */
const defaultWeight = 8_388_608

const highWaterOf = (options: PeerOptions): number => options.highWaterMark ?? 1_048_576

const senderOf = ({ generation, options, role }: PeerConfig, outbox: Outbox.Outbox): Sender =>
  new Sender(generation, role, outbox, {
    segmentSize: options.segmentSize ?? JugglerGeneration.defaultSegmentSize,
    highWater: highWaterOf(options),
    maxSending: options.maxSending ?? 1_024
  })

const readerOf = (
  { generation, options, role }: PeerConfig,
  { handshake: { carrier } }: RpcConnection.Connection,
  account: Account
): FrameReader => {
  const binary = options.binary ?? (carrier === "tcp" || carrier === "tls" || carrier === "unix" ? "text" : "refuse")
  const limits = role === "server" ? { maxWeight: defaultWeight, ...options.limits } : options.limits
  return new FrameReader(generation.receiver(limits), account, binary === "text")
}

/** Opens a socket for the current scope. */
export const open = (
  socket: Socket.Socket,
  config: PeerConfig
): Effect.Effect<Peer, Socket.SocketError | JsonPatch.JsonPatchError, Scope.Scope> =>
  Effect.gen(function*() {
    const { generation, options, role } = config
    const { pull } = yield* socket.reader
    const outbox = yield* Outbox.make(yield* socket.writer)
    const connection = yield* RpcConnection.make(outbox)
    const context = Context.omit(Scope.Scope)(yield* Effect.context<Scope.Scope>()) as Context.Context<never>
    const peer = new Engine(config, {
      connection,
      outbox,
      replica: config.remote ?? new Replica(new Store(null, { ...JsonPatch.defaultLimits, ...options.limits })),
      mailbox: yield* Mailbox.make(outbox.account, options.maxMessages ?? 1_024, highWaterOf(options)),
      sender: senderOf(config, outbox),
      reader: readerOf(config, connection, outbox.account),
      delay: delayOf(options.autoflush),
      closedSignal: yield* Deferred.make<void>(),
      context
    })
    peer.shown = config.show?.(peer, () => peer.abort(1011, "the view failed"))
    if (peer.hasEnded) peer.shown?.leave()
    peer.local = peer.shown?.state ?? config.local ?? (yield* JugglerState.makeJson(null, options.limits))
    const session = yield* RpcEngine.open(connection, options)
    peer.serving = new Serving(config, peer, session, context, (effect) => void peer.fork(effect))
    yield* Effect.addFinalizer(() => Effect.sync(() => peer.end("the connection was closed")))
    peer.pull = pull
    peer.attach()
    if (generation.symmetric || role === "server") peer.publish((yield* Random.next).toString(36).slice(2, 14))
    peer.greet()
    yield* keepAlive(config, peer)
    return peer
  })
