/** The dashboard in a real browser, Debian's Chromium; without it these tests are skipped and say so. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { Gateway } from "./support/Gateway.ts"

const executablePath = "/usr/bin/chromium"
const isThere = existsSync(executablePath)

class Chromium extends Context.Service<Chromium, Browser>()("effect-wire/test/gateway/Dashboard.test/Chromium") {
  static readonly layer = Layer.effect(
    Chromium,
    Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] })),
      (browser) => Effect.promise(() => browser.close())
    )
  )
}

interface Tab {
  readonly page: Page
  /** What the browser complained about. */
  readonly complaints: ReadonlyArray<string>
}

const open = (options: BrowserContextOptions = {}) =>
  Effect.gen(function*() {
    const browser = yield* Chromium
    const address = yield* Gateway
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newContext(options)),
      (context) => Effect.promise(() => context.close())
    )
    const page = yield* Effect.promise(() => context.newPage())
    const complaints: Array<string> = []
    page.on("pageerror", (error) => complaints.push(error.message))
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
    })
    page.on("request", (request) => {
      const url = new URL(request.url())
      if (url.protocol !== "data:" && url.host !== address) complaints.push(`loads ${url.href}`)
    })
    yield* Effect.promise(() => page.goto(`http://${address}/`))
    const tab: Tab = { page, complaints }
    yield* shows(tab, "#status", /^connected$/)
    return tab
  })

const shows = ({ page }: Tab, selector: string, text: RegExp) =>
  Effect.promise(() =>
    page.waitForFunction(
      ([selector, source]) => new RegExp(source!).test(document.querySelector(selector!)?.textContent ?? ""),
      [selector, text.source] as const,
      { timeout: 15_000 }
    )
  )

const act = <A>({ page }: Tab, f: (page: Page) => Promise<A>): Effect.Effect<A> => Effect.promise(() => f(page))

if (!isThere) process.stderr.write(`the dashboard is not tested: there is no ${executablePath}\n`)

layer(Layer.merge(Gateway.layer, isThere ? Chromium.layer : Layer.succeed(Chromium, undefined as never)), {
  excludeTestServices: true,
  timeout: "60 seconds"
})("the dashboard", (it) => {
  const test = (name: string, body: Effect.Effect<void, unknown, Gateway | Chromium>) =>
    isThere ? it.effect(name, () => body, 60_000) : it.effect.skip(name, () => body)

  test(
    "shows who is connected, a job's progress, and stops the job",
    Effect.scoped(Effect.gen(function*() {
      const tab = yield* open()
      yield* shows(tab, "#connections", /Rockets\/rpc.*Juggler 0.7/)
      yield* shows(tab, "#throughput-now", /\d \/s/)
      yield* shows(tab, "#latency-now", /\d ms/)
      yield* act(tab, (page) => page.click("#render-start"))
      yield* shows(tab, "#render-messages", /^step \d+ of 40$/)
      yield* act(tab, (page) => page.click("#render-cancel"))
      yield* shows(tab, "#render-messages", /^cancelled$/)
      yield* act(tab, (page) => page.fill("#render-delay", "0"))
      yield* act(tab, (page) => page.click("#render-start"))
      yield* shows(tab, "#render-messages", /^done: 40 steps$/)
      assert.deepStrictEqual(tab.complaints, [])
    }))
  )

  test(
    "what one tab changes in the Juggler state and in the weather, another tab shows",
    Effect.scoped(Effect.gen(function*() {
      const one = yield* open()
      const other = yield* open()
      const before = Number(yield* act(one, (page) => page.textContent("#counter")))
      yield* act(one, (page) => page.click("#increment"))
      yield* shows(other, "#counter", new RegExp(`^${before + 1}$`))
      yield* act(other, (page) => page.click("#item-form button"))
      yield* shows(one, "#items", /colour"blue"/)
      yield* act(one, (page) => page.fill("#celsius", "-3.5"))
      yield* act(one, (page) => page.press("#celsius", "Enter"))
      yield* shows(other, "#weather", /^-3.5 °C$/)
      assert.deepStrictEqual([...one.complaints, ...other.complaints], [])
    }))
  )

  test(
    "pushes, pulls, rejects, redrives and acknowledges messages, by keyboard alone",
    Effect.scoped(Effect.gen(function*() {
      const tab = yield* open()
      const press = (selector: string, key = "Enter") =>
        act(tab, (page) => page.focus(selector).then(() => page.keyboard.press(key)))
      yield* act(tab, (page) => page.fill("#node", "abc1"))
      yield* act(tab, (page) => page.fill("#payload", "<b>bold</b>"))
      yield* press("#payload")
      yield* shows(tab, "#messages", /pending0<b>bold<\/b>/)
      yield* press("#pull", "Space")
      yield* shows(tab, "#count-processing", /^1$/)
      yield* press("#messages button:text('Reject')")
      yield* shows(tab, "#messages", /dead.*rejected by hand/)
      yield* press("#redrive")
      yield* shows(tab, "#count-pending", /^1$/)
      yield* press("#pull")
      yield* shows(tab, "#count-processing", /^1$/)
      yield* press("#messages button:text('Ack')")
      yield* shows(tab, "#count-processed", /^1$/)
      assert.deepStrictEqual(tab.complaints, [])
    }))
  )

  test(
    "a wrong token shows no connections and no messages",
    Effect.scoped(Effect.gen(function*() {
      const tab = yield* open()
      yield* act(tab, (page) => page.fill("#token", "guessed"))
      yield* shows(tab, "#overview-messages", /needs the token/)
      assert.strictEqual(yield* act(tab, (page) => page.textContent("#connections")), "")
      yield* act(tab, (page) => page.click("#push-form button"))
      yield* shows(tab, "#queue-messages", /.+/)
    }))
  )

  test(
    "fits a phone, in the dark as well, and every field and button has a name",
    Effect.scoped(Effect.gen(function*() {
      const viewport = { width: 360, height: 740 }
      const tab = yield* open({ viewport, isMobile: true, colorScheme: "dark" })
      yield* shows(tab, "#connections", /Rockets/)
      const seen = yield* act(tab, (page) =>
        page.evaluate(() => ({
          width: document.documentElement.scrollWidth,
          dark: getComputedStyle(document.body).backgroundColor,
          nameless: [...document.querySelectorAll("input, button")]
            .filter((e) =>
              !(e.textContent?.trim() || e.getAttribute("aria-label") || (e as HTMLInputElement).labels?.length)
            )
            .map((e) => e.id)
        })))
      assert.isAtMost(seen.width, 360)
      assert.strictEqual(seen.dark, "rgb(20, 23, 28)")
      assert.deepStrictEqual(seen.nameless, [])
    }))
  )
})
