/**
 * What goes wrong in a world, as data: faults are drawn from the seed, written into the story of a failure, taken away one
 * by one when it is made smaller, and pasted into a test.
 *
 * @since 0.2.0
 */
import type { Draw } from "./Draw.ts"

/**
 * One fault. All times are virtual milliseconds; `at` counts from the first operation. Links are pairs of names of nodes.
 *
 * - `cut`: the newest connection of the link is lost after `frames` more frames, the last of them after `part` of it
 *   (0 to 1: on byte carriers a part of the frame arrives, on others none of it). Each end learns of it `knows`
 *   milliseconds later (first the dialling end); in between it is half open, for 60 s at most, when pings find it out.
 * - `close`: the network closes it with a code, as a proxy does.
 * - `partition`: nothing passes, nothing is lost; new dials hang. Connections that it outlasts by 20 s are lost.
 * - `stall`: frames from the first to the second node wait; the other direction goes on.
 * - `slow`: every frame of the link takes `millis` longer.
 * - `narrow`: the link carries so many bytes a second.
 * - `refuse`, `hang`: dials of a node fail, or get no answer.
 * - `crash`: a node loses its memory and comes back after `down`; of a `power` failure its peers learn nothing.
 * - `midway`: as `crash`, in the middle of a turn: at the step of this number from now on, where steps are changes of the
 *   node's disk, statements of its database (`NodeSqliteWorld`), and `World.step`. It waits 5 s for it. To be asked for.
 * - `stop`: a node ends in order, and comes back. `version` says which of its versions starts (see `Simulation.node`).
 * - `pause`: a node does nothing for a while. `sluggish`: each of its steps takes so long.
 * - `jump`: its wall clock is moved. `skew`: its clock runs faster or slower by a factor.
 * - `backplane`: what the world's broker does with publications, each with a probability: `lose` them (a gap tells it); not
 *   announce them to a node, which finds them in the log seconds later (`miss`); announce them `twice`; carry them though
 *   `publish` fails, and fail queries by which a node catches up (`unsure`). All is up to `delay` late.
 * - `deaf`: nothing of the broker reaches one node for a while. Afterwards it comes late, or is `lost`: a gap tells it.
 * - `unheard`: what the broker carries meanwhile never reaches one node, and no gap tells it, but the number of
 *   what comes next; or a gap, when all is well again. No backplane of ours does that. To be asked for.
 * - `emptied`: the broker has lost all that it kept, as a database that was restored; it counts anew, in another epoch. To be
 *   asked for.
 * - `own`: a fault of the application's own, by its name.
 *
 * @category models
 * @since 0.2.0
 */
export type Fault =
  & { readonly at: number }
  & (
    | {
      readonly kind: "cut"
      readonly link: Link
      readonly frames: number
      readonly part: number
      readonly knows: readonly [number, number]
    }
    | { readonly kind: "close"; readonly link: Link; readonly code: number }
    | { readonly kind: "partition" | "stall"; readonly link: Link; readonly for: number }
    | { readonly kind: "slow"; readonly link: Link; readonly millis: number; readonly for: number }
    | { readonly kind: "narrow"; readonly link: Link; readonly bytes: number; readonly for: number }
    | { readonly kind: "refuse" | "hang" | "pause"; readonly node: string; readonly for: number }
    | {
      readonly kind: "crash"
      readonly node: string
      readonly power: boolean
      readonly down: number
      readonly version: number
    }
    | {
      readonly kind: "midway"
      readonly node: string
      readonly steps: number
      readonly power: boolean
      readonly down: number
      readonly version: number
    }
    | { readonly kind: "stop"; readonly node: string; readonly down: number; readonly version: number }
    | { readonly kind: "sluggish"; readonly node: string; readonly millis: number; readonly for: number }
    | { readonly kind: "jump"; readonly node: string; readonly millis: number }
    | { readonly kind: "skew"; readonly node: string; readonly factor: number }
    | {
      readonly kind: "backplane"
      readonly lose: number
      readonly miss: number
      readonly twice: number
      readonly delay: number
      readonly unsure: number
      readonly for: number
    }
    | { readonly kind: "deaf"; readonly node: string; readonly lost: boolean; readonly for: number }
    | { readonly kind: "unheard"; readonly node: string; readonly for: number }
    | { readonly kind: "emptied" }
    | { readonly kind: "own"; readonly name: string; readonly input: unknown }
  )

