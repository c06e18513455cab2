/**
 * The JSON-RPC client of a command: the target, the credentials, and failures in words that help.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Client } from "../../jsonrpc/JsonRpcClient.ts"
import * as JsonRpcClient from "../../jsonrpc/JsonRpcClient.ts"
import type { JsonRpcError } from "../../jsonrpc/JsonRpcError.ts"
import * as JsonRpcHttpClient from "../../jsonrpc/JsonRpcHttpClient.ts"
import type { Remote } from "../../jsonrpc/JsonRpcRemote.ts"
import * as Reconnect from "../../socket/Reconnect.ts"
import * as Credentials from "./credentials.ts"
import { Failure, ofWords } from "./failure.ts"
import type { Connection } from "./flags.ts"
import * as Socket from "./socket.ts"
import * as Target from "./target.ts"

/** @internal */
export interface Connected {
  readonly client: Client
  readonly target: Target.Target
}

/** @internal */
export interface Options {
  /** Whether the client dials again after a connection that was open is lost. Default `false`. */
  readonly stays?: boolean | undefined
  /** Calls under way at once; default 256. */
  readonly maxInFlight?: number | undefined
}

const login = (remote: Remote, { method, params }: NonNullable<Credentials.Credentials["login"]>) =>
  Effect.gen(function*() {
    const denied = (message: string) =>
      new Failure({ kind: "Denied", message, tries: ["another --user or password", "another method by --login"] })
    const answer = yield* Effect.mapError(
      remote.call(method, params()),
      (error) => error.reason._tag === "RemoteError" ? denied(`${method}: ${error.message}`) : ofConnection(error)
    )
    if (answer === false) return yield* denied(`${method}: the server refuses this login`)
  })

/**
 * Connects, and logs in where that is wanted. The connection lasts as long as the scope.
 *
 * @internal
 */
export const connect = Effect.fnUntraced(function*(
  address: string,
  input: Connection,
  options: Options = {}
) {
  const target = Target.parse(address, Option.getOrUndefined(input.wire))
  if (target instanceof Error) return yield* target
  const credentials = yield* Credentials.read(input)
  const common = {
    wire: target.wire,
    callTimeout: input.timeout,
    maxInFlight: options.maxInFlight,
    maxCalls: 1_000_000
  }
  if (target.carrier._tag === "Http") {
    const made = yield* JsonRpcHttpClient.make({
      ...common,
      url: target.carrier.url,
      headers: Credentials.httpHeaders(credentials)
    }).pipe(Effect.provide(FetchHttpClient.layer))
    if (credentials.login !== undefined) yield* login(made, credentials.login)
    return { client: made, target }
  }
  const socket = yield* Socket.make(target, credentials, {
    framing: Option.getOrUndefined(input.framing),
    protocol: Option.getOrUndefined(input.protocol),
    openTimeout: input.connectTimeout
  })
  const refused = Deferred.makeUnsafe<never, Failure>()
  const { login: way } = credentials
  const client = yield* JsonRpcClient.fromSocket(socket, {
    ...common,
    openTimeout: input.connectTimeout,
    reconnect: options.stays === true ? Reconnect.schedule : false,
    maxDepth: 1_000,
    onConnect: way === undefined
      ? undefined
      : (remote) => Effect.tapError(login(remote, way), (failure) => Deferred.fail(refused, failure))
  })
  yield* Effect.catch(
    client.connect,
    (error) => Deferred.isDoneUnsafe(refused) ? Deferred.await(refused) : Effect.fail(ofConnection(error))
  )
  return { client, target }
}) satisfies (
  address: string,
  input: Connection,
  options?: Options
) => Effect.Effect<Connected, Failure, any | Scope.Scope>

/**
 * What the connection, or the protocol, did to a call.
 *
 * @internal
 */
export const ofConnection = (error: JsonRpcError): Failure => {
  const { reason } = error
  if (reason._tag === "RemoteError") return refusal(reason)
  if (reason._tag === "ProtocolError") {
    return new Failure({
      kind: "Protocol",
      message: reason.message,
      tries: ["another --wire: what came back is not what this one says"]
    })
  }
  if (reason.kind === "Timeout") {
    return new Failure({
      kind: "Timeout",
      message: reason.message,
      tries: [
        "--timeout <duration>, where the work takes longer",
        "another --wire, where the server says nothing at all"
      ],
      details: { maybeExecuted: reason.maybeExecuted }
    })
  }
  const { kind, tries } = ofWords(reason.message)
  return new Failure({ kind, message: reason.message, tries, details: { maybeExecuted: reason.maybeExecuted } })
}

/** An error that the peer answered with. */
const refusal = (reason: { readonly code: number; readonly message: string; readonly data?: unknown }): Failure => {
  const details = { code: reason.code, ...(reason.data === undefined ? undefined : { data: reason.data }) }
  const message = `${reason.message} (${reason.code})`
  const more = reason.data === undefined ? [] : [`data: ${JSON.stringify(reason.data)}`]
  switch (reason.code) {
    case -32700:
    case -32600:
      return new Failure({
        kind: "Protocol",
        message,
        more,
        details,
        tries: ["another --wire, where the server speaks something else"]
      })
    // ours: too many attempts, a login or a right is missing
    case -32011:
    case -32013:
    case 401:
    case 403:
      return new Failure({
        kind: "Denied",
        message,
        more,
        details,
        tries: ["another login: --user, --login, --header"]
      })
    default:
      return new Failure({ kind: "Refused", message, more, details })
  }
}
