/**
 * `state`: what a Juggler server of any generation shows, and what is asked of it.
 */
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as JsonPatch from "../../juggler/JsonPatch.ts"
import * as JsonPointer from "../../juggler/JsonPointer.ts"
import * as JugglerClient from "../../juggler/JugglerClient.ts"
import type { JugglerError } from "../../juggler/JugglerError.ts"
import * as JugglerGeneration from "../../juggler/JugglerGeneration.ts"
import * as Reconnect from "../../socket/Reconnect.ts"
import type * as Configs from "./configs.ts"
import * as Credentials from "./credentials.ts"
import { Failure, ofWords, unreachable, usage } from "./failure.ts"
import * as Output from "./output.ts"
import { fromArguments, valueOf } from "./params.ts"
import * as CliSocket from "./socket.ts"
import * as Target from "./target.ts"

type Input<C extends Command.Command.Config> = Command.Command.Config.Infer<C>
type Connection = Input<typeof Configs.juggler>
type Json = JsonPointer.Json

/** How long a server may take to say something by which its generation is known, in milliseconds. */
const patience = 2_000

const ofJuggler = (error: JugglerError): Failure => {
  const { reason } = error
  if (reason._tag === "RemoteError") {
    return new Failure({ kind: "Refused", message: error.message, details: { data: reason.data } })
  }
  if (reason._tag === "ProtocolError") {
    return new Failure({ kind: "Protocol", message: error.message, tries: ["another --generation: 0.5, 0.6 or 0.7"] })
  }
  if (reason.kind === "Timeout") {
    return new Failure({
      kind: "Timeout",
      message: error.message,
      tries: ["--timeout <duration>", "another --generation"]
    })
  }
  const { kind, tries } = ofWords(error.message)
  return new Failure({ kind, message: error.message, tries })
}

const generationOf = (frame: string): JugglerGeneration.Generation | undefined => {
  if (/^[0-3]/.test(frame)) return JugglerGeneration.v07
  const type = /^\s*\{[\s\S]*?"type"\s*:\s*"(\w+)"/.exec(frame)?.[1]
  if (type === undefined) return undefined
  return /^(DATA|MESSAGE|PING|PONG)$/.test(type)
    ? JugglerGeneration.v05
    : /^(state|notify|response)$/.test(type)
    ? JugglerGeneration.v06
    : undefined
}

/** Listens to what the server says first: each generation begins in its own way. */
const detect = (socket: Socket.Socket): Effect.Effect<JugglerGeneration.Generation, Failure> =>
  Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const frames = yield* pull
    const [frame] = frames
    const found = typeof frame === "string" ? generationOf(frame) : undefined
    if (found !== undefined) return found
    return yield* new Failure({
      kind: "Protocol",
      message: "the server speaks, but no Juggler",
      tries: ["effect-wire listen, where it speaks JSON-RPC", "another path, such as /ws"]
    })
  }).pipe(
    Effect.mapError((error) => error instanceof Failure ? error : unreachable("cannot connect", error)),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.fail(
          new Failure({
            kind: "Timeout",
            message: "the server says nothing by which its generation is known",
            tries: ["--generation 0.5, 0.6 or 0.7"]
          })
        )
    }),
    Effect.scoped
  )

const connect = Effect.fnUntraced(function*(address: string, input: Connection) {
  const target = Target.parse(address)
  if (target instanceof Error) return yield* target
  const credentials = yield* Credentials.read(input)
  if (credentials.login !== undefined) {
    return yield* usage("Juggler has no methods to log in by", "--user <name> or --header")
  }
  const socket = yield* CliSocket.make(target, credentials, { protocol: "", openTimeout: input.connectTimeout })
  const generation = input.generation === "auto"
    ? yield* detect(socket)
    : JugglerGeneration.all[input.generation]
  const client = yield* JugglerClient.fromSocket(socket, {
    generation,
    state: Schema.Json,
    reconnect: Reconnect.schedule,
    openTimeout: input.connectTimeout,
    callTimeout: input.timeout
  })
  yield* Effect.mapError(client.connect, ofJuggler)
  return { client, generation }
})

