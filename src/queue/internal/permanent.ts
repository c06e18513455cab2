/**
 * @internal What a handler may fail with to say more than that it failed.
 */
import * as Data from "effect/Data"

/** The work cannot succeed: no more tries. */
export class Permanent<E> extends Data.Error<{ readonly error: E }> {
  readonly _tag = "Permanent"
}

/** A failure whose words for the dead letter are already made. */
export class Described extends Data.Error<{ readonly text: string; readonly permanent: boolean }> {
  readonly _tag = "Described"
}
