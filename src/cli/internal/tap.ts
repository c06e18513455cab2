/**
 * `tap`: stands between clients and a server, shows and records what they say, and plays recordings again.
 */
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Socket from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import * as NodeStreamSocket from "../../node/NodeStreamSocket.ts"
import * as NodeWebSocket from "../../node/NodeWebSocket.ts"
import * as NodeWebSocketServer from "../../node/NodeWebSocketServer.ts"
import type * as Handshake from "../../socket/Handshake.ts"
import * as Recording from "../../wiretap/Recording.ts"
import * as Replay from "../../wiretap/Replay.ts"
import * as Wiretap from "../../wiretap/Wiretap.ts"
import type * as Configs from "./configs.ts"
import * as Credentials from "./credentials.ts"
import { Failure, unreachable, usage } from "./failure.ts"
import * as Output from "./output.ts"
import { textOf } from "./params.ts"
import * as CliSocket from "./socket.ts"
import * as Target from "./target.ts"

type Input<C extends Command.Command.Config> = Command.Command.Config.Infer<C>

/** Longer frames are cut, where people read them. */
const shown = 400

/** One event as people read it. */
const eventLine = (event: Recording.Event): string => {
  const head = `${Output.dim(`${String(event.at).padStart(7)} ms`)} #${event.connection}`
  switch (event.type) {
    case "open":
      return `${head} open${event.url === "" ? "" : ` ${event.url}`}`
    case "close":
      return `${head} closed by the ${event.from}: ${event.code}${event.reason === "" ? "" : ` ${event.reason}`}`
    case "lost":
      return `${head} ${event.frames} frames were not seen`
    default: {
      const text = "text" in event ? event.text : `base64 ${event.bytes}`
      const arrow = event.from === "client" ? "->" : "<-"
      return `${head} ${arrow} ${text.length > shown ? `${text.slice(0, shown)}… (${text.length} characters)` : text}`
    }
  }
}

/** Where lines of a recording go: to a file, and to standard output as they are or as people read them. */
const writer = Effect.fnUntraced(function*(input: Input<typeof Configs.tapProxy>) {
  const path = Option.getOrUndefined(input.out)
  const fs = yield* FileSystem.FileSystem
  const file = path === undefined
    ? undefined
    : yield* Effect.mapError(fs.open(path, { flag: "w" }), () => usage(`the file ${path} cannot be written`))
  const encoder = new TextEncoder()
  return (lines: string) =>
    Effect.gen(function*() {
      if (file !== undefined) yield* file.writeAll(encoder.encode(lines))
      const all = lines.split("\n").filter((line) => line !== "")
      if (input.json) return yield* Output.line(all.join("\n"))
      const events = all.map((line) => JSON.parse(line) as Recording.Event).filter((event) => "type" in event)
      if (events.length > 0) yield* Output.line(events.map(eventLine).join("\n"))
    })
})

/** The path that a client asked for, where the address of the server leaves it open. */
const upstreamUrl = (url: string, handshake: Handshake.Handshake): string => {
  const parsed = new URL(url)
  return parsed.pathname === "/" && parsed.search === "" && handshake.url !== ""
    ? new URL(handshake.url, parsed).href
    : url
}

/** Headers by which a client says who it is: they go on to the server. */
const passedOn = ["authorization", "cookie"]

