/**
 * @internal What a message has come to, looked at until it is over.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { MessageQueue } from "../MessageQueue.ts"
import { fail, MessageNotFound, type MessageQueueError } from "../MessageQueueError.ts"
import * as Outcome from "./outcome.ts"
import { Dead } from "./permanent.ts"
import type { Followed, Started } from "./queueModel.ts"
import type { Codecs } from "./typed.ts"

/** What was seen last, and how long to wait before the next look; `over` when there is nothing more to see. */
interface Seen {
  readonly tries: number
  readonly reports: number
  readonly wait: number
  readonly over: boolean
}

export const follow = <A, E, S, P, R>(
  queue: MessageQueue["Service"],
  codecs: Codecs<A, E, S, P, R>,
  { id, outcome }: Started,
  interval: Duration.Input | undefined
): Stream.Stream<Followed<P, S>, MessageQueueError | Dead<E>, R> => {
  const longest = Math.max(1, Duration.toMillis(Duration.fromInputUnsafe(interval ?? "1 second")))
  const shortest = Math.min(50, longest)

  const look = Effect.fnUntraced(function*(
    seen: Seen
  ): Effect.fn.Return<readonly [ReadonlyArray<Followed<P, S>>, Seen], MessageQueueError | Dead<E>, R> {
    if (seen.wait > 0) yield* Effect.sleep(seen.wait)
    // The message first: what is over has said its last word before.
    const message = Option.getOrUndefined(yield* queue.get(id))
    const said = yield* Outcome.get(queue, outcome)
    if (message?.status === "dead") {
      const words = message.error ?? ""
      return yield* new Dead({ id, words, error: yield* codecs.error.decode(words) })
    }
    const news: Array<Followed<P, S>> = []
    const isNews = said.tries > seen.tries || (said.tries === seen.tries && said.reports > seen.reports)
    if (isNews && said.progress !== undefined) {
      const progress = yield* Effect.option(codecs.progress.decode(said.progress))
      if (Option.isSome(progress)) news.push({ _tag: "Progress", tries: said.tries, progress: progress.value })
    }
    const over = message === undefined || message.status === "processed"
    if (over) {
      const success = codecs.success === undefined
        ? undefined
        : yield* Effect.option(codecs.success.decode(said.success))
      // Of a message that is gone, only what it left says that it was done.
      if (message === undefined && (success === undefined || Option.isNone(success) || said.reports === 0)) {
        return yield* fail(new MessageNotFound({ id }))
      }
      news.push({ _tag: "Success", value: Option.getOrUndefined(success ?? Option.none()) as S })
    }
    const wait = isNews ? shortest : Math.min(longest, Math.max(shortest, seen.wait * 1.5))
    return [news, isNews ? { tries: said.tries, reports: said.reports, wait, over } : { ...seen, wait, over }]
  })

  return Stream.paginate(
    { tries: 0, reports: 0, wait: 0, over: false } as Seen,
    (seen) =>
      Effect.map(look(seen), ([news, next]) => [news, next.over ? Option.none<Seen>() : Option.some(next)] as const)
  )
}
