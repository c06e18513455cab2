/** One message of a queue: all that is known of it, and when it is due. */
import type { Result } from "../contract.ts"
import { type App, guard, labelled } from "./app.ts"
import { bytes, h, time } from "./dom.ts"

type Message = NonNullable<Result<"dashboard.queue.message">>

/** Statuses of messages whose time can be changed. */
export const canWait: ReadonlySet<Message["status"]> = new Set(["pending", "scheduled", "dead"])

const textOf = (message: Message): string => {
  if (message.kind !== "json") return message.payload
  try {
    return JSON.stringify(JSON.parse(message.payload), undefined, 2)
  } catch {
    // it was cut
    return message.payload
  }
}

const factsOf = (message: Message): ReadonlyArray<readonly [string, string | null]> => [
  ["status", `${message.status}, ${message.tries} of ${message.maxTries} tries`],
  ["from, to", `${message.source} → ${message.destination}`],
  ["priority", String(message.priority)],
  ["payload", `${message.payloadType}, ${bytes(message.size)}`],
  ["pushed", time(message.createdAt)],
  ["scheduled", message.scheduledAt === null ? null : time(message.scheduledAt)],
  ["last pulled", message.processingAt === null ? null : time(message.processingAt)],
  ["processed", message.processedAt === null ? null : time(message.processedAt)],
  ["cause of the last failure", message.error],
  ...Object.entries(message.details)
]

/** `onDone` hears that a message has another time, `onFailure` why not. */
export const make = (
  app: App,
  queue: () => string,
  onDone: (words: string) => void,
  onFailure: (words: string) => void
): { readonly element: HTMLElement; readonly show: (id: string, forTime: boolean) => void } => {
  const element = h("section", { class: "card", "aria-labelledby": "message-title", hidden: true })
  const close = () => {
    element.hidden = true
  }

  const timeForm = (message: Message) => {
    const delay = h("input", { type: "number", id: "reschedule-delay", min: 0, step: "any", placeholder: "at once" })
    const submit = h("button", { type: "submit" }, message.status === "dead" ? "Redrive then" : "Reschedule")
    guard(submit)
    const form = h(
      "form",
      {
        class: "controls",
        id: "reschedule-form",
        "aria-label": `When message ${message.id} is due`,
        onsubmit: (event: Event) => {
          event.preventDefault()
          if (submit.getAttribute("aria-disabled") === "true") return
          const millis = delay.value === "" ? 0 : Math.round(Number(delay.value) * 1000)
          app.run(
            app.ask("dashboard.queue.reschedule", { queue: queue(), id: message.id, delay: millis }),
            (at) => {
              close()
              onDone(`Message ${message.id} is due ${time(at)}.`)
            },
            onFailure
          )
        }
      },
      labelled("Due in seconds", delay),
      submit
    )
    return { form, delay }
  }

  const show = (id: string, forTime: boolean) =>
    void app.run(app.ask("dashboard.queue.message", { queue: queue(), id }), (found) => {
      if (found === null) return onFailure("The message is not there any more.")
      const title = h("h3", { id: "message-title", tabindex: -1 }, `Message ${found.id}`)
      const due = canWait.has(found.status) ? timeForm(found) : undefined
      element.replaceChildren(
        title,
        h(
          "dl",
          { class: "pairs" },
          ...factsOf(found).flatMap(([name, value]) => value === null ? [] : [h("dt", {}, name), h("dd", {}, value)])
        ),
        h("pre", { class: "result", tabindex: 0, role: "region", "aria-label": "payload" }, textOf(found)),
        ...(due === undefined ? [] : [due.form]),
        h("button", { type: "button", onclick: close }, "Close")
      )
      element.hidden = false
      if (forTime && due !== undefined) due.delay.focus()
      else title.focus()
    }, onFailure)

  return { element, show }
}
