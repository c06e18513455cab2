/**
 * The connections that the Juggler servers of a program serve at this moment, whatever their generation: to notify all of
 * them, or to see who is there. Servers register their connections where this service is in their environment.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { misfit } from "./internal/calls.ts"
import type { Peer } from "./internal/peerModel.ts"
import type { Json } from "./JsonPointer.ts"
import type { JugglerConnection } from "./JugglerConnection.ts"
import type { JugglerError } from "./JugglerError.ts"

/**
 * All connections.
 *
 * @category services
 * @since 0.1.0
 */
export class JugglerClients extends Context.Service<JugglerClients, {
  /** The connections that are open now. */
  readonly all: Effect.Effect<ReadonlyArray<JugglerConnection>>
  /**
   * Notifies every client of generation 0.6 and 0.7, written once for each generation; gives their number. A client that
   * reads so slowly that 16 times its high-water mark waits is closed (1013). Fails for data that is no JSON.
   */
  readonly notify: (name: string, data: Json) => Effect.Effect<number, JugglerError>
  /** Adds a connection until the scope closes. */
  readonly register: (connection: JugglerConnection) => Effect.Effect<void, never, Scope.Scope>
}>()("effect-wire/juggler/JugglerClients") {}

/**
 * Makes the register.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<JugglerClients["Service"]> = Effect.sync(() => {
  const connections = new Set<JugglerConnection>()
  return {
    all: Effect.sync(() => Array.from(connections)),
    notify: (name, data) =>
      misfit(data) ?? Effect.sync(() => {
        const made = new Map<string, ReadonlyArray<string>>()
        let count = 0
        for (const connection of connections) {
          const { generation } = connection
          if (!generation.allows("Notify", "server")) continue
          let frames = made.get(generation.name)
          if (frames === undefined) {
            frames = generation.encode({ _tag: "Notify", name, data })
            made.set(generation.name, frames)
          }
          ;(connection as Peer).broadcast(frames)
          count++
        }
        return count
      }),
    register: (connection) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => connections.add(connection)),
        () => Effect.sync(() => connections.delete(connection))
      ))
  }
})

/**
 * The register as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<JugglerClients> = Layer.effect(JugglerClients, make)
