/**
 * @internal What an answer of a Scirocco server means when it is no success.
 */
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  fail,
  InvalidMessage,
  LeaseLost,
  MessageNotFound,
  MessageQueueError,
  PayloadTooLarge,
  QueueUnavailable,
  Unauthorized,
  Unsupported
} from "../../MessageQueueError.ts"
import { parseJson } from "./body.ts"

export const unavailable = (operation: string, cause: unknown): MessageQueueError =>
  new MessageQueueError({ reason: new QueueUnavailable({ operation, uncertain: true, cause }) })

/** Operations that the original server does not have: a 404 is that it does not know the route. */
const ours = new Set(["nack", "reject", "release", "extend", "redrive", "reschedule", "counts", "pushMany", "ackMany"])

export const answerError = (
  operation: string,
  answer: { readonly status: number; readonly body: Uint8Array },
  id: string | undefined
): Effect.Effect<never, MessageQueueError> => {
  const body = bodyOf(answer.body)
  switch (answer.status) {
    case 400: {
      const errors = body.get("errors")
      const [field, problem] = typeof errors === "object" && errors !== null ? Object.entries(errors)[0] ?? [] : []
      return fail(
        new InvalidMessage({
          field: field ?? "request",
          problem: String((problem as { readonly message?: unknown } | undefined)?.message ?? body.get("message"))
        })
      )
    }
    case 403:
      return fail(new Unauthorized())
    case 404:
      return fail(
        ours.has(operation)
          ? new Unsupported({ operation })
          : operation === "ack"
          ? new LeaseLost({ id: id ?? "" })
          : new MessageNotFound({ id: id ?? "" })
      )
    case 409:
      return fail(new LeaseLost({ id: id ?? "" }))
    case 413: {
      const limit = body.get("limit")
      return fail(new PayloadTooLarge({ limit: typeof limit === "number" ? limit : 0 }))
    }
    default:
      return fail(
        new QueueUnavailable({
          operation,
          uncertain: answer.status >= 500,
          cause: new Error(`the server answered ${answer.status}: ${String(body.get("message") ?? "")}`)
        })
      )
  }
}

const bodyOf = (bytes: Uint8Array): Map<string, unknown> => {
  const body = Option.getOrUndefined(parseJson(new TextDecoder().decode(bytes)))
  return new Map(typeof body === "object" && body !== null ? Object.entries(body) : [])
}
