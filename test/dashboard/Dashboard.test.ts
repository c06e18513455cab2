/** The dashboard in a real browser, on a real app; without Debian's Chromium these tests are skipped and say so. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Exit, Option, Scope } from "effect"
import { JsonRpcClient, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { Topics } from "effect-wire/topics"
import { Doors, PanelState, serve, Temperature, Vault } from "./support/App.ts"
import { act, Chromium, isThere, open, press, shows, type Tab, view, violations } from "./support/Browser.ts"

const views = ["overview", "methods", "topics", "state", "queue", "connections", "errors", "frames"]

/** An app, and a page that looks at it from the machine itself. */
const opened = (options: Parameters<typeof open>[2] = {}) =>
  Effect.gen(function*() {
    const app = yield* serve({ loopback: true })
    const tab = yield* open(app.address, "/dashboard", options)
    yield* shows(tab, "#status", /^connected$/)
    yield* shows(tab, "nav", /Overview/)
    return { ...app, tab }
  })

const client = (address: string) =>
  Effect.flatMap(
    NodeWebSocket.make(`ws://${address}/rpc`),
    (socket) => JsonRpcClient.fromSocket(socket, { wire: Wire.rockets })
  )

const fill = (tab: Tab, label: string, value: string) =>
  act(tab, (page) => page.getByLabel(label, { exact: false }).first().fill(value))

