/**
 * A thermostat: a back-end that holds a state, and two GUIs that follow it. The back-end changes its state by recipes; one
 * GUI shows the whole, the other only the room that it is interested in; either turns the knob by calling an action that
 * is an ordinary `RpcGroup`.
 *
 * Run: npx tsx examples/thermostat.ts
 * Prints: panel:   heating off, kitchen 19.0, hall 18.0
 * Prints: kitchen: 19.0 wanted 20.0
 * Prints: kitchen: 19.0 wanted 22.5
 * Prints: the hall has no heater
 * Prints: kitchen: 20.5 wanted 22.5
 * Prints: panel:   heating on, kitchen 20.5, hall 18.0
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema, Stream } from "effect"
import { JugglerClient, JugglerServer, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"

// The contract: what the GUIs see, and what they may do.
const Room = Schema.Struct({ celsius: Schema.Finite, wanted: Schema.optionalKey(Schema.Finite) })
const House = Schema.Struct({ heating: Schema.Boolean, rooms: Schema.Record(Schema.String, Room) })
class NoHeater extends Schema.TaggedError<NoHeater>()("NoHeater", { room: Schema.String }) {}
class Knobs extends RpcGroup.make(
  Rpc.make("turn", { payload: { room: Schema.String, celsius: Schema.Finite }, error: NoHeater })
) {}

const show = (celsius: number | undefined) => celsius?.toFixed(1) ?? "nothing"

const program = Effect.gen(function*() {
  // The back-end.
  const house = yield* JugglerState.make({
    schema: House,
    initial: { heating: false, rooms: { kitchen: { celsius: 19, wanted: 20 }, hall: { celsius: 18 } } }
  })
  const Handlers = Knobs.toLayer({
    turn: ({ celsius, room }) =>
      Effect.gen(function*() {
        if ((yield* house.at(["rooms", room, "wanted"])) === undefined) return yield* new NoHeater({ room })
        yield* Effect.orDie(house.put(["rooms", room, "wanted"], celsius))
      })
  })
  const Server = JugglerServer.layerSocketServer(Knobs, { state: house, autoflush: "20 millis" })
  const memory = yield* MemorySocket.MemoryServer
  yield* Layer.build(Layer.provide(Server, Handlers))

  // Two GUIs; in a browser each would be given a WebSocket.
  const gui = JugglerClient.fromSocket(memory.connect(), { state: House, requests: Knobs })
  const panel = yield* gui
  const kitchen = yield* JugglerClient.fromSocket(memory.connect(), { state: House, requests: Knobs })
  const panelShows = panel.state.select(({ heating, rooms }) =>
    `panel:   heating ${heating ? "on" : "off"}, kitchen ${show(rooms["kitchen"]?.celsius)}, hall ${
      show(rooms["hall"]?.celsius)
    }`
  )
  yield* Effect.forkScoped(Stream.runForEach(panelShows, (line) => Console.log(line)))
  const kitchenShows = kitchen.state.select(({ rooms }) => rooms["kitchen"])
  yield* Effect.forkScoped(
    Stream.runForEach(
      kitchenShows,
      (room) => Console.log(`kitchen: ${show(room?.celsius)} wanted ${show(room?.wanted)}`)
    )
  )
  yield* Effect.sleep("100 millis")

  yield* kitchen.requests.turn({ room: "kitchen", celsius: 22.5 })
  yield* Effect.sleep("100 millis")
  yield* kitchen.requests.turn({ room: "hall", celsius: 21 }).pipe(
    Effect.catchTag("NoHeater", ({ room }) => Console.log(`the ${room} has no heater`))
  )
  yield* house.update((draft) => {
    draft.heating = true
    draft.rooms["kitchen"]!.celsius = 20.5
  })
  yield* Effect.sleep("100 millis")
})

program.pipe(Effect.scoped, Effect.provide(MemorySocket.layer), NodeRuntime.runMain)
