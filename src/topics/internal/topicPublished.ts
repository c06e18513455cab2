import * as Exit from "effect/Exit"
import type { Entry } from "../../backplane/internal/ring.ts"
import type { Any } from "../Topic.ts"
import { compile, type Compiled } from "../Topic.ts"
import { notices } from "./topicNotices.ts"

/**
 * How publications of one topic are written.
 *
 * @internal
 */
export class Writing {
  readonly codec: Compiled
  /** A notification up to its parameters. */
  readonly head: string
  /** A notification with a position up to its number. */
  readonly positionedHead: string

  constructor(topic: Any) {
    this.codec = compile(topic)
    const name = JSON.stringify(topic.name)
    this.head = `{"jsonrpc":"2.0","method":${name}`
    this.positionedHead = `{"jsonrpc":"2.0","method":"${notices.value}","params":{"topic":${name},"offset":`
  }
}

/**
 * One publication of a topic: its text and number, and, each made once for all subscribers, its frames and its value.
 *
 * @internal
 */
export class Published implements Entry {
  readonly text: string
  readonly sequence: number
  readonly bytes: number
  readonly time: number
  private readonly writing: Writing
  private plain: string | undefined = undefined
  private positioned: string | undefined = undefined
  private decoded: { readonly value: unknown } | undefined = undefined

  constructor(writing: Writing, text: string, sequence: number, bytes: number, time: number) {
    this.writing = writing
    this.text = text
    this.sequence = sequence
    this.bytes = bytes
    this.time = time
  }

  /** The notification by the topic's own name. */
  get frame(): string {
    const { head } = this.writing
    return this.plain ??= this.text === "" ? `${head}}` : `${head},"params":${this.text}}`
  }

  /** The notification with the number. */
  get positionedFrame(): string {
    const value = this.text === "" ? "" : `,"value":${this.text}`
    return this.positioned ??= `${this.writing.positionedHead}${this.sequence}${value}}}`
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
