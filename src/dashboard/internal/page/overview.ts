/** How the process does, in charts. */
import type { App, Snapshot, View } from "./app.ts"
import * as Chart from "./chart.ts"
import { bytes, figure, h, setText, span, time } from "./dom.ts"
import { together } from "./figures.ts"

export const make = (app: App): View => {
  const requests = Chart.make({
    title: "Requests",
    unit: "/s",
    series: [{ name: "all", line: 1 }, { name: "errors", line: 2 }]
  })
  const latency = Chart.make({
    title: "Time to answer",
    unit: "ms",
    series: [{ name: "p50", line: 1 }, { name: "p99", line: 2 }]
  })
  const flight = Chart.make({ title: "Requests in flight", unit: "requests", series: [{ name: "in flight", line: 1 }] })
  const held = Chart.make({
    title: "Memory that peers hold",
    unit: "bytes",
    format: bytes,
    isBytes: true,
    series: [{ name: "held", line: 1 }]
  })
  const values = new Map<string, HTMLElement>()
  const fact = (name: string) => {
    const value = h("dd", {}, "–")
    values.set(name, value)
    return h("div", {}, h("dt", {}, name), value)
  }
  const facts = h(
    "dl",
    { class: "facts" },
    ...[
      "up since",
      "requests",
      "errors",
      "connections",
      "in flight",
      ...(app.description.errors ? ["logged errors"] : [])
    ].map(fact)
  )
  let before: Snapshot | undefined
  return {
    name: "overview",
    title: "Overview",
    element: h(
      "div",
      { class: "stack" },
      h("section", { class: "card", "aria-label": "Now" }, facts),
      h(
        "section",
        { class: "charts", "aria-label": "Charts" },
        ...[requests, latency, flight, held].map(({ element }) => element)
      )
    ),
    onSnapshot: (snapshot) => {
      if (before !== undefined && snapshot.since === before.since && snapshot.now > before.now) {
        const figures = together(before, snapshot)
        requests.add(snapshot.now, [figures.rate, figures.errorRate])
        latency.add(snapshot.now, [figures.p50, figures.p99])
      }
      flight.add(snapshot.now, [snapshot.inFlight])
      held.add(snapshot.now, [snapshot.held])
      const { total, totalErrors } = together(snapshot, snapshot)
      const set = (name: string, text: string) => {
        const node = values.get(name)
        if (node !== undefined) setText(node, text)
      }
      set("up since", `${time(snapshot.since)} (${span(snapshot.now - snapshot.since)})`)
      set("requests", figure(total))
      set("errors", figure(totalErrors))
      set("connections", String(snapshot.connections))
      set("in flight", String(snapshot.inFlight))
      set("logged errors", String(snapshot.errors))
      before = snapshot
    }
  }
}
