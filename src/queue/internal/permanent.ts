/**
 * Failures of handlers that say more than that they failed.
 */
import * as Data from "effect/Data"
import type * as Option from "effect/Option"

/**
 * What `Queue.permanent` makes: the work cannot succeed, no more tries.
 *
 * @category errors
 * @since 0.2.0
 */
export class Permanent<E> extends Data.Error<{ readonly error: E }> {
  readonly _tag = "Permanent"
}

/** A failure whose words for the dead letter are already made. */
export class Described extends Data.Error<{ readonly text: string; readonly permanent: boolean }> {
  readonly _tag = "Described"
}

/** The work has not begun, and is not to before this long from now: no failure, and no try. */
export class NotYet extends Data.Error<{ readonly millis: number }> {
  readonly _tag = "NotYet"
}

/**
 * A message that was followed is dead: its error, where it is one that the queue declares, and the words of its cause.
 *
 * @category errors
 * @since 0.2.0
 */
export class Dead<E> extends Data.Error<{
  readonly id: string
  /** Where it is one that the queue declares. */
  readonly error: Option.Option<E>
  readonly words: string
}> {
  readonly _tag = "Dead"
  override get message(): string {
    return `message ${this.id} is dead: ${this.words}`
  }
}
