/**
 * What a connection is made of.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Socket from "effect/socket/Socket"
import type { CallOptions } from "../../rpc/internal/clientHalf.ts"
import type * as RpcEngine from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import type * as Outbox from "../../socket/Outbox.ts"
import type * as JsonPatch from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import type { JugglerConnection } from "../JugglerConnection.ts"
import type * as JugglerError from "../JugglerError.ts"
import type * as JugglerGeneration from "../JugglerGeneration.ts"
import type { Generation } from "../JugglerGeneration.ts"
import type * as JugglerState from "../JugglerState.ts"
import type { Caller } from "./caller.ts"
import type { Replica } from "./replica.ts"
import type { Shown } from "./views.ts"

/** Options that both ends take. */
export interface PeerOptions extends RpcEngine.Options, CallOptions {
  /**
   * How long changes of the local data are gathered before they are sent as one patch. Default 200 ms. Zero sends every
   * change by itself; `"off"` sends on `flush` only.
   */
  readonly autoflush?: Duration.Input | "off" | undefined
  /**
   * Pings of the protocol (0.5, 0.7): when nothing came for `delay` a ping is sent, and when nothing comes within `timeout`
   * after it the connection is closed. `false` sends none; pings of the peer are answered in any case. By default off in
   * 0.5, whose older clients do not know it, and on in 0.7: after 30 s at a server, 5 s at a client, with 5 s to answer.
   */
  readonly keepAlive?: { readonly delay: Duration.Input; readonly timeout: Duration.Input } | false | undefined
  /** Characters of a segment that is sent (0.7); default 65,536. */
  readonly segmentSize?: number | undefined
  /**
   * Bounds of what is received. What clients of 0.5 show also counts against the `Budget` of the process: over it the
   * connection is closed (1013).
   */
  readonly limits?: Partial<JugglerGeneration.Limits & JsonPatch.Limits> | undefined
  /**
   * Going on where a connection stopped, with another end of ours (0.7): the client is told epoch and version of the state,
   * and after a reconnection gets what it missed instead of the whole. At a server `maxSize` characters of the last
   * operations are kept for it, default 1,048,576, and never more than the state has. `false`: a server does not answer, a
   * client does not ask. Ends that do not know this notice nothing but a ping.
   */
  readonly resume?: { readonly maxSize: number } | false | undefined
  /**
   * Messages received and not yet taken by the application (0.5), beyond which, or beyond the high-water mark in characters,
   * reading pauses; default 1,024. While calls of this end wait for answers four times as much is read.
   */
  readonly maxMessages?: number | undefined
  /** Messages of ours that the peer has not taken, beyond which `send`, `call` and `notify` wait; default 1,024. */
  readonly maxSending?: number | undefined
  /**
   * What a binary frame is: a breach of the protocol (`"refuse"`), or text as UTF-8 (`"text"`), for carriers that know bytes
   * only. By default servers take it as text from TCP, TLS and Unix sockets; everybody else refuses it.
   */
  readonly binary?: "refuse" | "text" | undefined
  /** Characters that wait for a slow peer, beyond which nothing is read from it and patches are merged; default 1 MiB. */
  readonly highWaterMark?: number | undefined
}

/** Handles what no procedure of the group does: a default action. */
export type DefaultAction = (name: string, data: Json) => Effect.Effect<Json, unknown>

export interface PeerConfig {
  readonly generation: Generation
  readonly role: "server" | "client"
  readonly options: PeerOptions
  readonly methods: ReadonlyMap<string, RpcMethods.ServedMethod>
  readonly defaultAction: DefaultAction | undefined
  /** What this end shows; the default is data of this connection only, `null` at first. */
  readonly local: JugglerState.JugglerState<any, any> | undefined
  /** What this end shows instead; `onFault` when it can be shown no longer. */
  readonly show: ((connection: JugglerConnection, onFault: () => void) => Shown) | undefined
  /** Where the peer's data is kept; the default is one of this connection only. */
  readonly remote: Replica | undefined
  /** What makes the calls of this end; the default is one of this connection only. */
  readonly caller: Caller | undefined
  readonly onNotify: ((name: string, data: Json) => void) | undefined
  readonly onState: (() => void) | undefined
}

export interface Peer extends JugglerConnection {
  readonly outbox: Outbox.Outbox
  readonly session: RpcEngine.Session
  /** Sends frames that were made for many. */
  readonly broadcast: (frames: ReadonlyArray<string>) => void
  /** No further requests are served. */
  readonly refuse: () => void
  /** Everything that waits for the peer fails; what was received stays. */
  readonly end: (detail: string, code?: number) => void
  /** Completes when the application has taken all messages. */
  readonly allTaken: Effect.Effect<void>
  /** Reads until the connection ends; never succeeds. */
  readonly read: Effect.Effect<never, Socket.SocketError | JugglerError.JugglerError>
}
