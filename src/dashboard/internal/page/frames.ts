/** Frames as they go by, as a wiretap sees them. */
import type { FrameSeen } from "../contract.ts"
import { type App, labelled, type View } from "./app.ts"
import { h, setText, time } from "./dom.ts"

const kept = 300

export const make = (app: App): View => {
  const filter = h("input", { type: "search", autocomplete: "off" })
  const list = h("ol", { class: "frames", tabindex: 0, "aria-label": "frames, the newest first" })
  const count = h("span", { class: "soft" }, "waiting for frames …")
  let isHeld = false
  let frames: Array<FrameSeen> = []
  let missed = 0
  const hold = h("button", { type: "button", "aria-pressed": "false" }, "Hold")
  const matches = ({ connection, text }: FrameSeen) => {
    const wanted = filter.value.trim().toLowerCase()
    return wanted === "" || `#${connection}` === wanted || text.toLowerCase().includes(wanted)
  }
  const item = (frame: FrameSeen) =>
    h(
      "li",
      {},
      h("time", {}, time(frame.at)),
      h("span", { class: "soft" }, `#${frame.connection}`),
      h("span", { class: `badge ${frame.from}` }, frame.what === "frame" ? `from ${frame.from}` : frame.what),
      h("code", {}, frame.text)
    )
  const draw = () => {
    list.replaceChildren(...frames.filter(matches).map(item))
    setText(count, `the last ${frames.length} of what went by${missed > 0 ? `, ${missed} while held` : ""}`)
  }
  filter.addEventListener("input", draw)
  hold.addEventListener("click", () => {
    isHeld = !isHeld
    if (!isHeld) missed = 0
    hold.setAttribute("aria-pressed", String(isHeld))
    draw()
  })
  return {
    name: "frames",
    title: "Frames",
    element: h(
      "section",
      { class: "card" },
      ...(app.description.frames
        ? [
          h(
            "p",
            { class: "soft" },
            "Secrets are hidden as the wiretap was told. Connections of dashboards are left out."
          ),
          h("div", { class: "controls" }, labelled("Words, or #connection", filter), hold, count),
          list
        ]
        : [
          h(
            "p",
            { class: "soft" },
            "The app has no Wiretap: provide Wiretap.layer and Wiretap.layerRoutes to see frames."
          )
        ])
    ),
    wants: () => ({ frames: true }),
    onEvent: (event) => {
      if (event.kind !== "frames") return
      if (isHeld) missed += event.frames.length
      else {
        frames = [...event.frames.toReversed(), ...frames].slice(0, kept)
      }
      draw()
    }
  }
}
