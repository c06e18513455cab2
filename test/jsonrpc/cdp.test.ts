import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcError, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket } from "effect-wire/node"
import { Rpc, RpcGroup } from "effect/rpc"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const chromium = [process.env["CHROMIUM"] ?? "", "/usr/bin/chromium", "/usr/bin/google-chrome"].find((file) =>
  file !== "" && existsSync(file)
)

/** Starts the browser; gives the address of its DevTools. */
const browser = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-wire-chromium-"))),
    (directory) =>
      Effect.sync(() => rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  )
  const address = yield* Deferred.make<string, Error>()
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(chromium!, [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0",
        `--user-data-dir=${directory}`,
        "about:blank"
      ], { stdio: ["ignore", "ignore", "pipe"] })
      let text = ""
      child.stderr.on("data", (data: Buffer) => {
        text += data.toString()
        const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1]
        if (url !== undefined) Deferred.doneUnsafe(address, Effect.succeed(url))
      })
      // @effect-diagnostics-next-line globalErrorInEffectFailure:off
      child.on("exit", () => Deferred.doneUnsafe(address, Effect.fail(new Error(text))))
      return child
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || !child.kill()) return resume(Effect.void)
        child.on("exit", () => resume(Effect.void))
      })
  )
  return yield* Deferred.await(address)
})

const inSession = { "$sessionId": Schema.optionalKey(Schema.String) }

class Page extends RpcGroup.make(
  Rpc.make("Runtime.evaluate", {
    payload: { expression: Schema.String, returnByValue: Schema.Boolean, ...inSession },
    success: Schema.Struct({ result: Schema.Struct({ value: Schema.optionalKey(Schema.Json) }) })
  })
) {}

it.live.skipIf(chromium === undefined)(
  "our client drives a Chromium by the DevTools Protocol: calls, sessions, events, errors",
  () =>
    Effect.gen(function*() {
      const socket = yield* NodeWebSocket.make(yield* browser, { maxFrameSize: 64 * 1024 * 1024 })
      const client = yield* JsonRpcClient.fromSocket(socket, { wire: Wire.cdp })
      const version = yield* client.call("Browser.getVersion")
      assert.match((version as { readonly product: string }).product, /Chrom/)

      const { targetId } = (yield* client.call("Target.createTarget", { url: "about:blank" })) as { targetId: string }
      const { sessionId } = (yield* client.call("Target.attachToTarget", { targetId, flatten: true })) as {
        sessionId: string
      }
      const loaded = yield* client.notifications.pipe(
        Stream.filter(({ method }) => method === "Page.loadEventFired"),
        Stream.runHead,
        Effect.forkScoped({ startImmediately: true })
      )
      yield* client.call("Page.enable", { $sessionId: sessionId })
      yield* client.call("Page.navigate", {
        url: "data:text/html,<title>from a test</title>",
        $sessionId: sessionId
      })
      const event = yield* Fiber.join(loaded)
      assert.strictEqual(event._tag === "Some" && (event.value.params as any).$sessionId, sessionId)

      const page = yield* JsonRpcClient.fromRemote(Page, client)
      const title = yield* page["Runtime.evaluate"]({
        expression: "document.title",
        returnByValue: true,
        $sessionId: sessionId
      })
      assert.strictEqual(title.result.value, "from a test")

      // a batch of calls goes out one after the other: the protocol has none
      const numbers = yield* JsonRpcClient.batch(
        [1, 2, 3].map((n) =>
          page["Runtime.evaluate"]({ expression: `${n} * 2`, returnByValue: true, $sessionId: sessionId })
        )
      )
      assert.deepStrictEqual(numbers.map(({ result }) => result.value), [2, 4, 6])

      const error = yield* Effect.flip(client.call("No.suchMethod"))
      assert.isTrue(error instanceof JsonRpcError.JsonRpcError && error.reason._tag === "RemoteError")
      assert.strictEqual(error.reason._tag === "RemoteError" && error.reason.code, -32601)
    }).pipe(Effect.scoped),
  60_000
)