type Client = Effect.Success<ReturnType<typeof connect>>["client"]

const pointerOf = (text: string): Effect.Effect<ReadonlyArray<string>, Failure> => {
  const found = JsonPointer.parse(text)
  return found === undefined
    ? Effect.fail(usage(`"${text}" is no JSON pointer`, `/${text}`))
    : Effect.succeed(found)
}

const firstState = (client: Client, millis: number) =>
  Effect.orDie(client.state.get).pipe(
    Effect.timeoutOrElse({
      duration: millis,
      orElse: () =>
        Effect.fail(
          new Failure({
            kind: "Timeout",
            message: "the server has shown no state",
            tries: ["--timeout <duration>", "another --generation"]
          })
        )
    })
  )

/** @internal */
export const get = Effect.fnUntraced(function*(input: Input<typeof Configs.stateGet>) {
  const place = yield* pointerOf(Option.getOrElse(input.pointer, () => ""))
  const { client } = yield* connect(input.url, input)
  const found = JsonPointer.get(yield* firstState(client, input.timeout), place)
  if (found === undefined) {
    return yield* new Failure({ kind: "NotFound", message: `there is nothing at ${JsonPointer.format(place)}` })
  }
  yield* Output.show(found, input.json)
}, Effect.scoped)

interface Following {
  readonly at: Option.Option<string>
  readonly patches: boolean
  readonly count: Option.Option<number>
  readonly timeout: number
}

const followed = Effect.fnUntraced(function*(client: Client, input: Following) {
  const place = yield* pointerOf(Option.getOrElse(input.at, () => ""))
  yield* firstState(client, input.timeout)
  const lines: Stream.Stream<string> = input.patches
    ? client.state.commits().pipe(
      Stream.map(({ changes }) => JsonPatch.encode(place.length === 0 ? changes : JsonPatch.below(changes, place))),
      Stream.filter((patch) => patch.length > 0),
      Stream.map(Output.compact)
    )
    : client.state.select(place).pipe(Stream.map((value) => Output.compact(value)))
  const limited = Option.isSome(input.count) ? Stream.take(lines, input.count.value) : lines
  yield* Stream.runForEach(limited, Output.line)
})

/** @internal */
export const follow = Effect.fnUntraced(function*(input: Input<typeof Configs.stateFollow>) {
  const { client } = yield* connect(input.url, input)
  yield* followed(client, input)
}, Effect.scoped)

/** The least document that has a value at a place. */
const around = (place: ReadonlyArray<string>, value: Json): Json =>
  place.reduceRight<Json>((inner, key) => ({ [key]: inner }), value)

/** @internal */
export const set = Effect.fnUntraced(function*(input: Input<typeof Configs.stateSet>) {
  const place = yield* pointerOf(input.pointer)
  const value = valueOf(input.value) as Json
  const { client, generation } = yield* connect(input.url, input)
  if (generation.symmetric) {
    yield* Effect.mapError(client.local.set(around(place, value)), (error) => usage(error.message))
    yield* Effect.mapError(client.flush, ofJuggler)
  } else {
    yield* Effect.mapError(client.call(input.request, { path: place, value }), ofJuggler)
  }
  if (input.follow) yield* followed(client, { ...input, at: Option.none(), patches: false })
}, Effect.scoped)

/** @internal */
export const call = Effect.fnUntraced(function*(input: Input<typeof Configs.stateCall>) {
  const given = fromArguments(input.data)
  if (typeof given === "string") return yield* usage(given)
  const { client, generation } = yield* connect(input.url, input)
  const { params } = given
  const data = (generation.symmetric
    ? params === undefined ? [] : Array.isArray(params) ? params : [params]
    : params === undefined
    ? null
    : input.data.length === 1 && Array.isArray(params) && !/^\s*\[/.test(input.data[0]!)
    ? params[0]
    : params) as Json
  yield* Output.show(yield* Effect.mapError(client.call(input.name, data), ofJuggler), input.json)
}, Effect.scoped)
