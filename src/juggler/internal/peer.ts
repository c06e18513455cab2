/**
 * The engine of a connection: the one state machine that all generations and both ends share.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as ClientHalf from "../../rpc/internal/clientHalf.ts"
import * as Weight from "../../rpc/internal/weight.ts"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import * as RpcEngine from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import { closeError } from "../../socket/internal/socketErrors.ts"
import * as Outbox from "../../socket/Outbox.ts"
import * as JsonPatch from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import { CurrentJuggler } from "../JugglerConnection.ts"
import * as JugglerError from "../JugglerError.ts"
import * as JugglerGeneration from "../JugglerGeneration.ts"
import type { Generation, Message } from "../JugglerGeneration.ts"
import * as JugglerMetrics from "../JugglerMetrics.ts"
import * as JugglerState from "../JugglerState.ts"
import { Caller, type Line } from "./caller.ts"
import { defaultMethod, misfit, ServedRequest } from "./calls.ts"
import type { Peer, PeerConfig, PeerOptions } from "./peerModel.ts"
import { Follower, type Publisher, publisherOf } from "./publisher.ts"
import { Replica } from "./replica.ts"
import * as Resume from "./resume.ts"
import * as Sharing from "./sharing.ts"
import { Store } from "./store.ts"
import type { Shown } from "./views.ts"

const json = Sharing.make<Json, Json>(Schema.Json)

/** A message that nobody has taken, and the bytes that it costs. */
interface Held {
  readonly payload: Json
  readonly size: number
}

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** Milliseconds that changes are gathered; `undefined`: until a flush. */
export const delayOf = (autoflush: PeerOptions["autoflush"]): number | undefined =>
  autoflush === "off" ? undefined : millis(autoflush ?? 200)

/** States up to this size, in characters, are sent before it is known whether the peer resumes. */
const sentUnasked = 16_384

/** How long, in milliseconds, a peer may take to say whether it resumes. */
const answersWithin = 1_000

const tooMuch = "more is kept for it than may be"

/** Bytes of memory that a message of a client may cost. */
const defaultWeight = 8_388_608

/** How often a peer may ask on one connection for what it missed. */
const maxAsked = 16

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
    const remote = config.remote ?? new Replica(new Store(null, { ...JsonPatch.defaultLimits, ...options.limits }))
    const context = Context.omit(Scope.Scope)(yield* Effect.context<Scope.Scope>()) as Context.Context<never>
    const closedSignal = yield* Deferred.make<void>()
    const messages: Queue.Queue<Held, JugglerError.JugglerError> = yield* Queue.unbounded<
      Held,
      JugglerError.JugglerError
    >()
    const peer = new PeerImpl(config, connection, outbox, remote, messages, closedSignal, context)
    peer.shown = config.show?.(peer, () => peer.abort(1011, "the view failed"))
    if (peer.hasEnded) peer.shown?.leave()
    peer.local = peer.shown?.state ?? config.local ?? (yield* JugglerState.makeJson(null, options.limits))
    peer.session = yield* RpcEngine.open(connection, options)
    peer.methods = new Map(
      Array.from(config.methods, ([name, method]) => [name, {
        ...method,
        context: Context.add(method.context, CurrentJuggler, peer)
      }])
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => peer.end("the connection was closed")))
    peer.pull = pull
    peer.startedAt = yield* Clock.currentTimeMillis
    peer.attach()
    if (generation.symmetric || role === "server") peer.publish((yield* Random.next).toString(36).slice(2, 14))
    peer.greet()
    yield* peer.keepAlive()
    return peer
  })

class PeerImpl implements Peer, Line {
  readonly generation: Generation
  readonly connection: RpcConnection.Connection
  local!: JugglerState.JugglerState<Json, any>
  shown: Shown | undefined
  readonly remote: JugglerState.ReadableState<Json>
  readonly outbox: Outbox.Outbox
  session!: RpcEngine.Session
  methods!: ReadonlyMap<string, RpcMethods.ServedMethod>
  pull!: Effect.Effect<ReadonlyArray<string | Uint8Array>, Socket.SocketError>
  startedAt = 0
  private readonly config: PeerConfig
  private readonly replica: Replica
  private readonly queue: Queue.Queue<Held, JugglerError.JugglerError>
  /** Bytes of the messages that nobody has taken. */
  private queued = 0
  /** Characters of a message whose last segment has not come. */
  private half = 0
  private readonly closedSignal: Deferred.Deferred<void>
  private readonly fork: <A, E>(effect: Effect.Effect<A, E>) => import("effect/Fiber").Fiber<A, E>
  private readonly context: Context.Context<never>
  private readonly caller: Caller
  /** How the connection ended. */
  private ending = "the connection is closed"
  /** Bytes of the budget that the peer's data has taken. */
  private taken = 0
  private readonly receiver: JugglerGeneration.Receiver
  private readonly access: Context.Service.Shape<typeof RpcConnection.MethodAccess>
  private readonly peerRole: "server" | "client"
  private readonly decoder: TextDecoder | undefined
  private readonly highWater: number
  private readonly maxSending: number
  private readonly maxMessages: number
  private readonly segmentSize: number
  private publisher: Publisher | undefined
  private follower: Follower | undefined
  private refusing = false
  private isClosed = false
  private fault: JugglerError.JugglerError | undefined
  private heard = 0
  /** How often the peer has asked for what it missed. */
  private asked = 0
  /** Messages sent since the outbox was empty. */
  private sending = 0

