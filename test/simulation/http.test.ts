import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type Fault, History, Simulation, World, WorldHttp } from "effect-wire/simulation"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

const Routes = HttpRouter.add(
  "POST",
  "/echo",
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const text = yield* request.text
    yield* World.note("asked", text)
    yield* Effect.sleep(100)
    return HttpServerResponse.text(`${request.headers["x-of"]}: ${text}`, { status: 201 })
  }).pipe(Effect.onInterrupt(() => World.note("interrupted")))
)

const app = Simulation.make({
  name: "echo",
  nodes: {
    server: Simulation.node({
      layer: HttpRouter.serve(Routes, { disableLogger: true }).pipe(Layer.provide(WorldHttp.layerServer))
    }),
    client: Simulation.node({
      layer: WorldHttp.layerClient,
      operations: {
        post: Simulation.operation({
          input: () => "Grüße",
          run: (text) =>
            Effect.gen(function*() {
              const response = yield* HttpClient.execute(
                HttpClientRequest.post("http://server/echo", { headers: { "x-of": "ann" } }).pipe(
                  HttpClientRequest.bodyText(text)
                )
              )
              return [response.status, yield* response.text]
            })
        })
      }
    })
  },
  links: [["client", "server"]]
})

/** One request at 10 ms, and what goes wrong; frames take 1 ms. */
const posting = (faults: ReadonlyArray<Fault.Fault>, interruptAfter?: number) =>
  Effect.map(
    Simulation.perform(app, {
      seed: 1,
      network: { latency: 1, jitter: 0, capacity: 1024, syncWriters: false },
      interleaving: { window: 1, preemptAfter: 0, lateTurns: 0 },
      operations: [{ at: 10, node: "client", operation: "post", input: "Grüße", interruptAfter }],
      faults
    }),
    (history) => ({
      end: History.operations(history)[0]!,
      notes: history.events.flatMap((event) => event._tag === "Noted" ? [event.kind] : [])
    })
  )

it.effect("a request reaches the node of its host, and its answer comes back", () =>
  Effect.gen(function*() {
    const { end } = yield* posting([])
    assert.strictEqual(end.outcome, "Success")
    assert.deepStrictEqual(end.value, [201, "ann: Grüße"])
  }))

it.effect("a request may be refused, cut in its middle, or lose its answer", () =>
  Effect.gen(function*() {
    const refused = yield* posting([{ kind: "refuse", at: 0, node: "server", for: 1000 }])
    assert.strictEqual(refused.end.value.reason._tag, "TransportError")
    assert.deepStrictEqual(refused.notes, [])
    const cut = (at: number, part: number) =>
      posting([{ kind: "cut", at, link: ["client", "server"], frames: 0, part, knows: [0, 0] }])
    // the request is on its way from 12 ms on, the answer from 113 ms on
    for (
      const [at, part, notes] of [[11.5, 0.5, []], [60, 0, ["asked", "interrupted"]], [60, 0.5, ["asked"]]] as const
    ) {
      const lost = yield* cut(at, part)
      assert.strictEqual(lost.end.outcome, "Failure")
      assert.strictEqual(lost.end.value.reason._tag, "TransportError")
      assert.deepStrictEqual(lost.notes, [...notes])
    }
  }))

it.effect("a request whose client goes away is interrupted", () =>
  Effect.gen(function*() {
    const { end, notes } = yield* posting([], 50)
    assert.strictEqual(end.outcome, "Interrupted")
    assert.deepStrictEqual(notes, ["asked", "interrupted"])
  }))