/**
 * Two nodes, the one that dials first.
 *
 * @category models
 * @since 0.2.0
 */
export type Link = readonly [from: string, to: string]

/**
 * What can go wrong, by name.
 *
 * @category models
 * @since 0.2.0
 */
export type Kind = Fault["kind"]

/**
 * Every kind that networks and nodes have by themselves, with how often it is drawn beside the others.
 *
 * @category models
 * @since 0.2.0
 */
export const weights: {
  readonly [K in Exclude<Kind, "own" | "backplane" | "deaf" | "unheard" | "emptied" | "midway">]: number
} = {
  cut: 8,
  close: 2,
  partition: 2,
  stall: 2,
  slow: 2,
  narrow: 1,
  refuse: 1,
  hang: 1,
  crash: 2,
  stop: 2,
  pause: 2,
  sluggish: 1,
  jump: 1,
  skew: 1
}

/**
 * Kinds that leave every node running: bad networks only.
 *
 * @category models
 * @since 0.2.0
 */
export const networkKinds: ReadonlyArray<Kind> = [
  "cut",
  "close",
  "partition",
  "stall",
  "slow",
  "narrow",
  "refuse",
  "hang"
]

/** @internal What faults are drawn for. */
export interface Targets {
  readonly links: ReadonlyArray<Link>
  readonly nodes: ReadonlyArray<
    { readonly name: string; readonly versions: number; readonly kinds: ReadonlyArray<Kind> }
  >
}

/** Mostly shorter than what waits for an answer of others. */
const shortly = (draw: Draw): number =>
  draw.weighted([[draw.int(0, 20), 3], [draw.int(20, 500), 3], [draw.int(500, 5000), 1]])

const millis = (draw: Draw): number =>
  draw.weighted([[draw.int(0, 20), 2], [draw.int(20, 500), 3], [draw.int(500, 5000), 3], [draw.int(5000, 40000), 1]])

/** @internal Draws one fault; `undefined` where there is nothing that it could strike. */
export const draw = (kind: Kind, at: number, targets: Targets, draw: Draw): Fault | undefined => {
  if (kind === "own") return undefined
  if (kind === "backplane") {
    const rate = () => draw.pick([0, 0, 0.1, 0.5])
    const delay = draw.pick([0, 5, 500, 5000])
    return { kind, at, lose: rate(), miss: rate(), twice: rate(), delay, unsure: rate(), for: millis(draw) }
  }
  if (kind === "emptied") return { kind, at }
  if (linkKinds.has(kind)) {
    if (targets.links.length === 0) return undefined
    const link = draw.pick(targets.links)
    switch (kind) {
      case "cut": {
        const frames = draw.weighted([[0, 2], [draw.int(0, 4), 3], [draw.int(0, 30), 1]])
        const late = () => draw.weighted([[0, 6], [draw.int(1, 50), 2], [draw.int(1000, 30000), 1]])
        return { kind, at, link, frames, part: draw.pick([0, 0.01, 0.5, 0.99, 1]), knows: [late(), late()] }
      }
      case "close":
        return { kind, at, link, code: draw.pick([1000, 1001, 1011, 1012, 1013]) }
      case "slow":
        return { kind, at, link, millis: draw.pick([1, 50, 1000, 8000]), for: millis(draw) }
      case "narrow":
        return { kind, at, link, bytes: draw.pick([100, 1000, 10000]), for: millis(draw) }
      case "stall":
        return { kind, at, link: draw.chance(0.5) ? link : [link[1], link[0]], for: millis(draw) }
      default:
        return { kind: "partition", at, link, for: millis(draw) }
    }
  }
  const nodes = targets.nodes.filter((node) => node.kinds.includes(kind))
  if (nodes.length === 0) return undefined
  const { name: node, versions } = draw.pick(nodes)
  const version = draw.int(0, versions - 1)
  switch (kind) {
    case "crash":
      return { kind, at, node, power: draw.chance(0.3), down: millis(draw), version }
    case "midway": {
      const steps = draw.weighted([[draw.int(1, 4), 1], [draw.int(1, 30), 3], [draw.int(1, 200), 2]])
      return { kind, at, node, steps, power: draw.chance(0.5), down: millis(draw), version }
    }
    case "stop":
      return { kind, at, node, down: millis(draw), version }
    case "deaf":
      return { kind, at, node, lost: draw.chance(0.5), for: shortly(draw) }
    case "unheard":
      return { kind, at, node, for: shortly(draw) }
    case "sluggish":
      return { kind, at, node, millis: draw.pick([1, 10, 100]), for: Math.min(5000, millis(draw)) }
    case "jump":
      return { kind, at, node, millis: draw.pick([-1, 1]) * draw.pick([1, 1000, 60_000, 3_600_000]) }
    case "skew":
      return { kind, at, node, factor: draw.pick([0.9, 0.99, 1.01, 1.1]) }
    default:
      return { kind: kind as "refuse" | "hang" | "pause", at, node, for: millis(draw) }
  }
}

