/**
 * Faults as they strike a world.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type Fault, midwayFor } from "../Fault.ts"
import type { AppSpec } from "./model.ts"
import { contextFor, type NodeRunner, type Surroundings } from "./node.ts"

export class WorldFaults {
  private readonly app: AppSpec
  private readonly around: Surroundings
  private readonly nodes: ReadonlyMap<string, NodeRunner>
  private readonly shared: Context.Context<never>
  private over = false

  constructor(
    app: AppSpec,
    around: Surroundings,
    nodes: ReadonlyMap<string, NodeRunner>,
    shared: Context.Context<never>
  ) {
    this.app = app
    this.around = around
    this.nodes = nodes
    this.shared = shared
  }

  private later(millis: number, run: () => void): void {
    const { loop } = this.around
    loop.timer(loop.root, millis, () => {
      if (!this.over) run()
    })
  }

  /** `false` where there was nothing to strike. */
  strike(fault: Fault): boolean {
    const { loop, network } = this.around
    const now = loop.now
    switch (fault.kind) {
      case "cut": {
        const connection = network.newest(fault.link)
        if (connection === undefined) return false
        if (fault.frames === 0 && fault.part === 0) connection.break(fault.knows)
        else connection.cut = { frames: fault.frames, part: fault.part, knows: fault.knows }
        return true
      }
      case "close": {
        const connection = network.newest(fault.link)
        if (connection === undefined) return false
        for (const end of connection.ends) connection.lose(end, fault.code, "closed on the way")
        return true
      }
      case "partition":
        network.partition(fault.link[0], fault.link[1], now + fault.for)
        return true
      case "stall":
        network.stall(fault.link[0], fault.link[1], now + fault.for)
        return true
      case "slow": {
        const weather = network.between(fault.link[0], fault.link[1])
        weather.extra = fault.millis
        weather.extraUntil = now + fault.for
        return true
      }
      case "narrow": {
        const weather = network.between(fault.link[0], fault.link[1])
        weather.bytesPerSecond = fault.bytes
        weather.narrowUntil = now + fault.for
        return true
      }
      case "refuse":
        network.refusal(fault.node).refusedUntil = now + fault.for
        return true
      case "hang":
        network.refusal(fault.node).hungUntil = now + fault.for
        return true
      case "backplane":
        network.backplane = {
          lose: fault.lose,
          miss: fault.miss,
          twice: fault.twice,
          delay: fault.delay,
          unsure: fault.unsure,
          until: now + fault.for
        }
        return true
      case "emptied":
        this.around.broker.empty()
        return true
      case "own":
        return this.own(fault.name, fault.input)
      default:
        return this.strikeNode(fault, this.nodes.get(fault.node))
    }
  }

  private strikeNode(fault: Extract<Fault, { readonly node: string }>, node: NodeRunner | undefined): boolean {
    const { loop } = this.around
    const now = loop.now
    const life = node?.life
    if (node === undefined || life === undefined) return false
    switch (fault.kind) {
      case "crash":
        if (!node.crash(fault.power)) return false
        this.later(fault.down, () => node.start(fault.version))
        return true
      case "midway":
        if (life.dead || node.state === "stopping") return false
        life.stepsLeft = fault.steps
        life.onLastStep = () => {
          if (node.life === life && node.crash(fault.power)) this.later(fault.down, () => node.start(fault.version))
        }
        this.later(midwayFor, () => {
          life.stepsLeft = 0
        })
        return true
      case "stop":
        if (node.state !== "up") return false
        node.stop()
        this.later(fault.down, () => this.startWhenDown(node, fault.version))
        return true
      case "pause":
        life.heldUntil = Math.max(life.heldUntil, now + fault.for)
        return true
      case "sluggish":
        life.perTask = fault.millis
        this.later(fault.for, () => {
          life.perTask = 0
        })
        return true
      case "deaf":
      case "unheard":
        return this.around.broker.deafen(
          life,
          fault.kind === "unheard" ? "never" : fault.lost ? "gap" : "late",
          now + fault.for
        )
      case "jump":
        life.offset += fault.millis
        return true
      case "skew": {
        // the clock goes on from where it is
        life.offset += now * (life.rate - fault.factor)
        life.rate = fault.factor
        return true
      }
      default:
        return false
    }
  }

  private startWhenDown(node: NodeRunner, version: number): void {
    if (node.state === "down") node.start(version)
    else this.later(100, () => this.startWhenDown(node, version))
  }

  private own(name: string, input: unknown): boolean {
    const spec = this.app.ownFaults.find(([own]) => own === name)?.[1]
    if (spec === undefined) return false
    const { loop } = this.around
    const root = this.nodes.values().next().value
    if (root === undefined) return false
    const context = Context.merge(
      contextFor(this.around, loop.root, 0, root.disk),
      this.shared
    )
    loop.post(loop.root, () => void Effect.runForkWith(context)(Effect.ignore(spec.run(input)) as Effect.Effect<void>))
    return true
  }

  /** All is well from now on: links are fair, every node runs. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.over = true
    this.around.network.heal()
    this.around.broker.heal()
    for (const node of this.nodes.values()) {
      if (node.life === undefined) continue
      node.life.perTask = 0
      node.life.stepsLeft = 0
    }
    return Effect.forEach(this.nodes.values(), (node) =>
      Effect.gen({ self: this }, function*() {
        if (node.state === "stopping") yield* Effect.raceFirst(node.until("down"), Effect.sleep(60_000))
        if (node.state === "stopping") node.crash(false)
        if (node.state === "down") node.start(0)
        yield* node.until("up", "down")
      }), { concurrency: "unbounded", discard: true })
  })
}
