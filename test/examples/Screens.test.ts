/** The board in a real browser, Debian's Chromium; without it this test is skipped and says so. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { NodeWebSocketServer } from "effect-wire/node"
import { HttpRouter, HttpServer } from "effect/http"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import { chromium } from "playwright-core"
import { routes } from "../../examples/screens/server.ts"

const executablePath = "/usr/bin/chromium"
const isThere = existsSync(executablePath)
if (!isThere) process.stderr.write(`the screens are not tested: there is no ${executablePath}\n`)

const pages = Effect.gen(function*() {
  const context = yield* Layer.build(
    HttpRouter.serve(routes("2 seconds"), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0 })),
      Layer.provide(Logger.layer([]))
    )
  )
  const { address } = yield* Effect.provideContext(Effect.service(HttpServer.HttpServer), context)
  const port = address._tag === "UnixPathAddress" ? 0 : address.port
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] })),
    (browser) => Effect.promise(() => browser.close())
  )
  const complaints: Array<string> = []
  const open = (name: string) =>
    Effect.promise(() =>
      browser.newPage().then((page) => {
        page.on("pageerror", (error) => complaints.push(error.message))
        page.on("console", (message) => {
          if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
        })
        return page.goto(`http://127.0.0.1:${port}/${name}`).then(() => page)
      })
    )
  return { open, complaints }
})

const run = isThere ? it.live : it.live.skip

for (const [one, other] of [["react", "dom"], ["dom", "react"]] as const) {
  run(
    `${one}: shows its guess at once, what the server made of it, and what others do; takes back what is refused`,
    () =>
      Effect.gen(function*() {
        const { complaints, open } = yield* pages
        const [mine, theirs] = [yield* open(one), yield* open(other)]
        const todos = (page: typeof mine) => page.$$eval("#todos button", (all) => all.map((one) => one.textContent))
        const shows = (page: typeof mine, titles: ReadonlyArray<string>) =>
          page.waitForFunction(
            (wanted) =>
              JSON.stringify(Array.from(document.querySelectorAll("#todos button"), (one) => one.textContent)) ===
                wanted,
            JSON.stringify(titles),
            { timeout: 15_000 }
          )
        const add = (title: string) => mine.fill("#title", title).then(() => mine.press("#title", "Enter"))
        yield* Effect.promise(() =>
          mine.waitForFunction(() => /^0 to do$/.test(document.querySelector("#status")?.textContent ?? ""))
        )
        // the guess is there before any answer: the server waits 2 s, and trims the title
        yield* Effect.promise(() => add(" milk "))
        assert.deepStrictEqual(yield* Effect.promise(() => todos(mine)), [" milk "])
        yield* Effect.promise(() => shows(mine, ["milk"]))
        yield* Effect.promise(() => shows(theirs, ["milk"]))
        yield* Effect.promise(() => theirs.click("#todos button"))
        yield* Effect.promise(() => shows(mine, ["✓ milk"]))
        yield* Effect.promise(() => add(" "))
        assert.deepStrictEqual(yield* Effect.promise(() => todos(mine)), ["✓ milk", " "])
        yield* Effect.promise(() => shows(mine, ["✓ milk"]))
        assert.strictEqual(yield* Effect.promise(() => mine.textContent("#error")), "What is there to do?")
        assert.deepStrictEqual(complaints, [])
      }).pipe(Effect.scoped),
    60_000
  )
}
