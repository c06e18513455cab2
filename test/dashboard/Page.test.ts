/** The page without a browser: what is served, and the functions that its figures and trees are made by. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Stream } from "effect"
import { JsonRpcClient, Wire } from "effect-wire/jsonrpc"
import { JsonPatch } from "effect-wire/juggler"
import { NodeWebSocket } from "effect-wire/node"
import { Handshake } from "effect-wire/socket"
import { Topics } from "effect-wire/topics"
import { digest } from "../../scripts/dashboard.ts"
import { isLocal } from "../../src/dashboard/internal/local.ts"
import { byMethod, percentile, together } from "../../src/dashboard/internal/page/figures.ts"
import { apply } from "../../src/dashboard/internal/page/patch.ts"
import * as Script from "../../src/dashboard/internal/pageScript.ts"
import { Doors, serve } from "./support/App.ts"

it("the script that is served is made of the page's sources as they are (npm run page)", () => {
  assert.strictEqual(Script.digest, digest())
})

it.live("the page holds no secret, loads nothing from elsewhere, and runs nothing that is written into it", () =>
  Effect.scoped(Effect.gen(function*() {
    const { address } = yield* serve({ loopback: true })
    const get = (path: string) => Effect.promise(() => fetch(`http://${address}${path}`))
    const page = yield* get("/dashboard")
    const policy = page.headers.get("content-security-policy")!
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/)
    assert.notMatch(policy, /unsafe|\*/)
    const html = yield* Effect.promise(() => page.text())
    assert.notMatch(html, /https?:\/\/|<script(?![^>]*src)|style=|the-token/)
    for (const [path, type] of [["page.css", "text/css"], ["page.js", "text/javascript"]] as const) {
      const file = yield* get(`/dashboard/${path}`)
      assert.strictEqual(file.status, 200)
      assert.include(file.headers.get("content-type")!, type)
    }
    const script = yield* get("/dashboard/page.js")
    const again = yield* Effect.promise(() =>
      fetch(script.url, { headers: { "if-none-match": script.headers.get("etag")! } })
    )
    assert.strictEqual(again.status, 304)
  })))

it.live("pages of other origins may not ask", () =>
  Effect.scoped(Effect.gen(function*() {
    const { address } = yield* serve({ loopback: true })
    const post = (headers: Record<string, string>) =>
      Effect.promise(() =>
        fetch(`http://${address}/dashboard/rpc`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "dashboard.snapshot" })
        })
      )
    assert.strictEqual((yield* post({ origin: "https://elsewhere.example" })).status, 403)
    const own = yield* Effect.promise(() =>
      post({}).pipe(Effect.flatMap((r) => Effect.promise(() => r.json())), Effect.runPromise)
    )
    assert.isNumber((own as any).result.now)
    // who comes through a proxy is not from this machine, whatever its address
    const passed = yield* Effect.flatMap(post({ "x-forwarded-for": "203.0.113.9" }), (r) =>
      Effect.promise(() => r.json()))
    assert.strictEqual((passed as any).error.code, -32601)
  })))

it.live("who may not look any more hears nothing more", () =>
  Effect.scoped(Effect.gen(function*() {
    const { address, inside } = yield* serve({ loopback: false })
    const topics = Context.get(inside, Topics.Topics)
    const client = yield* JsonRpcClient.fromSocket(
      yield* NodeWebSocket.make(`ws://${address}/dashboard/rpc`),
      { wire: Wire.rockets }
    )
    const heard: Array<string> = []
    yield* Effect.forkScoped(Stream.runForEach(client.notifications, ({ params }) =>
      Effect.sync(() => {
        for (const { value } of (params as any).values) heard.push(value)
      })))
    yield* client.call("dashboard.authenticate", { token: "the-token" })
    yield* client.call("dashboard.watch", { topics: true })
    yield* topics.publish(Doors, "first")
    while (!heard.includes("first")) yield* Effect.sleep("10 millis")
    yield* client.call("dashboard.logout")
    yield* topics.publish(Doors, "second")
    yield* Effect.sleep("200 millis")
    yield* client.call("dashboard.hello")
    assert.deepStrictEqual(heard, ["first"])
    // the last of a page is not the end of the watching of others
    yield* client.call("dashboard.authenticate", { token: "the-token" })
    yield* client.call("dashboard.watch", { topics: true })
    while (!heard.includes("second")) yield* Effect.sleep("10 millis")
  })))

