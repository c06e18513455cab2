/**
 * A node of a world through its lives.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Budget from "../../socket/Budget.ts"
import type { Event, Outcome } from "../History.ts"
import { World } from "../World.ts"
import type { Broker } from "./broker.ts"
import { WorldDisk } from "./disk.ts"
import { Life, type Loop } from "./loop.ts"
import type { NodeSpec } from "./model.ts"
import type { Network } from "./network.ts"
import { plain, textOf } from "./plain.ts"
import type { Prng } from "./prng.ts"
import { contextOf } from "./runtime.ts"
import { dialling, serving } from "./sockets.ts"

/** What a node needs of its world. */
export interface Surroundings {
  readonly loop: Loop
  readonly network: Network
  readonly random: Prng
  readonly broker: Broker
  readonly record: (event: Event) => void
  readonly reach: (place: string) => void
  /** An operation has ended. */
  readonly onEnded: () => void
}

interface Running {
  readonly id: number
  readonly life: Life
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  ended: boolean
}

const levels: ReadonlySet<LogLevel.LogLevel> = new Set(["Warn", "Error", "Fatal"])

/** The services of one life, or of what all nodes share. */
export const contextFor = (
  around: Surroundings,
  life: Life,
  version: number,
  disk: WorldDisk
): Context.Context<World> => {
  const { loop, network, reach, record } = around
  const node = life.node
  const logger = Logger.make(({ cause, logLevel, message }) => {
    if (!levels.has(logLevel) || life.dead) return
    const texts = (Array.isArray(message) ? message : [message]).map(textOf)
    if (cause.reasons.length > 0) texts.push(textOf(Cause.squash(cause)))
    record({ _tag: "Logged", at: loop.now, node, level: logLevel, text: texts.join(" ") })
  })
  return contextOf(loop, life).pipe(
    Context.add(References.CurrentLoggers, new Set([logger])),
    // a process has one of its own
    Context.add(Budget.Budget, Budget.make(268_435_456)),
    Context.add(World, {
      node,
      version,
      disk: disk.of(life),
      step: () => life.step(),
      now: () => loop.now,
      note: (kind, data) => {
        if (!life.dead) record({ _tag: "Noted", at: loop.now, node, kind, data: plain(data) })
      },
      reach,
      backplane: around.broker.of(life),
      onCrash: (run) => {
        life.onCrash.push(run)
      },
      server: serving(network, life),
      socket: (to, options) => dialling(network, life, to, options)
    })
  )
}

export class NodeRunner {
  readonly name: string
  readonly spec: NodeSpec
  readonly disk: WorldDisk
  life: Life | undefined
  state: "down" | "starting" | "up" | "stopping" = "down"
  /** Counts its lives. */
  lives = 0
  private readonly around: Surroundings
  private readonly shared: Context.Context<never>
  private main: Fiber.Fiber<unknown, unknown> | undefined
  private context: Context.Context<any> | undefined
  private operations = new Set<Running>()
  private onChange: Array<() => void> = []

  constructor(name: string, spec: NodeSpec, around: Surroundings, shared: Context.Context<never>) {
    this.name = name
    this.spec = spec
    this.around = around
    this.shared = shared
    this.disk = new WorldDisk(around.random.derive(`disk ${name}`))
  }

  private become(state: NodeRunner["state"]): void {
    this.state = state
    const listeners = this.onChange
    this.onChange = []
    for (const listener of listeners) this.around.loop.post(this.around.loop.root, listener)
  }

