import { assert, layer } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Program } from "./support/Program.ts"
import { Servers } from "./support/Server.ts"

const json = (text: string) => text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

layer(Servers.layer, { excludeTestServices: true, timeout: "60 seconds" })("listen, discover, repl", (it) => {
  it.effect("prints notifications as they come, of one method where that is wanted", () =>
    Effect.gen(function*() {
      const { start } = yield* Program
      const { broadcast, web } = yield* Servers
      const all = yield* start(["listen", `ws://${web}/rockets`, "--count", "2", "--json"])
      const some = yield* start(["listen", `ws://${web}/rockets`, "--method", "b", "--count", "1"])
      // until both have heard enough
      yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
        yield* broadcast("a", [1])
        yield* broadcast("b", [{ x: 2 }])
        yield* Effect.sleep(50)
      })))
      assert.strictEqual((yield* some.ran).stdout, "b [{\"x\":2}]\n")
      assert.lengthOf(json((yield* all.ran).stdout), 2)
    }), 120_000)

  it.effect("goes on after the position of a value that it printed", () =>
    Effect.gen(function*() {
      const { run, start } = yield* Program
      const { order, web } = yield* Servers
      const url = `ws://${web}/standard`
      const first = yield* start(["listen", url, "--topic", "orders", "--positions", "--json", "--count", "2"])
      const publishing = yield* Effect.forkScoped(
        Effect.forEach(Array.from({ length: 3000 }, (_, i) => i), (i) => Effect.andThen(order(i), Effect.sleep(20)), {
          discard: true
        })
      )
      const heard = json((yield* first.ran).stdout)
      const last = heard[1]
      const next = json(
        (yield* run(["listen", url, "--topic", "orders", "--from", last.position, "--json", "--count", "3"])).stdout
      )
      assert.deepStrictEqual(next.map(({ value }) => value), [last.value + 1, last.value + 2, last.value + 3])
      const gone = yield* run(["listen", url, "--topic", "orders", "--from", "another:1", "--json", "--count", "1"])
      assert.property(json(gone.stdout)[0], "missed")
      publishing.interruptUnsafe()
      const wrong = yield* run(["listen", url, "--topic", "order"])
      assert.strictEqual(wrong.code, 7)
      assert.match(wrong.stderr, /try: orders/)
      assert.strictEqual((yield* run(["listen", url, "--topic", "orders", "--from", "5"])).code, 2)
      assert.strictEqual((yield* run(["listen", `http://${web}/standard`])).code, 2)
    }), 120_000)

  it.effect("goes on until Ctrl-C", () =>
    Effect.gen(function*() {
      const { start } = yield* Program
      const { broadcast, web } = yield* Servers
      const listening = yield* start(["listen", `rockets+ws://${web}/rockets`, "--json"])
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(broadcast("ready", []), Effect.sleep(50))))
      yield* listening.printed(/ready/)
      listening.signal("SIGINT")
      assert.strictEqual((yield* listening.ran).code, 130)
    }), 60_000)

  it.effect(
    "lists what a server has, with signatures; one method with its errors; the document",
    () =>
      Effect.gen(function*() {
        const { run } = yield* Program
        const { web } = yield* Servers
        const listing = (yield* run(["discover", `ws://${web}/standard`])).stdout
        for (
          const line of [
            "add(a: number, b: number) -> number",
            "color(name: \"red\" | \"green\", dark: boolean) -> null",
            "count(to: integer) -> stream of integer",
            "orders: integer"
          ]
        ) assert.include(listing, line)
        assert.strictEqual((yield* run(["discover", `http://${web}/standard`, "ad"])).code, 7)
        const document = JSON.parse((yield* run(["discover", `http://${web}/standard`, "--json"])).stdout)
        assert.strictEqual(document.info.title, "test")
        assert.match((yield* run(["discover", `http://${web}/standard`, "add"])).stdout, /^add\(.*\n {2}a: number\n/)
      }),
    60_000
  )

  it.effect(
    "a script of the repl prints results, goes on after failures, and tells of them at the end",
    () =>
      Effect.gen(function*() {
        const { run } = yield* Program
        const { told, web } = yield* Servers
        const stdin = [
          "add a=1 b=2",
          "add [3, 4]",
          "add {\"a\": 5, \"b\": 6}",
          "",
          "ad 1 2",
          ".methods col",
          ".notify tell text='from here'",
          ".nothing",
          "add 7 8"
        ].join("\n")
        const ran = yield* run(["repl", `ws://${web}/rockets`], { stdin })
        assert.strictEqual(ran.stdout, "3\n7\n11\ncolor(name: \"red\" | \"green\", dark: boolean) -> null\n15\n")
        assert.match(ran.stderr, /there is no method "ad"[\s\S]*there is no command "\.nothing"[\s\S]*2 lines failed/)
        assert.strictEqual(ran.code, 1)
        assert.strictEqual(yield* Queue.take(told), "from here")
      }),
    60_000
  )

  it.effect(
    "on a terminal: completion by the tabulator, Ctrl-C cancels the call, a history without secrets",
    (context) =>
      Effect.gen(function*() {
        const { directory, main, shell } = yield* Program
        if ((yield* shell("command -v script")).code !== 0) return context.skip("script(1) makes the terminal")
        const { hangs, web } = yield* Servers
        const { startShell } = yield* Program
        const history = join(directory, "kept/history")
        const command = `${process.execPath} ${main} repl rockets+ws://${web}/rockets --history ${history}`
        const running = yield* startShell(`exec script -qec "${command}" /dev/null`)
        yield* running.printed(/methods; \.help helps[\s\S]*> /)
        running.write("ad\t")
        yield* running.printed(/add /)
        running.write("a\t")
        yield* running.printed(/add a=/)
        running.write("20 b=22\r")
        yield* running.printed(/42/)
        running.write("hang\r")
        assert.strictEqual(yield* Queue.take(hangs), "began")
        running.write("\u0003")
        assert.strictEqual(yield* Queue.take(hangs), "interrupted")
        yield* running.printed(/cancelled/)
        running.write("login name=ann password=secret\r")
        yield* running.printed(/there is no method "login"/)
        running.write(".exit\r")
        assert.strictEqual((yield* running.ran).code, 0)
        assert.strictEqual(readFileSync(history, "utf8"), "add a=20 b=22\nhang\n.exit\n")
        assert.strictEqual(statSync(history).mode & 0o777, 0o600)
      }),
    60_000
  )

  it.effect("a call shows a bar on a terminal", (context) =>
    Effect.gen(function*() {
      const { main, shell } = yield* Program
      if ((yield* shell("command -v script")).code !== 0) return context.skip("script(1) makes the terminal")
      const { web } = yield* Servers
      const command = `${process.execPath} ${main} call rockets+ws://${web}/rockets work`
      const { stdout } = yield* shell(`script -qec "${command}" /dev/null`)
      assert.match(stdout, /\[#{15}-{15}\] {2}50 % {2}half[\s\S]*\[#{30}\] 100 % {2}all/)
      assert.include(stdout, "\u001b[32m\"done\"\u001b[0m")
    }), 60_000)
})
