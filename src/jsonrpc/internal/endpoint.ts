import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type * as Rpc from "effect/rpc/Rpc"
import type * as Tracer from "effect/Tracer"
import { hasUnsafeNumber, inexactNumber, isInexact } from "../../rpc/internal/numbers.ts"
import * as Weight from "../../rpc/internal/weight.ts"
import type { Connection } from "../../rpc/RpcConnection.ts"
import type * as RpcEngine from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import * as Codec from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import type { Answerer, Sink } from "./answer.ts"
import type { Caller } from "./caller.ts"
import { wireOf } from "./foreignWire.ts"
import { named, own } from "./record.ts"
import { internalError, methodNotFound, noBatches } from "./refusals.ts"
import type { Serving } from "./serving.ts"
import { streamMethods } from "./streamModel.ts"
import type { Wire } from "./wireModel.ts"

/**
 * What the connections of one server, or of one client, share.
 *
 * @internal
 */
export interface EndpointConfig {
  readonly wire: Wire
  readonly methods: ReadonlyMap<string, RpcMethods.ServedMethod>
  readonly access: (rpc: Rpc.AnyWithProps, connection: Connection) => boolean
  readonly decode: Codec.DecodeOptions
  /** The same while calls of this end wait for their answers; both ends settle answers by the same rules. */
  readonly decodeAnswers: Codec.DecodeOptions
  readonly onNotification: ((notification: Codec.Call) => void) | undefined
  /** `undefined` where nothing is served. */
  readonly serving: Serving | undefined
  readonly options: RpcEngine.Options
  /** Where what is logged, and what takes longer than its frame, runs. */
  readonly context: Context.Context<never>
}

/** Bytes that a request costs besides what it carries. */
const overhead = 512
const defaultStreamBytes = 8 * 1024 * 1024
const defaultHighWater = 1024 * 1024

const utf8 = new TextDecoder("utf-8", { fatal: true })

/**
 * One end of a connection: takes the frames that come in, hands requests to the engine, answers to the caller.
 *
 * @internal
 */
export class Endpoint implements Answerer, Sink {
  readonly config: EndpointConfig
  readonly connection: Connection
  readonly session: RpcEngine.Session | undefined
  private readonly caller: Caller | undefined
  /** Trace context of the wire, for requests that bring none of their own. */
  readonly trace: Tracer.AnySpan | undefined
  refuses = false
  private suspected = false
  /** The frame that is being handled, and the number of its messages. */
  private text = ""
  private messages = 1
  /** Bytes that one message of the frame may cost at most: a look at its length tells. */
  maxWeight = overhead

  constructor(
    config: EndpointConfig,
    connection: Connection,
    session: RpcEngine.Session | undefined,
    caller: Caller | undefined,
    trace?: Tracer.AnySpan
  ) {
    this.config = config
    this.connection = connection
    this.session = session
    this.caller = caller
    this.trace = trace
  }

  get wire(): Wire {
    return this.config.wire
  }
  get headers(): Headers.Headers {
    return this.connection.handshake.headers
  }
  /** `undefined` where the wire cannot send by itself. */
  get outbox(): Outbox | undefined {
    return this.connection.outbox
  }
  get weight(): number {
    return overhead + Math.ceil(Weight.ofText(this.text) / this.messages)
  }
  get maxStreamBytes(): number {
    return this.config.options.maxStreamBytes ?? defaultStreamBytes
  }
  get highWater(): number {
    return this.config.options.highWaterMark ?? defaultHighWater
  }
  fork(effect: Effect.Effect<void>): void {
    Effect.runForkWith(this.config.context)(effect)
  }

  /** As a sink: an answer in a frame of its own. */
  answer(text: string): void {
    this.connection.outbox?.send(text)
  }
  skip(): void {}

  /** From now on requests are refused: the server is about to close. */
  refuse(): void {
    this.refuses = true
  }

  /**
   * A frame of the socket. Binary frames are read as UTF-8 where they are that and JSON, and ignored otherwise. On a
   * connection that was closed from here nothing is looked at any more.
   */
  receive(frame: string | Uint8Array): void {
    if (this.connection.outbox?.isClosed() === true) return
    if (typeof frame === "string") this.handle(frame, Codec.decode(frame, this.decode), this)
    else this.binary(frame)
  }

  private get decode(): Codec.DecodeOptions {
    const { caller, config } = this
    return caller !== undefined && caller.inFlight > 0 ? config.decodeAnswers : config.decode
  }

  private binary(frame: Uint8Array): void {
    let text: string
    try {
      text = utf8.decode(frame)
    } catch {
      return
    }
    const decoded = Codec.decode(text, this.decode)
    if (!Array.isArray(decoded)) {
      const message = decoded as Codec.Message
      if (message._tag === "Invalid" && message.answer?.code === JsonRpcError.code.parseError) return
    }
    this.handle(text, decoded, this)
  }

  /** Handles a decoded frame; what is answered goes to `sink`: one text, or none when nothing is to be answered. */
  handle(text: string, frame: Codec.Frame, sink: Sink): void {
    this.text = text
    if (Array.isArray(frame)) {
      const messages = frame as ReadonlyArray<Codec.Message>
      const { batch: encodeBatch } = this.wire.encode
      if (encodeBatch === undefined && messages.some(isAnswered)) {
        return sink.answer(this.wire.encode.error("null", noBatches))
      }
      this.messages = messages.length
      this.maxWeight = overhead + Math.ceil(text.length * Weight.heaviestCharacter / messages.length)
      const batch = new BatchSink(messages, sink, encodeBatch ?? Codec.encodeBatch)
      for (let i = 0; i < messages.length; i++) this.guarded(messages[i]!, batch)
      this.messages = 1
    } else {
      const message = frame as Codec.Message
      this.maxWeight = overhead + text.length * Weight.heaviestCharacter
      if (message._tag === "Failure" && (message.id === undefined || message.id === "null")) {
        if (this.caller?.refused(message.error) !== true) this.report(message.error)
      }
      this.guarded(message, sink)
    }
    this.text = ""
  }