/** @internal How long `midway` waits for its step, in virtual milliseconds. */
export const midwayFor = 5000

/** @internal How long a fault goes on, in virtual milliseconds. */
export const lasts = (fault: Fault): number => {
  switch (fault.kind) {
    case "cut":
      return Math.max(1000, ...fault.knows)
    case "crash":
    case "stop":
      return fault.down
    case "midway":
      return midwayFor + fault.down
    case "close":
    case "jump":
    case "skew":
    case "emptied":
    case "own":
      return 0
    default:
      return fault.for
  }
}

const linkKinds: ReadonlySet<Kind> = new Set<Kind>(["cut", "close", "partition", "stall", "slow", "narrow"])

const link = ([from, to]: Link): string => `${from} - ${to}`

/**
 * A fault in words.
 *
 * @category models
 * @since 0.2.0
 */
export const describe = (fault: Fault): string => {
  switch (fault.kind) {
    case "cut": {
      const { knows, part } = fault
      const inFrame = part > 0 && part < 1 ? `, ${Math.round(part * 100)} % into a frame` : ""
      const late = knows[0] + knows[1] === 0
        ? ""
        : `; ${fault.link[0]} learns it ${knows[0]} ms later, ${fault.link[1]} ${knows[1]} ms`
      return `the connection ${link(fault.link)} is cut after ${fault.frames} more frames${inFrame}${late}`
    }
    case "close":
      return `the network closes ${link(fault.link)} with ${fault.code}`
    case "partition":
      return `nothing passes between ${link(fault.link)} for ${fault.for} ms`
    case "stall":
      return `frames from ${fault.link[0]} to ${fault.link[1]} wait for ${fault.for} ms`
    case "slow":
      return `frames of ${link(fault.link)} take ${fault.millis} ms more for ${fault.for} ms`
    case "narrow":
      return `${link(fault.link)} carries ${fault.bytes} bytes/s for ${fault.for} ms`
    case "refuse":
      return `dials of ${fault.node} are refused for ${fault.for} ms`
    case "hang":
      return `dials of ${fault.node} hang for ${fault.for} ms`
    case "pause":
      return `${fault.node} does nothing for ${fault.for} ms`
    case "crash":
      return `${fault.node} crashes${fault.power ? " (power failure)" : ""}, and is down for ${fault.down} ms${
        ofVersion(fault.version)
      }`
    case "midway":
      return `${fault.node} crashes${
        fault.power ? " (power failure)" : ""
      } at its step ${fault.steps}, and is down for ${fault.down} ms${ofVersion(fault.version)}`
    case "stop":
      return `${fault.node} is stopped, and is down for ${fault.down} ms${ofVersion(fault.version)}`
    case "sluggish":
      return `each step of ${fault.node} takes ${fault.millis} ms for ${fault.for} ms`
    case "jump":
      return `the wall clock of ${fault.node} jumps by ${fault.millis} ms`
    case "skew":
      return `the clock of ${fault.node} runs at ${fault.factor} of its speed`
    case "backplane":
      return `the broker loses ${fault.lose}, misses ${fault.miss}, repeats ${fault.twice}, delays by up to ${fault.delay} ms, is unsure of ${fault.unsure}, for ${fault.for} ms`
    case "deaf":
      return `what the broker carries in the next ${fault.for} ms ${
        fault.lost ? "is lost on its way to" : "comes that late to"
      } ${fault.node}`
    case "unheard":
      return `what the broker carries in the next ${fault.for} ms never reaches ${fault.node}, which is not told`
    case "emptied":
      return "the broker has lost all that it kept, and counts anew"
    case "own":
      return `${fault.name}${fault.input === undefined ? "" : ` ${JSON.stringify(fault.input)}`}`
  }
}

const ofVersion = (version: number): string => version === 0 ? "" : `, then runs version ${version}`