  constructor(
    config: PeerConfig,
    connection: RpcConnection.Connection,
    outbox: Outbox.Outbox,
    remote: Replica,
    messages: Queue.Queue<Held, JugglerError.JugglerError>,
    closedSignal: Deferred.Deferred<void>,
    context: Context.Context<never>
  ) {
    this.config = config
    this.generation = config.generation
    this.connection = connection
    this.outbox = outbox
    this.replica = remote
    this.remote = JugglerState.readable(remote.store, json)
    this.queue = messages
    this.closedSignal = closedSignal
    this.fork = Effect.runForkWith(context)
    this.context = Context.add(context, CurrentJuggler, this)
    this.caller = config.caller ??
      new Caller(ClientHalf.limits(config.options, context, () => this.ending), { _tag: "Dialling", attempt: 1 })
    this.receiver = config.generation.receiver(
      config.role === "server" ? { maxWeight: defaultWeight, ...config.options.limits } : config.options.limits
    )
    this.access = Context.get(context, RpcConnection.MethodAccess)
    this.peerRole = config.role === "server" ? "client" : "server"
    this.highWater = config.options.highWaterMark ?? 1_048_576
    this.maxSending = config.options.maxSending ?? 1_024
    this.maxMessages = config.options.maxMessages ?? 1_024
    this.segmentSize = config.options.segmentSize ?? JugglerGeneration.defaultSegmentSize
    const { carrier } = connection.handshake
    const binary = config.options.binary ??
      (carrier === "tcp" || carrier === "tls" || carrier === "unix" ? "text" : "refuse")
    this.decoder = binary === "text" ? new TextDecoder() : undefined
    this.set = this.set.bind(this)
    this.send = this.send.bind(this)
    this.call = this.call.bind(this)
    this.notify = this.notify.bind(this)
    this.close = this.close.bind(this)
  }

  /** From now on it carries calls. */
  attach(): void {
    this.caller.use(this)
    if (this.config.caller === undefined && !this.isClosed) this.caller.enter({ _tag: "Open" })
  }

  get hasEnded(): boolean {
    return this.isClosed
  }

  publish(epoch: string): void {
    if (this.isClosed) return
    const { autoflush, resume } = this.config.options
    const delay = this.shown === undefined ? delayOf(autoflush) : this.shown.delay
    const store = JugglerState.storeOf(this.local)
    const history = this.generation.resumes && resume !== false
      ? Resume.historyOf(store, epoch, resume?.maxSize ?? 1_048_576)
      : undefined
    this.publisher = publisherOf(store, delay, this.fork)
    this.follower = new Follower(this.generation, this.segmentSize, this.outbox, this.highWater, history)
    this.follower.asked = history !== undefined && store.document.size > sentUnasked
    this.publisher.join(this.follower)
  }

  /** Tells the peer that this end resumes, or asks whether it does. */
  greet(): void {
    const { options, role } = this.config
    if (role === "client") {
      const point = this.replica.opened()
      if (this.generation.resumes && options.resume !== false) {
        this.write({ _tag: "Ping", payload: Resume.hello(point) })
      }
      return
    }
    const { follower } = this
    if (follower?.asked !== true) return
    // whatever comes first is the answer
    this.write({ _tag: "Ping", payload: Resume.question })
    this.fork(Effect.andThen(
      Effect.timeoutOption(Deferred.await(this.closedSignal), answersWithin),
      Effect.sync(() => this.publisher!.release(follower))
    ))
  }

  /** A ping of the peer, which may be more than that. */
  private onPing(payload: string): void {
    const { follower } = this
    const hello = follower?.history === undefined ? undefined : Resume.readHello(payload)
    if (hello !== undefined) {
      if (++this.asked > maxAsked) return this.abort(1008, "the whole was asked for too often")
      this.publisher!.resume(follower!, hello.point)
    }
    this.write({ _tag: "Pong", payload })
  }

