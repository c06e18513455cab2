/**
 * Judges: functions over a history that say what broke a promise. Those of this module hold for every program; those of
 * our protocols read notes with fixed names, so that a program which writes the same notes can use them as well.
 *
 * @since 0.2.0
 */
import * as History from "./History.ts"

/**
 * A promise, and the function that finds where a history breaks it: `undefined` where it does not.
 *
 * @category models
 * @since 0.2.0
 */
export interface Judge {
  readonly name: string
  /** The sentence that is promised, quoted from where it is. */
  readonly promise: string
  /** What is wrong with the history, in words; `undefined` when nothing is. */
  readonly check: (history: History.History) => string | undefined
}

/**
 * Makes a judge.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  name: string,
  promise: string,
  check: (history: History.History) => string | undefined
): Judge => ({ name, promise, check })

/**
 * A judge over the ends of operations: `check` says what is wrong with one.
 *
 * @category constructors
 * @since 0.2.0
 */
export const eachOperation = (
  name: string,
  promise: string,
  check: (operation: History.Operation) => string | undefined
): Judge =>
  make(name, promise, (history) => {
    for (const operation of History.operations(history)) {
      const wrong = check(operation)
      if (wrong !== undefined) return `#${operation.id} ${operation.operation} of ${operation.node}: ${wrong}`
    }
    return undefined
  })

/**
 * Every operation ends: what is still under way when the network is well again and all is quiet hangs.
 *
 * @category judges
 * @since 0.2.0
 */
export const nothingHangs: Judge = make(
  "nothing hangs",
  "Answered exactly once, by a Result or an Error with the same `id`, unless the connection ends first",
  (history) => {
    const open = new Map<number, string>()
    for (const event of history.events) {
      if (event._tag === "Began") open.set(event.id, `#${event.id} ${event.operation} of ${event.node}`)
      else if (event._tag === "Ended") open.delete(event.id)
      else if (event._tag === "Quiet") {
        const [first] = open.values()
        return first === undefined ? undefined : `${first} has no end when all is quiet`
      }
    }
    return history.quiet ? undefined : "the world does not come to rest"
  }
)

/**
 * {@link noDefects}, but for what is known: defects whose text matches are passed over.
 *
 * @category judges
 * @since 0.2.0
 */
export const noDefectsBut = (known: RegExp | undefined): Judge =>
  make(
    "no defects",
    "Failures are typed, and what is thrown ends nothing but its own request",
    (history) => {
      for (const event of history.events) {
        if (event._tag === "Uncaught") return `${event.node}: thrown past everyone: ${event.text}`
        if (event._tag === "Ended" && event.outcome === "Defect" && known?.test(String(event.value)) !== true) {
          return `#${event.id}: ${JSON.stringify(event.value)}`
        }
        if (event._tag === "Node" && event.what === "failed") return `${event.node} does not start: ${event.detail}`
      }
      return undefined
    }
  )

/**
 * No operation ends in a defect, and nothing is thrown where no fiber catches it: in production that would end the
 * process.
 *
 * @category judges
 * @since 0.2.0
 */
export const noDefects: Judge = noDefectsBut(undefined)

/**
 * No fiber, timer or connection is left, nor anything else that a node counts (`left` of `Simulation.node`): in a server
 * whose clients have gone as many as before they came, in a node that has stopped none.
 *
 * @category judges
 * @since 0.2.0
 */
export const nothingLeft: Judge = make(
  "nothing is left",
  "Nothing outlives its scope",
  (history) => {
    for (const event of history.events) {
      if (event._tag === "Left" && event.after > event.before) {
        return `${event.node} has ${event.after} ${event.what}, ${event.before} before`
      }
    }
    return undefined
  }
)

/**
 * What a node holds for its peers is never more than it may: notes `held`, with `{ what, size, limit }` in bytes or in
 * number. That it gives all of it back is {@link nothingLeft}, by `left` of `Simulation.node`.
 *
 * @category judges
 * @since 0.2.0
 */
export const withinBudget: Judge = make(
  "memory within the budget",
  "256 MiB for the same of all connections together",
  (history) => {
    for (const { data, node } of History.notes(history, "held")) {
      if (data.size > data.limit) return `${node} holds ${data.size} of ${data.what}, and may hold ${data.limit}`
    }
    return undefined
  }
)

/**
 * What every history is judged by, unless `Simulation.make` names others as `defaults`.
 *
 * @category judges
 * @since 0.2.0
 */
export const defaults: ReadonlyArray<Judge> = [nothingHangs, noDefects, nothingLeft]
