/** The page: connects, lets people in, and shows one view after the other. */
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as JsonRpcClient from "../../../jsonrpc/JsonRpcClient.ts"
import { rockets } from "../../../jsonrpc/wires/rockets.ts"
import * as Reconnect from "../../../socket/Reconnect.ts"
import type { Event, Result } from "../contract.ts"
import { eventMethod } from "../eventMethod.ts"
import {
  type App,
  type Description,
  guard,
  labelled,
  outcome,
  reasonId,
  runWith,
  setObstacle,
  type Snapshot,
  type View
} from "./app.ts"
import * as Connections from "./connections.ts"
import { h, now, setText, span, time } from "./dom.ts"
import * as Errors from "./errors.ts"
import { byMethod, type Figures } from "./figures.ts"
import * as Frames from "./frames.ts"
import * as Methods from "./methods.ts"
import * as Overview from "./overview.ts"
import * as Queue from "./queue.ts"
import * as State from "./state.ts"
import * as Topics from "./topics.ts"

type Hello = Result<"dashboard.hello">

/** Without an answer for so long, what is seen counts as stale. */
const staleAfter = 4000

const base = document.body.dataset["base"] ?? "dashboard"
const url = new URL(`${base}/rpc`, location.href)
url.protocol = url.protocol === "https:" ? "wss:" : "ws:"
url.hash = ""

const status = h("p", { id: "status", role: "status" }, "connecting …")
const who = h("div", { class: "who" })
const stale = h("p", { id: reasonId, class: "stale-note", hidden: true })
const list = h("ul")
const nav = h("nav", { "aria-label": "Views" }, list)
const heading = h("h2", { id: "view-title", tabindex: -1 }, "…")
const body = h("div", { id: "view" })
const main = h("main", { id: "main" }, stale, heading, body)
const live = h("p", { class: "hidden", role: "status", id: "announcements" })

document.body.append(
  h(
    "a",
    { class: "skip", href: "#main", onclick: (event: MouseEvent) => (event.preventDefault(), heading.focus()) },
    "Skip to the content"
  ),
  h("header", {}, h("h1", {}, document.body.dataset["title"] ?? "dashboard"), status, who),
  nav,
  main,
  live
)

let statusNow: Reconnect.Status = { _tag: "Dialling", attempt: 1 }
/** When the server last said something. */
let heardAt = 0
let views: ReadonlyArray<View> = []
let current: View | undefined
/** What the views were made of. */
let shown = ""
let figures: ((figures: ReadonlyArray<Figures>) => void) | undefined
const samples: Array<Snapshot> = []

