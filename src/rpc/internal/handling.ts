import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Rpc from "effect/rpc/Rpc"
import * as Stream from "effect/Stream"
import type * as RpcMethods from "../RpcMethods.ts"

/**
 * As `Exit.isExit`, which is asked four times for each request.
 *
 * @internal
 */
export const isExit = (u: unknown): u is Exit.Exit<unknown, unknown> =>
  typeof u === "object" && u !== null && exitId in u
const exitId: keyof Exit.Exit.Proto<unknown, unknown> = "~effect/Exit"

/**
 * A handler whose call is put off, since perhaps it is not to be called.
 *
 * @internal
 */
export const handledLater = (method: RpcMethods.ServedMethod, payload: unknown, metadata: any): unknown => {
  const handled = () => {
    const result: any = method.handler(payload, metadata)
    return typeof result === "object" && result !== null && Rpc.isWrapper(result) ? result.value : result
  }
  return method.isStream
    ? Stream.unwrap(Effect.sync(() => {
      const result = handled()
      return Effect.isEffect(result)
        ? Stream.unwrap(Effect.map(result as Effect.Effect<any>, Stream.fromQueue))
        : result as Stream.Stream<unknown, unknown, any>
    }))
    : Effect.suspend(() => effectOf(handled()))
}

/**
 * What a handler gave, as an effect.
 *
 * @internal
 */
export const effectOf = (result: unknown): Effect.Effect<unknown, unknown, any> =>
  Effect.isEffect(result)
    ? result as Effect.Effect<unknown, unknown, any>
    : Exit.die(new TypeError("the handler gave no Effect"))