it("a connection is local by its address, the name that it asked for, and what no proxy said", () => {
  const from = (remoteAddress: string | undefined, headers: Record<string, string>) =>
    isLocal({ ...Handshake.empty, remoteAddress, headers: headers as never })
  assert.isTrue(from("127.0.0.1", { host: "localhost:8080" }))
  assert.isTrue(from("::1", { host: "[::1]:8080" }))
  assert.isTrue(from("::ffff:127.0.0.1", { host: "127.0.0.1" }))
  assert.isFalse(from("127.0.0.1", { host: "evil.example" }))
  assert.isFalse(from("127.0.0.1", {}))
  assert.isFalse(from("127.0.0.1", { host: "localhost", forwarded: "for=203.0.113.9" }))
  assert.isFalse(from("127.0.0.1", { host: "localhost", "x-forwarded-for": "127.0.0.1" }))
  assert.isFalse(from("10.0.0.7", { host: "localhost" }))
  assert.isFalse(from(undefined, { host: "localhost" }))
})

it("percentiles lie between the bounds of their bucket in proportion", () => {
  const buckets = [[1, 50], [2, 50], [5, 90], [10, 100]] as const
  assert.strictEqual(percentile(buckets, 100, 0.5), 1)
  assert.strictEqual(percentile(buckets, 100, 0.7), 3.5)
  assert.strictEqual(percentile(buckets, 100, 0.99), 9.5)
  // what is above the last bound counts as that bound
  assert.strictEqual(percentile(buckets, 200, 0.99), 10)
  assert.strictEqual(percentile(buckets, 0, 0.5), undefined)
})

it("figures are of the span between two samples; a cancelled call is no error", () => {
  const sample = (now: number, methods: ReadonlyArray<any>): any => ({
    now,
    since: 0,
    inFlight: 0,
    connections: 0,
    held: 0,
    errors: 0,
    methods
  })
  const before = sample(0, [{ name: "add", outcomes: { success: 100 }, count: 100, buckets: [[1, 100], [2, 100]] }])
  const after = sample(10_000, [
    { name: "add", outcomes: { success: 110, defect: 5, interrupted: 5 }, count: 120, buckets: [[1, 100], [2, 120]] },
    { name: "new", outcomes: { invalid: 10 }, count: 10, buckets: [[1, 10], [2, 10]] }
  ])
  const [add, fresh] = byMethod(before, after)
  assert.deepInclude(add, { rate: 2, errorRate: 0.5, total: 120, totalErrors: 5, p50: 1.5 })
  assert.deepInclude(fresh, { rate: 1, errorRate: 1, total: 10, totalErrors: 10 })
  assert.deepInclude(together(before, after), { rate: 3, errorRate: 1.5, total: 130 })
})

it("patches do to the page's copy what they did to the state, and leave alone what they do not touch", () => {
  const document = { a: [1, { b: 2 }, 3], "x/y": { z: null }, same: { deep: [1] } }
  const patch = [
    { op: "add", path: "/a/1", value: "in between" },
    { op: "remove", path: "/a/0" },
    { op: "replace", path: "/a/1/b", value: 5 },
    { op: "move", from: "/a/0", path: "/x~1y/moved" },
    { op: "copy", from: "/x~1y", path: "/copied" },
    { op: "add", path: "/a/-", value: 9 },
    { op: "add", path: "/__proto__x", value: 1 }
  ] as const
  const expected = JsonPatch.apply(document, patch)
  const actual = apply(document, patch) as any
  assert.deepStrictEqual(JSON.parse(JSON.stringify(actual)), JSON.parse(JSON.stringify((expected as any).success)))
  assert.strictEqual(actual.same, document.same)
  assert.deepStrictEqual(document.a, [1, { b: 2 }, 3])
})
