/** Charts of the last two minutes: lines, axes, units, and the same in words. */
import { figure, h, setText, svg } from "./dom.ts"

export interface Series {
  readonly name: string
  /** How the line looks: 1 or 2, apart by colour and by dashes. */
  readonly line: 1 | 2
}

/** The width is in units of the drawing; text is drawn in them as well. */
const [width, height, left, bottom, top, right] = [320, 150, 46, 22, 8, 8]
/** Seconds that are shown. */
export const seconds = 120

/** The next round number above: 1, 2 or 5 times a power of ten; of bytes a power of two. */
const ceiling = (value: number, isBytes: boolean): number => {
  if (value <= 0) return isBytes ? 1024 : 1
  if (isBytes) return Math.max(1024, 2 ** Math.ceil(Math.log2(value)))
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value)!
}

/** A chart; what is added to it is a time (ms) with one value for each series, absent where there is none. */
export const make = (options: {
  readonly title: string
  readonly unit: string
  readonly format?: (value: number) => string
  readonly isBytes?: boolean
  readonly series: ReadonlyArray<Series>
}) => {
  const format = options.format ?? ((value: number) => `${figure(value)} ${options.unit}`)
  const points: Array<{ readonly at: number; readonly values: ReadonlyArray<number | undefined> }> = []
  const lines = options.series.map(({ line }) => svg("path", { class: `line line-${line}` }))
  const marks = [0, 1, 2].map(() => svg("text", { class: "tick", x: left - 5, "text-anchor": "end" }))
  const y = (part: number) => height - bottom - part * (height - bottom - top)
  const x = (age: number) => width - right - (age / (seconds * 1000)) * (width - left - right)
  const grid = [0, 0.5, 1].map((part) =>
    svg("line", { class: part === 0 ? "axis" : "grid", x1: left, x2: width - right, y1: y(part), y2: y(part) })
  )
  const ages = [120, 60, 0].map((age) =>
    svg(
      "text",
      {
        class: "tick",
        x: x(age * 1000),
        y: height - 6,
        "text-anchor": age === 120 ? "start" : age === 0 ? "end" : "middle"
      },
      age === 0 ? "now" : `−${age} s`
    )
  )
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" }, ...grid, ...marks, ...ages, ...lines)
  const nows = options.series.map(() => h("output", { class: "now" }, "–"))
  const legend = h(
    "ul",
    { class: "legend" },
    ...options.series.map(({ line, name }, i) =>
      h("li", {}, h("span", { class: `swatch swatch-${line}`, "aria-hidden": "true" }), `${name} `, nows[i]!)
    )
  )
  for (const output of nows) output.setAttribute("aria-live", "off")
  const element = h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("strong", {}, options.title), ` (${options.unit})`, legend),
    drawing
  )
  const draw = () => {
    const last = points.at(-1)
    if (last === undefined) return
    const highest = Math.max(0, ...points.flatMap(({ values }) => values.map((value) => value ?? 0)))
    const most = ceiling(highest, options.isBytes === true)
    marks.forEach((mark, i) => {
      mark.setAttribute("y", String(y(i / 2) + 3.5))
      setText(mark, format(most * i / 2).replace(` ${options.unit}`, ""))
    })
    lines.forEach((line, i) => {
      let path = ""
      let isOn = false
      for (const { at, values } of points) {
        const value = values[i]
        if (value !== undefined) {
          path += `${isOn ? "L" : "M"}${x(last.at - at).toFixed(1)} ${y(value / most).toFixed(1)}`
        }
        isOn = value !== undefined
      }
      line.setAttribute("d", path)
    })
    const words = options.series.map(({ name }, i) => {
      const value = last.values[i]
      const text = value === undefined ? "nothing" : format(value)
      setText(nows[i]!, value === undefined ? "–" : text)
      const values = points.flatMap(({ values }) => values[i] ?? [])
      return values.length === 0
        ? `${name}: nothing yet`
        : `${name}: now ${text}, highest ${format(Math.max(...values))}`
    })
    drawing.setAttribute("aria-label", `${options.title}, the last two minutes. ${words.join(". ")}.`)
  }
  drawing.setAttribute("aria-label", `${options.title}: nothing yet`)
  return {
    element,
    add: (at: number, values: ReadonlyArray<number | undefined>) => {
      points.push({ at, values })
      while (points[0]!.at < at - seconds * 1000) points.shift()
      draw()
    }
  }
}
