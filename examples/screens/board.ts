/**
 * The board in the browser, without a screen: one client, and what a click does. Both pages are made of it. A click shows its
 * guess at once; the server decides, and a refusal takes the guess back.
 */
import { Effect, Layer, ManagedRuntime } from "effect"
import { JugglerClient } from "effect-wire/juggler"
import { BrowserWebSocket } from "effect-wire/socket"
import { Board, Requests } from "./contract.ts"

const runtime = ManagedRuntime.make(Layer.empty)

/** Connects, for as long as the page is there. */
export const connect = Effect.gen(function*() {
  const socket = yield* BrowserWebSocket.make(`ws://${location.host}/ws`)
  const client = yield* JugglerClient.fromSocket(socket, {
    state: Board,
    requests: Requests,
    whileDisconnected: "wait"
  })
  /** Runs what a click wants; `onError` is told why it was refused, or that it was not (`""`). */
  const run = (effect: Effect.Effect<unknown, unknown>, onError: (text: string) => void) =>
    void runtime.runFork(Effect.match(effect, {
      onFailure: (error) => onError(error instanceof Error ? error.message : String(error)),
      onSuccess: () => onError("")
    }))
  return {
    /** Keep a selection: it is what a screen subscribes to. */
    todos: client.state.select(({ todos }) => todos),
    add: (title: string, onError: (text: string) => void) => {
      const id = crypto.randomUUID()
      run(
        client.requests.add({ id, title }).pipe(client.predict((draft) => {
          draft.todos[id] = { title, done: false }
        })),
        onError
      )
    },
    toggle: (id: string) =>
      run(
        client.requests.toggle({ id }).pipe(client.predict((draft) => {
          draft.todos[id]!.done = !draft.todos[id]!.done
        })),
        () => {}
      )
  }
})

export type BoardClient = Effect.Success<typeof connect>

/** Starts a page. */
export const start = (show: (board: BoardClient) => void) =>
  void runtime.runFork(Effect.scoped(Effect.andThen(Effect.map(connect, show), Effect.never)))
