/**
 * What an application under simulation is made of, for the machinery: types erased.
 */
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Draw } from "../Draw.ts"
import type { Fault, Kind, Link } from "../Fault.ts"
import type { History } from "../History.ts"
import type { Judge } from "../Judge.ts"
import type { Interleaving } from "./loop.ts"
import type { NetworkOptions } from "./network.ts"

export interface OperationSpec {
  readonly weight: number
  readonly interruptible: boolean
  readonly input: (draw: Draw) => unknown
  readonly run: (input: any) => Effect.Effect<unknown, unknown, any>
}

export interface NodeSpec {
  readonly versions: ReadonlyArray<Layer.Layer<any, any, any>>
  readonly operations: ReadonlyArray<readonly [name: string, operation: OperationSpec]>
  readonly rest: Effect.Effect<unknown, unknown, any> | undefined
  readonly left: Effect.Effect<{ readonly [what: string]: number }, never, any> | undefined
  readonly kinds: ReadonlyArray<Kind>
}

export interface OwnFaultSpec {
  readonly weight: number
  readonly input: (draw: Draw) => unknown
  readonly run: (input: any) => Effect.Effect<void, unknown, any>
}

export interface AppSpec {
  readonly name: string
  readonly shared: Layer.Layer<any, any, any> | undefined
  readonly nodes: ReadonlyArray<readonly [name: string, node: NodeSpec]>
  readonly judges: ReadonlyArray<Judge>
  readonly kinds: ReadonlyArray<readonly [kind: Kind, weight: number]>
  readonly ownFaults: ReadonlyArray<readonly [name: string, fault: OwnFaultSpec]>
  readonly links: ReadonlyArray<Link> | undefined
  readonly places: ReadonlyArray<string>
  readonly settle: number
  readonly checkLeft: boolean
  readonly preempt: boolean
}

/** One operation of a plan; `at` counts from the first. */
export interface Planned {
  readonly at: number
  readonly node: string
  readonly operation: string
  readonly input: unknown
  readonly interruptAfter: number | undefined
}

/**
 * Everything that a history follows from, besides the program: JSON, to be kept and pasted. Times are virtual ms from the
 * first operation on.
 *
 * @category models
 * @since 0.2.0
 */
export interface Plan {
  readonly seed: number
  readonly operations: ReadonlyArray<Planned>
  readonly faults: ReadonlyArray<Fault>
  readonly network: NetworkOptions
  readonly interleaving: Interleaving
}

export interface Size {
  readonly operations: number
  readonly faults: number
  /** Virtual milliseconds in which they fall. */
  readonly over: number
}

export interface Run {
  readonly history: History
  readonly plan: Plan
  readonly places: ReadonlySet<string>
  readonly steps: number
}