const dial = (target: Target.Target, input: Input<typeof Configs.tapProxy>) => (handshake: Handshake.Handshake) => {
  const { carrier } = target
  const openTimeout = input.connectTimeout
  if (carrier._tag !== "WebSocket") {
    return CliSocket.make(target, Credentials.none, { framing: Option.getOrUndefined(input.framing), openTimeout })
  }
  const headers = passedOn.flatMap((name) => {
    const value = handshake.headers[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Effect.mapError(
    NodeWebSocket.make(upstreamUrl(carrier.url, handshake), {
      protocols: handshake.protocol ?? [],
      headers: Object.fromEntries(headers),
      maxFrameSize: CliSocket.maxFrameSize,
      openTimeout
    }),
    (error) => usage(error.message)
  )
}

const front = (target: Target.Target, input: Input<typeof Configs.tapProxy>) => {
  const { host, port } = input
  const isWeb = target.carrier._tag === "WebSocket"
  const made = isWeb
    ? NodeWebSocketServer.make({ host, port, maxFrameSize: CliSocket.maxFrameSize })
    : NodeStreamSocket.makeServer({
      host,
      port,
      framing: CliSocket.framingOf(target, Option.getOrUndefined(input.framing))
    })
  return Effect.mapError(made, (error) => unreachable(`cannot listen on ${host}:${port}`, error))
}

const listening = ({ address }: SocketServer.SocketServer["Service"], target: Target.Target, host: string): string =>
  `${target.carrier._tag === "WebSocket" ? "ws" : "tcp"}://${host}:${"port" in address ? address.port : 0}`

/** @internal */
export const proxy = Effect.fnUntraced(function*(input: Input<typeof Configs.tapProxy>) {
  const target = Target.parse(input.url)
  if (target instanceof Error) return yield* target
  if (target.carrier._tag === "Http" || target.carrier._tag === "Stdio") {
    return yield* usage("only connections that are dialled and stay open can be tapped", "ws://, tcp:// or unix:")
  }
  const write = yield* writer(input)
  const tap = yield* Wiretap.make({
    redact: input.secrets ? "none" : { fields: input.hide },
    write
  })
  const server = yield* front(target, input)
  yield* Output.note(`listening on ${listening(server, target, input.host)}, for ${Target.nameOf(target)}`)
  return yield* Effect.mapError(
    Effect.provideService(Wiretap.proxy(server, dial(target, input)), Wiretap.Wiretap, tap),
    (error) => error instanceof Failure ? error : unreachable("tap", error)
  )
}, Effect.scoped)

const load = Effect.fnUntraced(function*(path: string) {
  const text = yield* textOf(path === "-" || path.startsWith("@") ? path : `@${path}`)
  return yield* Effect.mapError(Recording.parse(text), (error) => usage(`${path}: ${error.message}`))
})

const revealed = (headers: Readonly<Record<string, Redacted.Redacted<string>>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Redacted.value(value)]))

/** A socket for each connection of a recording, with the subprotocol that it had; what was a request is one again. */
const sockets = Effect.fnUntraced(function*(
  recording: Recording.Recording,
  address: string,
  input: Input<typeof Configs.tapReplay>
) {
  const target = Target.parse(address)
  if (target instanceof Error) return yield* target
  const credentials = yield* Credentials.read(input)
  if (credentials.login !== undefined) return yield* usage("a recording logs in as it did; --login has no place here")
  const { carrier } = target
  const posts = carrier._tag === "WebSocket" || carrier._tag === "Http"
    ? yield* Effect.provide(
      Replay.post(carrier.url.replace(/^ws/i, "http"), revealed(Credentials.httpHeaders(credentials))),
      FetchHttpClient.layer
    )
    : undefined
  const made = new Map<number, Socket.Socket>()
  for (const event of recording.events) {
    if (event.type !== "open") continue
    if (event.carrier === "http" && posts !== undefined) made.set(event.connection, posts(event))
    else {made.set(
        event.connection,
        yield* CliSocket.make(target, credentials, {
          framing: Option.getOrUndefined(input.framing),
          protocol: event.protocol,
          openTimeout: input.connectTimeout
        })
      )}
  }
  return (event: Recording.Opened) => made.get(event.connection)!
})

const optionsOf = (input: Input<typeof Configs.tapReplay>): Replay.Options => ({
  pace: input.recordedPace ? "recorded" : "asap",
  patience: input.patience,
  ignore: input.ignore
})

const told = Effect.fnUntraced(function*(report: Replay.Report, isJson: boolean) {
  yield* isJson ? Output.show(report, true) : Output.line(Replay.format(report))
  const { length } = report.differences
  if (length === 0) return
  return yield* new Failure({
    kind: "Refused",
    message: `${length} difference${length === 1 ? "" : "s"}`,
    tries: ["--ignore <name>, for members that may differ"]
  })
})

/** @internal */
export const replay = Effect.fnUntraced(function*(input: Input<typeof Configs.tapReplay>) {
  const recording = yield* load(input.recording)
  const dialled = yield* sockets(recording, input.url, input)
  yield* told(yield* Replay.client(recording, dialled, optionsOf(input)), input.json)
})

/** @internal */
export const diff = Effect.fnUntraced(function*(input: Input<typeof Configs.tapDiff>) {
  const recording = yield* load(input.recording)
  const before = yield* sockets(recording, input.before, { ...input, url: input.before })
  const after = yield* sockets(recording, input.after, { ...input, url: input.after })
  yield* told(yield* Replay.diff(recording, before, after, optionsOf({ ...input, url: "" })), input.json)
})