  keepAlive(): Effect.Effect<void, never, Scope.Scope> {
    const option = this.config.options.keepAlive
    if (option === false || (option === undefined && !this.generation.pings)) return Effect.void
    if (!this.generation.allows("Ping", this.config.role)) return Effect.void
    const delay = option === undefined ? (this.config.role === "server" ? 30_000 : 5_000) : millis(option.delay)
    const timeout = option === undefined ? 5_000 : millis(option.timeout)
    const loop = Effect.gen({ self: this }, function*() {
      let heard = this.heard
      while (true) {
        yield* Effect.sleep(delay)
        if (this.heard !== heard) {
          heard = this.heard
          continue
        }
        this.write({ _tag: "Ping", payload: "" })
        yield* Effect.sleep(timeout)
        if (this.heard === heard) return this.abort(1001, "no answer to a ping")
        heard = this.heard
      }
    })
    return Effect.asVoid(Effect.forkScoped(loop))
  }

  private write(message: Message): boolean {
    return this.sendFrames(this.encode(message))
  }

  readonly encode = (message: Message): ReadonlyArray<string> => this.generation.encode(message, this.segmentSize)

  sendFrames(frames: ReadonlyArray<string>): boolean {
    let open = !this.isClosed
    for (let i = 0; i < frames.length && open; i++) open = this.outbox.send(frames[i]!)
    if (open) this.sending = this.outbox.waiting() === 0 ? 1 : this.sending + 1
    return open
  }

  hasRoom(): boolean {
    return this.outbox.waiting() <= this.highWater &&
      (this.sending < this.maxSending || this.outbox.waiting() === 0)
  }

  get drained(): Effect.Effect<void> {
    return this.outbox.drained(0)
  }

  broadcast(frames: ReadonlyArray<string>): void {
    // a peer that does not read must not make us keep what everybody is told
    if (this.outbox.waiting() > this.highWater * 16) return this.abort(1013, "the peer reads too slowly")
    for (const frame of frames) this.outbox.send(frame)
  }

  refuse(): void {
    this.refusing = true
  }

  get read(): Effect.Effect<never, Socket.SocketError | JugglerError.JugglerError> {
    return Effect.forever(
      Effect.flatMap(this.pull, (frames) => {
        this.outbox.cork()
        for (let i = 0; i < frames.length && !this.isClosed; i++) this.take(frames[i]!)
        this.outbox.uncork()
        if (this.fault !== undefined) return Effect.fail(this.fault)
        if (this.isFull(4)) return this.onceTaken
        if (this.isFull(1) && this.caller.inFlight === 0) return Effect.raceFirst(this.onceTaken, this.caller.calling)
        return Effect.void
      }),
      { disableYield: true }
    )
  }

  /** Whether so many times the messages wait that may. Answers to calls of ours are behind them. */
  private isFull(times: number): boolean {
    return Queue.sizeUnsafe(this.queue) >= this.maxMessages * times || this.queued > this.highWater * times
  }

