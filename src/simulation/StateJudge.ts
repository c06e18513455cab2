/**
 * Judges of a state that others follow. They read `wrote` and `saw`, which a program notes with the state as text when it
 * has written it and when a follower is shown it; `stands`, with `{ epoch, version }`, of a copy; and what `rest` of the
 * nodes gives.
 *
 * @since 0.2.0
 */
import * as History from "./History.ts"
import { type Judge, make } from "./Judge.ts"

/**
 * When all is quiet every node that has a state has the same.
 *
 * @category judges
 * @since 0.2.0
 */
export const equalWhenQuiet: Judge = make(
  "equal states when quiet",
  "A server holds a state, its clients follow it",
  (history) => {
    const rests = History.operations(history).filter(({ operation, outcome }) =>
      operation === "rest" && outcome === "Success"
    )
    return new Set(rests.map(({ value }) => JSON.stringify(value))).size < 2
      ? undefined
      : rests.map(({ node, value }) => `${node}: ${JSON.stringify(value)}`).join("\n")
  }
)

/**
 * Followers see what was written, and never what is older than what they saw before. `null` is what they see before
 * anything is told. For programs that note in the turn in which they write, in worlds without `preempt`.
 *
 * @category judges
 * @since 0.2.0
 */
export const onlyWhatWasWritten: Judge = make(
  "no state that nobody wrote, and none that is older than the last",
  "What changed within the delay (200 ms) goes out as one patch from the last to the newest value",
  (history) => {
    const written: Array<string> = []
    const at = new Map<string, number>()
    for (const event of history.events) {
      if (event._tag === "Node" && event.what === "started") at.delete(event.node)
      if (event._tag !== "Noted") continue
      if (event.kind === "wrote") written.push(event.data)
      if (event.kind === "saw" && event.data !== "null") {
        const index = written.indexOf(event.data, at.get(event.node) ?? 0)
        if (index < 0) {
          return `${event.node} saw ${event.data}, which ${
            written.includes(event.data) ? "is older than what it saw before" : "was never written"
          }`
        }
        at.set(event.node, index)
      }
    }
    return undefined
  }
)

/**
 * Of one epoch the version of a copy never goes back, and copies that stand at the same place are equal: `stands` has the
 * state as text in `state` then.
 *
 * @category judges
 * @since 0.2.0
 */
export const versionsOnlyGrow: Judge = make(
  "versions only grow",
  "all of whose processes tell the same versions",
  (history) => {
    const at = new Map<string, { readonly epoch: string; readonly version: number }>()
    const states = new Map<string, string>()
    for (const event of history.events) {
      if (event._tag === "Node" && event.what === "started") at.delete(event.node)
      if (event._tag !== "Noted" || event.kind !== "stands") continue
      const { epoch, state, version } = event.data
      const before = at.get(event.node)
      if (before !== undefined && before.epoch === epoch && version < before.version) {
        return `${event.node} stands at ${version} of ${epoch}, and stood at ${before.version}`
      }
      at.set(event.node, event.data)
      if (state === undefined) continue
      const place = `${epoch} ${version}`
      const other = states.get(place)
      if (other !== undefined && other !== state) {
        return `at ${place} one copy is ${other}, and ${event.node}'s ${state}`
      }
      states.set(place, state)
    }
    return undefined
  }
)

/**
 * What was added and confirmed is there when all is quiet, once, in every node's state; and nothing that nobody added. For
 * a program that adds things, each with a name that no other has, and never takes any away: it notes `adding` before it
 * writes and `added` when the write is confirmed, with the name. `kept` finds the names in what `rest` gives; `undefined` where there is no state.
 *
 * @category judges
 * @since 0.2.0
 */
export const confirmedIsKept = (kept: (rest: any) => ReadonlyArray<string | number> | undefined): Judge =>
  make(
    "what was confirmed is kept",
    "loses nothing that another one has who can be heard",
    (history) => {
      const tried = new Set(History.notes(history, "adding").map(({ data }) => data))
      const confirmed = History.notes(history, "added").map(({ data }) => data)
      for (const { node, operation, outcome, value } of History.operations(history)) {
        if (operation !== "rest" || outcome !== "Success") continue
        const names = kept(value)
        if (names === undefined) continue
        const held = new Set(names)
        const lost = confirmed.filter((name) => !held.has(name))
        if (lost.length > 0) return `${lost.join(", ")} was confirmed, and is not in the state of ${node}`
        if (held.size < names.length) {
          return `${names.find((name, index) => names.indexOf(name) < index)} is twice in the state of ${node}`
        }
        const unknown = names.find((name) => !tried.has(name))
        if (unknown !== undefined) return `${unknown} is in the state of ${node}, and nobody added it`
      }
      return undefined
    }
  )
