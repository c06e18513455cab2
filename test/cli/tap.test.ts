import { assert, layer } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Program } from "./support/Program.ts"
import { Servers } from "./support/Server.ts"

layer(Servers.layer, { excludeTestServices: true, timeout: "60 seconds" })("tap", (it) => {
  const proxied = (target: string, ...args: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const { start } = yield* Program
      const proxy = yield* start(["tap", "proxy", target, ...args])
      yield* proxy.printed(/listening on \S+,/)
      return { proxy, url: /listening on (\S+),/.exec(proxy.stderr())![1]! }
    })

  it.effect(
    "passes on what clients and server say, shows it with secrets hidden, and plays it again",
    () =>
      Effect.gen(function*() {
        const { directory, run } = yield* Program
        const { told, web } = yield* Servers
        const { proxy, url } = yield* proxied(`ws://${web}/rockets`, "--out", "tap.ndjson", "--hide", "text")
        const call = yield* run(["call", `rockets+${url}`, "add", "a=1", "b=2"])
        assert.deepStrictEqual(call, { code: 0, stdout: "3\n", stderr: "" })
        yield* run(["notify", `rockets+${url}`, "tell", "text=hush"])
        assert.strictEqual(yield* Queue.take(told), "hush")
        yield* proxy.printed(/#2 closed by the client: 1000/)
        proxy.signal("SIGINT")
        const { code, stdout } = yield* proxy.ran
        assert.strictEqual(code, 130)
        assert.match(stdout, /#1 -> .*"method":"add"[\s\S]*#1 <- .*"result":3[\s\S]*#2 -> .*"tell".*\*\*\*/)
        const recorded = readFileSync(join(directory, "tap.ndjson"), "utf8")
        assert.match(recorded, /^{"format":"effect-wire\/recording"/)
        assert.notInclude(recorded + stdout, "hush")

        const same = yield* run(["tap", "replay", "tap.ndjson", `ws://${web}/rockets`])
        assert.deepStrictEqual([same.code, same.stderr], [0, ""])
        assert.strictEqual(
          (yield* run(["tap", "diff", "tap.ndjson", `ws://${web}/rockets`, `ws://${web}/standard`])).code,
          0
        )
        writeFileSync(join(directory, "other.ndjson"), recorded.replace("\\\"result\\\":3", "\\\"result\\\":4"))
        const other = yield* run(["tap", "replay", "other.ndjson", `ws://${web}/rockets`, "--patience", "500ms"])
        assert.strictEqual(other.code, 1)
        assert.match(other.stdout, /1 difference/)
      }),
    120_000
  )

  it.effect("plays requests over HTTP again, at the path that they had", () =>
    Effect.gen(function*() {
      const { directory, run } = yield* Program
      const { web } = yield* Servers
      const at = { at: 0, connection: 1 }
      const events = [
        { ...at, type: "open", carrier: "http", url: "/standard", headers: {}, protocol: "" },
        { ...at, type: "frame", from: "client", text: `{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}` },
        { ...at, type: "frame", from: "server", text: `{"jsonrpc":"2.0","id":1,"result":3}` },
        { ...at, type: "close", from: "server", code: 4200, reason: "" }
      ]
      const header = { format: "effect-wire/recording", version: 1, started: "2026-01-01T00:00:00.000Z" }
      const text = [header, ...events].map((line) => JSON.stringify(line)).join("\n")
      writeFileSync(join(directory, "posts.ndjson"), text)
      for (const url of [`http://${web}`, `ws://${web}`]) {
        const { code, stdout } = yield* run(["tap", "replay", "posts.ndjson", url])
        assert.strictEqual(code, 0, stdout)
      }
      writeFileSync(join(directory, "posts.ndjson"), text.replace("4200", "4204"))
      const other = yield* run(["tap", "replay", "posts.ndjson", `http://${web}`])
      assert.match(other.stdout, /\/code: expected 4204, got 4200/)
    }), 120_000)

  it.effect("taps TCP too; what cannot be tapped, or is no recording, is told", () =>
    Effect.gen(function*() {
      const { directory, run } = yield* Program
      const { headed } = yield* Servers
      const { proxy, url } = yield* proxied(`lsp+tcp://127.0.0.1:${headed}`, "--json")
      assert.strictEqual((yield* run(["call", `lsp+${url}`, "add", "1", "2"])).stdout, "3\n")
      yield* proxy.printed(/"type":"close"/)
      proxy.signal("SIGTERM")
      const { code, stdout } = yield* proxy.ran
      assert.strictEqual(code, 143)
      for (const line of stdout.trim().split("\n")) JSON.parse(line)
      assert.strictEqual((yield* run(["tap", "proxy", "http://127.0.0.1:1/"])).code, 2)
      writeFileSync(join(directory, "no.ndjson"), "{}\n")
      const none = yield* run(["tap", "replay", "no.ndjson", "ws://127.0.0.1:1/"])
      assert.deepStrictEqual([none.code, none.stdout], [2, ""])
    }), 120_000)
})
