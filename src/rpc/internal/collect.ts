import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { EngineRequest } from "../RpcEngine.ts"

/**
 * Runs a stream, or a queue that an effect gives: its elements are encoded, handed to the wire as they come where it takes
 * them, and collected where it wants them with the answer.
 *
 * @internal
 */
export const collect = (
  request: EngineRequest,
  result: unknown,
  limit: number
): Effect.Effect<ReadonlyArray<unknown>, unknown, any> => {
  const encode = request.method.encodeSuccess
  const collected: Array<unknown> = []
  const onValues = (values: ReadonlyArray<unknown>) =>
    Effect.flatMap(
      Effect.orDie(Effect.forEach(values, encode)),
      (encoded) => {
        if (request.collects) {
          if (collected.length + encoded.length > limit) {
            return Effect.die(new Error(`stream of over ${limit} elements on a wire without streams`))
          }
          for (const value of encoded) collected.push(value)
        }
        return request.takesChunks ? request.onChunk(encoded) : Effect.void
      }
    )
  const drain = Effect.isEffect(result)
    ? Effect.flatMap(
      result as Effect.Effect<Queue.Dequeue<unknown, unknown>, unknown, any>,
      (queue) => Stream.runForEachArray(Stream.fromQueue(queue as Queue.Dequeue<unknown, any>), onValues)
    )
    : Stream.runForEachArray(result as Stream.Stream<unknown, unknown, any>, onValues)
  return Effect.as(drain, collected)
}
