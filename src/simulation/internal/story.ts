/**
 * A failure told from top to bottom, and as a test to paste.
 */
import { describe } from "../Fault.ts"
import * as History from "../History.ts"
import type { Judge } from "../Judge.ts"
import type { Plan } from "./model.ts"

/** The longest story, in lines. */
const maxLines = 180

const number = (value: number): string => String(Math.round(value * 1000) / 1000)

/** A plan as the source of an object. */
export const source = (plan: Plan): string => {
  const lines = (values: ReadonlyArray<unknown>): string =>
    values.length === 0 ? "[]" : `[\n${values.map((value) => `    ${JSON.stringify(value)}`).join(",\n")}\n  ]`
  return [
    "{",
    `  seed: ${plan.seed},`,
    `  network: ${JSON.stringify(plan.network)},`,
    `  interleaving: ${JSON.stringify(plan.interleaving)},`,
    `  operations: ${lines(plan.operations)},`,
    `  faults: ${lines(plan.faults)}`,
    "}"
  ].join("\n")
}

export const test = (app: string, judge: Judge, plan: Plan): string =>
  `it.effect(${JSON.stringify(`${judge.name} (seed ${plan.seed})`)}, () =>\n  Simulation.hold(${app}, ${
    source(plan).replaceAll("\n", "\n  ")
  }))\n`

export const tell = (judge: Judge, message: string, history: History.History, plan: Plan, original: Plan): string => {
  const head = [
    `Broken: ${judge.name} - "${judge.promise}"`,
    `How: ${message}`,
    `Seed ${plan.seed}, made smaller: ${original.operations.length} operations and ${original.faults.length} faults, now ${plan.operations.length} and ${plan.faults.length}.`,
    ...plan.faults.map((fault) => `  at ${number(fault.at)} ms ${describe(fault)}`),
    "",
    "  time (ms)  node      what",
    ""
  ]
  // what comes after all was quiet only matters to judges of what is left
  const lines = History.format(history, { limit: 110 }).split("\n")
  const room = maxLines - head.length
  if (lines.length <= room) return [...head, ...lines].join("\n")
  const front = Math.ceil(room * 0.7)
  const back = room - front - 1
  return [...head, ...lines.slice(0, front), `  … ${lines.length - front - back} lines …`, ...lines.slice(-back)].join(
    "\n"
  )
}
