/** Topics: what was published, and what is. */
import type { TopicValue } from "../contract.ts"
import type { App, View } from "./app.ts"
import { h, pretty, setText, time } from "./dom.ts"

/** Values that are shown of a topic. */
const kept = 100

export const make = (app: App): View => {
  const { hears, topics } = app.description
  const cards = new Map(topics.map(({ kind, name, summary }) => {
    const last = h(
      "pre",
      { class: "value", tabindex: 0, role: "region", "aria-label": `last value of ${name}` },
      "nothing yet"
    )
    const age = h("span", { class: "soft" })
    const list = h("ol", { class: "history", tabindex: 0, "aria-label": `values of ${name}, the newest first` })
    const count = h("summary", {}, "0 values")
    const element = h(
      "section",
      { class: "card", "aria-label": `topic ${name}` },
      h(
        "div",
        { class: "line" },
        h("h3", {}, name),
        h("span", { class: "badge" }, kind === "state" ? "keeps its last value" : "plain"),
        age
      ),
      summary === "" ? undefined : h("p", { class: "soft" }, summary),
      last,
      h("details", {}, count, list)
    )
    return [name, { element, last, list, age, count, values: 0 }]
  }))
  const show = ({ at, topic, value }: TopicValue) => {
    const card = cards.get(topic)
    if (card === undefined) return
    setText(card.last, pretty(value))
    setText(card.age, `at ${time(at)}`)
    card.list.prepend(h("li", {}, h("time", {}, time(at)), h("code", {}, JSON.stringify(value).slice(0, 500))))
    card.values = Math.min(kept, card.values + 1)
    while (card.list.childElementCount > kept) card.list.lastElementChild!.remove()
    setText(card.count, card.values === kept ? `the last ${kept} values` : `${card.values} values`)
    card.last.classList.remove("flash")
    // the style begins anew only where it was gone for a moment
    void card.last.offsetWidth
    card.last.classList.add("flash")
  }
  const words = topics.length === 0
    ? "There are no topics that you may subscribe to."
    : hears
    ? undefined
    : "Values cannot be shown: the server's Topics are not in the environment of the dashboard."
  return {
    name: "topics",
    title: "Topics",
    element: h(
      "div",
      { class: "cards" },
      words === undefined ? undefined : h("p", { class: "soft" }, words),
      ...Array.from(cards.values(), ({ element }) => element)
    ),
    wants: () => ({ topics: true }),
    onEvent: (event) => {
      if (event.kind !== "topics") return
      if (event.reset) {
        for (const card of cards.values()) {
          card.list.replaceChildren()
          card.values = 0
        }
      }
      for (const value of event.values) show(value)
    }
  }
}