  /** Completes when the application has taken all messages. */
  get allTaken(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.queue.state._tag === "Done" || Queue.sizeUnsafe(this.queue) === 0
        ? Effect.void
        : Effect.andThen(this.onceTaken, this.allTaken)
    )
  }

  /** Completes when the application has taken a message. */
  private get onceTaken(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.onTaken = () => resume(Effect.void)
      return Effect.sync(() => {
        this.onTaken = undefined
      })
    })
  }
  private onTaken: (() => void) | undefined

  private take(frame: string | Uint8Array): void {
    this.heard++
    const message = this.receiver(
      this.decoder === undefined || typeof frame === "string" ? frame : this.decoder.decode(frame)
    )
    if (message === undefined) {
      // a segment
      const { account } = this.outbox
      account.give(this.half)
      this.half += frame.length
      if (!account.take(this.half)) this.abort(1013, tooMuch)
      return
    }
    if (this.half > 0) {
      this.outbox.account.give(this.half)
      this.half = 0
    }
    if (message._tag === "Malformed") return this.abort(message.code, message.detail)
    if (!this.generation.allows(message._tag, this.peerRole)) {
      return this.abort(1002, `a ${this.peerRole} sends no ${message._tag}`)
    }
    if (this.follower?.asked === true && message._tag !== "Ping") this.publisher!.release(this.follower)
    switch (message._tag) {
      case "State":
        return this.onState(message.patch, message.stamp)
      case "Message": {
        const size = 64 + (typeof frame === "string" ? Weight.ofText(frame) : frame.length)
        if (!this.outbox.account.take(size)) return this.abort(1013, tooMuch)
        this.queued += size
        Queue.offerUnsafe(this.queue, { payload: message.payload, size })
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
    else if (result === "ask") this.write({ _tag: "Ping", payload: Resume.hello(this.replica.point) })
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
    const { data, id, name } = request
    const { maxStreamBytes } = this.config.options
    const answer = (success: boolean, data: Json) => {
      const version = this.follower?.stamped === true
        ? (this.shown?.version() ?? JugglerState.storeOf(this.local).version) + this.follower.history!.run.offset
        : undefined
      this.write({ _tag: "Response", id, success, data, version })
    }
    if (name === "" && !this.generation.symmetric) return answer(true, data)
    if (this.refusing) return answer(false, "the server is closing")
    if (this.session.find(String(id)) !== undefined) {
      return this.abort(1002, "a request has the id of one that is under way")
    }
    const fork = (effect: Effect.Effect<void>) => void this.fork(effect)
    const method = this.methods.get(name)
    if (method !== undefined && this.access(method.rpc, this.connection)) {
      return this.serve(new ServedRequest(id, method, data, answer, this.generation.symmetric, fork, maxStreamBytes))
    }
    const { defaultAction } = this.config
    // what the caller may not use does not exist for that caller, so it is answered like something unknown
    if (defaultAction === undefined) {
      return answer(false, this.generation.symmetric ? "invalid action" : "invalid request name")
    }
    const stand = defaultMethod(name, data, defaultAction, this.context)
    this.serve(new ServedRequest(id, stand, data, answer, this.generation.symmetric, fork, maxStreamBytes))
  }

  private serve(request: ServedRequest): void {
    if (!this.session.submit(request)) request.refuse()
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
    if (this.follower !== undefined) this.publisher!.leave(this.follower)
    this.shown?.leave()
    this.outbox.account.give(this.taken)
    this.taken = 0
    this.ending = detail
    // a client's own goes on to its next connection
    if (this.config.caller === undefined) {
      this.caller.enter({ _tag: "Ended", cause: code === undefined ? undefined : closeError(code, detail) })
    }
    Queue.failCauseUnsafe(this.queue, Cause.fail(JugglerError.closed("the connection is closed", { code })))
    Deferred.doneUnsafe(this.closedSignal, Effect.void)
  }

  private get gone(): JugglerError.JugglerError | undefined {
    return this.isClosed || this.outbox.isClosed() ? JugglerError.closed("the connection is closed") : undefined
  }

  /** Waits while as many messages wait as may. */
  private get room(): Effect.Effect<void, JugglerError.JugglerError> {
    return Effect.suspend(() => {
      const gone = this.gone
      if (gone !== undefined) return Effect.fail(gone)
      if (this.hasRoom()) return Effect.void
      return Effect.andThen(this.outbox.drained(0), this.room)
    })
  }

  private has(tag: Message["_tag"]): JugglerError.JugglerError | undefined {
    return this.generation.allows(tag, this.config.role)
      ? undefined
      : JugglerError.protocol(`generation ${this.generation.name} has no ${tag} of a ${this.config.role}`)
  }

  private out(message: Message): Effect.Effect<void, JugglerError.JugglerError> {
    const unknown = this.has(message._tag)
    if (unknown !== undefined) return Effect.fail(unknown)
    return Effect.flatMap(
      this.room,
      () => this.write(message) ? Effect.void : Effect.fail(JugglerError.closed("the connection is closed"))
    )
  }

  set(data: Json): Effect.Effect<void, JugglerError.JugglerError | JsonPatch.JsonPatchError> {
    return Effect.suspend((): Effect.Effect<void, JugglerError.JugglerError | JsonPatch.JsonPatchError> => {
      const gone = this.gone
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
      const gone = this.gone
      if (gone !== undefined) return Effect.fail(gone)
      this.shown?.flush()
      this.publisher?.flush()
      return Effect.andThen(
        this.outbox.drained(0),
        Effect.suspend(() => this.gone === undefined ? Effect.void : Effect.fail(this.gone))
      )
    })
  }

  send(payload: Json): Effect.Effect<void, JugglerError.JugglerError> {
    return misfit(payload) ?? this.out({ _tag: "Message", payload })
  }

  get receive(): Effect.Effect<Json, JugglerError.JugglerError> {
    return Effect.map(Queue.take(this.queue), ({ payload, size }) => {
      this.queued -= size
      this.outbox.account.give(size)
      this.onTaken?.()
      return payload
    })
  }

  get messages(): Stream.Stream<Json> {
    return Stream.fromEffectRepeat(this.receive).pipe(Stream.catchCause(() => Stream.empty))
  }

  call(name: string, data: Json): Effect.Effect<Json, JugglerError.JugglerError> {
    const unknown = this.has("Request")
    if (unknown !== undefined) return Effect.fail(unknown)
    return misfit(data) ?? Effect.suspend(() => this.caller.request(this.encode, name, data))
  }

  notify(name: string, data: Json): Effect.Effect<void, JugglerError.JugglerError> {
    return misfit(data) ?? this.out({ _tag: "Notify", name, data })
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
