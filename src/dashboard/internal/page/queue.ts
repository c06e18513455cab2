/** Queues: their nodes, their messages, and what can be done with them. */
import * as Effect from "effect/Effect"
import type { Result } from "../contract.ts"
import { type App, button, guard, labelled, outcome, type View } from "./app.ts"
import { h, keyed, now, setText, span, table, time } from "./dom.ts"
import { canWait, make as makeDetail } from "./message.ts"

type Message = Result<"dashboard.queue.list">["messages"][number]
type Action = "ack" | "retry" | "reject" | "delete" | "redrive"

const statuses = ["pending", "scheduled", "processing", "processed", "dead"] as const
type Status = typeof statuses[number]
const pageSize = 25

const actionsOf = (status: Status): ReadonlyArray<readonly [Action, string]> => {
  switch (status) {
    case "processing":
      return [["ack", "Ack"], ["retry", "Retry"], ["reject", "Reject"]]
    case "dead":
      return [["redrive", "Redrive"]]
    default:
      return []
  }
}

const whenOf = (message: Message): string => {
  const scheduled = message.scheduledAt
  if (message.status === "scheduled" && scheduled !== null) return `due ${time(scheduled)}`
  if (message.status === "processing" && message.processingAt !== null) return `since ${time(message.processingAt)}`
  if (message.status === "processed" && message.processedAt !== null) return `done ${time(message.processedAt)}`
  if (message.status === "dead" && message.errorAt !== null) return `died ${time(message.errorAt)}`
  return `pushed ${span(now() - message.createdAt)} ago`
}

