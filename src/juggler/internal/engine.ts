/**
 * The engine of a connection: the one state machine that all generations and both ends share. `peer.ts`
 * puts its parts together.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as ClientHalf from "../../rpc/internal/clientHalf.ts"
import * as Weight from "../../rpc/internal/weight.ts"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import * as RpcEngine from "../../rpc/RpcEngine.ts"
import { closeError } from "../../socket/internal/socketErrors.ts"
import * as Outbox from "../../socket/Outbox.ts"
import * as JsonPatch from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import * as JugglerError from "../JugglerError.ts"
import * as JugglerGeneration from "../JugglerGeneration.ts"
import type { Generation, Message } from "../JugglerGeneration.ts"
import * as JugglerMetrics from "../JugglerMetrics.ts"
import * as JugglerState from "../JugglerState.ts"
import { Caller } from "./caller.ts"
import { misfit } from "./calls.ts"
import { FrameReader } from "./frameReader.ts"
import * as Mailbox from "./mailbox.ts"
import type { Peer, PeerConfig } from "./peerModel.ts"
import { Replica } from "./replica.ts"
import * as Resume from "./resume.ts"
import { Sender } from "./sender.ts"
import { Serving } from "./serving.ts"
import * as Sharing from "./sharing.ts"
import { Showing } from "./showing.ts"
import type { Shown } from "./views.ts"

const json = Sharing.make<Json, Json>(Schema.Json)

/** How long, in milliseconds, a peer may take to say whether it resumes. */
const answersWithin = 1_000

const tooMuch = "more is kept for it than may be"

/** What an engine is made of. */
export interface Parts {
  readonly connection: RpcConnection.Connection
  readonly outbox: Outbox.Outbox
  readonly replica: Replica
  readonly mailbox: Mailbox.Mailbox
  readonly sender: Sender
  readonly reader: FrameReader
  /** Milliseconds that changes are gathered; `undefined`: until a flush. */
  readonly delay: number | undefined
  readonly closedSignal: Deferred.Deferred<void>
  readonly context: Context.Context<never>
}

export class Engine implements Peer {
  readonly generation: Generation
  readonly connection: RpcConnection.Connection
  local!: JugglerState.JugglerState<Json, any>
  shown: Shown | undefined
  private shownByPeer: JugglerState.ReadableState<Json> | undefined
  readonly outbox: Outbox.Outbox
  serving!: Serving
  pull!: Effect.Effect<ReadonlyArray<string | Uint8Array>, Socket.SocketError>
  private readonly config: PeerConfig
  private readonly replica: Replica
  private readonly mailbox: Mailbox.Mailbox
  private readonly delay: number | undefined
  private readonly closedSignal: Deferred.Deferred<void>
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => import("effect/Fiber").Fiber<A, E>
  private readonly caller: Caller
  /** How the connection ended. */
  private ending = "the connection is closed"
  /** Bytes of the budget that the peer's data has taken. */
  private taken = 0
  private readonly reader: FrameReader
  private readonly peerRole: "server" | "client"
  private readonly sender: Sender
  private showing: Showing | undefined
  private isClosed = false
  private fault: JugglerError.JugglerError | undefined
  heard = 0

  constructor(config: PeerConfig, parts: Parts) {
    this.config = config
    this.generation = config.generation
    this.connection = parts.connection
    this.outbox = parts.outbox
    this.replica = parts.replica
    this.mailbox = parts.mailbox
    this.sender = parts.sender
    this.reader = parts.reader
    this.delay = parts.delay
    this.closedSignal = parts.closedSignal
    this.fork = Effect.runForkWith(parts.context)
    this.caller = config.caller ??
      new Caller(ClientHalf.limits(config.options, parts.context, () => this.ending), { _tag: "Dialling", attempt: 1 })
    this.peerRole = config.role === "server" ? "client" : "server"
    this.set = this.set.bind(this)
    this.send = this.send.bind(this)
    this.call = this.call.bind(this)
    this.notify = this.notify.bind(this)
    this.close = this.close.bind(this)
  }

  /** From now on it carries calls. */
  attach(): void {
    this.caller.use(this.sender)
    if (this.config.caller === undefined && !this.isClosed) this.caller.enter({ _tag: "Open" })
  }

  /** Made when it is asked for: most servers never do. */
  get remote(): JugglerState.ReadableState<Json> {
    return this.shownByPeer ??= JugglerState.readable(this.replica.store, json)
  }

  get hasEnded(): boolean {
    return this.isClosed
  }

