/** Prints the hash of the history of each seed: `hashesChild.ts <first seed> <count>`. */
import { Effect } from "effect"
import { History, Simulation } from "effect-wire/simulation"
import { apps } from "./worlds/jsonrpc.ts"

const from = Number(process.argv[2])
const count = Number(process.argv[3])

Effect.gen(function*() {
  for (let seed = from; seed < from + count; seed++) {
    const history = yield* Simulation.replay(apps.standard, seed, { operations: 10 })
    process.stdout.write(`${seed} ${History.hash(history)}\n`)
  }
}).pipe(Effect.runPromise)
