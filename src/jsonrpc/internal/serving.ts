import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import { isInexact } from "../../rpc/internal/numbers.ts"
import { openSession } from "../../rpc/internal/openSession.ts"
import type { Connection } from "../../rpc/RpcConnection.ts"
import type * as RpcEngine from "../../rpc/RpcEngine.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import type * as Codec from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import { AnsweredRequest, type Answerer, NotificationRequest, type Sink } from "./answer.ts"
import { numberTexts } from "./json.ts"
import { again, repeated } from "./onceCall.ts"
import { isRecord } from "./record.ts"
import { methodNotFound } from "./refusals.ts"
import { StreamedRequest } from "./streamed.ts"
import type { Wire } from "./wireModel.ts"

/**
 * One end of a connection, as far as serving it goes.
 *
 * @internal
 */
export interface Served extends Answerer {
  readonly config: {
    readonly access: (rpc: Rpc.AnyWithProps, connection: Connection) => boolean
    readonly methods: ReadonlyMap<string, RpcMethods.ServedMethod>
  }
  readonly connection: Connection
  readonly session: RpcEngine.Session | undefined
  /** The server is about to close. */
  readonly refuses: boolean
  /** A number of the frame that is not what stands in it, where this part of the frame has one. */
  readonly inexactIn: (part: unknown) => string | undefined
}

const duplicateId: ErrorObject = {
  code: JsonRpcError.code.invalidRequest,
  message: "Invalid Request",
  data: "a request with this id is in flight"
}

const tooMany: ErrorObject = {
  code: JsonRpcError.code.serverError,
  message: "Too many requests",
  data: { retryable: true }
}

const shuttingDown: ErrorObject = {
  code: JsonRpcError.code.serverError,
  message: "Server is shutting down",
  data: { retryable: true, closing: true }
}

const invalidAgain: ErrorObject = {
  code: JsonRpcError.code.invalidParams,
  message: "Invalid params",
  data: { issues: [{ path: [], message: "names no call" }] }
}

const hasInexact = (number: string): ErrorObject => ({
  code: JsonRpcError.code.invalidParams,
  message: "Invalid params",
  data: { issues: [{ path: [], message: `there is ${number}, ${isInexact}` }] }
})

const debug = (end: Served, message: string, method: string): void =>
  end.fork(Effect.annotateLogs(Effect.logDebug(message), { method, connection: end.connection.id }))

/**
 * The answering half of a connection, as a value: an end that serves nothing goes without it, and so does its bundle.
 *
 * @internal
 */
export interface Serving {
  readonly open: (
    connection: Connection,
    options: RpcEngine.Options,
    context: Context.Context<never>
  ) => ReturnType<typeof openSession>
  /** Hands a request to the session of the connection, or answers why not. */
  readonly request: (end: Served, sink: Sink, id: string, call: Codec.Call) => void
  readonly notification: (end: Served, call: Codec.Call, method: RpcMethods.ServedMethod) => void
  /** Cancels the request with this id, which `text` spells in full. */
  readonly cancel: (session: RpcEngine.Session, id: unknown, text: string) => void
  /** The client of a stream takes so many more elements. */
  readonly grant: (request: RpcEngine.EngineRequest | undefined, credit: number) => void
}

const payloadOf = (wire: Wire, method: RpcMethods.Method, params: unknown): unknown => {
  const { ignoresSurplus, metaKeys } = wire
  if (ignoresSurplus === true) params = RpcMethods.withoutSurplus(method, params)
  if (metaKeys.length > 0 && method.shape !== "struct" && isRecord(params)) {
    const rest = { ...params }
    for (const key of metaKeys) delete rest[key]
    return RpcMethods.toPayload(method, rest)
  }
  return RpcMethods.toPayload(method, params)
}

/** @internal */
export const serving: Serving = {
  open: openSession,
  request: (end, sink, id, call) => {
    const refuse = (error: ErrorObject) => sink.answer(end.wire.encode.error(id, error))
    if (call.method === again) {
      const first = repeated(call)
      if (first === undefined) return refuse(invalidAgain)
      call = first
    }
    const { config, connection, session } = end
    if (end.refuses) return refuse(shuttingDown)
    if (session?.find(id) !== undefined) return refuse(duplicateId)
    const method = config.methods.get(call.method)
    if (method === undefined || session === undefined) return refuse(methodNotFound)
    if (!config.access(method.rpc, connection)) {
      debug(end, "access refused", method.name)
      return refuse(methodNotFound)
    }
    const inexact = end.inexactIn(call.params)
    if (inexact !== undefined) return refuse(hasInexact(inexact))
    const payload = payloadOf(end.wire, method, call.params)
    const request = method.isStream
      ? new StreamedRequest(end, sink, id, call, method, payload)
      : new AnsweredRequest(end, sink, id, call, method, payload)
    if (!session.submit(request)) refuse(tooMany)
  },
  notification: (end, call, method) => {
    const { config, connection, session } = end
    if (session === undefined) return
    if (!config.access(method.rpc, connection)) return debug(end, "access refused", method.name)
    if (session.submit(new NotificationRequest(end, call, method, payloadOf(end.wire, method, call.params)))) return
    debug(end, "a notification was dropped: the connection is full", method.name)
  },
  cancel: (session, id, text) => {
    if (id === undefined || typeof id === "object") return
    if (typeof id !== "number" || Number.isSafeInteger(id)) return void session.cancel(JSON.stringify(id))
    // digits that a number cannot hold tell requests apart
    const texts = numberTexts(text, id)
    for (const key of Array.from(session.keys())) {
      if (texts.has(key)) session.cancel(key)
    }
  },
  grant: (request, credit) => {
    if (request instanceof StreamedRequest) request.grant(credit)
  }
}
