/** The dashboard as the gateway mounts it, in a real browser; without Debian's Chromium these tests are skipped and say so. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { JsonRpcClient, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket } from "effect-wire/node"
import { act, Chromium, isThere, open, press, shows, type Tab, view } from "../dashboard/support/Browser.ts"
import { Gateway, start } from "./support/Gateway.ts"

const opened = Effect.gen(function*() {
  const address = yield* Gateway
  const tab = yield* open(address, "/")
  yield* shows(tab, "#status", /^connected$/)
  yield* shows(tab, "nav", /Overview/)
  return tab
})

const fill = (tab: Tab, label: string, value: string) =>
  act(tab, (page) => page.getByLabel(label, { exact: true }).fill(value))

layer(Layer.merge(Gateway.layer, Chromium.layer), { excludeTestServices: true, timeout: "60 seconds" })(
  "the gateway's dashboard",
  (it) => {
    const test = (name: string, body: Effect.Effect<void, unknown, Gateway | Chromium | Scope.Scope>) =>
      isThere
        ? it.effect(name, () => Effect.scoped(body), 180_000)
        : it.effect.skip(name, () => Effect.scoped(body))

    test(
      "shows who is connected on which wire, frames as they go by, a job's progress, and stops the job",
      Effect.gen(function*() {
        const tab = yield* opened
        const address = yield* Gateway
        const peer = yield* JsonRpcClient.fromSocket(yield* NodeWebSocket.make(`ws://${address}/lsp`), {
          wire: Wire.lsp
        })
        yield* view(tab, "frames")
        yield* shows(tab, "#view", /waiting for frames|what went by/)
        yield* Effect.forkScoped(Effect.forever(Effect.delay(peer.call("ping"), "100 millis")))
        yield* shows(tab, ".frames", /"result":"pong"/)
        yield* view(tab, "connections")
        yield* shows(tab, "#connections", /lsp\/lsp127\.0\.0\.1nobody/)
        yield* view(tab, "methods")
        yield* press(tab, "button[aria-label='Call render …']")
        yield* fill(tab, "steps", "40")
        yield* fill(tab, "delay", "100")
        yield* press(tab, "button:text('Call render')")
        yield* shows(tab, ".call .outcome", /^step \d+ of 40$/)
        yield* press(tab, ".call button:text('Cancel')")
        yield* shows(tab, ".call .outcome", /^cancelled after/)
        assert.deepStrictEqual(tab.complaints, [])
      })
    )

    test(
      "what one tab does to a topic another tab shows, and what a user may see is seen by who signed in",
      Effect.gen(function*() {
        const one = yield* opened
        const other = yield* opened
        yield* view(other, "topics")
        yield* shows(other, "[aria-label='topic clock'] .value", /^\d{13}$/)
        yield* view(one, "methods")
        yield* press(one, "button[aria-label='Call set_weather …']")
        yield* fill(one, "celsius", "-3.5")
        yield* press(one, "button:text('Call set_weather')")
        yield* shows(other, "[aria-label='topic weather'] .value", /"celsius": -3\.5/)
        yield* press(other, ".who button:text('Sign in')")
        yield* act(other, (page) => page.fill("#username", "bob"))
        yield* act(other, (page) => page.fill("#password", "builder"))
        yield* press(other, "#password")
        yield* shows(other, ".who", /^bob/)
        yield* shows(other, "#view", /ops/)
        yield* view(other, "state")
        yield* shows(other, ".tree", /^panel\{2\}counter\d+items\{\d+\}/)
        assert.deepStrictEqual([...one.complaints, ...other.complaints], [])
      })
    )

    test(
      "pushes and pulls messages of the queue",
      Effect.gen(function*() {
        const tab = yield* opened
        yield* view(tab, "queue")
        yield* act(tab, (page) => page.fill("input[list=node-names]", "abc1"))
        yield* act(tab, (page) => page.fill("#push-destination", "abc1"))
        yield* act(tab, (page) => page.fill("#push-payload", "hello"))
        yield* press(tab, "#push-form button")
        yield* shows(tab, "#messages", /pending.*hello/)
        yield* press(tab, "#pull")
        yield* shows(tab, "#count-processing", /^1$/)
        assert.deepStrictEqual(tab.complaints, [])
      })
    )

    test(
      "with a master token of its own the gateway shows nothing to who does not have it, and takes it",
      Effect.gen(function*() {
        const gateway = yield* start({ SCIROCCO_MASTER_TOKEN: "a-token-of-its-own" })
        const tab = yield* open(yield* gateway.address, "/")
        yield* shows(tab, "#view", /needs an identity/)
        yield* act(tab, (page) => page.click("summary"))
        yield* act(tab, (page) => page.fill("#token", "DEFAULT_TOKEN"))
        yield* press(tab, "#token")
        yield* shows(tab, ".outcome", /Wrong token/)
        yield* act(tab, (page) => page.fill("#token", "a-token-of-its-own"))
        yield* press(tab, "#token")
        yield* shows(tab, ".who", /^operator/)
        yield* shows(tab, "nav", /Connections/)
        assert.deepStrictEqual(tab.complaints, [])
      })
    )
  }
)
