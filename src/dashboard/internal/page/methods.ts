/** The methods: what each does in numbers, forms to call them, and the calls that were made. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { JsonRpcError } from "../../../jsonrpc/JsonRpcError.ts"
import type { ContentDescriptor, Method } from "../../../openrpc/internal/openRpcModel.ts"
import * as Progress from "../../../rpc/Progress.ts"
import { type App, button, guard, labelled, setReason, type View, wordsOf } from "./app.ts"
import { figure, h, keyed, now, pretty, setText, table } from "./dom.ts"
import type { Figures } from "./figures.ts"
import * as Form from "./form.ts"

interface Document {
  readonly methods: ReadonlyArray<Method>
  readonly components?: { readonly schemas?: Form.Definitions }
}

/** Calls that are shown. */
const kept = 12
const longest = 100_000

/** The parameters of a method as fields, and what to send of them. */
const parameters = (method: Method, definitions: Form.Definitions) => {
  const field = (schema: unknown, label: string, required: boolean) =>
    Form.make(schema as Form.Schema, { label, required, definitions, depth: 0 })
  const whole = method["x-params"]
  if (whole !== undefined) {
    const one = field(whole, "params", false)
    return {
      fields: [one],
      read: () => {
        const got = one.read()
        return got && { params: got.value === Form.absent ? undefined : got.value }
      },
      complain: one.complain
    }
  }
  const fields = method.params.map((param: ContentDescriptor) => ({
    name: param.name,
    field: field(
      param.description === undefined ? param.schema : { description: param.description, ...param.schema },
      param.name,
      param.required === true
    )
  }))
  const rest = method["x-rest-params"] === undefined
    ? undefined
    : field({ type: "array", items: method["x-rest-params"] }, "values", true)
  const isByPosition = method.paramStructure === "by-position" || rest !== undefined
  return {
    fields: [...fields.map(({ field }) => field), ...(rest === undefined ? [] : [rest])],
    read: () => {
      const values = fields.map(({ field, name }) => ({ name, got: field.read() }))
      const more = rest?.read()
      if (values.some(({ got }) => got === undefined) || (rest !== undefined && more === undefined)) return undefined
      if (isByPosition) {
        const list = values.map(({ got }) => got!.value)
        while (list.at(-1) === Form.absent) list.pop()
        const given = list.map((value) => value === Form.absent ? null : value)
        return { params: [...given, ...(more === undefined ? [] : more.value as ReadonlyArray<unknown>)] as unknown }
      }
      if (fields.length === 0) return { params: undefined }
      const named = values.filter(({ got }) => got!.value !== Form.absent).map(({ got, name }) => [name, got!.value])
      return { params: Object.fromEntries(named) as unknown }
    },
    complain: ([name, ...path]: ReadonlyArray<string>, words: string) =>
      fields.find((one) => one.name === name)?.field.complain(path, words) ??
        rest?.complain(name === undefined ? [] : [name, ...path], words) ?? false
  }
}

