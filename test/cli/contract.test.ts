import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { OpenRpc } from "effect-wire/openrpc"
import { Rpc, RpcGroup } from "effect/rpc"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Program } from "./support/Program.ts"
import { Servers } from "./support/Server.ts"

const document = (name: string, ...rpcs: ReadonlyArray<Rpc.Any>) =>
  Effect.map(Program, ({ directory }) => {
    const made = OpenRpc.fromGroup(RpcGroup.make(...rpcs), { info: { title: "shop", version: "1" } })
    writeFileSync(join(directory, name), JSON.stringify(made))
    return name
  })

layer(Servers.layer, { excludeTestServices: true, timeout: "60 seconds" })("contract, bench", (it) => {
  it.effect("says by exit code and in words whom a change breaks", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const find = Rpc.make("find", { payload: { id: Schema.Int }, success: Schema.String })
      const before = yield* document("before.json", find)
      const more = yield* document("more.json", find, Rpc.make("list", { success: Schema.String }))
      const broken = yield* document(
        "broken.json",
        Rpc.make("find", { payload: { id: Schema.Int, kind: Schema.String }, success: Schema.String })
      )
      assert.strictEqual((yield* run(["contract", "check", before, before])).code, 0)
      const added = yield* run(["contract", "check", before, more])
      assert.strictEqual(added.code, 0)
      assert.match(added.stdout, /1 change: clients of the earlier contract go on working/)
      assert.strictEqual((yield* run(["contract", "check", before, more, "--fail-on", "both"])).code, 1)
      const wrong = yield* run(["contract", "check", before, broken])
      assert.strictEqual(wrong.code, 1)
      assert.match(wrong.stdout, /breaks old clients|breaks both/)
      const json = yield* run(["contract", "check", before, broken, "--json"])
      assert.isFalse(JSON.parse(json.stdout).oldClients)
      const none = yield* run(["contract", "check", before, "none.json"])
      assert.strictEqual(none.code, 2)
      assert.match(none.stderr, /none\.json cannot be read/)
    }), 120_000)

  it.effect("compares servers, and writes the contract of one", () =>
    Effect.gen(function*() {
      const { directory, run } = yield* Program
      const { web } = yield* Servers
      const same = yield* run(["contract", "check", `ws://${web}/rockets`, `http://${web}/standard`])
      assert.deepStrictEqual([same.code, same.stderr], [0, ""])
      const made = yield* run(["contract", "generate", `ws://${web}/rockets`, "--name", "Test", "--out", "test.ts"])
      assert.strictEqual(made.code, 0, made.stderr)
      assert.match(readFileSync(join(directory, "test.ts"), "utf8"), /export class Test extends RpcGroup\.make\(/)
    }), 120_000)

  it.effect("loads a server and prints latencies, as numbers, as a picture and as JSON", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { web } = yield* Servers
      const bench = (...args: ReadonlyArray<string>) =>
        run(["bench", `rockets+ws://${web}/rockets`, ...args, "--duration", "400ms", "--warmup", "50ms"])
      const text = yield* bench("add", "1", "2", "--connections", "2", "--in-flight", "4")
      assert.strictEqual(text.code, 0, text.stderr)
      assert.match(text.stdout, /^\d+ calls in 0\.\d s over 2 connections: \d+\/s\nmin .*p99\.9 +max\n/)
      assert.match(text.stdout, /┤[\s\S]*└─+\n +\S+ (µs|ms|s) /)
      const { stdout } = yield* bench("add", "1", "2", "--rate", "100", "--json")
      const { calls, failures, latencyMillis } = JSON.parse(stdout)
      assert.isAbove(calls, 5)
      assert.isAtMost(calls, 60)
      assert.strictEqual(failures, 0)
      assert.isAtLeast(latencyMillis.max, latencyMillis.p50)
      const refused = yield* bench("refuse")
      assert.deepStrictEqual([refused.code, refused.stdout], [1, ""])
    }), 120_000)
})
