import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type { FromClient } from "effect/rpc/RpcMessage"
import { RequestId } from "effect/rpc/RpcMessage"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { isKeyed } from "../../rpc/internal/idempotencyModel.ts"
import * as Progress from "../../rpc/Progress.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { Remote } from "../JsonRpcRemote.ts"
import { CurrentBatch, refuseHeaders, type SendOptions } from "./caller.ts"
import { KeyedFrame } from "./onceCall.ts"
import type { StreamAsk } from "./streamModel.ts"
import { StreamWindow } from "./streamWindow.ts"
import { StreamCall, type TypedCall, type TypedHalf, UnaryCall } from "./typedCall.ts"
import { nameOn } from "./wireModel.ts"

/**
 * Options of typed clients.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedOptions {
  /**
   * Sends the fields of a payload by position, in declared order, instead of by name; by default as the wire has it. A payload that
   * leaves out a field in the middle goes by name all the same.
   */
  readonly positional?: boolean | undefined
  /** Whether calls get a span; `"auto"` (the default) where the app provided a `Tracer`. */
  readonly tracing?: boolean | "auto" | undefined
  readonly spanPrefix?: string | undefined
  readonly spanAttributes?: Record<string, unknown> | undefined
}

/**
 * Annotates a procedure whose requests may be sent again after a reconnection, since running one twice does no harm.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Idempotent: Context.Reference<boolean> = Context.Reference<boolean>(
  "effect-wire/jsonrpc/JsonRpcClient/Idempotent",
  { defaultValue: () => false }
)

const noHeaders: ReadonlyArray<readonly [string, string]> = []

const headersOf = (headers: Readonly<Record<string, string>>): ReadonlyArray<readonly [string, string]> => {
  for (const name in headers) if (Object.hasOwn(headers, name)) return Object.entries(headers)
  return noHeaders
}

/** What no other client begins its keys with. */
const uniquePrefix = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 0xffffffff), 4),
  (numbers) => `${numbers.map((number) => number.toString(36)).join("")}-`
)

/**
 * A typed client of a remote: Effect's own, with our wire under it.
 *
 * @internal
 */
export const make = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  remote: Remote,
  options: TypedOptions = {}
): Effect.Effect<
  RpcClient.RpcClient<Rpcs, JsonRpcError.JsonRpcError>,
  never,
  Scope.Scope | Rpc.MiddlewareClient<Rpcs>
