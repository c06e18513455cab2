import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { NodeSqliteClient, NodeWebSocketServer } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { SciroccoServer } from "effect-wire/queue/scirocco"
import { HttpRouter, HttpServer } from "effect/http"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { EmbeddedPostgres } from "../node/support/EmbeddedPostgres.ts"
import { type Options, Program } from "./support/Program.ts"

/** A Scirocco server on a queue in memory; its address. */
const scirocco = Effect.gen(function*() {
  const context = yield* Layer.build(
    HttpRouter.serve(
      SciroccoServer.layer({ token: Redacted.make("sesame") }).pipe(Layer.provide(MessageQueue.layerMemory())),
      { disableLogger: true, disableListenLog: true }
    ).pipe(
      Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0, gracefulShutdownTimeout: 0 }))
    )
  )
  return yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
})

const stores = {
  SQLite: Effect.map(Program, ({ directory }): readonly [string, Options] => [join(directory, "jobs.sqlite"), {}]),
  PostgreSQL: Effect.gen(function*() {
    const address = new URL(yield* (yield* EmbeddedPostgres).database)
    const env = { PGPASSWORD: decodeURIComponent(address.password) }
    address.password = ""
    return [address.href, { env }] as const
  }),
  Scirocco: Effect.map(scirocco, (url) => [url, { env: { EFFECT_WIRE_TOKEN: "sesame" } }] as const)
}

layer(Layer.merge(Program.layer, EmbeddedPostgres.layer), { excludeTestServices: true, timeout: "120 seconds" })(
  "queue",
  (it) => {
    for (const [name, store] of Object.entries(stores)) {
      it.effect(`push, list, pull, ack, counts, show, clear on ${name}`, () =>
        Effect.gen(function*() {
          const { directory, run } = yield* Program
          const [address, options] = yield* store
          const queue = (command: string, ...args: ReadonlyArray<string>) =>
            run(["queue", command, address, ...args], options)
          const counts = Effect.map(queue("counts", "--node", "af", "--json"), ({ stdout }) => JSON.parse(stdout))
          const isSql = name !== "Scirocco"
          const pushed = yield* queue("push", "af", "{\"report\": 7}", "--node", "b1", ...(isSql ? ["--create"] : []))
          assert.strictEqual(pushed.code, 0, pushed.stderr)
          const id = pushed.stdout.trim()
          yield* queue("push", "af", "2", "--text", "--node", "b1", "--delay", "1h")
          assert.deepInclude(yield* counts, { pending: 1, scheduled: 1 })
          const listed = yield* queue("list", "--node", "af", "--status", "pending")
          assert.match(listed.stdout, new RegExp(`^${id}  pending  b1 -> af  0/\\d+  \\S+  {"report":7}\n$`))
          const shown = JSON.parse((yield* queue("show", id, "--node", "af", "--json")).stdout)
          assert.deepInclude(shown, { destination: "af", payload: { _tag: "Json", value: { report: 7 } } })
          const pulled = yield* queue("pull", "af", "--json", "--node", "af")
          assert.deepInclude(yield* counts, { pending: 0, processing: 1 })
          const none = yield* queue("pull", "af", "--node", "af")
          assert.strictEqual(none.code, 7)
          writeFileSync(join(directory, `${name}.json`), pulled.stdout)
          const acked = yield* queue("ack", `@${name}.json`, "--node", "af")
          assert.deepStrictEqual(acked, { code: 0, stdout: "", stderr: "" })
          assert.deepInclude(yield* counts, { processed: 1 })
          assert.strictEqual((yield* queue("ack", id, "af", "--token", "another", "--node", "af")).code, 7)
          assert.strictEqual((yield* queue("show", "0".repeat(24), "--node", "af")).code, 7)
          const refused = yield* queue("clear")
          assert.deepStrictEqual([refused.code, refused.stdout], [2, ""])
          assert.strictEqual((yield* queue("clear", "--yes")).stdout, "2\n")
        }), 120_000)
    }

    it.effect(
      "dead messages come back, counts are watched, bytes are pushed, and nothing old is removed",
      () =>
        Effect.gen(function*() {
          const { directory, run, start } = yield* Program
          const file = join(directory, "dead.sqlite")
          const dead = Effect.gen(function*() {
            const queue = yield* MessageQueue.MessageQueue
            const { id } = yield* queue.push("af", "work", { maxTries: 1 })
            yield* queue.push("af", "more")
            const [delivery] = yield* queue.pullMany("af", { max: 1 })
            yield* queue.reject(delivery!, { cause: "broken" })
            return id
          }).pipe(
            Effect.provide(MessageQueue.layerSql().pipe(Layer.provide(NodeSqliteClient.layer({ filename: file }))))
          )
          const id = yield* dead
          assert.match((yield* run(["queue", "list", file, "--status", "dead"])).stdout, /dead.*broken/)
          const watching = yield* start(["queue", "watch", file, "--interval", "50ms", "--count", "2", "--json"])
          yield* watching.printed(/"dead":1/)
          assert.strictEqual((yield* run(["queue", "redrive", file, id])).stdout, "1\n")
          assert.match((yield* watching.ran).stdout, /"pending":2.*"dead":0/)
          writeFileSync(join(directory, "bytes"), Buffer.from([0, 255]))
          yield* run(["queue", "push", file, "cd", "@bytes", "--binary"])
          const binary = JSON.parse((yield* run(["queue", "pull", file, "cd", "--ack", "--json"])).stdout)
          assert.deepStrictEqual(binary.payload, { _tag: "Binary", value: "AP8=" })
        }),
      120_000
    )

    it.effect("a queue that is not there is not made, and a wrong token is told", () =>
      Effect.gen(function*() {
        const { directory, run } = yield* Program
        const missing = yield* run(["queue", "counts", join(directory, "none.sqlite")])
        assert.strictEqual(missing.code, 2)
        assert.match(missing.stderr, /there is no file[\s\S]*--create/)
        writeFileSync(join(directory, "empty.sqlite"), "")
        const empty = yield* run(["queue", "counts", join(directory, "empty.sqlite")])
        assert.strictEqual(empty.code, 7, empty.stderr)
        assert.match(empty.stderr, /no queue in this database[\s\S]*--create/)
        const url = yield* scirocco
        const denied = yield* run(["queue", "counts", url, "--node", "af"], { env: { EFFECT_WIRE_TOKEN: "wrong" } })
        assert.strictEqual(denied.code, 6)
        const away = yield* run(["queue", "counts", "postgres://nobody@127.0.0.1:1/nothing"])
        assert.strictEqual(away.code, 3)
        assert.match(away.stderr, /refused/)
      }), 120_000)
  }
)
