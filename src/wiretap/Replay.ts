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
 * that the other end gives its own requests are followed into the answers. Times (ISO 8601, or Unix time near the moment)
 * and generated ids (UUID, ULID, hexadecimal of 16 digits or more) may differ, an id everywhere in the same way: what is
 * played asks for the ids of this run. Correlation ids differ always. What was hidden in the recording equals everything.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import { Comparison } from "./internal/compare.ts"
import { Conversation, type Difference, frameOf } from "./internal/conversation.ts"
import type * as Recording from "./Recording.ts"
import * as Wiretap from "./Wiretap.ts"

export type { Deviation } from "./internal/compare.ts"
export type { Difference } from "./internal/conversation.ts"

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** `"asap"` (default) waits for the other end only; `"recorded"` for the times of the recording too. */
  readonly pace?: "asap" | "recorded" | undefined
  /**
   * How long nothing expected may come, beyond the time that it took in the recording, before it counts as missing and
   * the play goes on. Default 5 seconds; a server that is played waits for its clients as long as they are connected.
   */
  readonly patience?: Duration.Input | undefined
  /** How long, at the end, something unexpected may come. Default 100 ms. */
  readonly settle?: Duration.Input | undefined
  /** Members that are not compared: names at any depth, or JSON Pointers into a message (`*` for any token). */
  readonly ignore?: ReadonlyArray<string> | undefined
  /** Whether times may differ. Default `true`. */
  readonly times?: boolean | undefined
  /** Whether generated ids may differ. Default `true`. */
  readonly ids?: boolean | undefined
  /** Changes a frame of this end before it is sent: puts back what was hidden in the recording. */
  readonly prepare?: ((frame: string, event: Recording.Frame) => string) | undefined
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Report {
  /** Frames played. */
  readonly sent: number
  /** Frames that the other end sent. */
  readonly received: number
  /** Messages of the recording that came again, changed or not. */
  readonly matched: number
  readonly differences: ReadonlyArray<Difference>
}

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

/** Members of ours that are drawn anew each time. */
const momentary = ["correlationId"]

/** What both ends of a replay share. */
class Play {
  readonly conversations: Array<Conversation> = []
  awaited = 0
  sent = 0
  received = 0
  matched = 0
  /** When, in the recording, this end has last said something, and the other end will have. */
  private lastOwn = 0
  private lastExpected = 0
  private readonly progress = Latch.makeUnsafe(false)
  private readonly comparison: Comparison
  private readonly options: Options
  private readonly patience: Duration.Input
  private readonly startedAt: number
  private readonly clock: Clock.Clock

  constructor(recording: Recording.Recording, options: Options, patience: Duration.Input, clock: Clock.Clock) {
    this.options = options
    this.patience = patience
    this.clock = clock
    this.startedAt = clock.currentTimeMillisUnsafe()
    const recorded = Option.match(DateTime.make(recording.started), {
      onNone: () => 0,
      onSome: DateTime.toEpochMillis
    })
    this.comparison = new Comparison(
      { ignore: [...momentary, ...options.ignore ?? []], times: options.times ?? true, ids: options.ids ?? true },
      recorded,
      () => clock.currentTimeMillisUnsafe()
    )
  }

  readonly onProgress = () => this.progress.openUnsafe()

  conversation(connection: number): Conversation {
    const conversation = new Conversation(connection, this.comparison, this)
    this.conversations.push(conversation)
    return conversation
  }

  expect(conversation: Conversation, event: Recording.Frame | Recording.Closed): void {
    this.lastExpected = event.at
    if (event.type === "frame") conversation.expect(frameOf(event, decodeBase64), event.at)
    else conversation.expectClose(event.code, event.at)
  }

