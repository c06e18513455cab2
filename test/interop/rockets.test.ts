/** npm `rockets-client`, the JavaScript client of Rockets (seed 000), against our server. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Queue } from "effect"
import { Wire } from "effect-wire/jsonrpc"
import { createRequire } from "node:module"
import type { Client as RocketsClient, Notification, Request } from "rockets-client"
import { eventually, serve } from "./harness.ts"

// A browser client: Node has the `WebSocket` that it wants as a global.
const Rockets = createRequire(import.meta.url)("rockets-client") as typeof import("rockets-client")

interface RocketsError {
  readonly code: number
  readonly message: string
  readonly data: unknown
}

const connect = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<RocketsClient>((resume) => {
      const client: RocketsClient = new Rockets.Client({
        url,
        protocol: "rockets",
        onConnected: () => resume(Effect.succeed(client))
      })
    }),
    (client) => Effect.sync(() => client.disconnect())
  )

const setup = Effect.gen(function*() {
  const server = yield* serve(Wire.rockets)
  return { ...server, client: yield* connect(server.url.slice("ws://".length)) }
})

const failure = (task: PromiseLike<unknown>) =>
  Effect.flip(Effect.tryPromise({ try: () => task as Promise<unknown>, catch: (error) => error as RocketsError }))

const settled = <A>(task: PromiseLike<A>) => Effect.promise(() => task as Promise<A>)

it.live("requests are answered, by name and by position", () =>
  Effect.gen(function*() {
    const { client } = yield* setup
    assert.strictEqual(yield* settled(client.request("add", { a: 1, b: 2 })), 3)
    assert.strictEqual(yield* settled(client.request("add", [1, 2])), 3)
    assert.strictEqual(yield* settled(client.request("app.users.count", { active: true })), 2)
    // a result that is absent would never settle the client's promise
    assert.strictEqual(yield* settled(client.request("nothing")), null)
  }))

it.live("a hundred requests at once get each its own answer", () =>
  Effect.gen(function*() {
    const { client } = yield* setup
    const tasks = Array.from({ length: 100 }, (_, i) => client.request<object, number>("add", { a: i, b: 1 }))
    const sums = yield* Effect.promise(() => Promise.all(tasks))
    assert.deepStrictEqual(sums, tasks.map((_, i) => i + 1))
  }))

it.live("requests made before the connection is open are answered", () =>
  Effect.gen(function*() {
    const { url } = yield* serve(Wire.rockets)
    const client = new Rockets.Client({ url: url.replace("ws://", "http://"), protocol: "rockets" })
    assert.strictEqual(yield* settled(client.request("add", { a: 20, b: 22 })), 42)
    client.disconnect()
  }))

it.live("errors come with their code, message and data", () =>
  Effect.gen(function*() {
    const { client } = yield* setup
    const declared = yield* failure(client.request("divide", { a: 7, b: 0 }))
    assert.strictEqual(declared.code, -32010)
    assert.deepStrictEqual(declared.data, { _tag: "DivisionByZero", dividend: 7 })
    assert.strictEqual((yield* failure(client.request("missing"))).code, -32601)
    const invalid = yield* failure(client.request("add", { a: "1", b: 2 }))
    assert.strictEqual(invalid.code, -32602)
    const defect = yield* failure(client.request("broken"))
    assert.strictEqual(defect.code, -32603)
    assert.notInclude(JSON.stringify({ ...defect }), "secret")
  }))

it.live("cancel interrupts the handler and the request fails with -31002", () =>
  Effect.gen(function*() {
    const { client, seen } = yield* setup
    const task = client.request("forever")
    yield* Effect.callback<void>((resume) => {
      task.on("progress").subscribe({ next: () => resume(Effect.void), error: () => {} })
    })
    task.cancel()
    task.cancel()
    const error = yield* failure(task)
    assert.strictEqual(error.code, -31002)
    assert.strictEqual(error.message, "Request aborted")
    yield* Deferred.await(seen.interrupted)
    assert.strictEqual(yield* settled(client.request("add", { a: 1, b: 2 })), 3)
  }))

it.live("progress arrives in order, before the answer", () =>
  Effect.gen(function*() {
    const { client } = yield* setup
    const task = client.request("work", { steps: 4 })
    const reports: Array<{ readonly amount: number; readonly operation?: string }> = []
    task.on("progress").subscribe((report) => reports.push(report))
    assert.strictEqual(yield* settled(task), "done")
    assert.deepStrictEqual(
      reports,
      [1, 2, 3, 4].map((i) => ({ amount: i / 4, operation: `step ${i}` }))
    )
  }))

it.live("a batch is answered in one frame, errors beside results", () =>
  Effect.gen(function*() {
    const { client, seen } = yield* setup
    const items: Array<Request | Notification> = [
      new Rockets.Request("add", { a: 1, b: 2 }),
      new Rockets.Notification("note", { text: "in a batch" }),
      new Rockets.Request("divide", { a: 1, b: 0 }),
      new Rockets.Request("echo", { value: "x" })
    ]
    const responses = yield* settled(client.batch(...items as Array<Request>))
    assert.sameMembers(
      responses.map((response) => response.id),
      items.filter((item) => "id" in item).map((item) => (item as Request).id)
    )
    const byId = (item: Request | Notification) =>
      responses.find((response) => response.id === (item as Request).id)!.json<unknown>()
    assert.strictEqual(yield* settled(byId(items[0]!)), 3)
    assert.strictEqual((yield* failure(byId(items[2]!))).code, -32010)
    assert.strictEqual(yield* settled(byId(items[3]!)), "x")
    assert.strictEqual(yield* Queue.take(seen.notes), "in a batch")
  }))

it.live("the progress of a batch is the mean of its requests", () =>
  Effect.gen(function*() {
    const { client } = yield* setup
    const task = client.batch(
      new Rockets.Request("work", { steps: 2 }),
      new Rockets.Request("work", { steps: 4 })
    )
    const amounts: Array<number> = []
    task.on("progress").subscribe((report) => amounts.push(report.amount))
    yield* settled(task)
    assert.strictEqual(amounts.at(-1), 1)
    assert.isAbove(amounts.length, 2)
  }))

it.live("cancelling a batch aborts every request of it", () =>
  Effect.gen(function*() {
    const { client } = yield* setup
    const task = client.batch(new Rockets.Request("forever"), new Rockets.Request("forever"))
    yield* Effect.callback<void>((resume) => {
      task.on("progress").subscribe((report) => {
        if (report.amount === 0.5) resume(Effect.void)
      })
    })
    task.cancel()
    const responses = yield* settled(task)
    for (const response of responses) assert.strictEqual((yield* failure(response.json())).code, -31002)
    assert.strictEqual(responses.length, 2)
  }))

it.live("notifications go both ways", () =>
  Effect.gen(function*() {
    const { client, clients, seen } = yield* setup
    client.notify("note", { text: "one" })
    client.notify(new Rockets.Notification("note", { text: "two" }))
    assert.strictEqual(yield* Queue.take(seen.notes), "one")
    assert.strictEqual(yield* Queue.take(seen.notes), "two")
    const received: Array<Notification> = []
    client.subscribe((notification) => received.push(notification))
    assert.strictEqual(yield* clients.broadcast("weather", { degrees: 20 }), 1)
    yield* eventually(() => received.length === 1)
    assert.strictEqual(received[0]!.method, "weather")
    assert.deepStrictEqual(received[0]!.params, { degrees: 20 })
  }))

it.live("requests under way fail with -30100 when the client disconnects, and their handlers are interrupted", () =>
  Effect.gen(function*() {
    const { client, seen } = yield* setup
    const task = client.request("forever")
    yield* Effect.callback<void>((resume) => {
      task.on("progress").subscribe({ next: () => resume(Effect.void), error: () => {} })
    })
    client.disconnect()
    assert.include([-30100, -30101], (yield* failure(task)).code)
    yield* Deferred.await(seen.interrupted)
  }))
