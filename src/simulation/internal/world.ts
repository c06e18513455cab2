/**
 * One history: a world is built, operations and faults happen in it, all is made well again, and what is left is counted.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { type Fault, lasts, type Link } from "../Fault.ts"
import type { Event } from "../History.ts"
import { Broker, noTrouble } from "./broker.ts"
import { WorldDisk } from "./disk.ts"
import { enter } from "./globals.ts"
import { Loop } from "./loop.ts"
import type { AppSpec, Plan, Planned, Run } from "./model.ts"
import { Network } from "./network.ts"
import { contextFor, NodeRunner, type Surroundings } from "./node.ts"
import { Prng } from "./prng.ts"
import { WorldFaults } from "./worldFaults.ts"

/** Steps of one history, at most: a world that needs more spins. */
const maxSteps = 100_000

/** Turns that promises get to settle, before time goes on. */
const settleTurns = 3

export type MakePlan = (links: ReadonlyArray<Link>) => Pick<Plan, "operations" | "faults">

class Director {
  readonly loop: Loop
  readonly events: Array<Event> = []
  readonly places = new Set<string>()
  readonly around: Surroundings
  readonly nodes = new Map<string, NodeRunner>()
  private readonly app: AppSpec
  private readonly plan: Omit<Plan, "operations" | "faults">
  private readonly makePlan: MakePlan
  private readonly network: Network
  private readonly random: Prng
  private lastId = 0
  private onIdle: (() => void) | undefined
  planned: Pick<Plan, "operations" | "faults"> = { operations: [], faults: [] }
  quiet = false
  done = false

  constructor(app: AppSpec, plan: Omit<Plan, "operations" | "faults">, makePlan: MakePlan) {
    this.app = app
    this.plan = plan
    this.makePlan = makePlan
    this.random = new Prng(`${plan.seed}`)
    this.loop = new Loop(this.random)
    const record = (event: Event): void => {
      this.events.push(event)
    }
    this.loop.onThrow = (life, error) => {
      if (!life.dead) record({ _tag: "Uncaught", at: this.loop.now, node: life.node, text: String(error) })
    }
    this.network = new Network(this.loop, this.random.derive("network"), plan.network, record)
    const { network } = this
    this.around = {
      loop: this.loop,
      broker: new Broker(
        this.loop,
        this.random.derive("broker"),
        () => network.backplane.until > this.loop.now ? network.backplane : noTrouble
      ),
      network: this.network,
      random: this.random.derive("nodes"),
      record,
      reach: (place) => {
        this.places.add(place)
      },
      onEnded: () => {
        if (this.onIdle !== undefined && !this.isBusy) this.loop.post(this.loop.root, this.onIdle)
      }
    }
  }

  start(): void {
    const disk = new WorldDisk(this.random.derive("disk"))
    const context = Context.add(
      contextFor(this.around, this.loop.root, 0, disk),
      Scheduler.PreventSchedulerYield,
      true
    )
    this.loop.post(this.loop.root, () => {
      Effect.runForkWith(context)(this.direct).addObserver((exit) => {
        if (exit._tag === "Failure") {
          this.around.record({
            _tag: "Uncaught",
            at: this.loop.now,
            node: "world",
            text: String(exit.cause.reasons.map((reason) => reason._tag === "Die" ? reason.defect : reason._tag))
          })
        }
        this.done = true
      })
    })
  }

  private readonly direct = Effect.gen({ self: this }, function*() {
    const { app, loop, network } = this
    const sharedScope = yield* Scope.make()
    const shared: Context.Context<never> = app.shared === undefined
      ? Context.empty()
      : yield* Layer.build(app.shared).pipe(Effect.provideService(Scope.Scope, sharedScope), Effect.orDie)
    for (const [name, spec] of app.nodes) {
      const node = new NodeRunner(name, spec, this.around, shared)
      this.nodes.set(name, node)
    }
    const baselines = new Map<string, ReadonlyMap<string, number>>()
    for (const node of this.nodes.values()) {
      node.start(0)
      yield* node.until("up", "down")
      yield* Effect.sleep(10)
      baselines.set(node.name, yield* node.counts)
    }
    const dialled = new Set([...network.links.values()].map(([, to]) => to))
    yield* Effect.sleep(100)
    const links = app.links ?? (network.links.size > 0 ? [...network.links.values()] : pairs(this.app))
    for (const [, to] of links) dialled.add(to)
    this.planned = this.makePlan(links)
    loop.interleaving = this.plan.interleaving
    const faults = new WorldFaults(app, this.around, this.nodes, shared)
    const { operations, faults: planned } = this.planned
    let last = 0
    for (const operation of operations) {
      last = Math.max(last, operation.at)
      loop.timer(loop.root, operation.at, () => this.perform(operation))
    }
    for (const fault of planned) {
      last = Math.max(last, fault.at + lasts(fault))
      loop.timer(loop.root, fault.at, () => this.strike(faults, fault))
    }
    yield* Effect.sleep(last + 1)
    yield* faults.end
    yield* this.ends(app.settle)
    yield* Effect.sleep(app.settle)
    this.around.record({ _tag: "Quiet", at: loop.now, node: "world" })
    this.around.broker.quiet()
    const pending = this.isBusy
    for (const node of this.nodes.values()) {
      const rest = node.spec.rest
      if (rest === undefined) continue
      node.perform(++this.lastId, "rest", undefined, rest)
      yield* this.ends(app.settle)
    }
    if (pending) { for (const node of this.nodes.values()) node.interruptAll() }
    for (const node of [...this.nodes.values()].reverse()) {
      const baseline = baselines.get(node.name)
      const { life } = node
      if (
        app.checkLeft && life !== undefined && dialled.has(node.name) && baseline !== undefined && node.state === "up"
      ) {
        for (const [what, after] of yield* this.settled(node, baseline)) {
          this.left(node, what, baseline.get(what) ?? 0, after)
        }
      }
      node.stop()
      yield* Effect.raceFirst(node.until("down"), Effect.sleep(60_000))
      yield* Effect.sleep(1000)
      if (app.checkLeft && life !== undefined && !life.dead) {
        this.left(node, "fibers", 0, life.fibers)
        this.left(node, "timers", 0, life.timers)
      }
      if (node.state !== "down") node.crash(false)
    }
    yield* Effect.sleep(10_000)
    if (app.checkLeft && network.connections.size > 0) {
      this.around.record({
        _tag: "Left",
        at: loop.now,
        node: "world",
        what: "connections",
        before: 0,
        after: network.connections.size
      })
    }
    yield* Scope.close(sharedScope, Effect.void as never)
    this.quiet = true
  })

