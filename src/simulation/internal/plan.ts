/**
 * What a seed makes happen: operations, faults, how the network and the order of things are.
 */
import * as Draw from "../Draw.ts"
import * as Fault from "../Fault.ts"
import type { Interleaving } from "./loop.ts"
import type { AppSpec, OwnFaultSpec, Plan, Planned, Size } from "./model.ts"
import type { NetworkOptions } from "./network.ts"
import { Prng } from "./prng.ts"
import type { MakePlan } from "./world.ts"

const networkOf = (random: Prng): NetworkOptions => ({
  latency: random.pick([0, 0.1, 1, 20]),
  jitter: random.pick([0, 0.1, 5, 50]),
  capacity: random.pick([1024, 1024, 1024, 8, 1]),
  syncWriters: random.chance(0.5)
})

const interleavingOf = (random: Prng): Interleaving => ({
  window: random.pick([1, 1, 3, 1000]),
  preemptAfter: random.pick([0, 0, 300, 30]),
  lateTurns: random.pick([0, 0, 0.3])
})

/** The part of a plan that is known before the world is there. */
export const frame = (app: AppSpec, seed: number): Omit<Plan, "operations" | "faults"> => {
  const random = new Prng(`${seed}/frame`)
  const network = networkOf(random)
  const interleaving = interleavingOf(random)
  return { seed, network, interleaving: app.preempt ? interleaving : { ...interleaving, preemptAfter: 0 } }
}

/** The part that needs to know who talks to whom. */
export const fill = (app: AppSpec, seed: number, size: Size): MakePlan => (links) => ({
  operations: operationsOf(app, new Prng(`${seed}/operations`), size),
  faults: faultsOf(app, new Prng(`${seed}/faults`), size, links)
})

const operationsOf = (app: AppSpec, random: Prng, size: Size): Array<Planned> => {
  const choices = app.nodes.flatMap(([node, { operations }]) =>
    operations.map(([name, operation]) => [{ node, name, operation }, operation.weight] as const)
  )
  if (choices.length === 0) return []
  const out: Array<Planned> = []
  // some histories are dense, so that operations overlap; some are slow
  const over = size.over * random.pick([0.02, 0.2, 1])
  const patience = random.pick([0, 0.05, 0.3])
  for (let i = 0; i < size.operations; i++) {
    const { name, node, operation } = random.weighted(choices)
    const burst = i > 0 && random.chance(0.3)
    out.push({
      at: burst ? out[i - 1]!.at : Math.round(random.next() * over * 10) / 10,
      node,
      operation: name,
      input: operation.input(Draw.fromPrng(random)),
      interruptAfter: operation.interruptible && random.chance(patience)
        ? random.pick([0, random.int(0, 10), random.int(0, 2000)])
        : undefined
    })
  }
  return out.sort((a, b) => a.at - b.at)
}

const faultsOf = (
  app: AppSpec,
  random: Prng,
  size: Size,
  links: ReadonlyArray<Fault.Link>
): Array<Fault.Fault> => {
  // each seed has a few kinds only: what many kinds would drown is met as well
  const kinds = app.kinds.filter(() => random.chance(0.6))
  const own = app.ownFaults.filter(() => random.chance(0.7))
  type Choice = readonly [
    { readonly kind: Fault.Kind; readonly own?: { readonly name: string; readonly fault: OwnFaultSpec } },
    number
  ]
  const choices: ReadonlyArray<Choice> = [
    ...kinds.map(([kind, weight]) => [{ kind }, weight] as const),
    ...own.map(([name, fault]) => [{ kind: "own" as const, own: { name, fault } }, fault.weight] as const)
  ]
  if (choices.length === 0) return []
  const targets: Fault.Targets = {
    links,
    nodes: app.nodes.map(([name, node]) => ({ name, versions: node.versions.length, kinds: node.kinds }))
  }
  const out: Array<Fault.Fault> = []
  const over = size.over * random.pick([0.02, 0.2, 1])
  const count = random.int(0, size.faults)
  for (let i = 0; i < count; i++) {
    const { kind, own } = random.weighted(choices)
    const at = Math.round(random.next() * over * 10) / 10
    const fault = own === undefined
      ? Fault.draw(kind, at, targets, Draw.fromPrng(random))
      : { kind: "own" as const, at, name: own.name, input: own.fault.input(Draw.fromPrng(random)) }
    if (fault !== undefined) out.push(fault)
  }
  return out.sort((a, b) => a.at - b.at)
}
