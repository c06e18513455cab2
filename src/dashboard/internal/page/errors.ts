/** The last errors of the log, by the correlation ids that callers were told. */
import type { Result } from "../contract.ts"
import { type App, labelled, outcome, type View } from "./app.ts"
import { h, keyed, time } from "./dom.ts"

type Logged = Result<"dashboard.errors">[number]

export const make = (app: App): View => {
  const filter = h("input", { type: "search", id: "error-filter", autocomplete: "off" })
  const list = h("ol", { class: "errors", id: "error-list" })
  const none = h("p", { class: "soft" }, "None so far.")
  const said = outcome()
  let latest: ReadonlyArray<Logged> = []
  const draw = () => {
    const wanted = filter.value.trim().toLowerCase()
    const found = latest.filter((one) =>
      wanted === "" ||
      [one.correlationId, one.method, one.message, one.cause].some((text) =>
        text?.toLowerCase().includes(wanted) === true
      )
    )
    none.hidden = found.length > 0
    none.textContent = latest.length === 0 ? "None so far." : "None that has this."
    keyed(
      list,
      found,
      (one) => `${one.at} ${one.correlationId} ${one.message}`,
      (one) =>
        h(
          "li",
          {},
          h(
            "details",
            {},
            h(
              "summary",
              {},
              h("time", {}, time(one.at)),
              one.correlationId === null ? undefined : h("code", { class: "correlation" }, one.correlationId),
              h("strong", {}, one.method ?? ""),
              h("span", {}, one.message),
              h("span", { class: "soft first-line" }, one.cause.split("\n", 1)[0]!)
            ),
            h(
              "pre",
              { class: "result", tabindex: 0, role: "region", "aria-label": "cause" },
              one.cause === "" ? "no cause was logged" : one.cause
            )
          )
        ),
      () => {}
    )
  }
  filter.addEventListener("input", draw)
  return {
    name: "errors",
    title: "Errors",
    element: h(
      "section",
      { class: "card" },
      app.description.errors
        ? labelled(
          "Correlation id, method or words",
          filter,
          "A caller whose request failed unexpectedly was told the id."
        )
        : h("p", { class: "soft" }, "Errors are not kept: provide Dashboard.layerErrors below the app."),
      said.element,
      app.description.errors && none,
      list
    ),
    tick: () => {
      if (!app.description.errors) return
      app.run(app.ask("dashboard.errors"), (errors) => {
        latest = errors
        draw()
      }, (words) => said.say(words, true))
    }
  }
}
