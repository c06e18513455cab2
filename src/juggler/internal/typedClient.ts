/**
 * The typed client of a group, whose calls travel as requests of Juggler.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import { type FromClient, RequestId } from "effect/rpc/RpcMessage"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import type { Json } from "../JsonPointer.ts"
import * as JugglerError from "../JugglerError.ts"

/** Effect's own client of a group, with our wire under it. */
export const typed = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  positional: boolean,
  call: (name: string, data: Json) => Effect.Effect<Json, JugglerError.JugglerError>
): Effect.Effect<
  RpcClient.RpcClient<Rpcs, JugglerError.JugglerError>,
  never,
  Scope.Scope | Rpc.MiddlewareClient<Rpcs>
> =>
  Effect.gen(function*() {
    const methods = RpcMethods.fromGroup(group)
    const context = yield* Effect.context<never>()
    const run = Effect.runForkWith(context)
    const running = new Map<RequestId, Fiber.Fiber<unknown, unknown>>()
    let lastId = 0
    const { client, write } = yield* RpcClient.makeNoSerialization(group, {
      supportsAck: false,
      disableTracing: true,
      generateRequestId: () => RequestId(++lastId),
      onFromClient: ({ message }): Effect.Effect<void, JugglerError.JugglerError> => {
        // not at once: this runs before the client knows of the request
        if (message._tag === "Request") return Effect.sync(() => request(message))
        if (message._tag === "Interrupt") {
          running.get(message.requestId)?.interruptUnsafe()
          running.delete(message.requestId)
        }
        return Effect.void
      }
    })
    const request = (message: Extract<FromClient<Rpcs>, { readonly _tag: "Request" }>) => {
      const method = methods.get(message.tag)!
      const effect = Effect.flatMap(
        Effect.orDie(method.encodePayload(message.payload)),
        (payload) => {
          const params = RpcMethods.toParams(method, payload, positional)
          const data = params === undefined ? (positional ? [] : null) : params
          return Effect.catch(
            call(method.name, (positional && !Array.isArray(data) ? [data] : data) as Json),
            (error) => failureOf(method, error)
          )
        }
      ).pipe(
        Effect.flatMap((result) =>
          method.isStream
            ? Effect.forEach(Array.isArray(result) ? result : [], method.decodeSuccess)
            : method.decodeSuccess(result)
        ),
        Effect.mapError((error: unknown) =>
          Schema.isSchemaError(error)
            ? JugglerError.protocol(`the result does not fit the contract: ${error.message}`)
            : error
        )
      )
      const fiber = run(effect as Effect.Effect<unknown, unknown>)
      running.set(message.id, fiber)
      fiber.addObserver((exit) => {
        if (!running.delete(message.id)) return
        const send = (exit: Exit.Exit<unknown, unknown>) =>
          write({ _tag: "Exit", clientId: 0, requestId: message.id, exit } as any)
        run(
          method.isStream && exit._tag === "Success" && (exit.value as ReadonlyArray<unknown>).length > 0
            ? Effect.andThen(
              write({ _tag: "Chunk", clientId: 0, requestId: message.id, values: exit.value } as any),
              send(Exit.void)
            )
            : send(method.isStream && exit._tag === "Success" ? Exit.void : exit)
        )
      })
    }
    return client
  })

/** Turns what the peer answered into the failure that the contract declares, where it declares one that fits. */
const failureOf = (method: RpcMethods.Method, error: JugglerError.JugglerError): Effect.Effect<never, unknown> => {
  if (error.reason._tag !== "RemoteError") return Effect.fail(error)
  for (const declared of method.errors) {
    const decoded = declared.decode(error.reason.data)
    if (Exit.isExit(decoded) && decoded._tag === "Success") return Effect.fail(decoded.value)
  }
  return Effect.fail(error)
}