  publish(epoch: string): void {
    if (this.isClosed) return
    const { resume } = this.config.options
    const store = JugglerState.storeOf(this.local)
    this.showing = new Showing(store, this.outbox, {
      generation: this.generation,
      segmentSize: this.sender.segmentSize,
      highWater: this.sender.highWater,
      delay: this.shown === undefined ? this.delay : this.shown.delay,
      resume: this.generation.resumes && resume !== false ? resume?.maxSize ?? 1_048_576 : undefined,
      epoch
    }, this.fork)
  }

  /** Tells the peer that this end resumes, or asks whether it does. */
  greet(): void {
    const { options, role } = this.config
    if (role === "client") {
      const point = this.replica.opened()
      if (this.generation.resumes && options.resume !== false) {
        this.sender.write({ _tag: "Ping", payload: Resume.hello(point) })
      }
      return
    }
    const { showing } = this
    if (showing?.asks !== true) return
    // whatever comes first is the answer
    this.sender.write({ _tag: "Ping", payload: Resume.question })
    this.fork(Effect.andThen(
      Effect.timeoutOption(Deferred.await(this.closedSignal), answersWithin),
      Effect.sync(() => showing.release())
    ))
  }

  /** A ping of the peer, which may be more than that. */
  private onPing(payload: string): void {
    if (this.showing?.onPing(payload) === false) return this.abort(1008, "the whole was asked for too often")
    this.sender.write({ _tag: "Pong", payload })
  }

  ping(): void {
    this.sender.write({ _tag: "Ping", payload: "" })
  }

  silent(): void {
    this.abort(1001, "no answer to a ping")
  }

  broadcast(frames: ReadonlyArray<string>): void {
    // a peer that does not read must not make us keep what everybody is told
    if (this.outbox.waiting() > this.sender.highWater * 16) return this.abort(1013, "the peer reads too slowly")
    for (const frame of frames) this.outbox.send(frame)
  }

  refuse(): void {
    this.serving.refuse()
  }

  get read(): Effect.Effect<never, Socket.SocketError | JugglerError.JugglerError> {
    return Effect.forever(
      Effect.flatMap(this.pull, (frames) => {
        this.outbox.cork()
        for (let i = 0; i < frames.length && !this.isClosed; i++) this.take(frames[i]!)
        this.outbox.uncork()
        if (this.fault !== undefined) return Effect.fail(this.fault)
        const { caller, mailbox } = this
        // answers to calls of ours may be behind what nobody takes
        if (mailbox.isFull(4)) return mailbox.onceTaken
        if (mailbox.isFull(1) && caller.inFlight === 0) return Effect.raceFirst(mailbox.onceTaken, caller.calling)
        return Effect.void
      }),
      { disableYield: true }
    )
  }

  get allTaken(): Effect.Effect<void> {
    return this.mailbox.allTaken
  }

  private take(frame: string | Uint8Array): void {
    this.heard++
    const message = this.reader.read(frame)
    if (message === undefined) return
    if (message === "full") return this.abort(1013, tooMuch)
    if (message._tag === "Malformed") return this.abort(message.code, message.detail)
    if (!this.generation.allows(message._tag, this.peerRole)) {
      return this.abort(1002, `a ${this.peerRole} sends no ${message._tag}`)
    }
    if (message._tag !== "Ping") this.showing?.release()
    switch (message._tag) {
      case "State":
        return this.onState(message.patch, message.stamp)
      case "Message": {
        const size = 64 + (typeof frame === "string" ? Weight.ofText(frame) : frame.length)
        if (!this.mailbox.put(message.payload, size)) this.abort(1013, tooMuch)
        return
      }
      case "Request":
        return this.onRequest(message)
      case "Response":
        this.replica.onAnswer(message.version)
        return this.caller.answered(message.id, message.success, message.data)
      case "Notify":
        return this.config.onNotify?.(message.name, message.data)
      case "Ping":
        return this.onPing(message.payload)
      case "Pong":
        return
    }
  }

  private onState(patch: unknown, stamp: JugglerGeneration.Stamp | undefined): void {
    const result = this.replica.receive(patch, stamp)
    if (result === undefined) this.account()
    else if (result === "ask") this.sender.write({ _tag: "Ping", payload: Resume.hello(this.replica.point) })
    else if (result === "lost") this.abort(1002, "patches are missing, and do not come")
    else this.abort(1002, `a patch does not apply: ${result.message}`)
  }

