/** Who is connected, what they hold, and a way to close them. */
import type { Result } from "../contract.ts"
import { type App, button, outcome, type View } from "./app.ts"
import { bytes, h, keyed, now, setText, span, table } from "./dom.ts"

type Connected = Result<"dashboard.connections">["connections"][number]

export const make = (app: App): View => {
  const all = table("Connections, those that hold most first", [
    "id",
    "speaks",
    "path",
    "address",
    "who",
    "for",
    "#holds",
    "#unread",
    "topics",
    "do"
  ], { id: "connections" })
  const count = h("p", { class: "soft" })
  const said = outcome()
  const close = (connection: Connected) =>
    app.run(app.ask("dashboard.close", { id: connection.id }), (wasThere) => {
      said.say(wasThere ? `Connection ${connection.id} was closed.` : `Connection ${connection.id} was gone already.`)
      refresh()
    }, (words) => said.say(words, true))
  let busy = false
  const refresh = () => {
    if (busy) return
    busy = true
    app.run(app.ask("dashboard.connections"), ({ connections, total }) => {
      busy = false
      setText(
        count,
        `${total} connections${
          total > connections.length ? `, of which the ${connections.length} that hold most` : ""
        }. What one holds is its part of the memory budget: requests that run or wait, and what it has not read.`
      )
      keyed(
        all.body,
        connections,
        ({ id }) => String(id),
        (connection) => {
          // two steps, so that no slip of the hand cuts somebody off
          let isSure = false
          const one = button("Close", () => {
            if (isSure) return void close(connection)
            isSure = true
            one.textContent = "Close for good?"
            one.setAttribute("aria-label", `Close connection ${connection.id} for good?`)
            setTimeout(() => {
              isSure = false
              one.textContent = "Close"
              one.setAttribute("aria-label", `Close connection ${connection.id}`)
            }, 10_000)
          }, { "aria-label": `Close connection ${connection.id}` })
          return h(
            "tr",
            {},
            h("th", { scope: "row" }, String(connection.id)),
            h("td", {}, connection.wire),
            h("td", {}, connection.path === "" ? connection.carrier : connection.path),
            h("td", {}, connection.address ?? "–"),
            h("td", {}),
            h("td", {}),
            h("td", { class: "number" }),
            h("td", { class: "number" }),
            h("td", {}),
            h("td", {}, connection.own ? h("span", { class: "badge" }, "this page") : one)
          )
        },
        (row, { held, since, topics, username, waiting }) => {
          const words = [username ?? "nobody", span(now() - since), bytes(held), bytes(waiting), topics.join(", ")]
          words.forEach((word, i) => setText(row.children[i + 4]!, word))
        }
      )
    }, (words) => {
      busy = false
      said.say(words, true)
    })
  }
  return {
    name: "connections",
    title: "Connections",
    element: h(
      "section",
      { class: "card" },
      app.description.connections
        ? count
        : h(
          "p",
          { class: "soft" },
          "Only dashboards are listed: give the app's JsonRpcClients and JugglerClients to the dashboard as well."
        ),
      said.element,
      all.element
    ),
    tick: refresh
  }
}
