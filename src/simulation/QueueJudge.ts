/**
 * Judges of a queue. They read what a program notes: `pushing` `{ key, body }` before a push and `pushed` `{ id, key, body }`
 * when it is confirmed, where `body` is no other message's and `key` its ordering key or `null`; `pulled`
 * `{ id, body, lease, token }`, with the milliseconds that are left of the lease; `letting go` `{ id, how, token }` before
 * `ack`, `nack` or `release`, and these, `{ id, token }`, when they are confirmed; `removing` `{ id }` before a removal.
 *
 * @since 0.2.0
 */
import * as History from "./History.ts"
import { type Judge, make } from "./Judge.ts"

/**
 * What was confirmed is acknowledged in the end: `rest` of the node works on all that is left.
 *
 * @category judges
 * @since 0.2.0
 */
export const nothingLost: Judge = make(
  "confirmed is never lost",
  "a confirmed push is as durable as the database's commit",
  (history) => {
    // of an ack that a crash cut short nobody knows whether it holds
    const acked = new Set(
      History.notes(history, "letting go").flatMap(({ data }) => data.how === "ack" ? [data.id] : [])
    )
    for (const { data } of History.notes(history, "removing")) acked.add(data.id)
    const done = History.operations(history).some(({ operation, outcome }) =>
      operation === "rest" && outcome === "Success"
    )
    if (!done) return "the queue cannot be emptied"
    for (const { data } of History.notes(history, "pushed")) {
      if (!acked.has(data.id)) return `${data.id} (${data.body}) was pushed, and nobody ever acknowledged it`
    }
    return undefined
  }
)

/**
 * A delivery holds what its message was pushed with.
 *
 * @category judges
 * @since 0.2.0
 */
export const onlyWhatWasPushed: Judge = make(
  "only what was pushed is delivered, with what it was pushed with",
  "message and work are one transaction",
  (history) => {
    const bodies = new Set(History.notes(history, "pushing").map(({ data }) => data.body))
    const ids = new Map(History.notes(history, "pushed").map(({ data }) => [data.id, data.body]))
    for (const { data } of History.notes(history, "pulled")) {
      if (!bodies.has(data.body)) return `${data.id} holds ${data.body}, which nobody pushed`
      if (ids.has(data.id) && ids.get(data.id) !== data.body) return `${data.id} holds ${data.body} of another`
    }
    return undefined
  }
)

/**
 * A message is acknowledged once, by whoever holds it last.
 *
 * @category judges
 * @since 0.2.0
 */
export const oneAck: Judge = make(
  "no two holders acknowledge",
  "an ack counts only while the lease is held",
  (history) => {
    const acked = new Set<string>()
    const newest = new Map<string, string>()
    const late = new Set<string>()
    for (const event of history.events) {
      if (event._tag !== "Noted") continue
      const { id, token } = event.data ?? {}
      if (event.kind === "pulled") newest.set(id, token)
      else if (event.kind === "letting go" && newest.get(id) !== token) late.add(token)
      else if (event.kind === "ack") {
        if (acked.has(id)) return `${id} was acknowledged twice`
        if (late.has(token)) return `${id} was acknowledged by a holder whose lease another had by then`
        acked.add(id)
      }
    }
    return undefined
  }
)

/**
 * A message that is held is not delivered again. For clocks that do not jump.
 *
 * @category judges
 * @since 0.2.0
 */
export const oneHolder: Judge = make(
  "a lease is one holder's",
  "a token for each message, drawn at its claim",
  (history) => {
    const until = new Map<string, number>()
    for (const event of history.events) {
      if (event._tag !== "Noted") continue
      const { id } = event.data ?? {}
      if (event.kind === "pulled") {
        if ((until.get(id) ?? 0) > event.at + 1) {
          return `${id} was delivered again ${until.get(id)! - event.at} ms before its lease ended`
        }
        until.set(id, event.at + event.data.lease)
      } else if (event.kind === "letting go") until.delete(id)
    }
    return undefined
  }
)

/**
 * Messages of one key are delivered in the order of their pushes, and one at a time.
 *
 * @category judges
 * @since 0.2.0
 */
export const inOrder: Judge = make(
  "order per key",
  "strict order per key, after a redrive too",
  (history) => {
    // one push was before another when it was confirmed before the other began
    const began = new Map<number, number>()
    const pushes = new Map<string, { readonly key: string; readonly began: number; readonly confirmed: number }>()
    const delivered = new Map<string, { readonly id: string; readonly began: number }>()
    const held = new Map<string, { readonly id: string; readonly until: number }>()
    for (const [index, event] of history.events.entries()) {
      if (event._tag !== "Noted") continue
      const { body, id, key } = event.data ?? {}
      const group = pushes.get(id)?.key
      if (group !== undefined && event.kind === "pulled") {
        const before = held.get(group)
        if (before !== undefined && before.id !== id && before.until > event.at + 1) {
          return `${id} was delivered while ${before.id} of its key was held`
        }
        held.set(group, { id, until: event.at + event.data.lease })
      } else if (group !== undefined && event.kind === "letting go" && held.get(group)?.id === id) {
        held.delete(group)
      }
      if (event.kind === "pushing") began.set(body, index)
      else if (event.kind === "pushed" && key !== null) {
        pushes.set(id, { key, began: began.get(body)!, confirmed: index })
      } else if (event.kind === "pulled") {
        const push = pushes.get(id)
        if (push === undefined) continue
        const last = delivered.get(push.key)
        if (last !== undefined && push.confirmed < last.began) {
          return `${id} was delivered after ${last.id}, its successor`
        }
        if (last === undefined || push.began > last.began) delivered.set(push.key, { id, began: push.began })
      }
    }
    return undefined
  }
)

/**
 * All judges of a queue.
 *
 * @category judges
 * @since 0.2.0
 */
export const all: ReadonlyArray<Judge> = [nothingLost, onlyWhatWasPushed, oneAck, oneHolder, inOrder]