  /** What a node counts, as soon as it is no more than before; a minute later where it is, when pings have missed all pongs. */
  private settled(
    node: NodeRunner,
    baseline: ReadonlyMap<string, number>
  ): Effect.Effect<ReadonlyMap<string, number>> {
    return Effect.gen(function*() {
      let counts = baseline
      for (const millis of [1000, 9000, 50_000]) {
        yield* Effect.sleep(millis)
        counts = yield* node.counts
        if ([...counts].every(([what, after]) => after <= (baseline.get(what) ?? 0))) break
      }
      return counts
    })
  }

  private left(node: NodeRunner, what: string, before: number, after: number): void {
    if (after <= before) return
    this.around.record({ _tag: "Left", at: this.loop.now, node: node.name, what, before, after })
  }

  /** Waits until no operation is under way, for so long at most. */
  private ends(limit: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const timer = this.loop.timer(this.loop.root, limit, () => finish())
      const finish = (): void => {
        this.onIdle = undefined
        this.loop.cancel(timer)
        resume(Effect.void)
      }
      if (this.isBusy) this.onIdle = finish
      else finish()
    })
  }

  private get isBusy(): boolean {
    for (const node of this.nodes.values()) if (node.busy > 0) return true
    return false
  }

  private perform(planned: Planned): void {
    const node = this.nodes.get(planned.node)
    const operation = node?.spec.operations.find(([name]) => name === planned.operation)?.[1]
    if (node === undefined || operation === undefined) return
    const running = node.perform(
      ++this.lastId,
      planned.operation,
      planned.input,
      Effect.suspend(() => operation.run(planned.input))
    )
    if (planned.interruptAfter !== undefined) {
      this.loop.timer(this.loop.root, planned.interruptAfter, () => node.interrupt(running))
    }
  }

  private strike(faults: WorldFaults, fault: Fault): void {
    const at = this.loop.now
    // before its consequences
    const index = this.events.length
    const hit = faults.strike(fault)
    this.events.splice(index, 0, { _tag: "Struck", at, node: "world", fault, hit })
  }
}

const pairs = (app: AppSpec): Array<Link> => {
  const names = app.nodes.map(([name]) => name)
  return names.flatMap((to, index) => names.slice(index + 1).map((from): Link => [from, to]))
}

/** Worlds that wait for the one that runs: the globals can be those of one at a time. */
const line: Array<() => void> = []
let isTaken = false

const macrotask: (run: () => void) => void = "setImmediate" in globalThis
  ? (run) => void globalThis.setImmediate(run)
  : (run) => void globalThis.setTimeout(run, 0)

/**
 * One world at a time, from a fresh turn of the event loop on: all microtasks of others have run by then, and until the
 * world is over there are none but its own.
 */
const alone: Effect.Effect<void> = Effect.callback<void>((resume) => {
  let isGiven = false
  const begin = (): void =>
    macrotask(() => {
      if (isGiven) return
      isGiven = true
      resume(Effect.void)
    })
  if (isTaken) line.push(begin)
  else {
    isTaken = true
    begin()
  }
  return Effect.sync(() => {
    const at = line.indexOf(begin)
    if (at >= 0) line.splice(at, 1)
    else if (!isGiven) {
      isGiven = true
      passOn()
    }
  })
})

const passOn = (): void => {
  const next = line.shift()
  if (next === undefined) isTaken = false
  else next()
}

/** Runs one history. Time, chance and order are the world's until it is over. */
export const run = (
  app: AppSpec,
  plan: Omit<Plan, "operations" | "faults">,
  makePlan: MakePlan
): Effect.Effect<Run> => Effect.andThen(alone, Effect.uninterruptible(runAlone(app, plan, makePlan)))

const runAlone = (
  app: AppSpec,
  plan: Omit<Plan, "operations" | "faults">,
  makePlan: MakePlan
): Effect.Effect<Run> =>
  Effect.callback<Run>((resume) => {
    const director = new Director(app, plan, makePlan)
    const { loop } = director
    const leave = enter(loop)
    const settled = Promise.resolve()
    let turns = 0
    const finish = (): void => {
      leave()
      passOn()
      resume(Effect.succeed({
        history: { seed: plan.seed, events: director.events, quiet: director.quiet },
        plan: { ...plan, ...director.planned },
        places: director.places,
        steps: loop.steps
      }))
    }
    const drive = (): void => {
      while (true) {
        if (!loop.drain(maxSteps) || director.done) return finish()
        if (turns < settleTurns) {
          turns++
          void settled.then(drive)
          return
        }
        turns = 0
        if (!loop.advance(Infinity)) return finish()
      }
    }
    director.start()
    drive()
  })
