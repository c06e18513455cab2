import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import type { Answer, AnswerStore, CallRecord, Known } from "./onceModel.ts"

interface Kept {
  readonly answer: Answer
  readonly fingerprint: string
  readonly bytes: number
  /** When it came in, in milliseconds of the monotonic clock. */
  readonly time: number
}

/** What an answer costs besides its text. */
const overhead = 256

/**
 * Answers in memory. It remembers up to when it has forgotten some, so that a repeated call is not taken for one that
 * never came.
 *
 * @internal
 */
export const makeMemory = Effect.fnUntraced(function*(options: {
  /** Milliseconds. */
  readonly retention: number
  readonly maxAnswers: number
  readonly maxBytes: number
}): Effect.fn.Return<AnswerStore<never>> {
  const clock = yield* Clock.Clock
  const kept = new Map<string, Kept>()
  let bytes = 0
  /** What came in up to then is not known. */
  let forgotten = monotonicMillis(clock)

  const sweep = (now: number): void => {
    for (const [id, one] of kept) {
      const isOver = kept.size > options.maxAnswers || bytes > options.maxBytes
      if (!isOver && one.time > now - options.retention) return
      kept.delete(id)
      bytes -= one.bytes
      forgotten = Math.max(forgotten, one.time)
    }
  }

  return {
    within: (execute) => execute,
    answer: <E>(record: CallRecord, execute: Effect.Effect<Answer, E>) =>
      Effect.suspend((): Effect.Effect<Known, E> => {
        const now = monotonicMillis(clock)
        sweep(now)
        const one = kept.get(record.id)
        if (one !== undefined) {
          return Effect.succeed(one.fingerprint === record.fingerprint ? one.answer : "OtherPayload")
        }
        if (record.age !== undefined && now - record.age <= forgotten) return Effect.succeed("Forgotten")
        return Effect.map(execute, (answer) => {
          const size = (answer.text?.length ?? 0) * 2 + record.id.length * 2 + overhead
          kept.set(record.id, { answer, fingerprint: record.fingerprint, bytes: size, time: now })
          bytes += size
          sweep(monotonicMillis(clock))
          return answer
        })
      })
  }
})
