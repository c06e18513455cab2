import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Access from "../../identity/Access.ts"
import { CurrentClient } from "../../jsonrpc/JsonRpcClients.ts"
import * as JsonPatch from "../../juggler/JsonPatch.ts"
import type { ReadableState } from "../../juggler/JugglerState.ts"
import type { Connection } from "../../rpc/RpcConnection.ts"
import type * as Topic from "../../topics/Topic.ts"
import type * as Recording from "../../wiretap/Recording.ts"
import type { Wiretap } from "../../wiretap/Wiretap.ts"
import type { Event, FrameSeen, TopicValue } from "./contract.ts"
import { eventMethod } from "./eventMethod.ts"
import type { Hearing } from "./hearing.ts"

/** What can be watched. */
export interface Sources {
  readonly hearing: Hearing | undefined
  readonly states: ReadonlyMap<string, ReadableState<any>>
  readonly tap: Wiretap["Service"] | undefined
}

/** What one page wants to hear. */
export interface Wanted {
  readonly topics?: boolean
  readonly state?: string
  readonly frames?: boolean
}

const Watching = Context.Reference<Fiber.Fiber<unknown, unknown> | undefined>(
  "effect-wire/dashboard/internal/live/Watching",
  { defaultValue: () => undefined }
)

/** What is sent at once is at most so much, and the next only when the page has read it. */
const [maxFrames, maxFrameText] = [200, 4096]

const cut = (text: string): string =>
  text.length > maxFrameText ? `${text.slice(0, maxFrameText)}… (${text.length} characters)` : text

/**
 * What a page shows of a frame. Frames of dashboards are left out: each that is shown would be one more to show. A page is
 * known by what it is sent, and by the address of its connection where the recorder saw it open.
 */
const frameFilter = (started: number, path: string) => {
  const own = new Set<number>()
  const event = `"method":"${eventMethod}"`
  return (recorded: Recording.Event): FrameSeen | undefined => {
    const at = started + recorded.at
    const { connection } = recorded
    switch (recorded.type) {
      case "open":
        if (recorded.url.split("?", 1)[0] === path) own.add(connection)
        if (own.has(connection)) return undefined
        return { at, connection, what: "open", from: "", text: `${recorded.carrier} ${recorded.url}` }
      case "close":
        if (own.delete(connection)) return undefined
        return {
          at,
          connection,
          what: "close",
          from: recorded.from,
          text: `${recorded.code} ${recorded.reason}`.trim()
        }
      case "lost":
        return { at, connection, what: "lost", from: "", text: `${recorded.frames} frames were not recorded` }
      default: {
        if (own.has(connection)) return undefined
        const text = "text" in recorded ? recorded.text : `${recorded.bytes.length} characters of base64`
        const head = text.slice(0, 120)
        if (recorded.from === "server" ? head.includes(event) : head.includes(`"method":"dashboard.`)) {
          own.add(connection)
          return undefined
        }
        return { at, connection, what: "frame", from: recorded.from, text: cut(text) }
      }
    }
  }
}

/** Makes the function that watches for a connection, in place of what it watched before. */
export const make = (
  sources: Sources,
  options: { readonly path: string; readonly may: (connection: Connection, now: number) => boolean }
) =>
(connection: Connection, wanted: Wanted): Effect.Effect<void> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const { outbox } = connection
    const client = connection.get(CurrentClient)
    const before = connection.get(Watching)
    if (before !== undefined) yield* Fiber.interrupt(before)
    if (outbox === undefined || client === undefined) return

    // nothing more is said to who may not hear it any more, and nothing before the last was read
    const send = (event: Event) =>
      Effect.suspend(() =>
        options.may(connection, clock.currentTimeMillisUnsafe())
          ? Effect.andThen(client.notify(eventMethod, event as never), outbox.drained(65_536))
          : Effect.interrupt
      )

    const topics = (hearing: Hearing) =>
      Effect.gen(function*() {
        const may = (topic: Topic.Any) =>
          Access.satisfies(topic, Access.identityAt(connection, clock.currentTimeMillisUnsafe()))
        const queue = yield* Queue.sliding<TopicValue>(1024)
        yield* Effect.acquireRelease(
          Effect.sync(() =>
            hearing.listen((topic, value) => {
              if (may(topic)) Queue.offerUnsafe(queue, value)
            })
          ),
          (stop) => Effect.sync(stop)
        )
        yield* send({ kind: "topics", reset: true, values: hearing.kept(may) })
        return yield* Effect.forever(Effect.gen(function*() {
          const values = yield* Queue.takeAll(queue)
          yield* send({ kind: "topics", reset: false, values })
          yield* Effect.sleep("50 millis")
        }))
      }).pipe(Effect.scoped)

    const state = (name: string, followed: ReadableState<any>) =>
      Stream.runForEach(followed.commits(), ({ changes, version }) =>
        send({
          kind: "state",
          state: name,
          version,
          operations: JsonPatch.encode(changes) as unknown as ReadonlyArray<Schema.Json>
        }))

    const frames = (tap: Wiretap["Service"]) => {
      const show = frameFilter(Date.parse(tap.started), options.path)
      return tap.events.pipe(
        Stream.map(show),
        Stream.filter((frame) => frame !== undefined),
        Stream.groupedWithin(maxFrames, "200 millis"),
        Stream.runForEach((frames) => send({ kind: "frames", frames }))
      )
    }

    const { hearing, states, tap } = sources
    const watched = wanted.state === undefined ? undefined : states.get(wanted.state)
    const all = Effect.all([
      wanted.topics === true && hearing !== undefined ? topics(hearing) : Effect.void,
      watched === undefined ? Effect.void : state(wanted.state!, watched),
      wanted.frames === true && tap !== undefined ? frames(tap) : Effect.void
    ], { concurrency: "unbounded", discard: true })
    connection.set(Watching, yield* Effect.forkIn(Effect.ignore(all), connection.scope))
  })
