/**
 * What went over wires, as a file: newline-delimited JSON, one header and then one event a line, so that a recording can
 * be written while it grows, cut anywhere, searched with `grep` and read by any language.
 *
 * **Details** (The format, version 1)
 *
 * ```json
 * {"format":"effect-wire/recording","version":1,"started":"2026-11-21T12:00:00.000Z"}
 * {"at":0,"connection":1,"type":"open","carrier":"websocket","url":"/rpc","headers":{"origin":"http://a"},"protocol":""}
 * {"at":3,"connection":1,"type":"frame","from":"client","text":"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"}
 * {"at":4,"connection":1,"type":"frame","from":"server","bytes":"eyJpZCI6MX0="}
 * {"at":9,"connection":1,"type":"close","from":"client","code":1000,"reason":""}
 * {"at":9,"connection":2,"type":"lost","frames":12,"length":34000}
 * ```
 *
 * - `at`: whole milliseconds since `started`; it never goes back, whatever the clock does. Events stand in their order.
 * - `connection`: a number for each connection, from 1 in order of their opening.
 * - `open`: what the carrier knows of the peer (`Handshake`). A client does not know the headers that it sent.
 * - `frame`: one message; `text`, or `bytes` in base64 (RFC 4648, section 4). `from` is who sent it.
 * - `close`: who ended the connection, with the code and reason of RFC 6455, section 7.4 (1006: it was lost).
 *   A request over HTTP (`carrier` is `"http"`) is a connection with a frame each way, whose code is 4000 and the status.
 * - `lost`: frames that were not recorded since the recorder had no room; `length` in characters and bytes.
 *
 * Members that a reader does not know are to be ignored; what changes the meaning of known ones gets another version.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * One of the two ends of a connection: who has dialled, and who was dialled.
 *
 * @category models
 * @since 0.2.0
 */
export const Side = Schema.Literals(["client", "server"])

/**
 * @category models
 * @since 0.2.0
 */
export type Side = typeof Side.Type

const position = { at: Schema.Finite, connection: Schema.Int }

/**
 * A connection was opened.
 *
 * @category models
 * @since 0.2.0
 */
export const Opened = Schema.Struct({
  ...position,
  type: Schema.Literal("open"),
  carrier: Schema.String,
  url: Schema.String,
  headers: Schema.Record(Schema.String, Schema.String),
  protocol: Schema.String
})

/**
 * @category models
 * @since 0.2.0
 */
export type Opened = typeof Opened.Type

/**
 * One message; exactly one of `text` and `bytes` (base64) is there.
 *
 * @category models
 * @since 0.2.0
 */
export const Frame = Schema.Union([
  Schema.Struct({ ...position, type: Schema.Literal("frame"), from: Side, text: Schema.String }),
  Schema.Struct({ ...position, type: Schema.Literal("frame"), from: Side, bytes: Schema.String })
])

/**
 * @category models
 * @since 0.2.0
 */
export type Frame = typeof Frame.Type

/**
 * A connection has ended.
 *
 * @category models
 * @since 0.2.0
 */
export const Closed = Schema.Struct({
  ...position,
  type: Schema.Literal("close"),
  from: Side,
  code: Schema.Int,
  reason: Schema.String
})

/**
 * @category models
 * @since 0.2.0
 */
export type Closed = typeof Closed.Type

/**
 * Frames are missing here.
 *
 * @category models
 * @since 0.2.0
 */
export const Lost = Schema.Struct({
  ...position,
  type: Schema.Literal("lost"),
  frames: Schema.Int,
  length: Schema.Finite
})

/**
 * @category models
 * @since 0.2.0
 */
export type Lost = typeof Lost.Type

/**
 * @category models
 * @since 0.2.0
 */
export const Event = Schema.Union([Opened, ...Frame.members, Closed, Lost])

/**
 * One line of a recording.
 *
 * @category models
 * @since 0.2.0
 */
export type Event = typeof Event.Type

/**
 * The first line.
 *
 * @category models
 * @since 0.2.0
 */
export const Header = Schema.Struct({
  format: Schema.Literal("effect-wire/recording"),
  version: Schema.Literal(1),
  started: Schema.String
})

/**
 * A recording in memory. `started` is a time in ISO 8601.
 *
 * @category models
 * @since 0.2.0
 */
export interface Recording {
  readonly started: string
  readonly events: ReadonlyArray<Event>
}

/**
 * A text is no recording: `line` (from 1) says where, `message` why.
 *
 * @category errors
 * @since 0.2.0
 */
export class RecordingError extends Schema.TaggedError<RecordingError>("effect-wire/wiretap/Recording/RecordingError")(
  "RecordingError",
  { line: Schema.Int, message: Schema.String }
) {}

/**
 * The first line of a recording that began at this time (ISO 8601), with its line feed.
 *
 * @category codecs
 * @since 0.2.0
 */
export const formatHeader = (started: string): string =>
  JSON.stringify({ format: "effect-wire/recording", version: 1, started }) + "\n"

/**
 * The line of one event, with its line feed.
 *
 * @category codecs
 * @since 0.2.0
 */
export const formatEvent = (event: Event): string =>
  event.type === "frame" && "text" in event
    // nearly every line is one of these, and this way costs half
    ? `{"at":${event.at},"connection":${event.connection},"type":"frame","from":"${event.from}","text":${
      JSON.stringify(event.text)
    }}\n`
    : JSON.stringify(event) + "\n"

/**
 * A recording as text.
 *
 * @category codecs
 * @since 0.2.0
 */
export const format = (recording: Recording): string =>
  formatHeader(recording.started) + recording.events.map(formatEvent).join("")

const decodeHeader = Schema.decodeUnknownResult(Header)
const decodeEvent = Schema.decodeUnknownResult(Event)

const json = (line: string, number: number): Result.Result<unknown, RecordingError> =>
  Result.try({
    try: () => JSON.parse(line) as unknown,
    catch: () => new RecordingError({ line: number, message: `line ${number} is not JSON` })
  })

const invalid = (number: number) => (error: Schema.SchemaError) =>
  new RecordingError({ line: number, message: `line ${number}: ${error.message}` })

/**
 * Reads a recording. A last line without a line feed is what a recorder that was killed leaves behind: it is dropped when
 * it cannot be read. Empty lines are skipped.
 *
 * @category codecs
 * @since 0.2.0
 */
export const parse = (text: string): Effect.Effect<Recording, RecordingError> =>
  Effect.suspend(() => {
    const lines = text.split("\n")
    const events: Array<Event> = []
    let started: string | undefined
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!.trim()
      if (line === "") continue
      const value = json(line, i + 1)
      const isTorn = i === lines.length - 1 && started !== undefined
      if (started === undefined) {
        const header = Result.flatMap(value, (value) => Result.mapError(decodeHeader(value), invalid(i + 1)))
        if (Result.isFailure(header)) return Effect.fail(header.failure)
        started = header.success.started
        continue
      }
      const event = Result.flatMap(value, (value) => Result.mapError(decodeEvent(value), invalid(i + 1)))
      if (Result.isSuccess(event)) events.push(event.success)
      else if (!isTorn) return Effect.fail(event.failure)
    }
    if (started === undefined) return Effect.fail(new RecordingError({ line: 1, message: "a recording has a header" }))
    return Effect.succeed({ started, events })
  })
