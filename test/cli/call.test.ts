import { assert, layer } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { Program } from "./support/Program.ts"
import { Servers } from "./support/Server.ts"

/** A server in a language of its own, as far as this program knows: lines of JSON, each call answered with its parameters. */
const foreign = `
import { createInterface } from "node:readline"
createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line)
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result: { method, params } }))
})
`

const lines = (text: string) => text.split("\n").filter((line) => line !== "")

layer(Servers.layer, { excludeTestServices: true, timeout: "60 seconds" })("call, notify, batch", (it) => {
  it.effect("calls over every carrier, in every wire", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { headed, lines: port, unix, web } = yield* Servers
      const targets = [
        `ws://${web}/standard`,
        `http://${web}/standard`,
        `rockets+ws://${web}/rockets`,
        `aiohttp+ws://${web}/aiohttp`,
        `jsonrpc-websocket+ws://${web}/standard`,
        `lsp+ws://${web}/lsp`,
        `mcp+ws://${web}/mcp`,
        `cdp+ws://${web}/cdp`,
        `v1+ws://${web}/version1`,
        `rockets+tcp://127.0.0.1:${port}`,
        `lsp+tcp://127.0.0.1:${headed}`,
        `unix:${unix}`
      ]
      for (const target of targets) {
        assert.deepStrictEqual(
          yield* run(["call", target, "add", ...(target.startsWith("v1") ? ["1", "2"] : ["a=1", "b=2"])]),
          { code: 0, stdout: "3\n", stderr: "" },
          target
        )
      }
      assert.strictEqual((yield* run(["call", `ws://${web}/lsp`, "add", "1", "2", "--wire", "lsp"])).stdout, "3\n")
    }), 120_000)

  it.effect(
    "calls a child over its standard input and output, with parameters of every form",
    () =>
      Effect.gen(function*() {
        const { directory, run } = yield* Program
        writeFileSync(join(directory, "foreign.mjs"), foreign)
        writeFileSync(join(directory, "params.json"), "{\"from\": [\"a file\"]}")
        const target = `stdio:"${process.execPath}" foreign.mjs`
        const call = (args: ReadonlyArray<string>, stdin = "") =>
          Effect.map(
            run(["call", target, "m", ...args, "--json"], { stdin }),
            ({ stdout }) => JSON.parse(stdout).params
          )
        assert.deepStrictEqual(yield* call(["a=1", "b=two", "c={\"d\":[3]}", "e=\"5\"", "f=x=y"]), {
          a: 1,
          b: "two",
          c: { d: [3] },
          e: "5",
          f: "x=y"
        })
        assert.deepStrictEqual(yield* call(["1", "two", "-3"]), [1, "two", -3])
        assert.deepStrictEqual(yield* call(["[1,{\"b\":2}]"]), [1, { b: 2 }])
        assert.deepStrictEqual(yield* call(["@params.json"]), { from: ["a file"] })
        assert.deepStrictEqual(yield* call(["-"], "[\"from a pipe\"]"), ["from a pipe"])
        assert.strictEqual(yield* call([]), undefined)
      }),
    120_000
  )

  it.effect("every failure has its exit code, and says what to try", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { web } = yield* Servers
      const url = `ws://${web}/rockets`
      const table: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [["call", url, "refuse"], 1, /error: no \(-32050\)\n {2}data: \{"why":"so"\}/],
        [["call", url, "add", "a=1", "2"], 2, /by name=value or by position, not both/],
        [["call", url, "add", "{a: 1}"], 2, /this is no JSON/],
        [["call", url, "add", "@nothing.json"], 2, /nothing\.json cannot be read/],
        [["call", "wss:/nowhere", "add"], 2, /this is no address/],
        [["call", "wz://127.0.0.1/", "add"], 2, /ws: instead of wz:/],
        [["call", `rocket+ws://${web}/rockets`, "add"], 2, /one of rockets/],
        [["call", url], 2, /method/],
        [["cal", url], 2, /call/],
        [["call", url, "add", "--tmeout", "1s"], 2, /--timeout/],
        [["call", url, "add", "--timeout", "soon"], 2, /500ms, 5s/],
        [["call", "ws://127.0.0.1:1/", "add"], 3, /refused[\s\S]*is the server running/],
        [["call", "unix:/no/such/socket", "add"], 3, /no such path/],
        [["call", "stdio:no-such-program-at-all", "add"], 3, /no such path|ENOENT/],
        [["call", `ws://${web}/nowhere`, "add"], 3, /HTTP 404[\s\S]*check the path/],
        [["call", `rockets+${url}`, "hang", "--timeout", "300ms"], 4, /no answer within[\s\S]*--timeout/],
        [["call", url, "ad", "a=1"], 7, /there is no method "ad"\n {2}try: add/],
        [
          ["call", url, "color", "name=blue", "dark=1"],
          8,
          /name: [\s\S]*dark: [\s\S]*try: color\(name: "red" \| "green", dark: boolean\)/
        ]
      ]
      for (const [args, code, pattern] of table) {
        const ran = yield* run(args)
        assert.strictEqual(ran.code, code, `${args.join(" ")}: ${ran.stderr}`)
        assert.match(ran.stderr, pattern)
        assert.strictEqual(ran.stdout, "")
      }
    }), 120_000)

  it.effect("with --json results are one line, and failures are JSON on standard error", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { web } = yield* Servers
      const refused = yield* run(["call", `ws://${web}/rockets`, "refuse", "--json"])
      assert.deepStrictEqual(JSON.parse(refused.stderr), {
        error: { kind: "Refused", message: "no (-32050)", code: -32050, data: { why: "so" } }
      })
      const unknown = yield* run(["call", `ws://${web}/rockets`, "coutn", "--json"])
      assert.deepStrictEqual(JSON.parse(unknown.stderr).error.nearest, ["count"])
      const invalid = JSON.parse((yield* run(["call", `ws://${web}/rockets`, "add", "--json"])).stderr).error
      assert.deepStrictEqual(invalid.data.issues.map(({ path }: { readonly path: unknown }) => path), [["a"], ["b"]])
    }), 120_000)

  it.effect("Ctrl-C cancels the work at the server, and so does a terminating signal", () =>
    Effect.gen(function*() {
      const { start } = yield* Program
      const { hangs, headed, lines: port, web } = yield* Servers
      const targets = [
        `rockets+ws://${web}/rockets`,
        `lsp+ws://${web}/lsp`,
        `mcp+ws://${web}/mcp`,
        `ws://${web}/standard`,
        `http://${web}/standard`,
        `rockets+tcp://127.0.0.1:${port}`,
        `lsp+tcp://127.0.0.1:${headed}`
      ]
      for (const [index, target] of targets.entries()) {
        const running = yield* start(["call", target, "hang"])
        assert.strictEqual(yield* Queue.take(hangs), "began")
        running.signal(index === 1 ? "SIGTERM" : "SIGINT")
        assert.strictEqual(yield* Queue.take(hangs), "interrupted", target)
        const { code, stderr, stdout } = yield* running.ran
        assert.deepStrictEqual({ code, stderr, stdout }, { code: index === 1 ? 143 : 130, stderr: "", stdout: "" })
      }
    }), 120_000)

  it.effect("progress is told while the work goes on", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { web } = yield* Servers
      for (const wire of ["rockets", "lsp", "mcp"]) {
        const { stderr, stdout } = yield* run(["call", `${wire}+ws://${web}/${wire}`, "work", "--progress"])
        assert.strictEqual(stdout, "\"done\"\n")
        assert.deepStrictEqual(
          lines(stderr).map((line) => JSON.parse(line).progress.operation).filter((operation) => operation !== ""),
          ["half", "all"],
          wire
        )
      }
      assert.strictEqual((yield* run(["call", `rockets+ws://${web}/rockets`, "work"])).stderr, "")
    }), 120_000)

  it.effect("the elements of a stream come one a line, however many there are", () =>
    Effect.gen(function*() {
      const { run, shell } = yield* Program
      const { web } = yield* Servers
      for (const wire of ["standard", "rockets", "lsp", "mcp"]) {
        const { stdout } = yield* run(["call", `${wire}+ws://${web}/${wire}`, "count", "to=5000", "--stream"])
        assert.deepStrictEqual(lines(stdout), Array.from({ length: 5000 }, (_, i) => String(i + 1)), wire)
      }
      const some = yield* shell(`effect-wire call ws://${web}/rockets count to=1000000 --stream | head -n 3`)
      assert.deepStrictEqual(some, { code: 0, stdout: "1\n2\n3\n", stderr: "" })
    }), 120_000)

  it.effect("notifications arrive, alone and in a batch", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { told, web } = yield* Servers
      const url = `ws://${web}/rockets`
      assert.deepStrictEqual(yield* run(["notify", url, "tell", "text=alone"]), { code: 0, stdout: "", stderr: "" })
      assert.strictEqual(yield* Queue.take(told), "alone")
      const batch = yield* run(["batch", url, "add a=1 b=2", "!tell text='in a batch'", "add 3 4", "refuse", "--json"])
      assert.deepStrictEqual(lines(batch.stdout).map((line) => JSON.parse(line)), [
        { method: "add", result: 3 },
        { method: "add", result: 7 },
        { method: "refuse", error: { code: -32050, data: { why: "so" }, message: "no (-32050)" } }
      ])
      assert.strictEqual(batch.code, 1)
      assert.strictEqual(yield* Queue.take(told), "in a batch")
      const file = "[{\"method\":\"add\",\"params\":[1,1],\"id\":1},{\"method\":\"add\",\"params\":[2,2],\"id\":2}]"
      assert.deepStrictEqual(
        yield* run(["batch", `http://${web}/standard`, "-"], { stdin: file }),
        { code: 0, stdout: "add: 2\nadd: 4\n", stderr: "" }
      )
    }), 120_000)

  it.effect(
    "headers, tokens and passwords reach the server, and need not be on the command line",
    () =>
      Effect.gen(function*() {
        const { directory, run } = yield* Program
        const seen: Array<Record<string, unknown>> = []
        const server = yield* Effect.acquireRelease(
          Effect.callback<ReturnType<typeof createServer>>((resume) => {
            const server = createServer((request, response) => {
              seen.push(request.headers)
              response.setHeader("content-type", "application/json").end("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}")
            })
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
        writeFileSync(join(directory, "headers"), "X-One: 1\n\nX-Two: two words\n")
        yield* run(["call", url, "m", "--header", "@headers", "--header", "X-Three: 3"], {
          env: { EFFECT_WIRE_TOKEN: "sesame" }
        })
        yield* run(["call", url, "m", "--user", "ann"], { env: { EFFECT_WIRE_PASSWORD: "pass:word" } })
        assert.include(seen[0], { authorization: "Bearer sesame", "x-one": "1", "x-two": "two words", "x-three": "3" })
        assert.include(seen[1], { authorization: `Basic ${btoa("ann:pass:word")}` })
        const missing = yield* run(["call", url, "m", "--user", "ann"])
        assert.strictEqual(missing.code, 2)
        assert.match(missing.stderr, /EFFECT_WIRE_PASSWORD/)
        const silent = yield* run(["call", "tcp://127.0.0.1:1", "m"], { env: { EFFECT_WIRE_TOKEN: "sesame" } })
        assert.match(silent.stderr, /no headers/)
      }),
    120_000
  )
})
