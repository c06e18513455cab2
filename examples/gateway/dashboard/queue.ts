/** The messages of one node by status, and what can be done with them. */
import { Effect, Option, Schedule, Scope } from "effect"
import { type Message, type MessageQueue, SciroccoClient } from "effect-wire/queue"
import { byId, element, onClick, onSubmit, setText, valueOf } from "./dom.ts"
import { token } from "./token.ts"

const statuses = ["pending", "scheduled", "processing", "processed", "dead"] as const

const textOf = (payload: Message.Payload): string =>
  payload._tag === "Binary" ? `${payload.value.length} bytes` : payload._tag === "Text"
    ? payload.value
    : JSON.stringify(payload.value)

/** A client for what the fields say now: the reader may change node and token at any time. */
const client = Effect.suspend(() =>
  SciroccoClient.make({ url: location.origin, token: token(), node: valueOf("node"), timeout: "5 seconds" })
)

const use = <A, E>(f: (queue: MessageQueue.MessageQueue["Service"], node: string) => Effect.Effect<A, E>) =>
  Effect.flatMap(client, (queue) => f(queue, valueOf("node")))

const buttonsOf = ({ destination, id, status }: Message.Message) => {
  const held = { id, destination }
  switch (status) {
    case "processing":
      return [
        { name: "Ack", run: use((queue) => queue.ack(held)) },
        { name: "Retry", run: use((queue) => queue.nack(held, { cause: "given back by hand" })) },
        { name: "Reject", run: use((queue) => queue.reject(held, { cause: "rejected by hand" })) }
      ]
    case "dead":
      return [{ name: "Redrive", run: use((queue) => queue.redrive({ ids: [id] })) }]
    default:
      return []
  }
}

export const queue = Effect.gen(function*() {
  const scope = yield* Effect.scope
  let shown = ""

  const refresh: Effect.Effect<void, unknown, Effect.Services<typeof client>> = Effect.gen(function*() {
    const [counts, { messages }] = yield* use((queue, node) =>
      Effect.all([queue.counts({ node }), queue.list({ node, limit: 50 })], { concurrency: 2 })
    )
    for (const status of statuses) yield* setText(`count-${status}`, String(counts[status]))
    const state = JSON.stringify(messages.map(({ id, status, tries }) => [id, status, tries]))
    // rows that did not change keep the focus of who goes through them by keyboard
    if (state === shown) return
    shown = state
    const rows: Array<HTMLElement> = []
    for (const message of messages.toReversed()) {
      const buttons = buttonsOf(message).map(({ name, run }) => ({
        button: element("button", name, { type: "button" }),
        run
      }))
      for (const { button, run } of buttons) {
        yield* onClick(button, "queue-messages", Effect.andThen(run, refresh)).pipe(
          Effect.provideService(Scope.Scope, scope)
        )
      }
      rows.push(element("tr", [
        element("td", message.id),
        element("td", message.status, { className: message.status }),
        element("td", String(message.tries)),
        element("td", textOf(message.payload)),
        element("td", message.error ?? ""),
        element("td", buttons.map(({ button }) => button))
      ]))
    }
    byId("messages").replaceChildren(...rows)
  })

  yield* onSubmit(
    "push-form",
    "queue-messages",
    Effect.andThen(use((queue, node) => queue.push(node, valueOf("payload"))), refresh)
  )
  yield* onClick(
    byId("pull"),
    "queue-messages",
    Effect.gen(function*() {
      const pulled = yield* use((queue, node) => queue.pull(node))
      if (Option.isNone(pulled)) yield* setText("queue-messages", "there is nothing to pull")
      yield* refresh
    })
  )
  yield* onClick(
    byId("redrive"),
    "queue-messages",
    Effect.gen(function*() {
      const count = yield* use((queue, node) => queue.redrive({ node }))
      yield* setText("queue-messages", `${count} brought back`)
      yield* refresh
    })
  )
  let isFailing = false
  const watch = Effect.matchEffect(refresh, {
    onFailure: (error) => {
      isFailing = true
      return setText("queue-messages", error instanceof Error ? error.message : String(error))
    },
    onSuccess: () => {
      const wasFailing = isFailing
      isFailing = false
      return wasFailing ? setText("queue-messages", "") : Effect.void
    }
  })
  yield* Effect.repeat(watch, Schedule.spaced("2 seconds"))
})