  /** What a client shows a server is kept at the client's wish. */
  private account(): void {
    if (this.config.role === "server") {
      const { local } = this.config
      // data of this connection only, that the application shows it in return
      const own = local === undefined && this.shown === undefined ? JugglerState.storeOf(this.local).document.size : 0
      const growth = this.replica.store.document.size + own - this.taken
      const { account } = this.outbox
      if (growth > 0 && !account.take(growth)) return this.abort(1013, tooMuch)
      if (growth < 0) account.give(-growth)
      this.taken += growth
    }
    this.config.onState?.()
  }

  private onRequest(request: Extract<Message, { readonly _tag: "Request" }>): void {
    const { id } = request
    const wrong = this.serving.request(
      request,
      (success, data) =>
        this.sender.write({
          _tag: "Response",
          id,
          success,
          data,
          version: this.showing?.version(() => this.shown?.version())
        })
    )
    if (wrong !== undefined) this.abort(1002, wrong)
  }

  get session(): RpcEngine.Session {
    return this.serving.session
  }

  /** Ends the connection from this side, with a close code, as soon as what waits is written or a second has passed. */
  abort(code: number, detail: string): void {
    if (this.isClosed) return
    this.fault ??= new JugglerError.JugglerError({ reason: new JugglerError.ProtocolError({ detail }) })
    this.end(detail, code)
    this.fork(Effect.andThen(
      Effect.andThen(
        Metric.update(JugglerMetrics.closedFor(code), 1),
        // what a client does is for its server to judge; a server that cannot be followed is for somebody to look after
        (this.config.role === "client" ? Effect.logWarning : Effect.logDebug)(
          `a Juggler connection is closed: ${detail}`
        )
      ),
      Effect.timeoutOption(this.outbox.close(code, detail.slice(0, 100)), "1 second")
    ))
  }

  /** Everything that waits for the peer fails; what was received stays. */
  end(detail: string, code?: number): void {
    if (this.isClosed) return
    this.isClosed = true
    this.sender.close()
    this.showing?.leave()
    this.shown?.leave()
    this.outbox.account.give(this.taken)
    this.taken = 0
    this.ending = detail
    // a client's own goes on to its next connection
    if (this.config.caller === undefined) {
      this.caller.enter({ _tag: "Ended", cause: code === undefined ? undefined : closeError(code, detail) })
    }
    this.mailbox.end(JugglerError.closed("the connection is closed", { code }))
    Deferred.doneUnsafe(this.closedSignal, Effect.void)
  }

  set(data: Json): Effect.Effect<void, JugglerError.JugglerError | JsonPatch.JsonPatchError> {
    return Effect.suspend((): Effect.Effect<void, JugglerError.JugglerError | JsonPatch.JsonPatchError> => {
      const { gone } = this.sender
      if (gone !== undefined) return Effect.fail(gone)
      return Effect.catchTag(
        this.local.set(data),
        "SchemaError",
        (error) => Effect.fail(JugglerError.protocol(error.message))
      )
    })
  }

  get flush(): Effect.Effect<void, JugglerError.JugglerError> {
    return Effect.suspend(() => {
      const { gone } = this.sender
      if (gone !== undefined) return Effect.fail(gone)
      this.shown?.flush()
      this.showing?.flush()
      return Effect.andThen(
        this.outbox.drained(0),
        Effect.suspend(() => this.sender.gone === undefined ? Effect.void : Effect.fail(this.sender.gone))
      )
    })
  }

  send(payload: Json): Effect.Effect<void, JugglerError.JugglerError> {
    return misfit(payload) ?? this.sender.send({ _tag: "Message", payload })
  }

  get receive(): Effect.Effect<Json, JugglerError.JugglerError> {
    return this.mailbox.take
  }

  get messages(): Stream.Stream<Json> {
    return Stream.fromEffectRepeat(this.receive).pipe(Stream.catchCause(() => Stream.empty))
  }

  call(name: string, data: Json): Effect.Effect<Json, JugglerError.JugglerError> {
    const unknown = this.sender.lacks("Request")
    if (unknown !== undefined) return Effect.fail(unknown)
    return misfit(data) ?? Effect.suspend(() => this.caller.request(this.sender.encode, name, data))
  }

  notify(name: string, data: Json): Effect.Effect<void, JugglerError.JugglerError> {
    return misfit(data) ?? this.sender.send({ _tag: "Notify", name, data })
  }

  close(code = 1000): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.end("the connection was closed", code)
      return this.outbox.close(code)
    })
  }

  get closed(): Effect.Effect<void> {
    return Deferred.await(this.closedSignal)
  }
}
