/**
 * Requests that are shown before the server has answered: each puts a guess on the replica, for as long as it is one.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Replica } from "./replica.ts"

/** Guesses that are shown at once. */
const maxGuesses = 1_024

/** Shows what a recipe guesses of a request; a guess that nobody takes back goes with the scope. */
export const predicting =
  (replica: Replica, scope: Scope.Scope) =>
  (recipe: (draft: any) => unknown) =>
  <B, E, R>(request: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> =>
    Effect.suspend(() => {
      if (replica.size >= maxGuesses) return request
      const guess = replica.predict(recipe)
      const withdraw = Effect.sync(() => replica.withdraw(guess))
      return Effect.onExit(request, (exit) =>
        Effect.suspend(() => {
          if (exit._tag === "Failure") return withdraw
          if (!replica.settle(guess)) return Effect.void
          return Effect.asVoid(Effect.forkIn(Effect.andThen(Effect.sleep("1 second"), withdraw), scope))
        }))
    })
