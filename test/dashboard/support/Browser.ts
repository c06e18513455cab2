/** Debian's Chromium, and what tests do with a page. Without it the tests that need it are skipped and say so. */
import axe from "axe-core"
import { Context, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"

const executablePath = "/usr/bin/chromium"

/** Whether there is one. */
export const isThere = existsSync(executablePath)
if (!isThere) process.stderr.write(`the dashboard is not tested in a browser: there is no ${executablePath}\n`)

export class Chromium
  extends Context.Service<Chromium, Browser>()("effect-wire/test/dashboard/support/Browser/Chromium")
{
  static readonly layer: Layer.Layer<Chromium> = isThere
    ? Layer.effect(
      Chromium,
      Effect.acquireRelease(
        Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] })),
        (browser) => Effect.promise(() => browser.close())
      )
    )
    : Layer.succeed(Chromium, undefined as never)
}

/** Milliseconds that a test waits for what must come, on a machine that does other things as well. */
const patience = 45_000

export interface Tab {
  readonly page: Page
  /** What the browser complained about, and what was asked of elsewhere. */
  readonly complaints: ReadonlyArray<string>
}

/** Opens a page; of its complaints those that `expected` matches are none. */
export const open = (address: string, path: string, options: BrowserContextOptions = {}, expected?: RegExp) =>
  Effect.gen(function*() {
    const browser = yield* Chromium
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newContext(options)),
      (context) => Effect.promise(() => context.close())
    )
    const page = yield* Effect.promise(() => context.newPage())
    page.setDefaultTimeout(patience)
    const complaints: Array<string> = []
    const complain = (text: string) => {
      if (expected?.test(text) !== true) complaints.push(text)
    }
    page.on("pageerror", (error) => complain(error.message))
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complain(message.text())
    })
    page.on("request", (request) => {
      const url = new URL(request.url())
      if (url.protocol !== "data:" && url.host !== address) complain(`loads ${url.href}`)
    })
    yield* Effect.promise(() => page.goto(`http://${address}${path}`))
    const tab: Tab = { page, complaints }
    return tab
  })

/** Waits until an element has such a text; says what there was instead. */
export const shows = ({ page }: Tab, selector: string, text: RegExp) =>
  Effect.promise(() =>
    page.waitForFunction(
      ([selector, source]) =>
        Array.from(document.querySelectorAll(selector!)).some((one) => new RegExp(source!).test(one.textContent ?? "")),
      [selector, text.source] as const,
      { timeout: patience }
    ).catch(() =>
      page.locator(selector).allTextContents().then((texts) => {
        throw new Error(`${selector} does not show ${text}, but ${JSON.stringify(texts).slice(0, 1000)}`)
      })
    )
  )

export const act = <A>({ page }: Tab, f: (page: Page) => Promise<A>): Effect.Effect<A> => Effect.promise(() => f(page))

/** Goes to an element and presses a key, as somebody without a mouse does. */
export const press = (tab: Tab, selector: string, key = "Enter") =>
  act(tab, (page) => page.focus(selector).then(() => page.keyboard.press(key)))

/** Goes to a view by its link. */
export const view = (tab: Tab, name: string) =>
  Effect.andThen(
    press(tab, `nav a[href="#${name}"]`),
    act(tab, (page) => page.waitForSelector(`nav a[href="#${name}"][aria-current="page"]`))
  )

/** What axe finds wrong, a line for each. */
export const violations = (tab: Tab): Effect.Effect<ReadonlyArray<string>> =>
  act(
    tab,
    (page) =>
      page.evaluate(axe.source).then(() =>
        page.evaluate(() =>
          (globalThis as any).axe.run(document, { resultTypes: ["violations"] }).then((result: any) =>
            result.violations.map((one: any) =>
              `${one.id}: ${one.nodes.map((node: any) => node.html.slice(0, 200)).join(" ")}`
            )
          )
        )
      )
  )
