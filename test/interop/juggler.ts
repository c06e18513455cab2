/**
 * The browsers' clients of the three generations, with the little of a browser that they need. They are JavaScript without
 * types, each with its own idea of a window.
 */
import { Effect, type Scope } from "effect"
import * as Ws from "ws"

const target = globalThis as any
target.WebSocket = Ws.WebSocket
target.window ??= { location: { protocol: "http:", hostname: "localhost", port: "" }, addEventListener: () => {} }
target.document ??= {
  createElement: () => ({}),
  addEventListener: () => {},
  body: {},
  head: {},
  location: target.window.location
}
target.CustomEvent ??= class CustomEvent extends Event {
  readonly detail: unknown
  constructor(type: string, options?: { readonly detail?: unknown }) {
    super(type)
    this.detail = options?.detail
  }
}

/** Their `Connection`: an `EventTarget` with a handful of methods. */
export interface TheirConnection {
  readonly on: (type: string, listener: (detail: any) => void) => void
  readonly inner: any
  /** Waits for an event. */
  readonly next: (type: string) => Effect.Effect<any>
  /** Waits until something is so. */
  readonly until: (condition: () => boolean) => Effect.Effect<void>
}

const load = { "0.5": "juggler05", "0.6": "juggler06", "0.7": "juggler07" } as const

/** Opens their client of a generation; it is closed with the scope. */
export const connect = (
  generation: keyof typeof load,
  url: string,
  ...args: ReadonlyArray<unknown>
): Effect.Effect<TheirConnection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const module: any = yield* Effect.promise(() => import(load[generation]))
    const inner = yield* Effect.acquireRelease(
      Effect.sync(() => new module.Connection(url, ...args)),
      (connection) => Effect.sync(() => connection.close())
    )
    const on: TheirConnection["on"] = (type, listener) =>
      inner.addEventListener(type, (event: { detail: unknown }) => listener(event.detail))
    const next = (type: string) =>
      Effect.callback<any>((resume) => {
        inner.addEventListener(type, (event: { detail: unknown }) => resume(Effect.succeed(event.detail)), {
          once: true
        })
      })
    const until = (condition: () => boolean) =>
      Effect.callback<void>((resume) => {
        const check = () => {
          if (condition()) resume(Effect.void)
        }
        for (const type of ["change", "message", "notify", "close", "open"]) inner.addEventListener(type, check)
        check()
      })
    yield* next("open")
    return { inner, on, next, until }
  })

/** Stands in for their state container, as far as their `Application` uses it. */
export class Container extends EventTarget {
  readonly values = new Map<string, any>()
  set(path: unknown, value: unknown): void {
    this.values.set(String(path), value)
    this.dispatchEvent(new Event("change"))
  }
  get(path: unknown): unknown {
    return this.values.get(String(path)) ?? null
  }
}

/** Starts their application, which connects again by itself; that of 0.5 has no end, so give it a long delay. */
export const application = (
  generation: keyof typeof load,
  make: (module: any) => any
): Effect.Effect<any, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => import(load[generation]).then(make)),
    (app) =>
      Effect.sync(() => {
        if (generation !== "0.5") {
          app._addresses = []
          app._retryDelay = null
        }
        app._conn?.close()
      })
  )
