/**
 * Plays a recording again: the clients of it against a server ({@link client}), its server for clients ({@link server}), as
 * a test ({@link expect}), or against two versions of a server whose answers are compared ({@link diff}).
 *
 * **Details** (What counts as the same)
 *
 * A frame is played when everything that the other end had said before it in the recording has been said again, so the
 * speed of neither run matters. Messages are compared where they belong together: answers by their id, requests and
 * notifications by their method (and the request that they are about) in their order, elements of a stream one by one,
 * anything else in order. How they interleave is not compared, nor how elements and batches were cut into frames. The ids
 * that the other end gives its own requests are followed into the answers. Of a state that is synchronised by Juggler what
 * counts is what is shown when this end says something, and in the end: how changes were gathered into patches is not
 * compared, and who asks whether the other lives is answered, not compared. Times (ISO 8601, or Unix time near the moment)
 * and generated ids (UUID, ULID, hexadecimal of 16 digits or more) may differ, an id everywhere in the same way: what is
 * played asks for the ids of this run. Correlation ids differ always. What was hidden in the recording equals everything.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Socket from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import * as Handshake from "../socket/Handshake.ts"
import { type Line, listen, openLine, type Options, Play, type Report } from "./internal/play.ts"
import { indexOfRequest } from "./internal/posts.ts"
import type * as Recording from "./Recording.ts"
import * as Wiretap from "./Wiretap.ts"

export type { Deviation } from "./internal/compare.ts"
export type { Difference } from "./internal/conversation.ts"
export type { Options, Report } from "./internal/play.ts"
export { post, postServer } from "./internal/posts.ts"

/**
 * The other end does not say what it said in the recording; `message` tells the first places.
 *
 * @category errors
 * @since 0.2.0
 */
export class ReplayMismatch extends Schema.TaggedError<ReplayMismatch>("effect-wire/wiretap/Replay/ReplayMismatch")(
  "ReplayMismatch",
  { message: Schema.String, differences: Schema.Array(Schema.Any) }
) {}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "nothing"
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

/**
 * A report as lines that a person reads; at most `limit` differences (default 20).
 *
 * @category codecs
 * @since 0.2.0
 */
export const format = (report: Report, limit = 20): string => {
  const count = report.differences.length
  const lines = [
    `${report.sent} frames played, ${report.received} received, ${report.matched} messages as expected or changed, ` +
    (count === 1 ? "1 difference" : `${count} differences`)
  ]
  for (const { at, connection, deviations, kind, message, value } of report.differences.slice(0, limit)) {
    lines.push(
      `connection ${connection} at ${at} ms: ${kind} ${message}${kind === "changed" ? "" : ` ${shown(value)}`}`
    )
    for (const { actual, expected, path } of deviations) {
      lines.push(`  ${path === "" ? "the message" : path}: expected ${shown(expected)}, got ${shown(actual)}`)
    }
  }
  if (count > limit) lines.push(`and ${count - limit} more`)
  return lines.join("\n")
}

/**
 * Plays the clients of a recording against a server: `dial` makes a socket for each connection, of requests over HTTP by
 * {@link post}. Succeeds with what was different; a connection that cannot be opened is one difference, and what was to
 * be said on it is missing. Interrupted it closes what it opened.
 *
 * @category combinators
 * @since 0.2.0
 */
export const client = (
  recording: Recording.Recording,
  dial: (event: Recording.Opened) => Socket.Socket,
  options: Options = {}
): Effect.Effect<Report> =>
  Effect.scoped(Effect.gen(function*() {
    const play = new Play(recording, options, "5 seconds", yield* Clock.Clock)
    const lines = new Map<number, Line>()
    for (const event of recording.events) {
      yield* play.until(event.at)
      if (event.type === "open") {
        yield* play.caughtUp
        lines.set(event.connection, yield* openLine(play.conversation(event.connection), dial(event)))
        continue
      }
      const line = lines.get(event.connection)
      if (line === undefined || event.type === "lost") continue
      if (event.from === "server") {
        play.expect(line.conversation, event)
        continue
      }
      if (line.conversation.isLiveness(event)) continue
      yield* play.caughtUp
      yield* event.type === "frame"
        ? line.write(play.outgoing(line.conversation, event))
        : line.close(event.code, event.reason)
    }
    yield* play.caughtUp
    yield* Effect.sleep(options.settle ?? "100 millis")
    return yield* play.report
  }))

