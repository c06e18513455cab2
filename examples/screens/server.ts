/** The board's server: the state, the requests, and a page for each way to show it, bundled when it is first wanted. */
import { Duration, Effect, Layer } from "effect"
import { JugglerServer, JugglerState } from "effect-wire/juggler"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { build } from "esbuild"
import { fileURLToPath } from "node:url"
import { Board, Requests } from "./contract.ts"

const script = (name: string) =>
  Effect.promise(() =>
    build({
      entryPoints: [fileURLToPath(new URL(name, import.meta.url))],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2022",
      jsx: "automatic",
      minify: true,
      define: { "process.env.NODE_ENV": "\"production\"" },
      logLevel: "silent"
    })
  ).pipe(Effect.map(({ outputFiles }) => outputFiles[0]!.text))

const page = (name: string) =>
  `<!doctype html><meta charset="utf-8"><title>${name}</title><link rel="icon" href="data:,">` +
  `<div id="page"></div><script type="module" src="/${name}.js"></script>`

const Pages = HttpRouter.use((router) =>
  Effect.gen(function*() {
    for (const [name, file] of [["react", "react.tsx"], ["dom", "dom.ts"]] as const) {
      const bundled = yield* Effect.cached(script(file))
      yield* router.add("GET", `/${name}`, HttpServerResponse.html(page(name)))
      yield* router.add(
        "GET",
        `/${name}.js`,
        Effect.map(bundled, (text) => HttpServerResponse.text(text, { contentType: "text/javascript; charset=utf-8" }))
      )
    }
  })
)

/** Takes its time, as a server far away does, and wants a title. */
const board = (latency: Duration.Input) =>
  Layer.unwrap(Effect.gen(function*() {
    const state = yield* JugglerState.make({ schema: Board, initial: { todos: {} } })
    const Handlers = Requests.toLayer({
      add: ({ id, title }) =>
        Effect.gen(function*() {
          yield* Effect.sleep(latency)
          if (title.trim() === "") return yield* Effect.fail("What is there to do?")
          yield* Effect.orDie(state.update((draft) => {
            draft.todos[id] = { title: title.trim(), done: false }
          }))
        }),
      toggle: ({ id }) =>
        Effect.gen(function*() {
          yield* Effect.sleep(latency)
          yield* Effect.orDie(state.update((draft) => {
            const todo = draft.todos[id]
            if (todo !== undefined) todo.done = !todo.done
          }))
        })
    })
    return JugglerServer.layerHttp(Requests, { state, autoflush: "20 millis" }).pipe(Layer.provide(Handlers))
  }))

/** `/react`, `/dom` and `/ws`. */
export const routes = (latency: Duration.Input) => Layer.merge(Pages, board(latency))
