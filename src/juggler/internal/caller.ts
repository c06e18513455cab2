/**
 * The requests that this end makes: the client half of `rpc/`, with frames of Juggler. A client has one over all its
 * connections, a server one for each.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Call, type Entry, type Failure } from "../../rpc/internal/callModel.ts"
import { Calls } from "../../rpc/internal/calls.ts"
import type { Json } from "../JsonPointer.ts"
import * as JugglerError from "../JugglerError.ts"
import type { Message } from "../JugglerGeneration.ts"

type Frames = ReadonlyArray<string>

/** The connection that carries what is sent. */
export interface Line {
  readonly sendFrames: (frames: Frames) => boolean
  readonly hasRoom: () => boolean
  /** Completes when there may be room again. */
  readonly drained: Effect.Effect<void>
}

/** Writes requests, as the connection of a generation does. */
export type Encode = (message: Message) => Frames

class Request extends Call<Frames> {
  private readonly name: string
  private readonly settle: (exit: Exit.Exit<Json, JugglerError.JugglerError>) => void

  constructor(
    id: number,
    name: string,
    frames: Frames,
    settle: (exit: Exit.Exit<Json, JugglerError.JugglerError>) => void
  ) {
    super(id, frames, frames.reduce((sum, frame) => sum + frame.length, 0), false, true)
    this.name = name
    this.settle = settle
  }
  answered(success: boolean, data: Json): void {
    this.settle(success ? Exit.succeed(data) : Exit.fail(JugglerError.remote(data)))
  }
  lost(failure: Failure): void {
    this.settle(Exit.fail(JugglerError.fromFailure(failure, this.name)))
  }
}

export class Caller extends Calls<Frames> {
  private line: Line | undefined

  /** What is sent from now on goes here. */
  use(line: Line): void {
    this.line = line
  }
  protected write(frames: Frames, _item: Entry<Frames> | unknown): boolean {
    return this.line !== undefined && this.line.sendFrames(frames)
  }
  protected join(frames: ReadonlyArray<Frames>): Frames {
    return frames.flat()
  }
  // the protocol has no cancellation
  protected retract(): void {}
  protected override hasRoom(): boolean {
    return this.line === undefined || this.line.hasRoom()
  }
  protected override whenRoom(run: () => void): void {
    if (this.line !== undefined) this.limits.fork(Effect.andThen(this.line.drained, Effect.sync(run)))
  }

  request(encode: Encode, name: string, data: Json): Effect.Effect<Json, JugglerError.JugglerError> {
    return Effect.callback<Json, JugglerError.JugglerError>((resume) => {
      const id = this.nextId()
      const call = new Request(id, name, encode({ _tag: "Request", id, name, data }), resume)
      this.submit(call)
      return Effect.sync(() => this.cancel(call))
    })
  }

  /** A response to a call that was given up is dropped. */
  answered(id: number, success: boolean, data: Json): void {
    const call = this.take(id) as Request | undefined
    call?.answered(success, data)
  }
}
