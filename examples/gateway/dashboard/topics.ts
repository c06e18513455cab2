/** Topics as they come; who has the right to `ops` sees logins as well. */
import { DateTime, Effect, Schedule, Stream } from "effect"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { type Topic, TopicsClient } from "effect-wire/topics"
import { CallerMethods, Clock, Ops, Weather } from "../contract.ts"
import { byId, element, onClick, onSubmit, setText, valueOf } from "./dom.ts"

const kept = 12

const note = (topic: string, value: string) =>
  Effect.sync(() => {
    const list = byId("topic-events")
    const time = DateTime.formatLocal(DateTime.nowUnsafe(), { timeStyle: "medium" })
    list.prepend(
      element("li", [element("strong", topic), document.createTextNode(` ${value}`), element("small", time)])
    )
    while (list.childElementCount > kept) list.lastElementChild!.remove()
  })

export const topics = (rpc: JsonRpcClient.Client) =>
  Effect.gen(function*() {
    const methods = yield* JsonRpcClient.fromRemote(CallerMethods, rpc)

    const follow = <A>(topic: Topic.Topic<string, A, any>, show: (value: A) => Effect.Effect<void>) =>
      TopicsClient.eventsOf(rpc, topic).pipe(
        Stream.runForEach((event) => event._tag === "Value" ? show(event.value) : Effect.void),
        // a topic that is not for this caller may become so by a login
        Effect.ignore,
        Effect.repeat(Schedule.spaced("2 seconds"))
      )
    const clock = (now: number) =>
      setText("clock", DateTime.formatLocal(DateTime.makeUnsafe(now), { timeStyle: "medium" }))
    const weather = ({ celsius }: { readonly celsius: number }) =>
      Effect.andThen(setText("weather", `${celsius} °C`), note("weather", `${celsius} °C`))

    const whoami = Effect.flatMap(methods.whoami(), ({ permissions, username }) =>
      setText("whoami", username === null ? "nobody" : [username, ...permissions].join(", ")))

    yield* onSubmit(
      "weather-form",
      "topic-messages",
      Effect.suspend(() =>
        methods.set_weather({ celsius: Number(valueOf("celsius")) })
      )
    )
    yield* onSubmit(
      "login-form",
      "topic-messages",
      Effect.gen(function*() {
        const right = yield* rpc.call("login", { username: valueOf("username"), password: valueOf("password") })
        if (right !== true) yield* setText("topic-messages", "wrong name or password")
        yield* whoami
      })
    )
    yield* onClick(byId("logout"), "topic-messages", Effect.andThen(methods.logout(), whoami))
    yield* Effect.all([
      follow(Clock, clock),
      follow(Weather, weather),
      follow(Ops, ({ event, username }) => note("ops", `${event} of ${username}`)),
      // a new connection is nobody's again
      Stream.runForEach(rpc.status, ({ _tag }) => _tag === "Open" ? Effect.ignore(whoami) : Effect.void)
    ], { concurrency: "unbounded" })
  })
