import type * as Context from "effect/Context"
import type { Connection } from "../../rpc/RpcConnection.ts"
import * as RpcEngine from "../../rpc/RpcEngine.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import type * as Codec from "../JsonRpcCodec.ts"
import { AnsweredRequest, type Answerer, NotificationRequest, type Sink } from "./answer.ts"
import { isRecord } from "./record.ts"
import { StreamedRequest } from "./streamed.ts"
import type { Wire } from "./wireModel.ts"

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
  ) => ReturnType<typeof RpcEngine.openUnsafe>
  readonly request: (
    answerer: Answerer,
    sink: Sink,
    id: string,
    call: Codec.Call,
    method: RpcMethods.ServedMethod
  ) => RpcEngine.EngineRequest
  readonly notification: (
    answerer: Answerer,
    call: Codec.Call,
    method: RpcMethods.ServedMethod
  ) => RpcEngine.EngineRequest
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
  open: RpcEngine.openUnsafe,
  request: (answerer, sink, id, call, method) => {
    const payload = payloadOf(answerer.wire, method, call.params)
    return method.isStream
      ? new StreamedRequest(answerer, sink, id, call, method, payload)
      : new AnsweredRequest(answerer, sink, id, call, method, payload)
  },
  notification: (answerer, call, method) =>
    new NotificationRequest(answerer, call, method, payloadOf(answerer.wire, method, call.params)),
  grant: (request, credit) => {
    if (request instanceof StreamedRequest) request.grant(credit)
  }
}
