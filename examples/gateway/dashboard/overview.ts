/** Who is connected and how, how much the gateway does, and how fast it answers. */
import { Clock, DateTime, Effect, Redacted, Schedule, Stream } from "effect"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { DashboardMethods, type Snapshot, WrongToken } from "./contract.ts"
import { byId, element, plot, setText } from "./dom.ts"
import { token } from "./token.ts"

export const statusText = {
  Idle: "not connected",
  Dialling: "connecting …",
  Opening: "connecting …",
  Open: "connected",
  Lost: "connection lost, trying again",
  Ended: "closed"
}

const show = ({ connections, inFlight }: Pick<typeof Snapshot.Type, "connections" | "inFlight">) =>
  Effect.sync(() => {
    byId("connections").replaceChildren(...connections.map((connection) =>
      element("tr", [
        element("td", String(connection.id)),
        element("td", connection.wire),
        element("td", connection.path),
        element("td", connection.address ?? ""),
        element("td", connection.username ?? "nobody"),
        element("td", DateTime.makeUnsafe(connection.since).pipe(DateTime.formatLocal({ timeStyle: "medium" })))
      ])
    ))
    byId("count").textContent = `${connections.length} connections, ${inFlight} requests in flight`
  })

export const overview = (rpc: JsonRpcClient.Client, own: JsonRpcClient.Client) =>
  Effect.gen(function*() {
    const dashboard = yield* JsonRpcClient.fromRemote(DashboardMethods, own)
    const throughput = plot("throughput", "requests per second", "/s")
    const latency = plot("latency", "round trip", "ms")
    let refused = ""
    let before: { readonly requests: number; readonly at: number } | undefined

    const measure = Effect.gen(function*() {
      const began = performance.now()
      yield* rpc.call("ping")
      yield* latency(performance.now() - began)
      const shown = token()
      if (Redacted.value(shown) === refused) return yield* new WrongToken()
      const snapshot = yield* dashboard.snapshot({ token: shown }).pipe(
        // asked with again and again it would be a guess too many
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (error._tag === "WrongToken") refused = Redacted.value(shown)
          })
        )
      )
      const at = yield* Clock.currentTimeMillis
      if (before !== undefined && snapshot.requests >= before.requests) {
        yield* throughput((snapshot.requests - before.requests) * 1000 / Math.max(1, at - before.at))
      }
      before = { requests: snapshot.requests, at }
      yield* show(snapshot)
      yield* setText("overview-messages", "")
    }).pipe(
      Effect.timeout("5 seconds"),
      Effect.catchTag("WrongToken", () =>
        Effect.andThen(
          show({ connections: [], inFlight: 0 }),
          setText("overview-messages", "This needs the token of the gateway, above.")
        )),
      Effect.catch((error) => setText("overview-messages", error.message))
    )
    const watch = Stream.runForEach(rpc.status, ({ _tag }) =>
      Effect.andThen(
        setText("status", statusText[_tag]),
        Effect.sync(() => {
          byId("status").dataset.state = _tag
        })
      ))
    yield* Effect.all([watch, Effect.repeat(measure, Schedule.spaced("1 second"))], { concurrency: "unbounded" })
  })
