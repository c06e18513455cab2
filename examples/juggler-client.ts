/**
 * A client that follows somebody else's Juggler server, frame by frame: here a server in memory that speaks generation 0.5
 * as `hat-juggler` does, written with nothing but JSON. The client sees values, answers an action that the server calls,
 * and shows data of its own; when the server drops it, it dials again.
 *
 * Run: npx tsx examples/juggler-client.ts
 * Prints: server saw {"cursor":1}
 * Prints: client sees {"temperatures":[20,21]}
 * Prints: client sees {"temperatures":[20,21,22]}
 * Prints: server was told 7 by the client's action
 * Prints: client got the message "goodbye"
 * Prints: connection lost
 * Prints: client sees {"temperatures":[30]}
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schema, Stream } from "effect"
import { JugglerClient, JugglerGeneration, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import type { Socket } from "effect/socket"

/** Somebody else's server: it knows frames. */
let connections = 0
const theirServer = (socket: Socket.Socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const { write } = yield* socket.writer
    const send = (type: string, payload: unknown) => write(JSON.stringify({ type, payload }))
    if (++connections === 2) {
      yield* send("DATA", [{ op: "replace", path: "", value: { temperatures: [30] } }])
      return yield* Effect.forever(pull)
    }
    yield* send("DATA", [{ op: "replace", path: "", value: { temperatures: [20, 21] } }])
    yield* Effect.sleep("50 millis")
    // the Python side copies and moves, the JavaScript side tests first
    yield* send("DATA", [
      { op: "test", path: "/temperatures/1", value: 21 },
      { op: "copy", from: "/temperatures/1", path: "/temperatures/2" },
      { op: "replace", path: "/temperatures/2", value: 22 }
    ])
    yield* Effect.sleep("50 millis")
    yield* send("MESSAGE", { type: "rpc", id: 1, direction: "request", action: "add", args: [3, 4] })
    while (true) {
      for (const frame of yield* pull) {
        const { payload, type } = JSON.parse(String(frame))
        if (type === "DATA") yield* Console.log(`server saw ${JSON.stringify(payload[0].value)}`)
        if (type === "MESSAGE" && payload.direction === "response") {
          yield* Console.log(`server was told ${payload.result} by the client's action`)
          yield* send("MESSAGE", "goodbye")
          return yield* Effect.sleep("50 millis")
        }
      }
    }
  })).pipe(Effect.ignore)

/** What the server may call. */
class Actions extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
) {}
const Handlers = Actions.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })

const Weather = Schema.Struct({ temperatures: Schema.Array(Schema.Finite) })

const program = Effect.gen(function*() {
  const memory = yield* MemorySocket.MemoryServer
  yield* Effect.forkScoped(memory.server.run(theirServer))

  const client = yield* JugglerClient.fromSocket(memory.connect(), {
    generation: JugglerGeneration.v05,
    state: Weather,
    local: yield* JugglerState.makeJson({ cursor: 1 }),
    serves: yield* JugglerClient.serving(Actions)
  })
  yield* Effect.forkScoped(
    Stream.runForEach(client.messages, (message) => Console.log(`client got the message ${JSON.stringify(message)}`))
  )
  yield* Effect.forkScoped(
    Stream.runForEach(
      client.status,
      ({ _tag }) => _tag === "Lost" ? Console.log("connection lost") : Effect.void
    )
  )
  yield* client.state.changes.pipe(
    Stream.take(3),
    Stream.runForEach((weather) => Console.log(`client sees ${JSON.stringify(weather)}`))
  )
})

program.pipe(Effect.scoped, Effect.provide([Handlers, MemorySocket.layer]), NodeRuntime.runMain)
