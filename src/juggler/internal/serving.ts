/**
 * Requests of the peer: whom they are for, and that they run in the engine.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import type * as RpcEngine from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import type { Json } from "../JsonPointer.ts"
import { CurrentJuggler, type JugglerConnection } from "../JugglerConnection.ts"
import type { Message } from "../JugglerGeneration.ts"
import { defaultMethod, ServedRequest } from "./calls.ts"
import type { PeerConfig } from "./peerModel.ts"

export class Serving {
  readonly session: RpcEngine.Session
  private readonly config: PeerConfig
  private readonly connection: RpcConnection.Connection
  private readonly methods: ReadonlyMap<string, RpcMethods.ServedMethod>
  private readonly access: Context.Service.Shape<typeof RpcConnection.MethodAccess>
  private readonly context: Context.Context<never>
  private readonly fork: (effect: Effect.Effect<void>) => void
  private refusing = false

  constructor(
    config: PeerConfig,
    peer: JugglerConnection,
    session: RpcEngine.Session,
    context: Context.Context<never>,
    fork: (effect: Effect.Effect<void>) => void
  ) {
    this.config = config
    this.connection = peer.connection
    this.session = session
    this.methods = new Map(
      Array.from(config.methods, ([name, method]) => [name, {
        ...method,
        context: Context.add(method.context, CurrentJuggler, peer)
      }])
    )
    this.access = Context.get(context, RpcConnection.MethodAccess)
    this.context = Context.add(context, CurrentJuggler, peer)
    this.fork = fork
  }

  /** No further requests are served. */
  refuse(): void {
    this.refusing = true
  }

  /** Serves a request; gives what is wrong with it, where the connection cannot go on. */
  request(
    { data, id, name }: Extract<Message, { readonly _tag: "Request" }>,
    answer: (success: boolean, data: Json) => void
  ): string | undefined {
    const { defaultAction, generation: { symmetric }, options: { maxStreamBytes } } = this.config
    if (name === "" && !symmetric) answer(true, data)
    else if (this.refusing) answer(false, "the server is closing")
    else if (this.session.find(String(id)) !== undefined) return "a request has the id of one that is under way"
    else {
      const method = this.methods.get(name)
      const allowed = method !== undefined && this.access(method.rpc, this.connection)
      // what the caller may not use does not exist for that caller, so it is answered like something unknown
      if (!allowed && defaultAction === undefined) answer(false, symmetric ? "invalid action" : "invalid request name")
      else {
        const served = allowed ? method : defaultMethod(name, data, defaultAction!, this.context)
        const request = new ServedRequest(id, served, data, answer, symmetric, this.fork, maxStreamBytes)
        if (!this.session.submit(request)) request.refuse()
      }
    }
    return undefined
  }
}
