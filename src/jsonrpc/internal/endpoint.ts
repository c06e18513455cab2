import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type * as Rpc from "effect/rpc/Rpc"
import type { Connection } from "../../rpc/RpcConnection.ts"
import type * as RpcEngine from "../../rpc/RpcEngine.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import type { Outbox } from "../../socket/Outbox.ts"
import * as Codec from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import { AnsweredRequest, type Answerer, NotificationRequest, type Sink } from "./answer.ts"
import type { Caller } from "./caller.ts"
import type { Dialect } from "./dialectModel.ts"
import { numberTexts } from "./json.ts"
import { isRecord } from "./record.ts"

/**
 * What both directions of one connection share.
 *
 * @internal
 */
export interface EndpointOptions {
  readonly dialect: Dialect
  readonly connection: Connection
  readonly headers: Headers.Headers
  /** `undefined` where the wire cannot send by itself. */
  readonly outbox: Outbox | undefined
  readonly methods: ReadonlyMap<string, RpcMethods.ServedMethod>
  readonly session: RpcEngine.Session
  readonly access: (rpc: Rpc.AnyWithProps, connection: Connection) => boolean
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly caller: Caller | undefined
  readonly decode: Codec.DecodeOptions
  readonly onNotification: ((notification: Codec.Call) => void) | undefined
  /** Trace context of the wire, for requests that bring none of their own. */
  readonly trace?: RpcEngine.TraceContext | undefined
}

const methodNotFound: ErrorObject = { code: JsonRpcError.code.methodNotFound, message: "Method not found" }
const duplicateId: ErrorObject = {
  code: JsonRpcError.code.invalidRequest,
  message: "Invalid Request",
  data: "a request with this id is in flight"
}

const shuttingDown: ErrorObject = { code: JsonRpcError.code.serverError, message: "Server is shutting down" }

const utf8 = new TextDecoder("utf-8", { fatal: true })

/**
 * One end of a connection: takes the frames that come in, hands requests to the engine, answers to the caller.
 *
 * @internal
 */
export class Endpoint implements Answerer {
  readonly dialect: Dialect
  readonly headers: Headers.Headers
  readonly outbox: Outbox | undefined
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly trace: RpcEngine.TraceContext | undefined
  private readonly options: EndpointOptions
  private readonly single: Sink
  private refuses = false
  /** The frame that is being handled. */
  private text = ""

  constructor(options: EndpointOptions) {
    this.options = options
    this.dialect = options.dialect
    this.headers = options.headers
    this.outbox = options.outbox
    this.fork = options.fork
    this.trace = options.trace
    this.single = {
      answer: (text) => {
        this.outbox?.send(text)
      },
      skip: () => {}
    }
  }

  /** From now on requests are refused: the server is about to close. */
  refuse(): void {
    this.refuses = true
  }

  /** A frame of the socket. Binary frames are read as UTF-8 where they are that and JSON, and ignored otherwise. */
  receive(frame: string | Uint8Array): void {
    if (typeof frame === "string") {
      this.text = frame
      this.dispatch(Codec.decode(frame, this.options.decode), this.single)
    } else {
      this.binary(frame)
    }
    this.text = ""
  }

  private binary(frame: Uint8Array): void {
    try {
      this.text = utf8.decode(frame)
    } catch {
      return
    }
    const decoded = Codec.decode(this.text, this.options.decode)
    if (!Array.isArray(decoded)) {
      const message = decoded as Codec.Message
      if (message._tag === "Invalid" && message.answer?.code === JsonRpcError.code.parseError) return
    }
    this.dispatch(decoded, this.single)
  }

  /** Handles a decoded frame; what is answered goes to `sink`: one text, or none when nothing is to be answered. */
  dispatch(frame: Codec.Frame, sink: Sink): void {
    if (!Array.isArray(frame)) {
      const message = frame as Codec.Message
      if (message._tag === "Failure" && (message.id === undefined || message.id === "null")) {
        this.options.caller?.refused(message.error)
      }
      return this.message(message, sink)
    }
    const messages = frame as ReadonlyArray<Codec.Message>
    const batch = new BatchSink(messages, sink)
    for (const message of messages) this.message(message, batch)
  }

  private message(message: Codec.Message, sink: Sink): void {
    switch (message._tag) {
      case "Call":
        return message.id === undefined ? this.notification(message, sink) : this.request(message, message.id, sink)
      case "Invalid":
        // who serves nothing has nothing to say about what is no request
        if (message.answer === undefined || (message.id === "null" && this.options.methods.size === 0)) {
          this.options.caller?.lose(message.id, JsonRpcError.protocol("the answer is nested too deeply"))
          return sink.skip()
        }
        return sink.answer(Codec.encodeError(message.id, message.answer))
      default:
        this.options.caller?.answer(message)
        return sink.skip()
    }
  }

  private request(call: Codec.Call, id: string, sink: Sink): void {
    const { access, connection, methods, session } = this.options
    if (this.refuses) return sink.answer(Codec.encodeError(id, shuttingDown))
    if (session.has(id)) return sink.answer(Codec.encodeError(id, duplicateId))
    const method = methods.get(call.method)
    if (method === undefined || !access(method.rpc, connection)) {
      return sink.answer(Codec.encodeError(id, methodNotFound))
    }
    session.submit(new AnsweredRequest(this, sink, id, call, method, this.payload(method, call.params)))
  }

  private notification(call: Codec.Call, sink: Sink): void {
    const { access, caller, connection, dialect, methods, onNotification, session } = this.options
    const { cancellation, progress } = dialect
    if (cancellation !== undefined && call.method === cancellation.method) {
      this.cancel(cancellation.decode(call.params))
    } else if (progress === undefined || call.method !== progress.method || caller?.progress(call.params) !== true) {
      onNotification?.(call)
      const method = methods.get(call.method)
      if (method !== undefined && access(method.rpc, connection)) {
        session.submit(new NotificationRequest(this, call, method, this.payload(method, call.params)))
      }
    }
    sink.skip()
  }

  private cancel(id: unknown): void {
    if (id === undefined || typeof id === "object") return
    const { session } = this.options
    if (typeof id !== "number" || Number.isSafeInteger(id)) return void session.cancel(JSON.stringify(id))
    // digits that a number cannot hold tell requests apart
    const texts = numberTexts(this.text, id)
    for (const key of Array.from(session.keys())) {
      if (texts.has(key)) session.cancel(key)
    }
  }

  private payload(method: RpcMethods.Method, params: unknown): unknown {
    const { metaKeys } = this.dialect
    if (metaKeys.length > 0 && method.shape !== "struct" && isRecord(params)) {
      const rest = { ...params }
      for (const key of metaKeys) delete rest[key]
      return RpcMethods.toPayload(method, rest)
    }
    return RpcMethods.toPayload(method, params)
  }
}

// Gathers the answers of a batch; the last one sends them.
class BatchSink implements Sink {
  private readonly sink: Sink
  private readonly texts: Array<string> = []
  private remaining: number

  constructor(messages: ReadonlyArray<Codec.Message>, sink: Sink) {
    this.sink = sink
    this.remaining = messages.length
  }
  answer(text: string): void {
    this.texts.push(text)
    this.skip()
  }
  skip(): void {
    if (--this.remaining > 0) return
    if (this.texts.length === 0) this.sink.skip()
    else this.sink.answer(Codec.encodeBatch(this.texts))
  }
}