> =>
  Effect.gen(function*() {
    const methods = RpcMethods.fromGroup(group)
    const context = yield* Effect.context<never>()
    const { port } = remote
    let lastId = 0
    const keys = yield* uniquePrefix
    const tracing = options.tracing === true ||
      (options.tracing !== false && context.mapUnsafe.has(Tracer.Tracer.key))

    const { client, write } = yield* RpcClient.makeNoSerialization(group, {
      supportsAck: false,
      disableTracing: !tracing,
      spanPrefix: options.spanPrefix,
      spanAttributes: { "rpc.system.name": "jsonrpc", ...options.spanAttributes },
      generateRequestId: () => RequestId(++lastId),
      onFromClient: ({ message }): Effect.Effect<void, JsonRpcError.JsonRpcError> => {
        if (message._tag === "Request") return request(message)
        if (message._tag === "Interrupt") half.calls.get(message.requestId)?.giveUp()
        return Effect.void
      }
    })
    const half: TypedHalf = { calls: new Map(), write: write as TypedHalf["write"], run: Effect.runForkWith(context) }

    type Request = Extract<FromClient<Rpcs>, { readonly _tag: "Request" }>

    const request = (message: Request): Effect.Effect<void, JsonRpcError.JsonRpcError> => {
      const method = methods.get(message.tag)!
      const encoded = method.encodePayload(message.payload)
      if (Exit.isExit(encoded) && encoded._tag === "Success") return send(method, message, encoded.value)
      return Effect.flatMap(Effect.orDie(encoded), (payload) => send(method, message, payload))
    }

    // a remote of the app's own has the wire that it has
    const wire = port?.caller.wire
    const nameOf = (method: RpcMethods.Method) => wire === undefined ? method.name : nameOn(wire, method.rpc)

    const send = (method: RpcMethods.Method, message: Request, payload: unknown) => {
      const params = message.discard === true && wire?.bareNotifications === true &&
          (method.shape === "scalar" || method.shape === "raw")
        ? payload
        : RpcMethods.toParams(method, payload, options.positional ?? wire?.positional === true)
      const headers = headersOf(message.headers)
      if (headers.length > 0 && port !== undefined && !port.caller.hasHeaders) {
        return Effect.fail(refuseHeaders(method.name))
      }
      if (message.discard === true) return notify(method, message.id, params)
      return port === undefined
        ? ask(method, message.id, params, headers)
        : start(method, message.id, params, headers)
    }

    // `{ discard: true }`: nobody wants an answer
    const notify = (method: RpcMethods.Method, requestId: RequestId, params: unknown) =>
      Effect.withFiber<void>((fiber) => {
        const done = (exit: Exit.Exit<void, unknown>) => write({ _tag: "Exit", clientId: 0, requestId, exit } as any)
        if (port === undefined) return Effect.flatMap(Effect.exit(remote.notify(method.name, params as any)), done)
        const error = port.caller.notify(nameOf(method), params, fiber.getRef(CurrentBatch), port.connection)
        return done(error === undefined ? Exit.void : Exit.fail(error))
      })

    const make = (
      method: RpcMethods.Method,
      requestId: RequestId,
      listener: ((report: Progress.Report) => void) | undefined,
      id: number,
      encode: (ask?: StreamAsk, age?: number) => string,
      options: SendOptions
    ): TypedCall =>
      method.isStream
        ? new StreamCall(half, port?.caller, method, requestId, id, new StreamWindow(), encode, options)
        : new UnaryCall(half, port?.caller, method, requestId, listener, id, encode(), options)

    const start = (
      method: RpcMethods.Method,
      requestId: RequestId,
      params: unknown,
      headers: ReadonlyArray<readonly [string, string]>
    ) =>
      Effect.withFiber<void, JsonRpcError.JsonRpcError>((fiber) => {
        const { caller, connection } = port!
        const listener = fiber.getRef(Progress.Listener)
        const options: SendOptions = {
          idempotent: Context.get(method.rpc.annotations, Idempotent),
          isStream: method.isStream,
          listens: listener !== undefined,
          span: Context.getOrUndefined(fiber.context, Tracer.ParentSpan),
          headers
        }
        const id = caller.nextId()
        let call: TypedCall
        try {
          const key = isKeyed(method.rpc) ? `${keys}${id}` : undefined
          const encode = (ask?: StreamAsk, age?: number) =>
            caller.encode(
              id,
              nameOf(method),
              params,
              options,
              ask,
              key === undefined ? undefined : age === undefined ? { key } : { key, age }
            )
          call = make(method, requestId, listener, id, encode, options)
          if (key !== undefined) call.keyed = new KeyedFrame((age) => encode(call.nextAsk(), age))
        } catch (cause) {
          return Effect.fail(JsonRpcError.protocol(`${method.name}: the parameters are no JSON`, cause))
        }
        half.calls.set(requestId, call)
        if (connection === undefined) caller.submit(call, fiber.getRef(CurrentBatch))
        else caller.ahead(call, connection)
        return Effect.void
      })

    // a remote of the app's own: what it answers is settled as what a connection answers
    const ask = (
      method: RpcMethods.Method,
      requestId: RequestId,
      params: unknown,
      headers: ReadonlyArray<readonly [string, string]>
    ) =>
      Effect.withFiber<void>((fiber) => {
        const idempotent = Context.get(method.rpc.annotations, Idempotent)
        const call = make(method, requestId, undefined, 0, () => "", {
          idempotent,
          isStream: method.isStream,
          listens: false,
          span: undefined
        })
        half.calls.set(requestId, call)
        const asked = remote.call(method.name, params as any, {
          idempotent,
          stream: method.isStream,
          ...(headers.length === 0 ? undefined : { headers: Object.fromEntries(headers) })
        })
        const running = Effect.runForkWith(fiber.context)(
          method.isStream
            ? Effect.provideService(asked, Progress.Listener, (report: Progress.Report) => call.onReport(report))
            : asked
        )
        call.onGiveUp = () => running.interruptUnsafe()
        running.addObserver((exit) => call.answered(exit))
        return Effect.void
      })

    return client
  })