  /** Completes when the node is in one of these states. */
  until(...states: ReadonlyArray<NodeRunner["state"]>): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const look = (): void => {
        if (states.includes(this.state)) resume(Effect.void)
        else this.onChange.push(look)
      }
      look()
    })
  }

  private note(what: "started" | "stopped" | "crashed" | "failed", detail?: string): void {
    const { loop, record } = this.around
    record({ _tag: "Node", at: loop.now, node: this.name, what, ...(detail === undefined ? {} : { detail }) })
  }

  start(version: number): void {
    if (this.state !== "down") return
    const { loop } = this.around
    const life = new Life(this.name, this.around.random.derive(`${this.name} ${++this.lives}`))
    if (this.life !== undefined) {
      life.rate = this.life.rate
      life.offset = this.life.offset
    }
    this.life = life
    this.become("starting")
    const layer = this.spec.versions[version] ?? this.spec.versions[0]!
    const context = Context.merge(this.shared, contextFor(this.around, life, version, this.disk))
    loop.post(life, () => {
      const program = Effect.scoped(Effect.flatMap(Layer.build(layer), (services) => {
        this.context = Context.merge(context, services)
        this.note("started", version === 0 ? undefined : `version ${version}`)
        this.become("up")
        return Effect.never
      }))
      const main = this.main = Effect.runForkWith(context)(program)
      main.addObserver((exit) => {
        if (life.dead) return
        this.end(life)
        if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
          this.note("failed", textOf(Cause.squash(exit.cause)))
        } else this.note("stopped")
        this.become("down")
      })
    })
  }

  private end(life: Life): void {
    if (this.life !== life) return
    this.context = undefined
    this.main = undefined
  }

  /** Ends the node in order: operations are interrupted, then its scope closes. */
  stop(): void {
    const { life, main } = this
    if (life === undefined || (this.state !== "up" && this.state !== "starting")) return
    this.become("stopping")
    this.around.loop.post(life, () => {
      for (const running of this.operations) running.fiber?.interruptUnsafe()
      ;(main ?? this.main)?.interruptUnsafe()
    })
  }

  /** The node is gone, in the middle of whatever it did. */
  crash(power: boolean): boolean {
    const { life } = this
    if (life === undefined || this.state === "down") return false
    life.dead = true
    life.stepsLeft = 0
    for (const run of life.onCrash) run()
    life.crashed = true
    this.end(life)
    this.disk.crash(power)
    this.note("crashed")
    this.around.network.gone(life, power)
    for (const running of [...this.operations]) this.ended(running, "Crashed", undefined)
    this.become("down")
    return true
  }

  /** What the application counts of itself, besides fibers and timers. */
  get counts(): Effect.Effect<ReadonlyMap<string, number>> {
    const { context, life, spec } = this
    if (life === undefined) return Effect.succeed(new Map())
    const { loop } = this.around
    const own: Effect.Effect<{ readonly [what: string]: number }, never, any> = spec.left ?? Effect.succeed({})
    return Effect.callback<ReadonlyMap<string, number>>((resume) => {
      const finish = (counts: { readonly [what: string]: number }): void => {
        const { fibers, timers } = life
        resume(Effect.succeed(new Map(Object.entries({ fibers, timers, ...counts }))))
      }
      if (context === undefined || spec.left === undefined) return finish({})
      loop.post(life, () =>
        Effect.runForkWith(context)(Effect.scoped(own)).addObserver((exit) => {
          // in a turn of its own, when this fiber is over
          loop.post(loop.root, () => finish(Exit.isSuccess(exit) ? exit.value : {}))
        }))
    })
  }

  private ended(running: Running, outcome: Outcome, value: unknown): void {
    if (running.ended) return
    running.ended = true
    this.operations.delete(running)
    this.around.record({ _tag: "Ended", at: this.around.loop.now, node: this.name, id: running.id, outcome, value })
    this.around.onEnded()
  }

  /** How many operations are under way. */
  get busy(): number {
    return this.operations.size
  }

  /** Runs one operation in the node; `end` is called when it is over, however it ends. */
  perform(id: number, operation: string, input: unknown, effect: Effect.Effect<unknown, unknown, any>): Running {
    const { loop, record } = this.around
    const { context, life } = this
    record({ _tag: "Began", at: loop.now, node: this.name, id, operation, input })
    const running: Running = { id, life: life ?? loop.root, fiber: undefined, ended: false }
    if (life === undefined || context === undefined || this.state !== "up") {
      this.ended(running, "Down", undefined)
      return running
    }
    this.operations.add(running)
    loop.post(life, () => {
      if (running.ended) return
      const scope = Scope.makeUnsafe()
      const scoped = Effect.onExit(
        Effect.provideService(effect, Scope.Scope, scope),
        (exit) => Scope.close(scope, exit)
      )
      const fiber = running.fiber = Effect.runForkWith(context)(scoped)
      fiber.addObserver((exit) => {
        if (life.dead) return
        if (Exit.isSuccess(exit)) return this.ended(running, "Success", plain(exit.value))
        const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
        if (failure !== undefined) return this.ended(running, "Failure", plain((failure as Cause.Fail<unknown>).error))
        if (Cause.hasInterruptsOnly(exit.cause)) return this.ended(running, "Interrupted", undefined)
        this.ended(running, "Defect", textOf(Cause.squash(exit.cause)))
      })
    })
    return running
  }

  interrupt(running: Running): void {
    if (running.ended) return
    const { loop, record } = this.around
    record({ _tag: "Interrupting", at: loop.now, node: this.name, id: running.id })
    loop.post(running.life, () => running.fiber?.interruptUnsafe())
  }

  interruptAll(): void {
    for (const running of this.operations) this.interrupt(running)
  }
}
