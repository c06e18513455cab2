/**
 * What goes out over one connection: messages become frames, and wait while as much waits for the peer as may.
 */
import * as Effect from "effect/Effect"
import type { Outbox } from "../../socket/Outbox.ts"
import * as JugglerError from "../JugglerError.ts"
import type { Generation, Message } from "../JugglerGeneration.ts"
import type { Line } from "./caller.ts"

export class Sender implements Line {
  readonly segmentSize: number
  /** Characters that may wait. */
  readonly highWater: number
  private readonly generation: Generation
  private readonly role: "server" | "client"
  private readonly outbox: Outbox
  private readonly maxSending: number
  /** Messages sent since the outbox was empty. */
  private sending = 0
  private isClosed = false

  constructor(
    generation: Generation,
    role: "server" | "client",
    outbox: Outbox,
    options: { readonly segmentSize: number; readonly highWater: number; readonly maxSending: number }
  ) {
    this.generation = generation
    this.role = role
    this.outbox = outbox
    this.segmentSize = options.segmentSize
    this.highWater = options.highWater
    this.maxSending = options.maxSending
  }

  readonly encode = (message: Message): ReadonlyArray<string> => this.generation.encode(message, this.segmentSize)

  /** Sends a message at once, whatever waits. */
  write(message: Message): boolean {
    return this.sendFrames(this.encode(message))
  }

  sendFrames(frames: ReadonlyArray<string>): boolean {
    let open = !this.isClosed
    for (let i = 0; i < frames.length && open; i++) open = this.outbox.send(frames[i]!)
    if (open) this.sending = this.outbox.waiting() === 0 ? 1 : this.sending + 1
    return open
  }

  hasRoom(): boolean {
    return this.outbox.waiting() <= this.highWater &&
      (this.sending < this.maxSending || this.outbox.waiting() === 0)
  }

  get drained(): Effect.Effect<void> {
    return this.outbox.drained(0)
  }

  /** Nothing more goes out. */
  close(): void {
    this.isClosed = true
  }

  /** Why nothing can be sent. */
  get gone(): JugglerError.JugglerError | undefined {
    return this.isClosed || this.outbox.isClosed() ? JugglerError.closed("the connection is closed") : undefined
  }

  /** Why a message of this kind cannot be sent. */
  lacks(tag: Message["_tag"]): JugglerError.JugglerError | undefined {
    return this.generation.allows(tag, this.role)
      ? undefined
      : JugglerError.protocol(`generation ${this.generation.name} has no ${tag} of a ${this.role}`)
  }

  /** Sends a message when there is room. */
  send(message: Message): Effect.Effect<void, JugglerError.JugglerError> {
    const unknown = this.lacks(message._tag)
    if (unknown !== undefined) return Effect.fail(unknown)
    return Effect.flatMap(
      this.room,
      () => this.write(message) ? Effect.void : Effect.fail(JugglerError.closed("the connection is closed"))
    )
  }

  /** Waits while as many messages wait as may. */
  private get room(): Effect.Effect<void, JugglerError.JugglerError> {
    return Effect.suspend(() => {
      const { gone } = this
      if (gone !== undefined) return Effect.fail(gone)
      if (this.hasRoom()) return Effect.void
      return Effect.andThen(this.drained, this.room)
    })
  }
}
