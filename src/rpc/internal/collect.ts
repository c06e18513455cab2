import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { EngineRequest } from "./engineModel.ts"
import { CurrentElements } from "./onceModel.ts"

/**
 * Runs a stream, or a queue that an effect gives: its elements are encoded and handed to the wire as they come, and no
 * more is asked of the stream before the wire has room.
 *
 * @internal
 */
export const collect = (request: EngineRequest, result: unknown): Effect.Effect<void, unknown, any> =>
  request.once === undefined
    ? collectInto(request, result, (values) => request.onElements(values))
    : Effect.flatMap(
      CurrentElements,
      (elements) => collectInto(request, result, elements ?? ((values) => request.onElements(values)))
    )

const collectInto = (
  request: EngineRequest,
  result: unknown,
  onElements: (values: ReadonlyArray<unknown>) => Effect.Effect<void>
): Effect.Effect<void, unknown, any> => {
  const onValues = (values: ReadonlyArray<unknown>) => {
    const encoded = encodeAll(request, values)
    return Array.isArray(encoded)
      ? onElements(encoded)
      : Effect.flatMap(encoded as Effect.Effect<ReadonlyArray<unknown>>, onElements)
  }
  return Effect.isEffect(result)
    ? Effect.flatMap(
      result as Effect.Effect<Queue.Dequeue<unknown, unknown>, unknown, any>,
      (queue) => Stream.runForEachArray(Stream.fromQueue(queue as Queue.Dequeue<unknown, any>), onValues)
    )
    : Stream.runForEachArray(result as Stream.Stream<unknown, unknown, any>, onValues)
}

/** At once where the codec is, else as an effect. An element that cannot be encoded is a defect. */
const encodeAll = (
  request: EngineRequest,
  values: ReadonlyArray<unknown>
): ReadonlyArray<unknown> | Effect.Effect<ReadonlyArray<unknown>> => {
  const encode = request.method.encodeSuccess
  const encoded: Array<unknown> = []
  for (let i = 0; i < values.length; i++) {
    const one = encode(values[i])
    if (!Exit.isExit(one) || one._tag === "Failure") {
      return Effect.map(
        Effect.orDie(Effect.forEach(values.slice(i), (value) => encode(value))),
        (rest) => [...encoded, ...rest]
      )
    }
    encoded.push(one.value)
  }
  return encoded
}