const program = Effect.gen(function*() {
  const client = yield* JsonRpcClient.fromSocket(yield* Socket.makeWebSocket(url.href), {
    wire: rockets,
    reconnect: Reconnect.schedule,
    whileDisconnected: "fail",
    callTimeout: "10 seconds"
  })
  const ask: App["ask"] = (method, ...params) => client.call(method, params[0] as never) as never

  const app = (description: Description): App => ({
    client,
    description,
    ask,
    run: runWith,
    announce: (words) => {
      live.textContent = words
    },
    rewatch,
    go: (view) => {
      location.hash = view
    }
  })

  const rewatch = () => {
    const wanted = current?.wants?.() ?? {}
    runWith(ask("dashboard.watch", wanted), () => {})
  }

  const show = (focuses: boolean) => {
    const name = location.hash.slice(1)
    const view = views.find((one) => one.name === name) ?? views[0]
    if (view === undefined) return
    current = view
    setText(heading, view.title)
    document.title = `${view.title} · ${document.body.dataset["title"]}`
    body.replaceChildren(view.element)
    for (const link of list.querySelectorAll("a")) {
      if (link.hash === `#${view.name}`) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
    }
    if (focuses) heading.focus()
    if (statusNow._tag === "Open") {
      rewatch()
      view.tick?.(true)
    }
  }

  const enter = (hello: Hello) => {
    identify(hello)
    if (!hello.allowed) {
      views = []
      shown = ""
      current = undefined
      samples.length = 0
      list.replaceChildren()
      setText(heading, "Sign in")
      document.title = `Sign in · ${hello.title}`
      body.replaceChildren(signIn(hello))
      return
    }
    runWith(ask("dashboard.describe"), (description) => {
      // a connection that is back changes nothing of what somebody was about to do
      const described = JSON.stringify(description)
      if (described === shown && views.length > 0) {
        if (current === undefined) return show(false)
        rewatch()
        return void current.tick?.(true)
      }
      shown = described
      const one = app(description)
      const methods = Methods.make(one)
      figures = methods.onFigures
      views = [
        Overview.make(one),
        methods,
        Topics.make(one),
        State.make(one),
        Queue.make(one),
        Connections.make(one),
        Errors.make(one),
        Frames.make(one)
      ]
      samples.length = 0
      list.replaceChildren(...views.map(({ name, title }) => h("li", {}, h("a", { href: `#${name}` }, title))))
      show(false)
    }, (words) => setText(heading, words))
  }

  const identify = (hello: Hello) => {
    const text = hello.username === null ? "not signed in" : hello.username
    who.replaceChildren(h("span", {}, text))
    if (hello.username !== null) {
      who.append(button("Sign out", () => runWith(ask("dashboard.logout"), again)))
    } else if (hello.signIn && hello.allowed) {
      who.append(button("Sign in", () => {
        current = undefined
        setText(heading, "Sign in")
        body.replaceChildren(signIn(hello))
        for (const link of list.querySelectorAll("a")) link.removeAttribute("aria-current")
        heading.focus()
      }))
    }
  }

  const button = (label: string, onClick: () => void) => {
    const node = h("button", { type: "button" }, label)
    guard(node)
    node.addEventListener("click", onClick)
    return node
  }

  const again = () => runWith(ask("dashboard.hello"), enter)

  const signIn = (hello: Hello): HTMLElement => {
    const said = outcome()
    const words = hello.allowed
      ? "You may use more as somebody."
      : hello.username === null
      ? `This needs an identity with the permission “${hello.permission}”.`
      : `${hello.username} lacks the permission “${hello.permission}”.`
    if (!hello.signIn) {
      return h(
        "section",
        { class: "card" },
        h("p", {}, words),
        h("p", { class: "soft" }, "There is nobody here who knows users: the app has no Authenticator.")
      )
    }
    const username = h("input", { type: "text", autocomplete: "username", id: "username", required: true })
    const password = h("input", { type: "password", autocomplete: "current-password", id: "password", required: true })
    const token = h("input", { type: "password", autocomplete: "off", id: "token", required: true })
    const judge = (isRight: boolean, isWrong: string) => {
      password.value = token.value = ""
      if (isRight) return void again()
      said.say(isWrong, true)
    }
    const form = (id: string, label: string, fields: ReadonlyArray<HTMLElement>, send: () => void) => {
      const submit = h("button", { type: "submit", class: "primary" }, label)
      guard(submit)
      return h(
        "form",
        {
          id,
          class: "stack",
          onsubmit: (event: SubmitEvent) => {
            event.preventDefault()
            if (submit.getAttribute("aria-disabled") !== "true") send()
          }
        },
        ...fields,
        submit
      )
    }
    return h(
      "section",
      { class: "card narrow" },
      h("p", {}, words),
      form("sign-in", "Sign in", [labelled("User name", username), labelled("Password", password)], () =>
        runWith(
          ask("dashboard.login", { username: username.value, password: password.value }),
          (isRight) => judge(isRight, "Wrong name or password."),
          (words) => said.say(words, true)
        )),
      h(
        "details",
        {},
        h("summary", {}, "Sign in with a token"),
        form("sign-in-token", "Use the token", [labelled("Token", token)], () =>
          runWith(
            ask("dashboard.authenticate", { token: token.value }),
            (isRight) => judge(isRight, "Wrong token."),
            (words) => said.say(words, true)
          ))
      ),
      said.element
    )
  }

  const tick = () => {
    judgeAge()
    if (statusNow._tag !== "Open" || views.length === 0) return
    runWith(ask("dashboard.snapshot"), (snapshot) => {
      heardAt = now()
      judgeAge()
      const last = samples.at(-1)
      if (last !== undefined && last.since !== snapshot.since) samples.length = 0
      samples.push(snapshot)
      while (samples.length > 61) samples.shift()
      for (const view of views) view.onSnapshot?.(snapshot)
      figures?.(byMethod(samples[0]!, snapshot))
    }, () => {
      // who may not any more is told what is needed
      if (statusNow._tag === "Open") again()
    })
    current?.tick?.(false)
  }

  /** What is shown of how it stands, and what buttons say who cannot send. */
  const judgeAge = () => {
    const silent = heardAt === 0 ? 0 : now() - heardAt
    const isLost = statusNow._tag !== "Open"
    const isStale = isLost || (views.length > 0 && silent > staleAfter)
    document.body.classList.toggle("stale", isStale && heardAt > 0)
    const seen = heardAt === 0 ? "" : ` What you see is of ${time(heardAt)}, ${span(silent)} ago.`
    const next = statusNow._tag === "Lost"
      ? ` The next try is in ${span(Math.max(0, statusNow.nextDial - now()))}.`
      : ""
    const words = isLost
      ? `The connection is lost: nothing can be sent until it is back.${seen}${next}`
      : `The server is silent.${seen}`
    stale.hidden = !isStale
    setText(stale, words)
    setObstacle(isLost ? "The connection is lost: nothing can be sent until it is back." : undefined)
    document.body.dataset["state"] = isLost ? "lost" : isStale ? "silent" : "open"
    // said when it changes, not each second
    setText(
      status,
      isLost
        ? heardAt === 0 ? "connecting …" : "connection lost, trying again"
        : isStale
        ? "the server is silent"
        : "connected"
    )
  }

  addEventListener("hashchange", () => show(true))
  setInterval(tick, 1000)

  yield* Effect.all([
    Stream.runForEach(client.status, (next) =>
      Effect.sync(() => {
        const wasOpen = statusNow._tag === "Open"
        statusNow = next
        if (next._tag === "Open" && !wasOpen) {
          heardAt = now()
          again()
        }
        judgeAge()
      })),
    Stream.runForEach(client.notifications, ({ method, params }) =>
      Effect.sync(() => {
        if (method === eventMethod) current?.onEvent?.(params as unknown as Event)
      }))
  ], { concurrency: "unbounded" })
}).pipe(
  Effect.scoped,
  Effect.provide(Socket.layerWebSocketConstructorGlobal),
  Effect.catchCause(() => Effect.sync(() => setText(status, "stopped: load the page again")))
)

Effect.runFork(program)
