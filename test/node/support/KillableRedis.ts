import { NodeRedis } from "@effect/platform-node"
import { Context, Effect, Layer, Logger, Schedule } from "effect"
import { RedisBackplane } from "effect-wire/backplane"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { freePort } from "./EmbeddedPostgres.ts"

/** Where the distributions put it. */
const binary = ["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server"].find((path) =>
  Fs.existsSync(path)
)

/** Whether there is one; tests are skipped, and say so, where there is none. */
export const isInstalled = binary !== undefined

/** A real Redis in a temporary directory that can be killed. */
export const makeRedis = Effect.fnUntraced(function*(...settings: ReadonlyArray<string>) {
  const port = yield* freePort
  const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-wire-redis-"))
  let child: ChildProcess.ChildProcess | undefined
  const start = Effect.callback<void>((resume) => {
    const started = ChildProcess.spawn(binary!, [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""],
      ...settings
    ])
    child = started
    started.stdout.on("data", (text) => {
      if (String(text).includes("Ready to accept connections")) resume(Effect.void)
    })
  })
  const kill = Effect.callback<void>((resume) => {
    child!.once("exit", () => resume(Effect.void))
    child!.kill("SIGKILL")
  })
  yield* start
  yield* Effect.addFinalizer(() =>
    Effect.andThen(kill, Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true })))
  )
  return { url: `redis://127.0.0.1:${port}`, kill: Effect.andThen(kill, start) }
})

/** A real Redis for the life of the layer, which keeps nothing on its disk. */
export class LocalRedis extends Context.Service<LocalRedis, {
  readonly url: string
  /** A name that no other test uses. */
  readonly prefix: Effect.Effect<string>
}>()("effect-wire/test/node/support/KillableRedis/LocalRedis") {
  static readonly layer = Layer.effect(
    LocalRedis,
    Effect.gen(function*() {
      const { url } = yield* makeRedis()
      let count = 0
      return { url, prefix: Effect.sync(() => `test_${++count}`) }
    })
  )
}

/** One process: its own connections, its own backplane. */
export const start = (url: string, options?: RedisBackplane.Options) =>
  RedisBackplane.layer(options).pipe(
    Layer.provideMerge(
      Layer.fresh(NodeRedis.layer({
        url,
        socket: { reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 500) }
      }))
    ),
    // it logs each connection that is lost, as it should
    Layer.provide(Logger.layer([])),
    Layer.build,
    Effect.retry(Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(20)])),
    Effect.orDie
  )
