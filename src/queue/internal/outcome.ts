/**
 * @internal What came of a message: a second message beside it that is never pulled, whose payload the worker replaces with
 * the latest progress and at last with the result. It lives as long as somebody may follow; then it becomes due, and whoever
 * works on the queue acknowledges it away.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Message from "../Message.ts"
import type { MessageQueue } from "../MessageQueue.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"

type Service = MessageQueue["Service"]

/** The header of a message that says where its outcome is. */
export const header = "outcome"

/** The queue of the outcomes of a queue. */
export const nodeOf = (queue: string): string => `outcome/${queue}`.slice(0, 128).trimEnd()

/** What the worker of one try has said so far. */
export interface Outcome {
  readonly tries: number
  /** Counts what was said in this try, so that what is equal to the last is news too. */
  readonly reports: number
  readonly progress?: Schema.Json
  readonly success?: Schema.Json
}

export const none: Outcome = { tries: 0, reports: 0 }

export const read = (payload: Message.Payload): Outcome => {
  const value = payload.value as Partial<Outcome> | null
  return typeof value === "object" && value !== null && typeof value.tries === "number" ? value as Outcome : none
}

/** Writes it down. One that nobody can follow any more is gone: nothing is written, and nothing is wrong. */
export const write = (queue: Service, id: string, outcome: Outcome): Effect.Effect<void, MessageQueueError> =>
  Effect.catchReason(
    Effect.asVoid(queue.update(id, Message.json({ ...outcome }))),
    "MessageQueueError",
    "MessageNotFound",
    () => Effect.void
  )

export const get = (queue: Service, id: string): Effect.Effect<Outcome, MessageQueueError> =>
  Effect.map(queue.get(id), Option.match({ onNone: () => none, onSome: (message) => read(message.payload) }))

/** Acknowledges the outcomes that nobody may follow any more, again and again. */
export const tidy = (queue: Service, name: string): Effect.Effect<never> =>
  queue.pullMany(nodeOf(name), { max: 1000, wait: "1 hour" }).pipe(
    Effect.flatMap(queue.ackMany),
    Effect.catch((error) =>
      Effect.andThen(Effect.logDebug("Queue: outcomes stay", error.message), Effect.sleep("1 minute"))
    ),
    Effect.forever
  )
