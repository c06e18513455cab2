import * as Exit from "effect/Exit"
import type { Entry } from "../../backplane/internal/ring.ts"
import { notificationOfText, type Wire } from "../../jsonrpc/internal/wireModel.ts"
import type { Any } from "../Topic.ts"
import { compile, type Compiled } from "../Topic.ts"
import { notices } from "./topicNotices.ts"

/**
 * How publications of one topic are written.
 *
 * @internal
 */
export class Writing {
  readonly name: string
  readonly codec: Compiled
  /** The parameters of a notification with a position up to its number. */
  readonly positionedHead: string

  constructor(topic: Any) {
    this.name = topic.name
    this.codec = compile(topic)
    this.positionedHead = `{"topic":${JSON.stringify(topic.name)},"offset":`
  }
}

/** The frames of one publication on one wire. */
interface Frames {
  readonly wire: Wire
  plain: string | undefined
  positioned: string | undefined
  next: Frames | undefined
}

/**
 * One publication of a topic: its text and number, and, each made once for all subscribers of a wire, its frames, and its
 * value.
 *
 * @internal
 */
export class Published implements Entry {
  readonly text: string
  readonly sequence: number
  readonly bytes: number
  readonly time: number
  private readonly writing: Writing
  private frames: Frames | undefined = undefined
  private decoded: { readonly value: unknown } | undefined = undefined

  constructor(writing: Writing, text: string, sequence: number, bytes: number, time: number) {
    this.writing = writing
    this.text = text
    this.sequence = sequence
    this.bytes = bytes
    this.time = time
  }

  private on(wire: Wire): Frames {
    let frames = this.frames
    while (frames !== undefined && frames.wire !== wire) frames = frames.next
    return frames ?? (this.frames = { wire, plain: undefined, positioned: undefined, next: this.frames })
  }

  /** The notification by the topic's own name. */
  frame(wire: Wire): string {
    const { codec, name } = this.writing
    const frames = this.on(wire)
    return frames.plain ??= notificationOfText(wire, name, codec.onWire(wire, this.text))
  }

  /** The notification with the number. */
  positionedFrame(wire: Wire): string {
    const frames = this.on(wire)
    if (frames.positioned === undefined) {
      const value = this.text === "" ? "" : `,"value":${this.text}`
      frames.positioned = notificationOfText(
        wire,
        notices.value,
        `${this.writing.positionedHead}${this.sequence}${value}}`
      )
    }
    return frames.positioned
  }

  /** Decoded; `undefined` where it does not fit the schema, too. */
  get value(): unknown {
    if (this.decoded === undefined) {
      const { codec } = this.writing
      const exit = codec.method.decodePayload(codec.fromParams(this.text === "" ? undefined : JSON.parse(this.text)))
      this.decoded = { value: Exit.isExit(exit) && exit._tag === "Success" ? exit.value : undefined }
    }
    return this.decoded.value
  }
}