layer(Chromium.layer, { excludeTestServices: true, timeout: "60 seconds" })("Dashboard", (it) => {
  const test = (name: string, body: Effect.Effect<void, unknown, Chromium | Scope.Scope>) =>
    isThere ? it.effect(name, () => Effect.scoped(body), 180_000) : it.effect.skip(name, () => Effect.scoped(body))

  test(
    "makes forms of schemas, says what does not fit at its field, and calls",
    Effect.gen(function*() {
      const { tab } = yield* opened()
      yield* view(tab, "methods")
      yield* press(tab, "button[aria-label='Call print …']")
      yield* press(tab, "text=Add to pages")
      yield* press(tab, "button:text('Call print')")
      yield* shows(tab, ".problem", /^Give a text\.$/)
      yield* shows(tab, ".problem", /^Choose one\.$/)
      yield* shows(tab, ".problem", /^Give a whole number\.$/)
      // the first that is wrong is where the keyboard is, and says so to who does not see it
      const focused = yield* act(tab, (page) =>
        page.evaluate(() => {
          const at = document.activeElement as HTMLInputElement
          const by = at.getAttribute("aria-describedby")!.split(" ").map((id) =>
            document.getElementById(id)!.textContent
          )
          return { name: at.labels![0]!.textContent, invalid: at.getAttribute("aria-invalid"), by }
        }))
      assert.deepStrictEqual(focused, { name: "title", invalid: "true", by: ["Give a text."] })
      assert.strictEqual(yield* act(tab, (page) => page.getByLabel("copies").inputValue()), "1")
      yield* fill(tab, "title", "a thesis")
      yield* fill(tab, "copies", "100")
      yield* act(tab, (page) => page.getByLabel("colour").selectOption({ label: "blue" }))
      yield* fill(tab, "from", "3")
      yield* press(tab, "button:text('Call print')")
      yield* shows(tab, ".problem", /^Give a whole number, at least 1, at most 99\.$/)
      yield* fill(tab, "copies", "2")
      yield* act(tab, (page) => page.getByLabel("give tags").check())
      yield* press(tab, "text=Add to tags")
      yield* act(tab, (page) => page.keyboard.type("weight"))
      yield* fill(tab, "value", "1.5")
      yield* press(tab, "button:text('Call print')")
      yield* shows(tab, ".call .outcome", /^done after \d+ ms$/)
      const result = yield* act(tab, (page) => page.textContent(".call .result"))
      assert.deepStrictEqual(JSON.parse(result!), {
        title: "a thesis",
        copies: 2,
        colour: "blue",
        duplex: false,
        pages: [{ from: 3 }],
        tags: { weight: 1.5 }
      })
      // what the contract says of errors is shown as it came
      yield* fill(tab, "copies", "60")
      yield* press(tab, "button:text('Call print')")
      yield* shows(tab, ".call .result", /"tray": 1/)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "shows progress, cancels, and streams",
    Effect.gen(function*() {
      const { tab } = yield* opened()
      yield* view(tab, "methods")
      yield* press(tab, "button[aria-label='Call render …']")
      yield* fill(tab, "steps", "500")
      yield* fill(tab, "delay", "20")
      yield* press(tab, "button:text('Call render')")
      yield* shows(tab, ".call .outcome", /^step \d+ of 500$/)
      assert.isTrue(
        yield* act(tab, (page) => page.locator(".call progress").evaluate((bar: HTMLProgressElement) => bar.value > 0))
      )
      yield* press(tab, ".call button:text('Cancel')")
      yield* shows(tab, ".call .outcome", /^cancelled after/)
      yield* fill(tab, "steps", "3")
      yield* fill(tab, "delay", "20")
      yield* press(tab, "button:text('Call render')")
      yield* shows(tab, ".call .result", /^"rendered"$/)
      yield* press(tab, "button[aria-label='Call count …']")
      yield* fill(tab, "to", "4")
      yield* press(tab, "button:text('Call count')")
      yield* shows(tab, ".call .result", /^\[\s+1,\s+2,\s+3,\s+4\s+\]$/)
      // the figures follow, in milliseconds: no step took less than 20
      yield* shows(tab, "tr[data-key=render]", /^render.*20Call/)
      const p99 = yield* act(tab, (page) => page.textContent("tr[data-key=render] td:nth-child(5)"))
      assert.isAtLeast(Number(p99!.replace(",", "")), 50)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "shows what a method does in numbers, and finds an error by the id that its caller was told",
    Effect.gen(function*() {
      const { address, tab } = yield* opened()
      const peer = yield* client(address)
      for (let i = 0; i < 20; i++) yield* peer.call("add", { a: i, b: 1 })
      const error = yield* Effect.flip(peer.call("crash"))
      const { correlationId } = (error.reason as { readonly data?: any }).data
      yield* view(tab, "methods")
      yield* shows(tab, "tr[data-key=add]", /^add.*200Call/)
      yield* shows(tab, "tr[data-key=crash]", /^crash.*11Call/)
      // what a caller may not use it does not see
      assert.strictEqual(yield* act(tab, (page) => page.locator("tr[data-key=secret]").count()), 0)
      yield* view(tab, "overview")
      yield* shows(tab, ".facts", /requests21/)
      yield* shows(tab, "figure .now", /^[\d.]+ \/s$/)
      const words = yield* act(tab, (page) => page.locator("svg").first().getAttribute("aria-label"))
      assert.match(words!, /^Requests, the last two minutes\. all: now .* \/s, highest .* \/s\. errors: now/)
      yield* view(tab, "errors")
      yield* fill(tab, "Correlation id", correlationId)
      yield* shows(tab, "#error-list", /crash/)
      yield* press(tab, "#error-list summary")
      yield* shows(tab, "#error-list pre", /the paper is on fire/)
      yield* fill(tab, "Correlation id", "00000000x")
      yield* shows(tab, "#view", /None that has this\./)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "shows topics with what was published before, those that the caller may hear, and what is published now",
    Effect.gen(function*() {
      const app = yield* serve({ loopback: true })
      const topics = Context.get(app.inside, Topics.Topics)
      yield* topics.publish(Temperature, { celsius: 20 })
      yield* topics.publish(Temperature, { celsius: 21 })
      yield* topics.publish(Vault, "opened")
      const tab = yield* open(app.address, "/dashboard#topics", {})
      yield* shows(tab, "[aria-label='topic temperature'] .value", /"celsius": 21/)
      yield* shows(tab, "[aria-label='topic temperature'] summary", /^2 values$/)
      yield* topics.publish(Doors, "the front door")
      yield* shows(tab, "[aria-label='topic doors'] .value", /^"the front door"$/)
      assert.notInclude((yield* act(tab, (page) => page.textContent("main")))!, "vault")
      // who signs in sees what that user may
      yield* press(tab, ".who button:text('Sign in')")
      yield* fill(tab, "User name", "olga")
      yield* fill(tab, "Password", "right")
      yield* press(tab, "#password")
      yield* shows(tab, ".who", /^olga/)
      yield* shows(tab, "[aria-label='topic vault'] .value", /opened/)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "shows a state as a tree in which what changes lights up",
    Effect.gen(function*() {
      const { inside, tab } = yield* opened()
      const panel = Context.get(inside, PanelState)
      yield* view(tab, "state")
      yield* shows(tab, ".tree", /counter1.*lamps\[2\].*items\{0\}/)
      yield* panel.update((draft) => {
        draft.counter = 7
      })
      yield* shows(tab, "[data-flashes]", /^7$/)
      yield* act(tab, (page) => page.click("summary:has-text('lamps')"))
      yield* act(tab, (page) => page.click("summary:has-text('0')"))
      yield* panel.update((draft) => {
        draft.lamps[0]!.on = true
        draft.lamps.push({ name: "attic", on: false })
      })
      yield* shows(tab, "[data-flashes]", /^true$/)
      yield* shows(tab, ".tree", /lamps\[3\]0\{2\}.*ontrue.*1\{2\}2\{2\}/)
      yield* panel.update((draft) => {
        draft.lamps.splice(0, 1)
        draft.items["a/b"] = { deep: [1] }
      })
      yield* shows(tab, ".tree", /lamps\[2\]0.*nameyard|lamps\[2\]0.*name"yard"/)
      yield* shows(tab, "summary", /^items\{1\}$/)
      yield* act(tab, (page) => page.click("summary:has-text('items')"))
      yield* shows(tab, "summary", /^a\/b\{1\}$/)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "finds messages by node, status and page, and pushes, schedules, pulls, rejects, redrives, acknowledges and deletes, by keyboard alone",
    Effect.gen(function*() {
      const { inside, tab } = yield* opened()
      const queue = Context.get(inside, MessageQueue.MessageQueue)
      for (let i = 0; i < 30; i++) yield* queue.push(i % 2 === 0 ? "even" : "odd", { i })
      yield* view(tab, "queue")
      yield* shows(tab, "#count-pending", /^30$/)
      yield* shows(tab, "#view", /page 1: 25 messages/)
      yield* press(tab, "button:text('Next page')")
      yield* shows(tab, "#view", /page 2: 5 messages/)
      yield* press(tab, "button[aria-label='Show the messages of odd']")
      yield* shows(tab, "#count-pending", /^15$/)
      yield* act(tab, (page) => page.fill("input[list=node-names]", "fresh"))
      yield* press(tab, "input[list=node-names]", "Tab")
      yield* shows(tab, "#count-pending", /^0$/)
      yield* fill(tab, "For the node", "fresh")
      yield* act(tab, (page) => page.fill("#push-payload", "<b>bold</b>"))
      yield* press(tab, "#push-form button")
      yield* shows(tab, "#messages", /pending.*<b>bold<\/b>/)
      yield* press(tab, "#pull", "Space")
      yield* shows(tab, "#count-processing", /^1$/)
      yield* press(tab, "#messages button:text('Reject')")
      yield* shows(tab, "#messages", /dead.*rejected by hand/)
      yield* press(tab, "#messages button:text('Redrive')")
      yield* shows(tab, "#count-pending", /^1$/)
      yield* press(tab, "#pull")
      yield* shows(tab, "#count-processing", /^1$/)
      yield* press(tab, "#messages button:text('Ack')")
      yield* shows(tab, "#count-processed", /^1$/)
      yield* act(tab, (page) => page.fill("#push-delay", "3600"))
      yield* press(tab, "#push-form button")
      yield* shows(tab, "#messages", /scheduled.*due/)
      yield* press(tab, "#messages button.link")
      yield* shows(tab, "#message-title + dl", /processed, 1 of/)
      yield* press(tab, "#messages button:text('Reschedule')")
      yield* act(tab, (page) => page.fill("#reschedule-delay", "7200"))
      yield* press(tab, "#reschedule-form button")
      yield* shows(tab, "#view", /Message \S+ is due/)
      yield* press(tab, "#messages tr:has-text('scheduled') button:text('Delete')")
      yield* shows(tab, "#count-scheduled", /^0$/)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "gives what waits or is dead another time, and deletes what is dead, done or worked on when it is pressed twice",
    Effect.gen(function*() {
      const { inside, tab } = yield* opened()
      const queue = Context.get(inside, MessageQueue.MessageQueue)
      const { id } = yield* queue.push("abc", { order: 1 }, { delay: "1 hour" })
      yield* view(tab, "queue")
      yield* press(tab, "#messages button:text('Reschedule')")
      yield* shows(tab, "#message-title + dl", /scheduled, 0 of/)
      assert.strictEqual(yield* act(tab, (page) => page.evaluate(() => document.activeElement?.id)), "reschedule-delay")
      yield* press(tab, "#reschedule-form button")
      yield* shows(tab, "#count-pending", /^1$/)
      const first = Option.getOrThrow(yield* queue.pull("abc"))
      assert.strictEqual(first.id, id)
      yield* queue.reject(first, { cause: "broken" })
      yield* press(tab, "#messages tr:has-text('dead') button:text('Reschedule')")
      yield* act(tab, (page) => page.fill("#reschedule-delay", "3600"))
      yield* press(tab, "#reschedule-form button:text('Redrive then')")
      yield* shows(tab, "#count-scheduled", /^1$/)
      const [due] = (yield* queue.list()).messages
      assert.isAbove(due!.scheduledAt!.epochMilliseconds - due!.createdAt.epochMilliseconds, 3_000_000)
      yield* queue.remove(id)

      yield* queue.push("abc", "dead")
      const held = Option.getOrThrow(yield* queue.pull("abc"))
      yield* queue.reject(held, { cause: "broken" })
      yield* queue.push("abc", "running")
      const running = Option.getOrThrow(yield* queue.pull("abc"))
      for (const status of ["dead", "processing"]) {
        const row = `#messages tr:has-text('${status}')`
        yield* press(tab, `${row} button:text('Delete')`)
        yield* shows(tab, "#view .outcome", /[Pp]ress again to delete/)
        // who goes away has not meant it
        yield* act(tab, (page) => page.keyboard.press("Tab"))
        yield* press(tab, `${row} button:text('Delete')`)
        yield* press(tab, `${row} button:text('Really delete')`)
        yield* shows(tab, `#count-${status}`, /^0$/)
      }
      const lost = yield* Effect.flip(queue.ack(running))
      assert.strictEqual(lost.reason._tag, "LeaseLost")
      assert.isEmpty((yield* queue.list()).messages)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "shows who is connected, frames as they go by, and closes a connection",
    Effect.gen(function*() {
      const { address, tab } = yield* opened()
      const peer = yield* client(address)
      yield* peer.call("add", { a: 1, b: 1 })
      yield* view(tab, "connections")
      yield* shows(tab, "#connections", /rockets\/rpc127\.0\.0\.1nobody/)
      yield* shows(tab, "#connections", /\d+ B/)
      yield* view(tab, "frames")
      yield* Effect.sleep("300 millis")
      yield* peer.call("add", { a: 40, b: 2 })
      yield* shows(tab, ".frames", /from server\{"jsonrpc":"2.0","result":42/)
      assert.notInclude((yield* act(tab, (page) => page.textContent(".frames")))!, "dashboard.")
      yield* view(tab, "connections")
      const close = "tr:has-text('/rpc'):not(:has-text('this page')) button"
      yield* press(tab, close)
      yield* shows(tab, "#connections", /Close for good\?/)
      yield* press(tab, close)
      yield* shows(tab, "#view", /Connection \d+ was closed\./)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "from elsewhere shows nothing before somebody with the permission signs in, and nothing after they left",
    Effect.gen(function*() {
      const { address } = yield* serve({ loopback: false })
      const tab = yield* open(address, "/dashboard")
      yield* shows(tab, "#view", /needs an identity with the permission “dashboard”/)
      assert.strictEqual(yield* act(tab, (page) => page.locator("nav a").count()), 0)
      assert.deepStrictEqual(yield* violations(tab), [])
      const signIn = Effect.fnUntraced(function*(name: string, password: string) {
        yield* act(tab, (page) => page.fill("#username", name))
        yield* act(tab, (page) => page.fill("#password", password))
        yield* press(tab, "#password")
      })
      yield* signIn("olga", "wrong")
      yield* shows(tab, ".outcome", /Wrong name or password/)
      yield* signIn("bert", "right")
      yield* shows(tab, "#view", /bert lacks the permission/)
      // what the page hides the server refuses: nothing but signing in exists for who may not look
      const peer = yield* Effect.flatMap(
        NodeWebSocket.make(`ws://${address}/dashboard/rpc`),
        (socket) => JsonRpcClient.fromSocket(socket, { wire: Wire.rockets })
      )
      for (
        const method of [
          "dashboard.snapshot",
          "dashboard.connections",
          "dashboard.errors",
          "add",
          "dashboard.queue.list"
        ]
      ) {
        const { reason } = yield* Effect.flip(peer.call(method, {}))
        assert.strictEqual(reason._tag === "RemoteError" && reason.code, -32601, method)
      }
      yield* signIn("olga", "right")
      yield* shows(tab, "nav", /Overview/)
      yield* view(tab, "methods")
      yield* shows(tab, "tr[data-key=secret]", /^secret/)
      yield* press(tab, ".who button:text('Sign out')")
      yield* shows(tab, "#view", /needs an identity/)
      yield* act(tab, (page) => page.click("summary"))
      yield* act(tab, (page) => page.fill("#token", "the-token"))
      yield* press(tab, "#token")
      yield* shows(tab, ".who", /^machine/)
      assert.notMatch(yield* act(tab, (page) => Promise.resolve(page.url())), /token|right|olga/)
      const kept = yield* act(
        tab,
        (page) => page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length])
      )
      assert.deepStrictEqual(kept, ["", 0, 0])
      assert.notMatch(yield* act(tab, (page) => page.content()), /the-token|right/)
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  test(
    "what is stale looks stale, buttons say why they do nothing, and all is back when the server is",
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { address, port } = yield* Scope.provide(serve({ loopback: true }), scope)
      const tab = yield* open(address, "/dashboard", {}, /ERR_CONNECTION_REFUSED|WebSocket/)
      yield* shows(tab, "nav", /Methods/)
      yield* view(tab, "methods")
      yield* press(tab, "button[aria-label='Call add …']")
      yield* act(tab, (page) => page.getByLabel("a", { exact: true }).fill("40"))
      yield* shows(tab, "tr[data-key=add]", /0/)
      yield* Scope.close(scope, Exit.void)
      yield* shows(tab, "#status", /^connection lost, trying again$/)
      yield* shows(tab, "main", /nothing can be sent until it is back.*What you see is of .* ago/)
      assert.isTrue(yield* act(tab, (page) => page.evaluate(() => document.body.classList.contains("stale"))))
      const button = yield* act(tab, (page) =>
        page.locator("button[type=submit]").evaluate((node) => ({
          disabled: node.getAttribute("aria-disabled"),
          why: document.getElementById(node.getAttribute("aria-describedby")!)!.textContent
        })))
      assert.strictEqual(button.disabled, "true")
      assert.match(button.why!, /^The connection is lost/)
      yield* press(tab, "button[type=submit]")
      assert.strictEqual(yield* act(tab, (page) => page.locator(".call").count()), 0)
      assert.deepStrictEqual(yield* violations(tab), [])
      yield* serve({ loopback: true, port })
      yield* shows(tab, "#status", /^connected$/)
      // what somebody was about to send is still there
      yield* act(tab, (page) => page.getByLabel("b", { exact: true }).fill("2"))
      yield* press(tab, "button[type=submit]")
      yield* shows(tab, ".call .result", /^42$/)
      assert.isFalse(yield* act(tab, (page) => page.evaluate(() => document.body.classList.contains("stale"))))
      assert.deepStrictEqual(tab.complaints, [])
    })
  )

  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [320, 1280]) {
      test(
        `has no violation of axe's rules in any view and fits the width, ${colorScheme}, ${width} pixels`,
        Effect.gen(function*() {
          const { address, inside, tab } = yield* opened({ colorScheme, viewport: { width, height: 740 } })
          const queue = Context.get(inside, MessageQueue.MessageQueue)
          const topics = Context.get(inside, Topics.Topics)
          const peer = yield* client(address)
          yield* queue.push("abc", { order: 1 })
          yield* queue.push("abc", "later", { delay: "1 hour" })
          yield* queue.pull("abc")
          yield* topics.publish(Temperature, { celsius: 21 })
          yield* Effect.ignore(peer.call("crash"))
          for (const name of views) {
            yield* view(tab, name)
            if (name === "methods") {
              yield* press(tab, "button[aria-label='Call print …']")
              yield* press(tab, "text=Add to pages")
              yield* press(tab, "button:text('Call print')")
            }
            if (name === "queue") {
              yield* press(tab, "#messages button.link")
              yield* shows(tab, "#message-title", /^Message/)
              yield* press(tab, "#messages button:text('Reschedule')")
              yield* shows(tab, "#reschedule-form", /Due in seconds/)
            }
            if (name === "errors") yield* press(tab, "#error-list summary")
            if (name === "frames") {
              yield* Effect.sleep("300 millis")
              yield* peer.call("add", { a: 1, b: 2 })
              yield* shows(tab, ".frames", /"result":3/)
            }
            assert.deepStrictEqual(yield* violations(tab), [], name)
            const seen = yield* act(tab, (page) => page.evaluate(() => document.documentElement.scrollWidth))
            assert.isAtMost(seen, width, name)
          }
          assert.deepStrictEqual(tab.complaints, [])
        })
      )
    }
  }
})