export const make = (app: App): View => {
  const { queues } = app.description
  if (queues.length === 0) {
    return {
      name: "queue",
      title: "Queue",
      element: h(
        "section",
        { class: "card" },
        h("p", { class: "soft" }, "The app shows no queue here: provide a MessageQueue, or give the option queues.")
      )
    }
  }
  const select = h("select", {}, ...queues.map((name) => h("option", { value: name }, name)))
  const nodeNames = h("datalist", { id: "node-names" })
  const node = h("input", { type: "search", list: nodeNames.id, autocomplete: "off" })
  const status = h(
    "select",
    {},
    h("option", { value: "" }, "all"),
    ...statuses.map((one) => h("option", { value: one }, one))
  )
  const counts = new Map(statuses.map((one) => [one, h("dd", { id: `count-${one}` }, "–")]))
  const messages = table("Messages", ["id", "status", "from → to", "#tries", "payload", "cause", "when", "do"], {
    id: "messages"
  })
  const nodes = table("Messages of each node", ["node", ...statuses.map((one) => `#${one}`), "show"])
  const nodesNote = h("p", { class: "soft" })
  const said = outcome()
  const position = h("span", { class: "soft" })

  /** Where the pages before this one began. */
  const pages: Array<string | undefined> = []
  let cursor: string | undefined
  let following: string | null = null
  let busy = false

  const queue = () => select.value
  const chosen = () => node.value.trim() === "" ? {} : { node: node.value.trim() }

  const act = (message: Message, action: Action, label: string) =>
    void app.run(app.ask("dashboard.queue.act", { queue: queue(), id: message.id, action }), () => {
      said.say(`${label}: done with ${message.id}.`)
      refresh()
    }, (words) => said.say(words, true))

  const detail = makeDetail(
    app,
    queue,
    (words) => {
      said.say(words)
      refresh()
    },
    (words) => said.say(words, true)
  )

  /** What waits has a copy at its source; what is worked on, dead or done is gone with this: it wants to be pressed twice. */
  const deletion = (message: Message): HTMLButtonElement => {
    const isEasy = message.status === "pending" || message.status === "scheduled"
    let isSure = isEasy
    const tell = (label: string) => {
      setText(one, label)
      one.setAttribute("aria-label", `${label} message ${message.id}`)
    }
    const one: HTMLButtonElement = button("Delete", () => {
      if (isSure) return act(message, "delete", "Delete")
      isSure = true
      tell("Really delete")
      said.say(
        message.status === "processing"
          ? `Message ${message.id} is being worked on. Press again to delete it; its handler is interrupted.`
          : `Press again to delete message ${message.id} for good.`
      )
    }, { class: "danger" })
    one.addEventListener("blur", () => {
      isSure = isEasy
      tell("Delete")
    })
    tell("Delete")
    return one
  }

  const makeRow = (message: Message): HTMLElement => {
    const shown = message.id.replace(/^0+(?=.)/, "…")
    return h(
      "tr",
      {},
      h(
        "td",
        {},
        button(shown, () => detail.show(message.id, false), {
          class: "link",
          title: message.id,
          // what is read aloud holds what is seen, else nobody could say it to a program that listens
          "aria-label": `Show message ${shown}`
        })
      ),
      h("td", {}, h("span", { class: `badge ${message.status}` }, message.status)),
      h("td", {}, `${message.source} → ${message.destination}`),
      h("td", { class: "number" }, `${message.tries}/${message.maxTries}`),
      h("td", { class: "payload" }, h("code", {}, message.payload.slice(0, 120))),
      h("td", { class: "cause" }, message.error ?? ""),
      h("td", {}, ""),
      h(
        "td",
        { class: "actions" },
        ...actionsOf(message.status).map(([action, label]) =>
          button(label, () => act(message, action, label), { "aria-label": `${label} message ${message.id}` })
        ),
        ...(canWait.has(message.status)
          ? [
            button("Reschedule", () => detail.show(message.id, true), {
              "aria-label": `Reschedule message ${message.id}`
            })
          ]
          : []),
        deletion(message)
      )
    )
  }

  const refresh = () => {
    if (busy) return
    busy = true
    const asked = Effect.all([
      app.ask("dashboard.queue.counts", { queue: queue(), ...chosen() }),
      app.ask("dashboard.queue.list", {
        queue: queue(),
        ...chosen(),
        ...(status.value === "" ? {} : { status: status.value as Status }),
        ...(cursor === undefined ? {} : { cursor }),
        limit: pageSize
      })
    ], { concurrency: 2 })
    app.run(asked, ([found, list]) => {
      busy = false
      for (const one of statuses) setText(counts.get(one)!, String(found[one]))
      following = list.cursor
      // what changed is another row, what did not keeps the focus of who is on it
      keyed(
        messages.body,
        list.messages,
        ({ id, status, tries }) => `${id} ${status} ${tries}`,
        makeRow,
        (row, message) => setText(row.children[6]!, whenOf(message))
      )
      const words = list.messages.length === 0
        ? "no messages"
        : `page ${pages.length + 1}: ${list.messages.length} messages, the oldest first`
      setText(position, words)
      setPage(previous, pages.length > 0)
      setPage(next, following !== null)
    }, (words) => {
      busy = false
      said.say(words, true)
    })
  }
  const setPage = (one: HTMLButtonElement, isPossible: boolean) => one.hidden = !isPossible
  const restart = () => {
    pages.length = 0
    cursor = undefined
    refresh()
  }
  const previous = button("Previous page", () => {
    cursor = pages.pop()
    refresh()
  })
  const next = button("Next page", () => {
    if (following === null) return
    pages.push(cursor)
    cursor = following
    refresh()
  })
  previous.hidden = next.hidden = true

  const count = () =>
    app.run(app.ask("dashboard.queue.nodes", { queue: queue() }), ({ complete, nodes: found }) => {
      nodeNames.replaceChildren(...found.map(({ node }) => h("option", { value: node })))
      keyed(
        nodes.body,
        found,
        (one) => one.node,
        (one) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, one.node),
            ...statuses.map(() => h("td", { class: "number" })),
            h(
              "td",
              {},
              h("button", {
                type: "button",
                "aria-label": `Show the messages of ${one.node}`,
                onclick: () => {
                  node.value = one.node
                  restart()
                  app.announce(`Messages of ${one.node}`)
                }
              }, "Show")
            )
          ),
        (row, one) => statuses.forEach((status, i) => setText(row.children[i + 1]!, String(one.counts[status])))
      )
      setText(
        nodesNote,
        found.length === 0
          ? "No messages, no nodes."
          : complete
          ? "All nodes that messages are for."
          : "Nodes of the oldest 500 messages; there may be more."
      )
    }, (words) => said.say(words, true))

  for (const control of [node, status, select]) {
    control.addEventListener("change", () => {
      restart()
      if (control === select) count()
    })
  }

  const destination = h("input", { type: "text", id: "push-destination", autocomplete: "off", required: true })
  const payload = h("textarea", { id: "push-payload", rows: 2, spellcheck: "false" })
  const kind = h("select", {}, h("option", { value: "text" }, "text"), h("option", { value: "json" }, "JSON"))
  const delay = h("input", { type: "number", id: "push-delay", min: 0, step: "any", placeholder: "at once" })
  const priority = h("input", { type: "number", min: -32768, max: 32767, step: 1, placeholder: "0" })
  const pushButton = h("button", { type: "submit", class: "primary" }, "Push")
  guard(pushButton)
  const push = () => {
    if (pushButton.getAttribute("aria-disabled") === "true") return
    let sent: { readonly json: any } | { readonly text: string }
    try {
      sent = kind.value === "json" ? { json: JSON.parse(payload.value) } : { text: payload.value }
    } catch (error) {
      said.say(`The payload is no JSON: ${(error as Error).message}`, true)
      payload.focus()
      return
    }
    app.run(
      app.ask("dashboard.queue.push", {
        queue: queue(),
        destination: destination.value.trim(),
        payload: sent,
        ...(delay.value === "" ? {} : { delay: Math.round(Number(delay.value) * 1000) }),
        ...(priority.value === "" ? {} : { priority: Math.round(Number(priority.value)) })
      }),
      (id) => {
        said.say(`Pushed as ${id}.`)
        refresh()
        count()
      },
      (words) => said.say(words, true)
    )
  }
  const pull = button("Pull one for the node", () => {
    const { node } = chosen() as { readonly node?: string }
    if (node === undefined) return said.say("Name the node that pulls, in the filter.", true)
    app.run(app.ask("dashboard.queue.pull", { queue: queue(), node }), (id) => {
      said.say(id === null ? `There is nothing to pull for ${node}.` : `Pulled ${id}.`)
      refresh()
    }, (words) => said.say(words, true))
  }, { id: "pull" })
  const redrive = button(
    "Redrive all that are dead",
    () =>
      app.run(app.ask("dashboard.queue.redrive", { queue: queue(), ...chosen() }), (count) => {
        said.say(`${count} brought back.`)
        refresh()
      }, (words) => said.say(words, true)),
    { id: "redrive" }
  )

  return {
    name: "queue",
    title: "Queue",
    element: h(
      "div",
      { class: "stack" },
      h(
        "section",
        { class: "card" },
        h(
          "div",
          { class: "controls" },
          labelled("Queue", select),
          labelled("Node (empty: all)", node),
          labelled("Status", status)
        ),
        nodeNames,
        h("dl", { class: "facts" }, ...statuses.map((one) => h("div", {}, h("dt", {}, one), counts.get(one)!))),
        h("div", { class: "controls" }, pull, redrive, previous, next, position),
        said.element,
        messages.element
      ),
      detail.element,
      h(
        "section",
        { class: "card", "aria-labelledby": "push-title" },
        h("h3", { id: "push-title" }, "Push or schedule a message"),
        h(
          "form",
          {
            class: "controls",
            id: "push-form",
            onsubmit: (event: Event) => {
              event.preventDefault()
              push()
            }
          },
          labelled("For the node", destination),
          labelled("Payload", payload),
          labelled("as", kind),
          labelled("In so many seconds", delay),
          labelled("Priority", priority),
          pushButton
        )
      ),
      h(
        "section",
        { class: "card", "aria-labelledby": "nodes-title" },
        h("div", { class: "line" }, h("h3", { id: "nodes-title" }, "Nodes"), button("Count again", count)),
        nodesNote,
        nodes.element
      )
    ),
    tick: (isFirst) => {
      refresh()
      if (isFirst) count()
    }
  }
}