  /** Everything that was to come until now has come, or nothing did for as long as one has patience. */
  readonly caughtUp: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    while (this.awaited > 0) {
      this.progress.closeUnsafe()
      // what took its time in the recording may take it again
      const patience = Duration.fromInputUnsafe(this.options.patience ?? this.patience)
      const longer = Duration.millis(Math.max(0, this.lastExpected - this.lastOwn))
      const came = yield* Effect.timeoutOption(this.progress.await, Duration.sum(patience, longer))
      if (Option.isNone(came)) { for (const conversation of this.conversations) conversation.giveUp() }
    }
  })

  until(at: number): Effect.Effect<void> {
    if (this.options.pace !== "recorded") return Effect.void
    return Effect.suspend(() => {
      const left = this.startedAt + at - this.clock.currentTimeMillisUnsafe()
      return left > 0 ? Effect.sleep(left) : Effect.void
    })
  }

  /** The bytes or text to send for an event of one's own end. */
  outgoing(conversation: Conversation, event: Recording.Frame): string | Uint8Array {
    this.sent++
    this.lastOwn = event.at
    const frame = frameOf(event, decodeBase64)
    if (typeof frame !== "string") return frame
    const own = conversation.own(frame)
    return this.options.prepare === undefined ? own : this.options.prepare(own, event)
  }

  readonly report: Effect.Effect<Report> = Effect.sync(() => {
    for (const conversation of this.conversations) conversation.finish()
    return {
      sent: this.sent,
      received: this.received,
      matched: this.matched,
      differences: this.conversations.flatMap((conversation) => conversation.differences)
        .sort((a, b) => a.at - b.at || a.connection - b.connection)
    }
  })
}

const decodeBase64 = (text: string): Uint8Array => Result.getOrElse(Base64.decode(text), () => new Uint8Array())

/** Reads one connection until it ends. */
const listen = (conversation: Conversation, reader: Socket.Reader): Effect.Effect<void> =>
  Effect.forever(Effect.map(reader.pull, (frames) => {
    for (const frame of frames) conversation.receive(frame)
  })).pipe(
    Effect.catch((error) =>
      Effect.sync(() => conversation.receiveClose(error.reason._tag === "SocketCloseError" ? error.reason.code : 1006))
    )
  )

/**
 * Plays the clients of a recording against a server: `dial` makes a socket for each connection. Succeeds with what was different; a connection that cannot be opened is one difference, and what was to
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
      yield* play.caughtUp
      yield* event.type === "frame"
        ? line.write(play.outgoing(line.conversation, event))
        : line.close(event.code, event.reason)
    }
    yield* play.caughtUp
    yield* Effect.sleep(options.settle ?? "100 millis")
    return yield* play.report
  }))

interface Line {
  readonly conversation: Conversation
  readonly write: (frame: string | Uint8Array) => Effect.Effect<void>
  readonly close: (code: number, reason: string) => Effect.Effect<void>
}

const openLine = (conversation: Conversation, socket: Socket.Socket): Effect.Effect<Line, never, Scope.Scope> =>
  Effect.gen(function*(): Effect.fn.Return<Line, never, Scope.Scope> {
    const scope = yield* Effect.scope
    const writer = yield* socket.writer
    const opened = yield* Effect.result(Scope.provide(socket.reader, scope))
    if (Result.isFailure(opened)) {
      conversation.receiveClose(1006)
      return { conversation, write: () => Effect.void, close: () => Effect.void }
    }
    yield* Effect.forkIn(listen(conversation, opened.success), scope)
    return {
      conversation,
      write: (frame) => Effect.ignore(writer.write(frame)),
      close: (code, reason) => {
        conversation.over()
        return Effect.ignore(writer.write(new Socket.CloseEvent(code === 1006 || code === 1005 ? 1000 : code, reason)))
      }
    }
  })

/**
 * Plays the server of a recording for clients: the first connection that arrives gets what the first of the recording
 * got, and so on; further ones are closed with 1013. Succeeds when every recorded connection was played.
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
    const over = Latch.makeUnsafe(scripts.length === 0)
    let left = scripts.length
    const serve = (socket: Socket.Socket) =>
      Effect.gen(function*() {
        const script = scripts[plays.length]
        const writer = yield* socket.writer
        const reader = yield* socket.reader
        if (script === undefined) return yield* writer.write(new Socket.CloseEvent(1013, "the recording is over"))
        // each connection waits for itself only
        const play = new Play(recording, options, Duration.infinity, clock)
        plays.push(play)
        const conversation = play.conversation(script[0]!.connection)
        const begun = script[0]!.at
        yield* Effect.forkScoped(listen(conversation, reader))
        for (const event of script) {
          yield* play.until(event.at - begun)
          if (event.type === "open" || event.type === "lost") continue
          if (event.from === "client") {
            play.expect(conversation, event)
            continue
          }
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
