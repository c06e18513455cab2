/**
 * A failing plan made smaller: fewer faults, fewer operations, no interruptions, an ordinary network, the usual order; as
 * long as the same judge finds the same promise broken.
 */
import * as Effect from "effect/Effect"
import { inOrder } from "./loop.ts"
import type { Plan } from "./model.ts"

const calm = { latency: 1, jitter: 0, capacity: 1024, syncWriters: false }

type Fails = (plan: Plan) => Effect.Effect<boolean>

/** Takes away ever smaller pieces of a list. */
const reduce = <A>(
  list: ReadonlyArray<A>,
  fails: (list: ReadonlyArray<A>) => Effect.Effect<boolean>
): Effect.Effect<ReadonlyArray<A>> =>
  Effect.gen(function*() {
    let left = list
    if (left.length > 0 && (yield* fails([]))) return []
    let piece = Math.ceil(left.length / 2)
    while (piece >= 1 && left.length > 0) {
      let changed = false
      for (let at = 0; at < left.length;) {
        const without = [...left.slice(0, at), ...left.slice(at + piece)]
        if (without.length < left.length && (yield* fails(without))) {
          left = without
          changed = true
        } else at += piece
      }
      if (piece === 1 && !changed) break
      piece = piece === 1 ? 1 : Math.ceil(piece / 2)
    }
    return left
  })

/** At most `budget` runs. */
export const shrink = (plan: Plan, check: Fails, budget: number): Effect.Effect<Plan> =>
  Effect.gen(function*() {
    let runs = 0
    let best = plan
    const fails = (candidate: Plan): Effect.Effect<boolean> =>
      Effect.suspend(() => runs++ >= budget ? Effect.succeed(false) : check(candidate))
    const attempt = (candidate: Plan): Effect.Effect<void> =>
      Effect.map(fails(candidate), (still) => {
        if (still) best = candidate
      })
    for (let round = 0; round < 3; round++) {
      const before = best
      const faults = yield* reduce(best.faults, (faults) => fails({ ...best, faults }))
      best = { ...best, faults }
      const operations = yield* reduce(best.operations, (operations) => fails({ ...best, operations }))
      best = { ...best, operations }
      if (best.operations.some((operation) => operation.interruptAfter !== undefined)) {
        for (let at = 0; at < best.operations.length; at++) {
          const operation = best.operations[at]!
          if (operation.interruptAfter === undefined) continue
          yield* attempt({
            ...best,
            operations: best.operations.map((other, index) =>
              index === at ? { ...other, interruptAfter: undefined } : other
            )
          })
        }
      }
      if (best.interleaving.preemptAfter > 0 || best.interleaving.lateTurns > 0 || best.interleaving.window > 1) {
        yield* attempt({ ...best, interleaving: inOrder })
      }
      yield* attempt({ ...best, network: calm })
      if (before.faults.length === best.faults.length && before.operations.length === best.operations.length) break
    }
    return best
  })
