/**
 * What became of what was asked.
 */
import { Effect, Exit } from "effect"

export class Counts {
  sent = 0
  /** With the right answer, or the typed error that was to come. */
  answered = 0
  /** Given up by the caller. */
  cancelled = 0
  /** With an error that says what happened: the connection was lost, the server was full. */
  failed = 0
  /** Neither answered nor failed within a minute, answered wrongly, or confirmed and gone. */
  lost = 0
  /** The second time that something came that should come once, where that may happen. */
  repeated = 0
  readonly notes = new Map<string, number>()

  note(what: string): void {
    this.notes.set(what, (this.notes.get(what) ?? 0) + 1)
  }

  /** Counts one call. `isRight` looks at its answer. */
  call<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    isRight: (exit: Exit.Exit<A, E>) => boolean | undefined
  ): Effect.Effect<void, never, R> {
    return Effect.suspend(() => {
      this.sent++
      return Effect.flatMap(Effect.timeoutOption(Effect.exit(effect), "1 minute"), (exit) =>
        Effect.sync(() => {
          if (exit._tag === "None") {
            this.lost++
            return this.note("no answer in a minute")
          }
          // its client was closed at the end
          if (Exit.hasInterrupts(exit.value)) return void this.cancelled++
          const right = isRight(exit.value)
          if (right === true) this.answered++
          else if (right === undefined) this.failed++
          else {
            this.lost++
            this.note("a wrong answer")
          }
        }))
    })
  }
}
