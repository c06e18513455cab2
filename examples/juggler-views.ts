/**
 * One state, a view for each caller: everybody sees the public part, an operator also the rooms that are his. A view is a
 * function, or a part of the state; what changes in it is sent, what changes outside of it is not. Callers with the same
 * view share it.
 *
 * Run: npx tsx examples/juggler-views.ts
 * Prints: guest: {"title":"plant","rooms":{}}
 * Prints: ann:   {"title":"plant","rooms":{"boiler":{"bar":4}}}
 * Prints: ann:   {"title":"plant","rooms":{"boiler":{"bar":5}}}
 * Prints: guest: {"title":"plant 2","rooms":{}}
 * Prints: ann:   {"title":"plant 2","rooms":{"boiler":{"bar":5}}}
 * Prints: display: 5 bar
 * Prints: frames: guest 2, ann 3
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schema, Stream } from "effect"
import { type JsonPointer, JugglerClient, JugglerServer, JugglerState, JugglerView } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"

const Plant = Schema.Struct({
  title: Schema.String,
  rooms: Schema.Record(Schema.String, Schema.Struct({ owner: Schema.String, bar: Schema.Finite }))
})
const View = Schema.Struct({
  title: Schema.String,
  rooms: Schema.Record(Schema.String, Schema.Struct({ bar: Schema.Finite }))
})

const viewOf = ({ rooms, title }: typeof Plant.Type, user: string | undefined): typeof View.Type => ({
  title,
  rooms: Object.fromEntries(
    Object.entries(rooms).filter(([, room]) => room.owner === user).map(([name, { bar }]) => [name, { bar }])
  )
})

const program = Effect.gen(function*() {
  const plant = yield* JugglerState.make({
    schema: Plant,
    initial: { title: "plant", rooms: { boiler: { owner: "ann", bar: 4 }, cellar: { owner: "bob", bar: 1 } } }
  })
  const memory = yield* MemorySocket.MemoryServer
  const run = yield* JugglerServer.make(undefined, {
    state: plant,
    autoflush: "10 millis",
    view: ({ connection }) => {
      // who it is would be said by an `Authenticator`; here by a header
      const user = connection.handshake.headers["user"]
      if (user === "display") return JugglerView.at(["rooms", "boiler", "bar"])
      return JugglerView.make((state) => viewOf(state as typeof Plant.Type, user) as unknown as JsonPointer.Json, {
        key: `of ${user}`
      })
    }
  })
  yield* Effect.forkScoped(memory.server.run(run))

  const follow = (name: string, headers: Record<string, string>) =>
    Effect.gen(function*() {
      const client = yield* JugglerClient.fromSocket(memory.connect({ headers }), { state: View })
      yield* Effect.forkScoped(
        Stream.runForEach(
          client.state.changes,
          (view) => Console.log(`${`${name}:`.padEnd(6)} ${JSON.stringify(view)}`)
        )
      )
      yield* client.state.get
      yield* Effect.sleep("100 millis")
      return client
    })
  const guest = yield* follow("guest", {})
  const ann = yield* follow("ann", { user: "ann" })
  const display = yield* JugglerClient.fromSocket(memory.connect({ headers: { user: "display" } }))
  yield* display.connect
  yield* plant.put(["rooms", "boiler", "bar"], 5)
  yield* plant.put(["rooms", "cellar", "bar"], 2)
  const until = (client: typeof ann, condition: (view: typeof View.Type) => boolean) =>
    Stream.runDrain(Stream.takeUntil(client.state.changes, condition))
  yield* until(ann, ({ rooms }) => rooms["boiler"]?.bar === 5)
  yield* plant.put(["title"], "plant 2")
  for (const client of [guest, ann]) yield* until(client, ({ title }) => title === "plant 2")
  yield* Effect.sleep("50 millis")
  yield* Console.log(`display: ${yield* display.state.json} bar`)
  yield* Console.log(`frames: guest ${yield* guest.state.version}, ann ${yield* ann.state.version}`)
})

program.pipe(Effect.scoped, Effect.provide(MemorySocket.layer), NodeRuntime.runMain)