/**
 * Plays the server of a recording for clients: the first connection that arrives gets what the first of the recording
 * got, and so on, a request over HTTP ({@link postServer}) what the first that asks for the same got; further ones are
 * closed with 1013. Succeeds when every recorded connection was played.
 *
 * @category combinators
 * @since 0.2.0
 */
export const server = (
  recording: Recording.Recording,
  server: SocketServer.SocketServer["Service"],
  options: Options = {}
): Effect.Effect<Report, SocketServer.SocketServerError> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const scripts = recording.events.filter((event) => event.type === "open").map(({ connection }) =>
      recording.events.filter((event) => event.connection === connection)
    )
    const plays: Array<Play> = []
    let left = scripts.length
    const over = Latch.makeUnsafe(left === 0)
    const serve = (socket: Socket.Socket) =>
      Effect.gen(function*() {
        const { carrier } = yield* Handshake.CurrentHandshake
        const writer = yield* socket.writer
        const reader = yield* socket.reader
        // connections come in their order; requests, which are made at once, are told by what they ask
        const first = carrier === "http" ? yield* reader.pull : []
        const [script] = scripts.splice(indexOfRequest(scripts, carrier, first[0]), 1)
        if (script === undefined) return yield* writer.write(new Socket.CloseEvent(1013, "the recording is over"))
        // each connection waits for itself only
        const play = new Play(recording, options, Duration.infinity, clock)
        plays.push(play)
        const conversation = play.conversation(script[0]!.connection)
        const begun = script[0]!.at
        for (const frame of first) conversation.receive(frame)
        yield* Effect.forkScoped(listen(conversation, reader, writer))
        for (const event of script) {
          yield* play.until(event.at - begun)
          if (event.type === "open" || event.type === "lost") continue
          if (event.from === "client") {
            play.expect(conversation, event)
            continue
          }
          if (conversation.isLiveness(event)) continue
          yield* play.caughtUp
          if (event.type === "frame") yield* Effect.ignore(writer.write(play.outgoing(conversation, event)))
          else {
            conversation.over()
            yield* Effect.ignore(
              writer.write(new Socket.CloseEvent(event.code === 1006 ? 1011 : event.code, event.reason))
            )
          }
        }
        yield* play.caughtUp
        yield* Effect.sleep(options.settle ?? "100 millis")
        if (--left === 0) over.openUnsafe()
      })
    yield* Effect.raceFirst(server.run((socket) => Effect.scoped(serve(socket))), over.await)
    const reports = yield* Effect.forEach(plays, (play) => play.report)
    return {
      sent: sum(reports, (report) => report.sent),
      received: sum(reports, (report) => report.received),
      matched: sum(reports, (report) => report.matched),
      differences: reports.flatMap((report) => report.differences)
    }
  })

const sum = <A>(values: ReadonlyArray<A>, of: (value: A) => number): number =>
  values.reduce((total, value) => total + of(value), 0)

/**
 * {@link client} as a test: fails with {@link ReplayMismatch} when anything differs.
 *
 * @category combinators
 * @since 0.2.0
 */
export const expect = (
  recording: Recording.Recording,
  dial: (event: Recording.Opened) => Socket.Socket,
  options?: Options
): Effect.Effect<Report, ReplayMismatch> =>
  Effect.filterOrFail(
    client(recording, dial, options),
    (report) => report.differences.length === 0,
    (report) => new ReplayMismatch({ message: format(report), differences: report.differences })
  )

/**
 * What two versions of a server answer to the clients of one recording: the differences of `after` from `before`,
 * whatever the recording itself holds of its server.
 *
 * @category combinators
 * @since 0.2.0
 */
export const diff = (
  recording: Recording.Recording,
  before: (event: Recording.Opened) => Socket.Socket,
  after: (event: Recording.Opened) => Socket.Socket,
  options?: Options
): Effect.Effect<Report> =>
  Effect.scoped(Effect.gen(function*() {
    const events: Array<Recording.Event> = []
    const tap = yield* Wiretap.make({
      redact: "none",
      write: (lines) =>
        Effect.sync(() => {
          for (const line of lines.split("\n")) if (line !== "") events.push(JSON.parse(line))
        })
    })
    yield* client(recording, (event) => tap.socket(before(event)), options)
    yield* tap.flush
    // what hidden values were put back stays put back
    return yield* client(
      { started: tap.started, events: events.slice(1) },
      after,
      { ...options, prepare: undefined }
    )
  }))