  /** What the application says (access rules, listeners) may throw; it concerns this message only. */
  private guarded(message: Codec.Message, sink: Sink): void {
    try {
      this.message(message, sink)
    } catch (defect) {
      const id = message._tag === "Call" ? message.id : undefined
      this.fork(Effect.annotateLogs(Effect.logError("a message could not be handled", defect), {
        method: message._tag === "Call" ? message.method : message._tag
      }))
      if (id === undefined) sink.skip()
      else sink.answer(this.wire.encode.error(id, internalError))
    }
  }

  private message(message: Codec.Message, sink: Sink): void {
    switch (message._tag) {
      case "Call":
        return message.id === undefined ? this.notification(message, sink) : this.request(message, message.id, sink)
      case "Invalid":
        if (Codec.isWrongVersion(message)) this.suspect("version1 or cdp")
        // who serves nothing has nothing to say about what is no request
        if (message.answer === undefined || (message.id === "null" && this.config.methods.size === 0)) {
          this.caller?.spoil(message.id, "the answer is nested too deeply")
          return sink.skip()
        }
        return sink.answer(this.wire.encode.error(message.id, message.answer))
      default:
        this.answered(message)
        return sink.skip()
    }
  }

  /** An answer to a call of this end. A number that lost digits when it was read is not given on. */
  private answered(message: Codec.Result | Codec.Failure): void {
    const { caller } = this
    if (caller === undefined) return
    if (message._tag === "Result" && message.id !== undefined && caller.inFlight > 0) {
      const number = this.inexactIn(message.result)
      if (number !== undefined) return caller.spoil(message.id, `the answer has ${number}, ${isInexact}`)
    }
    caller.answer(message)
  }

  /** A number of the frame that is not what stands in it, where this part of the frame has one. */
  inexactIn(part: unknown): string | undefined {
    return hasUnsafeNumber(part) ? inexactNumber(this.text, part) : undefined
  }

  private request(call: Codec.Call, id: string, sink: Sink): void {
    const { serving } = this.config
    if (serving === undefined) sink.answer(this.wire.encode.error(id, methodNotFound))
    else serving.request(this, sink, id, call)
  }

  private notification(call: Codec.Call, sink: Sink): void {
    const { caller } = this
    const { cancellation, progress } = this.config.wire
    if (cancellation !== undefined && call.method === cancellation.method) {
      if (this.session !== undefined) {
        this.config.serving?.cancel(this.session, cancellation.decode(call.params), this.text)
      }
    } else if (call.method === streamMethods.credit) {
      this.credit(named(call.params))
    } else if (call.method === streamMethods.elements) {
      caller?.elements(named(call.params), this.text.length)
    } else if (progress === undefined || call.method !== progress.method || caller?.progress(call.params) !== true) {
      this.notified(call)
    }
    sink.skip()
  }

  private report({ code, message }: ErrorObject): void {
    this.fork(Effect.annotateLogs(Effect.logWarning("the peer reported an error that is about no request", message), {
      code
    }))
  }

  private notified(call: Codec.Call): void {
    const { methods, onNotification, serving } = this.config
    const inexact = this.inexactIn(call.params)
    if (inexact !== undefined) {
      return this.fork(
        Effect.annotateLogs(Effect.logDebug(`a notification was dropped: it has ${inexact}, ${isInexact}`), {
          method: call.method,
          connection: this.connection.id
        })
      )
    }
    onNotification?.(call)
    const method = methods.get(call.method)
    if (method === undefined) this.unknown(call)
    else serving?.notification(this, call, method)
  }

  /** A client takes more elements of a stream, or, with a credit of 0, no more at all. */
  private credit(params: unknown): void {
    const id = own(params, "id")
    const credit = own(params, "credit")
    if (typeof id !== "number" || typeof credit !== "number" || !Number.isSafeInteger(credit) || credit < 0) return
    const key = "" + id
    if (credit === 0) return void this.session?.cancel(key)
    this.config.serving?.grant(this.session?.find(key), credit)
  }

  private unknown(call: Codec.Call): void {
    const wire = wireOf(call)
    if (wire !== undefined && wire !== this.wire.name) this.suspect(wire)
  }

  /** The peer seems to speak another wire than this end: calls may work, while cancels and progress do nothing. */
  private suspect(wire: string): void {
    if (this.suspected) return
    this.suspected = true
    this.fork(Effect.annotateLogs(
      Effect.logWarning(`the peer seems to speak the wire "${wire}", this end speaks "${this.wire.name}"`),
      { connection: this.connection.id }
    ))
  }
}

const isAnswered = (message: Codec.Message): boolean =>
  message._tag === "Call" ? message.id !== undefined : message._tag === "Invalid" && message.answer !== undefined

// Gathers the answers of a batch; the last one sends them.
class BatchSink implements Sink {
  private readonly sink: Sink
  private readonly texts: Array<string> = []
  private remaining: number
  private readonly encode: (messages: ReadonlyArray<string>) => string

  constructor(
    messages: ReadonlyArray<Codec.Message>,
    sink: Sink,
    encode: (messages: ReadonlyArray<string>) => string
  ) {
    this.sink = sink
    this.encode = encode
    this.remaining = messages.length
  }
  answer(text: string): void {
    this.texts.push(text)
    this.skip()
  }
  skip(): void {
    if (--this.remaining > 0) return
    if (this.texts.length === 0) this.sink.skip()
    else this.sink.answer(this.encode(this.texts))
  }
}
