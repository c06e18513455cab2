// @effect-diagnostics asyncFunction:off
/**
 * The suite over the WebSocket of a browser, Debian's Chromium: the client's frames go through a page, whose own `WebSocket`
 * dials the server. Without Chromium it is skipped and says so.
 */
import { afterAll, beforeAll, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { NodeWebSocketServer } from "effect-wire/node"
import { BrowserWebSocket } from "effect-wire/socket"
import { SocketServer } from "effect/socket"
import { existsSync } from "node:fs"
import { type Browser, type CDPSession, chromium } from "playwright-core"
import { Dial, suite } from "./suite.ts"

const executablePath = "/usr/bin/chromium"

/** In the page: sockets by number; what happens to them is told as text. */
const script = `
  const sockets = new Map()
  let news = []
  const tell = (id, type, more) => {
    if (news.push({ id, type, ...more }) === 1) setTimeout(() => told(JSON.stringify(news.splice(0))))
  }
  const dial = (id, url, protocols) => {
    const ws = new WebSocket(url, protocols)
    ws.binaryType = "arraybuffer"
    sockets.set(id, ws)
    ws.onopen = () => tell(id, "open", {})
    ws.onclose = ({ code, reason }) => tell(id, "close", { code, reason })
    ws.onmessage = ({ data }) => typeof data === "string"
      ? tell(id, "message", { data })
      : tell(id, "message", { bytes: Array.from(new Uint8Array(data)) })
  }
  const send = (id, data) => sockets.get(id).send(typeof data === "string" ? data : new Uint8Array(data))
  const close = (id, code, reason) => sockets.get(id).close(code, reason)
  globalThis.act = (all) => {
    for (const [name, ...args] of all) ({ dial, send, close })[name](...args)
  }
`

/** What `BrowserWebSocket` uses of a WebSocket, done by a page. */
const remoteWebSocket = (session: CDPSession) => {
  const all = new Map<number, Remote>()
  let commands: Array<ReadonlyArray<unknown>> = []
  const run = (...command: ReadonlyArray<unknown>) => {
    if (commands.push(command) > 1) return
    queueMicrotask(() => {
      const expression = `act(${JSON.stringify(commands)})`
      commands = []
      session.send("Runtime.evaluate", { expression }).catch(() => {})
    })
  }
  session.on("Runtime.bindingCalled", ({ payload }) => {
    for (const { bytes, id, type, ...event } of JSON.parse(payload)) {
      all.get(id)?.happened(type, bytes === undefined ? event : { data: Uint8Array.from(bytes).buffer })
    }
  })
  class Remote {
    readonly OPEN = 1
    readonly bufferedAmount = 0
    readyState = 0
    binaryType = ""
    private readonly id = all.size
    private readonly listeners: Array<readonly [string, (event: any) => void]> = []
    constructor(url: string, protocols: ReadonlyArray<string>) {
      all.set(this.id, this)
      run("dial", this.id, url, protocols)
    }
    addEventListener(type: string, listener: (event: any) => void) {
      this.listeners.push([type, listener])
    }
    happened(type: string, event: unknown) {
      this.readyState = type === "open" ? 1 : type === "close" ? 3 : this.readyState
      for (const [wanted, listener] of this.listeners) if (wanted === type) listener(event)
    }
    send(data: string | Uint8Array) {
      run("send", this.id, typeof data === "string" ? data : Array.from(data))
    }
    close(code = 1000, reason = "") {
      if (this.readyState !== 3) run("close", this.id, code, reason)
    }
  }
  return Remote
}

const origin = "http://a.page"

/** The constructor of a page's WebSockets. One page serves all tests. */
const inPage = () =>
  chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-features=LocalNetworkAccessChecks"]
  }).then(async (browser) => {
    const page = await browser.newPage()
    await page.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "<title>a page</title>" }))
    await page.goto(origin)
    const session = await page.context().newCDPSession(page)
    await session.send("Runtime.enable")
    await session.send("Runtime.addBinding", { name: "told" })
    await session.send("Runtime.evaluate", { expression: script })
    return { browser, WebSocket: remoteWebSocket(session) }
  })

const dial = Layer.effect(Dial)(
  Effect.map(
    SocketServer.SocketServer,
    ({ address }) =>
      Effect.orDie(BrowserWebSocket.make(address._tag === "UnixPathAddress" ? "" : `127.0.0.1:${address.port}`))
  )
)

if (existsSync(executablePath)) {
  const constructor = globalThis.WebSocket
  let browser: Browser | undefined
  beforeAll(async () => {
    const page = await inPage()
    browser = page.browser
    globalThis.WebSocket = page.WebSocket as never
  }, 60_000)
  afterAll(async () => {
    globalThis.WebSocket = constructor
    await browser?.close()
  })
  suite(
    "the WebSocket of Chromium",
    Layer.provideMerge(dial, NodeWebSocketServer.layer({ allowedOrigins: [origin] }))
  )
} else {
  it.skip(`the WebSocket of Chromium: there is no ${executablePath}`, () => {})
}