export const make = (app: App): View & { readonly onFigures: (figures: ReadonlyArray<Figures>) => void } => {
  const document = app.description.document as unknown as Document
  const definitions = document.components?.schemas ?? {}
  const figures = table("Methods, the last minute", [
    "method",
    "#calls /s",
    "#errors /s",
    "#p50 ms",
    "#p99 ms",
    "#calls",
    "#errors",
    "call"
  ])
  const filter = h("input", { type: "search", autocomplete: "off" })
  const panel = h("section", { class: "card", "aria-labelledby": "call-title", hidden: true })
  const calls = h("ol", { class: "calls" })
  const none = h("p", { class: "soft" }, "None yet: choose a method above.")
  let latest: ReadonlyArray<Figures> = []

  const start = (
    method: Method,
    params: unknown,
    complain: (path: ReadonlyArray<string>, words: string) => boolean
  ) => {
    none.hidden = true
    const began = now()
    const bar = h("progress", { max: 1, "aria-label": `progress of ${method.name}` })
    const said = h("p", { class: "outcome", role: "status" }, "running …")
    const result = h("pre", {
      class: "result",
      tabindex: 0,
      role: "region",
      "aria-label": `result of ${method.name}`,
      hidden: true
    })
    const elements: Array<unknown> = []
    let fiber: Fiber.Fiber<unknown, JsonRpcError> | undefined
    const cancel = button("Cancel", () => fiber?.interruptUnsafe())
    const item = h(
      "li",
      { class: "call" },
      h(
        "div",
        { class: "line" },
        h("strong", {}, method.name),
        h("code", { class: "params" }, params === undefined ? "" : JSON.stringify(params).slice(0, 200)),
        cancel
      ),
      bar,
      said,
      result
    )
    calls.prepend(item)
    while (calls.childElementCount > kept) calls.lastElementChild!.remove()
    const show = (value: unknown) => {
      const text = pretty(value)
      result.hidden = false
      result.textContent = text.length > longest ? `${text.slice(0, longest)}\n… (${text.length} characters)` : text
    }
    const end = (words: string, amount: number | undefined, isBad = false) => {
      setText(said, `${words} after ${Math.round(now() - began)} ms`)
      said.classList.toggle("bad", isBad)
      if (amount === undefined) bar.hidden = true
      else bar.value = amount
      const hadFocus = document_.activeElement === cancel
      cancel.remove()
      if (hadFocus) run?.focus()
    }
    const listener = (report: Progress.Report) => {
      bar.value = report.amount
      if (report.operation !== "") setText(said, report.operation)
      if (report.value !== undefined) {
        if (Array.isArray(report.value)) elements.push(...report.value)
        else elements.push(report.value)
        show(elements.slice(-1000))
      }
    }
    const call = app.client.call(method.name, params as never, { stream: method["x-stream"] === true }).pipe(
      Effect.provideService(Progress.Listener, listener)
    )
    fiber = Effect.runFork(call)
    fiber.addObserver((exit) => {
      if (exit._tag === "Success") {
        show(method["x-stream"] === true && Array.isArray(exit.value) ? [...elements, ...exit.value] : exit.value)
        return end("done", 1)
      }
      const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
      if (failure === undefined) return end("cancelled", undefined)
      const { reason } = failure.error
      if (reason._tag === "RemoteError") {
        show({
          code: reason.code,
          message: reason.message,
          ...(reason.data === undefined ? {} : { data: reason.data })
        })
        const data = reason.data as undefined | {
          readonly issues?: ReadonlyArray<{ readonly path: ReadonlyArray<string>; readonly message: string }>
          readonly correlationId?: string
        }
        for (const issue of Array.isArray(data?.issues) ? data.issues : []) complain(issue.path, issue.message)
        if (typeof data?.correlationId === "string" && app.description.errors) {
          item.append(h("p", {}, h("a", { href: "#errors" }, `The log has it as ${data.correlationId}`)))
        }
      }
      end(wordsOf(failure.error), undefined, true)
    })
  }

  const document_ = globalThis.document
  let run: HTMLButtonElement | undefined

  const choose = (method: Method) => {
    const { complain, fields, read } = parameters(method, definitions)
    run = h("button", { type: "submit", class: "primary" }, `Call ${method.name}`)
    guard(run)
    const title = h("h3", { id: "call-title", tabindex: -1 }, method.name)
    const form = h(
      "form",
      {
        novalidate: true,
        onsubmit: (event: Event) => {
          event.preventDefault()
          if (run?.getAttribute("aria-disabled") === "true") return
          const got = read()
          if (got === undefined) {
            const wrong = form.querySelector<HTMLElement>("[aria-invalid]")
            wrong?.focus()
            app.announce("Something does not fit; nothing was sent.")
          } else start(method, got.params, complain)
        }
      },
      ...(fields.length === 0
        ? [h("p", { class: "soft" }, "It takes no parameters.")]
        : fields.map(({ element }) => element)),
      run
    )
    panel.replaceChildren(
      title,
      ...(method.deprecated === true ? [h("p", { class: "bad" }, "Deprecated.")] : []),
      ...[method.summary, method.description].flatMap((text) =>
        text === undefined ? [] : [h("p", { class: "soft" }, text)]
      ),
      form
    )
    panel.hidden = false
    title.focus()
  }

  const known = new Map(document.methods.map((method) => [method.name, method]))
  const draw = () => {
    const wanted = filter.value.trim().toLowerCase()
    const found = new Map(latest.map((one) => [one.name, one]))
    const names = Array.from(new Set([...known.keys(), ...found.keys()])).sort()
    keyed(
      figures.body,
      names.filter((name) => name.toLowerCase().includes(wanted)),
      (name) => name,
      (name) => {
        const method = known.get(name)
        const open = method === undefined
          ? ""
          : button("Call …", () => choose(method), { "aria-label": `Call ${name} …` })
        return h(
          "tr",
          {},
          h("th", { scope: "row" }, name),
          ...Array.from({ length: 6 }, () => h("td", { class: "number" })),
          h("td", {}, open)
        )
      },
      (row, name) => {
        const one = found.get(name)
        const ms = (value: number | undefined) => value === undefined ? "–" : figure(value)
        const words = one === undefined
          ? ["0", "0", "–", "–", "0", "0"]
          : [
            figure(one.rate),
            figure(one.errorRate),
            ms(one.p50),
            ms(one.p99),
            String(one.total),
            String(one.totalErrors)
          ]
        words.forEach((word, i) => setText(row.children[i + 1]!, word))
        row.children[2]!.classList.toggle("bad", one !== undefined && one.errorRate > 0)
      }
    )
  }
  filter.addEventListener("input", draw)
  draw()
  const clear = h("button", {
    type: "button",
    onclick: () => {
      calls.replaceChildren(...Array.from(calls.children).filter((call) => call.querySelector("button") !== null))
      none.hidden = calls.childElementCount > 0
    }
  }, "Clear what is over")
  setReason(clear, undefined)

  return {
    name: "methods",
    title: "Methods",
    element: h(
      "div",
      { class: "stack" },
      h(
        "section",
        { class: "card" },
        labelled("Filter", filter),
        h(
          "p",
          { class: "soft" },
          "Rates and percentiles are of the last minute; calls and errors since the start of the process. A cancelled call is no error."
        ),
        figures.element
      ),
      panel,
      h(
        "section",
        { class: "card", "aria-labelledby": "calls-title" },
        h("div", { class: "line" }, h("h3", { id: "calls-title" }, "Calls from this page"), clear),
        none,
        calls
      )
    ),
    onFigures: (figures) => {
      latest = figures
      draw()
    }
  }
}
