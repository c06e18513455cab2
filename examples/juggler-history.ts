/**
 * A text that two write, with undo and redo. What is typed in quick succession is one step; undoing is a change like any
 * other, so the client, which knows nothing of a history, follows it. Earlier versions can be looked at.
 *
 * Run: npx tsx examples/juggler-history.ts
 * Prints: client: Hello, world!
 * Prints: undo:   Hello, world
 * Prints: undo:   Hello
 * Prints: redo:   Hello, world
 * Prints: steps:  {"undo":2,"redo":1}
 * Prints: first:  {"text":""}
 * Prints: client: Hello, world
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schema, Stream } from "effect"
import { JugglerClient, JugglerServer, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"

const Note = Schema.Struct({ text: Schema.String })

const program = Effect.gen(function*() {
  const note = yield* JugglerState.make({
    schema: Note,
    initial: { text: "" },
    history: { groupWithin: "50 millis", maxCommits: 10_000 }
  })
  const { history } = note
  const first = yield* note.version
  const memory = yield* MemorySocket.makeServer()
  yield* Effect.forkScoped(memory.server.run(yield* JugglerServer.make(undefined, { state: note, autoflush: 0 })))
  const client = yield* JugglerClient.fromSocket(memory.connect(), { state: Note })
  const shown = (text: string) =>
    client.state.changes.pipe(
      Stream.filter((value) => value.text === text),
      Stream.take(1),
      Stream.runForEach((value) => Console.log("client:", value.text))
    )

  for (const text of ["H", "He", "Hello"]) yield* note.put(["text"], text)
  yield* Effect.sleep("100 millis")
  for (const text of ["Hello,", "Hello, world"]) yield* note.put(["text"], text)
  yield* history.cut
  yield* note.put(["text"], "Hello, world!")
  yield* shown("Hello, world!")

  const tell = (word: string) => Effect.flatMap(note.get, ({ text }) => Console.log(`${word}:  `, text))
  yield* Effect.andThen(history.undo, tell("undo"))
  yield* Effect.andThen(history.undo, tell("undo"))
  yield* Effect.andThen(history.redo, tell("redo"))
  yield* Console.log("steps: ", JSON.stringify(history.steps.getSnapshot()))
  yield* Console.log("first: ", JSON.stringify(yield* history.at(first)))
  yield* shown("Hello, world")
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
