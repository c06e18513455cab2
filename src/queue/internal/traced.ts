/** @internal */
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Service } from "./messageQueueModel.ts"

/** A span for each operation, where the app provided a `Tracer`; nobody else pays for it. */
export const traced = (service: Service): Service =>
  Object.fromEntries(
    Object.entries(service).map(([name, member]) => [
      name,
      typeof member === "function"
        ? (...args: ReadonlyArray<unknown>) =>
          withSpan(name, (member as (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, unknown>)(...args))
        : withSpan(name, member)
    ])
  ) as unknown as Service

const withSpan = <A, E>(name: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiber((fiber) =>
    fiber.context.mapUnsafe.has(Tracer.Tracer.key) ? Effect.withSpan(effect, `MessageQueue.${name}`) : effect
  )
