/**
 * The run of a recording: what was said is said again when everything that the other end had said before it has come.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { Json } from "../../juggler/JsonPointer.ts"
import type * as Recording from "../Recording.ts"
import { Comparison } from "./compare.ts"
import { Conversation, type Difference, frameOf } from "./conversation.ts"
import { formOf } from "./juggler.ts"

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

/** Members of ours that are drawn anew each time. */
const momentary = ["correlationId"]

/** What both ends of a replay share. */
export class Play {
  readonly conversations: Array<Conversation> = []
  readonly known = new Map<string, Json>()
  awaited = 0
  sent = 0
  received = 0
  matched = 0
  /** When, in the recording, this end has last said something, and the other end will have. */
  private lastOwn = 0
  private lastExpected = 0
  private readonly progress = Latch.makeUnsafe(false)
  private readonly comparison: Comparison
  private readonly recording: Recording.Recording
  private readonly options: Options
  private readonly patience: Duration.Input
  private readonly startedAt: number
  private readonly clock: Clock.Clock

  constructor(recording: Recording.Recording, options: Options, patience: Duration.Input, clock: Clock.Clock) {
    this.recording = recording
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
    const conversation = new Conversation(connection, this.comparison, this, formOf(this.recording, connection))
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

/** Reads one connection until it ends, and answers who asks whether this end lives. */
export const listen = (
  conversation: Conversation,
  reader: Socket.Reader,
  writer: Socket.Writer
): Effect.Effect<void> =>
  Effect.forever(Effect.flatMap(reader.pull, (frames) =>
    Effect.forEach(frames, (frame) => {
      const answer = conversation.receive(frame)
      return answer === undefined ? Effect.void : Effect.ignore(writer.write(answer))
    }, { discard: true }))).pipe(
      Effect.catch((error) =>
        Effect.sync(() =>
          conversation.receiveClose(error.reason._tag === "SocketCloseError" ? error.reason.code : 1006)
        )
      )
    )

/** One connection that this end has dialled. */
export interface Line {
  readonly conversation: Conversation
  readonly write: (frame: string | Uint8Array) => Effect.Effect<void>
  readonly close: (code: number, reason: string) => Effect.Effect<void>
}

/** Opens a connection of the recording. */
export const openLine = (conversation: Conversation, socket: Socket.Socket): Effect.Effect<Line, never, Scope.Scope> =>
  Effect.gen(function*(): Effect.fn.Return<Line, never, Scope.Scope> {
    const scope = yield* Effect.scope
    const writer = yield* socket.writer
    const opened = yield* Effect.result(Scope.provide(socket.reader, scope))
    if (Result.isFailure(opened)) {
      conversation.receiveClose(1006)
      return { conversation, write: () => Effect.void, close: () => Effect.void }
    }
    yield* Effect.forkIn(listen(conversation, opened.success, writer), scope)
    return {
      conversation,
      write: (frame) => Effect.ignore(writer.write(frame)),
      close: (code, reason) => {
        conversation.over()
        return Effect.ignore(writer.write(new Socket.CloseEvent(code === 1006 || code === 1005 ? 1000 : code, reason)))
      }
    }
  })
