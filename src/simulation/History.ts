/**
 * What happened in a world, in order, with virtual times: operations and how they ended, what nodes noted, faults, frames,
 * logs. Judges read it.
 *
 * @since 0.2.0
 */
import type { Fault } from "./Fault.ts"

/**
 * How an operation ended. `Failure` is a typed error (its value is the error as JSON), `Defect` any other; `Crashed`: its
 * node went away under it; `Down`: its node was not there, so it never began.
 *
 * @category models
 * @since 0.2.0
 */
export type Outcome = "Success" | "Failure" | "Defect" | "Interrupted" | "Crashed" | "Down"

/**
 * One event. `at` is virtual milliseconds since the world began, `node` the name of a node, or `world`.
 *
 * @category models
 * @since 0.2.0
 */
export type Event =
  & { readonly at: number; readonly node: string }
  & (
    | { readonly _tag: "Began"; readonly id: number; readonly operation: string; readonly input: unknown }
    | { readonly _tag: "Ended"; readonly id: number; readonly outcome: Outcome; readonly value: unknown }
    | { readonly _tag: "Interrupting"; readonly id: number }
    | { readonly _tag: "Noted"; readonly kind: string; readonly data: any }
    | { readonly _tag: "Struck"; readonly fault: Fault; readonly hit: boolean }
    | { readonly _tag: "Node"; readonly what: "started" | "stopped" | "crashed" | "failed"; readonly detail?: string }
    | { readonly _tag: "Dialled"; readonly to: string; readonly connection: string; readonly what: string }
    | { readonly _tag: "Lost"; readonly connection: string; readonly code: number; readonly reason: string }
    | { readonly _tag: "Frame"; readonly connection: string; readonly to: string; readonly frame: string | Uint8Array }
    | { readonly _tag: "Logged"; readonly level: string; readonly text: string }
    | { readonly _tag: "Uncaught"; readonly text: string }
    | { readonly _tag: "Quiet" }
    | {
      readonly _tag: "Left"
      /** `fibers`, `timers`, `connections`, or what the node counts by itself. */
      readonly what: string
      readonly before: number
      readonly after: number
    }
  )

/**
 * All that happened, and under which seed.
 *
 * @category models
 * @since 0.2.0
 */
export interface History {
  readonly seed: number
  readonly events: ReadonlyArray<Event>
  /** `false` when the world never came to rest within its time or steps. */
  readonly quiet: boolean
}

/**
 * An operation with its end, if it has one.
 *
 * @category models
 * @since 0.2.0
 */
export interface Operation {
  readonly id: number
  readonly node: string
  readonly operation: string
  readonly input: any
  readonly began: number
  readonly ended: number | undefined
  readonly outcome: Outcome | undefined
  readonly value: any
}

/**
 * The operations of a history, in the order in which they began.
 *
 * @category combinators
 * @since 0.2.0
 */
export const operations = (history: History): ReadonlyArray<Operation> => {
  const known = operationsOf.get(history)
  if (known !== undefined) return known
  const byId = new Map<number, { -readonly [K in keyof Operation]: Operation[K] }>()
  for (const event of history.events) {
    if (event._tag === "Began") {
      byId.set(event.id, {
        id: event.id,
        node: event.node,
        operation: event.operation,
        input: event.input,
        began: event.at,
        ended: undefined,
        outcome: undefined,
        value: undefined
      })
    } else if (event._tag === "Ended") {
      const operation = byId.get(event.id)
      if (operation !== undefined) {
        operation.ended = event.at
        operation.outcome = event.outcome
        operation.value = event.value
      }
    }
  }
  const all = [...byId.values()]
  operationsOf.set(history, all)
  return all
}

/** Every judge asks for them. */
const operationsOf = new WeakMap<History, ReadonlyArray<Operation>>()

/**
 * What a node noted.
 *
 * @category models
 * @since 0.2.0
 */
export interface Note {
  readonly at: number
  readonly node: string
  readonly data: any
}

/**
 * What nodes noted under one name (`World.note`), in order.
 *
 * @category combinators
 * @since 0.2.0
 */
export const notes = (history: History, kind: string): ReadonlyArray<Note> => {
  let byKind = notesOf.get(history)
  if (byKind === undefined) {
    notesOf.set(history, byKind = new Map())
    for (const event of history.events) {
      if (event._tag !== "Noted") continue
      const list = byKind.get(event.kind)
      if (list === undefined) byKind.set(event.kind, [event])
      else list.push(event)
    }
  }
  return byKind.get(kind) ?? []
}

const notesOf = new WeakMap<History, Map<string, Array<Note>>>()

const text = (value: unknown): string => {
  if (value === undefined) return ""
  const json = JSON.stringify(value)
  return json === undefined ? String(value) : json
}

const short = (value: string, limit: number): string => value.length > limit ? `${value.slice(0, limit)}…` : value

const frameText = (frame: string | Uint8Array): string =>
  typeof frame === "string" ? frame : `${frame.length} bytes ${text(new TextDecoder().decode(frame))}`

const line = (event: Event, limit: number): string => {
  switch (event._tag) {
    case "Began":
      return `${event.operation}(${short(text(event.input), limit)}) #${event.id}`
    case "Ended":
      return `#${event.id} ${event.outcome} ${short(text(event.value), limit)}`
    case "Interrupting":
      return `#${event.id} is interrupted`
    case "Noted":
      return `${event.kind} ${short(text(event.data), limit)}`
    case "Struck":
      return `fault ${event.hit ? "" : "(nothing to strike) "}${text(event.fault)}`
    case "Node":
      return `${event.what}${event.detail === undefined ? "" : `: ${short(event.detail, limit)}`}`
    case "Dialled":
      return `dials ${event.to}: ${event.what} (${event.connection})`
    case "Lost":
      return `${event.connection} ends: ${event.code} ${event.reason}`
    case "Frame":
      return `-> ${event.to} (${event.connection}) ${short(frameText(event.frame), limit)}`
    case "Logged":
      return `log ${event.level} ${short(event.text, limit)}`
    case "Uncaught":
      return `uncaught ${short(event.text, limit)}`
    case "Quiet":
      return "all is quiet"
    case "Left":
      return `${event.what}: ${event.before} before, ${event.after} after`
  }
}

/**
 * A history as text, one line for each event: the time in ms, the node, what happened. Values over `limit` characters
 * (default 160) are cut; `frames: false` leaves out what the network carried.
 *
 * @category combinators
 * @since 0.2.0
 */
export const format = (history: History, options?: {
  readonly limit?: number | undefined
  readonly frames?: boolean | undefined
}): string => {
  const limit = options?.limit ?? 160
  const lines: Array<string> = []
  for (const event of history.events) {
    if (event._tag === "Frame" && options?.frames === false) continue
    lines.push(`${event.at.toFixed(3).padStart(11)}  ${event.node.padEnd(8)}  ${line(event, limit)}`)
  }
  return lines.join("\n")
}

/**
 * A short hash of everything in a history (FNV-1a, 53 bits, hexadecimal): equal for the same seed in any process.
 *
 * @category combinators
 * @since 0.2.0
 */
export const hash = (history: History): string => {
  let a = 0x811c9dc5
  let b = 0x01000193
  for (const event of history.events) {
    const all = `${event.at} ${event.node} ${line(event, Infinity)}\n`
    for (let i = 0; i < all.length; i++) {
      const code = all.charCodeAt(i)
      a = Math.imul(a ^ code, 0x01000193)
      b = Math.imul(b ^ code, 0x85ebca6b) + i | 0
    }
  }
  return (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0")
}
