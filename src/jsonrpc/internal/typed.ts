import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type { FromClient } from "effect/rpc/RpcMessage"
import { RequestId } from "effect/rpc/RpcMessage"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Progress from "../../rpc/Progress.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import { type Caller, CurrentBatch } from "./caller.ts"

/**
 * Options of typed clients.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedOptions {
  /**
   * Sends the fields of a payload by position, in declared order, instead of by name; default `false`. A payload that
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

/** Turns what the peer answered into the failure that the contract declares, where it declares one for the code. */
const decodeFailure = (method: RpcMethods.Method, error: ErrorObject): unknown => {
  for (const declared of method.errors) {
    if (JsonRpcError.codeOf(declared.schema) !== error.code) continue
    const decoded = declared.decode(error.data)
    if (Exit.isExit(decoded) && decoded._tag === "Success") return decoded.value
  }
  const untyped = JsonRpcError.remote(error)
  return method.errors.some((declared) => declared.is(untyped.reason)) ? untyped.reason : untyped
}

/**
 * A typed client on a caller: Effect's own, with our wire under it.
 *
 * @internal
 */
export const make = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  caller: Caller,
  options: TypedOptions = {}
): Effect.Effect<
  RpcClient.RpcClient<Rpcs, JsonRpcError.JsonRpcError>,
  never,
  Scope.Scope | Rpc.MiddlewareClient<Rpcs>
> =>
  Effect.gen(function*() {
    const methods = RpcMethods.fromGroup(group)
    const context = yield* Effect.context<never>()
    const run = Effect.runForkWith(context)
    const calls = new Map<RequestId, { readonly id: number; readonly stop: (() => void) | undefined }>()
    let lastId = 0
    const tracing = options.tracing === true ||
      (options.tracing !== false && context.mapUnsafe.has(Tracer.Tracer.key))

    const { client, write } = yield* RpcClient.makeNoSerialization(group, {
      supportsAck: false,
      disableTracing: !tracing,
      spanPrefix: options.spanPrefix,
      spanAttributes: options.spanAttributes,
      generateRequestId: () => RequestId(++lastId),
      onFromClient: ({ message }): Effect.Effect<void, JsonRpcError.JsonRpcError> => {
        if (message._tag === "Request") return request(message)
        if (message._tag === "Interrupt") {
          const call = calls.get(message.requestId)
          if (call !== undefined) {
            calls.delete(message.requestId)
            call.stop?.()
            caller.cancel(call.id)
          }
        }
        return Effect.void
      }
    })

    const request = (message: Extract<FromClient<Rpcs>, { readonly _tag: "Request" }>) => {
      const method = methods.get(message.tag)!
      const send = message.discard === true ? notify : start
      const encoded = method.encodePayload(message.payload)
      if (Exit.isExit(encoded) && encoded._tag === "Success") return send(method, message.id, encoded.value)
      return Effect.flatMap(Effect.orDie(encoded), (payload) => send(method, message.id, payload))
    }

    // `{ discard: true }`: nobody wants an answer
    const notify = (method: RpcMethods.Method, requestId: RequestId, payload: unknown) =>
      Effect.withFiber<void>((fiber) => {
        const params = RpcMethods.toParams(method, payload, options.positional === true)
        const error = caller.notify(method.name, params, fiber.getRef(CurrentBatch))
        const exit = error === undefined ? Exit.void : Exit.fail(error)
        return write({ _tag: "Exit", clientId: 0, requestId, exit } as any)
      })

    const start = (method: RpcMethods.Method, requestId: RequestId, payload: unknown) =>
      Effect.withFiber<void>((fiber) => {
        let settled = false
        const settle = (exit: Exit.Exit<any, any>) => {
          settled = true
          calls.delete(requestId)
          const effect = write({ _tag: "Exit", clientId: 0, requestId, exit } as any)
          if (!Exit.isExit(effect)) run(effect)
        }
        const listener = fiber.getRef(Progress.Listener)
        const stream = method.isStream ? chunks(method, requestId) : undefined
        const batch = fiber.getRef(CurrentBatch)
        const id = caller.send(method.name, RpcMethods.toParams(method, payload, options.positional === true), {
          idempotent: Context.get(method.rpc.annotations, Idempotent),
          isStream: method.isStream,
          listener: stream?.onReport ?? listener,
          batch,
          span: Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
        }, {
          onResult: (result) => {
            if (stream !== undefined) return stream.onResult(result, settle)
            const decoded = method.decodeSuccess(result)
            if (Exit.isExit(decoded)) return settle(misfit(decoded))
            run(decoded).addObserver((exit) => settle(misfit(exit)))
          },
          onFailure: (error) => {
            const failure = decodeFailure(method, error)
            if (stream === undefined) settle(Exit.fail(failure))
            else stream.onEnd(() => settle(Exit.fail(failure)))
          },
          onLost: (error) => {
            if (stream === undefined) settle(Exit.fail(error))
            else stream.onEnd(() => settle(Exit.fail(error)))
          }
        })
        if (!settled) calls.set(requestId, { id, stop: stream?.stop })
        return Effect.void
      })

    // The elements of a stream: as they come, in order, then those of the answer that did not come before it.
    const chunks = (method: RpcMethods.Method, requestId: RequestId) => {
      const queue = Effect.runSync(Queue.unbounded<ReadonlyArray<unknown> | (() => void)>())
      let received = 0
      const worker = run(Effect.forever(
        Effect.flatMap(Queue.take(queue), (item) => {
          if (typeof item === "function") return Effect.sync(item)
          return Effect.flatMap(
            Effect.orDie(Effect.forEach(item, method.decodeSuccess)),
            (values) =>
              values.length === 0
                ? Effect.void
                : write({ _tag: "Chunk", clientId: 0, requestId, values } as any)
          )
        }),
        { disableYield: true }
      ))
      const finish = (f: () => void) => {
        Queue.offerUnsafe(queue, () => {
          f()
          worker.interruptUnsafe()
        })
      }
      worker.addObserver((exit) => {
        const call = calls.get(requestId)
        if (exit._tag === "Failure" && call !== undefined) {
          calls.delete(requestId)
          caller.cancel(call.id)
          run(write({
            _tag: "Exit",
            clientId: 0,
            requestId,
            exit: Exit.fail(JsonRpcError.protocol("an element does not fit the contract"))
          } as any))
        }
      })
      return {
        onReport: (report: Progress.Report) => {
          if (!Array.isArray(report.value)) return
          received += report.value.length
          Queue.offerUnsafe(queue, report.value)
        },
        onResult: (result: unknown, settle: (exit: Exit.Exit<any, any>) => void) => {
          if (Array.isArray(result) && result.length > received) Queue.offerUnsafe(queue, result.slice(received))
          finish(() => settle(Exit.void))
        },
        onEnd: finish,
        stop: () => worker.interruptUnsafe()
      }
    }

    return client
  })

const misfit = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> =>
  exit._tag === "Success"
    ? exit
    : Exit.fail(
      JsonRpcError.protocol("the result does not fit the contract", Option.getOrUndefined(Exit.getCause(exit)))
    )
