import * as Effect from "effect/Effect"
import type { Key } from "../../rpc/internal/idempotencyModel.ts"
import { StreamTooLong } from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as Codec from "../JsonRpcCodec.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"
import { AnsweredRequest, type Answerer, type Sink } from "./answer.ts"
import { onceOf } from "./onceCall.ts"
import { own } from "./record.ts"
import { type StreamAsk, streamMethods } from "./streamModel.ts"
import { notificationOfText, resultOfText } from "./wireModel.ts"

const isCount = (u: unknown): u is number => typeof u === "number" && Number.isSafeInteger(u) && u >= 0

/**
 * The credits that a request asks for its stream with; `undefined` where it knows nothing of them.
 *
 * @internal
 */
export const askOf = (answerer: Answerer, call: Codec.Call): StreamAsk | undefined => {
  const { stream } = answerer.wire
  const ask = stream === undefined ? call.message.stream : stream(call.params)
  const credit = own(ask, "credit")
  if (!isCount(credit) || credit === 0) return undefined
  const from = own(ask, "from")
  return { credit, from: isCount(from) ? from : 0 }
}

/** Characters of elements that go out together. */
const frameSize = 64 * 1024

/**
 * A request for a stream. Where the client gives credits, elements go out as they come, each once, never more than it has
 * asked for, and the stream is not run further before it asks again. Where the wire has partial results of its own they
 * go out as those, as fast as the peer reads. Everywhere else they are the answer, up to a length.
 *
 * @internal
 */
export class StreamedRequest extends AnsweredRequest {
  private texts: Array<string> = []
  private size = 0
  private sent = false
  private scheduled = false
  private credit: number
  /** Elements that the client has. */
  private readonly from: number
  private skip: number
  private readonly byCredit: boolean
  /** What elements go out under where the wire has partial results. */
  private readonly token: unknown
  private resume: (() => void) | undefined = undefined

  constructor(
    answerer: Answerer,
    sink: Sink,
    id: string,
    call: Codec.Call,
    method: RpcMethods.ServedMethod,
    payload: unknown
  ) {
    super(answerer, sink, id, call, method, payload)
    const ask = answerer.outbox === undefined ? undefined : askOf(answerer, call)
    this.byCredit = ask !== undefined
    this.credit = ask?.credit ?? Infinity
    this.from = ask?.from ?? 0
    // a keyed stream goes on by itself, another one begins anew
    this.skip = this.once === undefined ? this.from : 0
    this.token = ask !== undefined || answerer.outbox === undefined
      ? undefined
      : answerer.wire.progress?.elementsToken?.(call.params, this.idValue)
  }

  private get isSent(): boolean {
    return this.byCredit || this.token !== undefined
  }

  override get once(): Key | undefined {
    return onceOf(this.answerer.wire, this.method, this.call, this.from)
  }

  /** The client takes so many more. */
  grant(credit: number): void {
    this.credit += credit
    const resume = this.resume
    this.resume = undefined
    resume?.()
  }

  override onElements(values: ReadonlyArray<unknown>): Effect.Effect<void> {
    return this.take(values, 0)
  }

  private take(values: ReadonlyArray<unknown>, from: number): Effect.Effect<void> {
    let i = from
    for (; i < values.length && (this.credit > 0 || this.skip > 0); i++) {
      if (this.skip > 0) {
        this.skip--
        continue
      }
      this.credit--
      const text = JSON.stringify(values[i]) ?? "null"
      this.texts.push(text)
      this.size += text.length + 1
      if (this.isSent) {
        if (this.size >= frameSize) this.flush()
        else this.schedule()
      } else if (this.size > this.answerer.maxStreamBytes || !this.hold(text.length + 1)) {
        return Effect.die(new StreamTooLong(this.answerer.maxStreamBytes))
      }
    }
    if (this.credit === 0) return Effect.flatMap(this.granted, () => this.take(values, i))
    const { highWater, outbox } = this.answerer
    return this.isSent && outbox!.waiting() > highWater ? outbox!.drained(highWater) : Effect.void
  }

  private get granted(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.credit > 0) return resume(Effect.void)
      this.resume = () => resume(Effect.void)
      return Effect.sync(() => {
        this.resume = undefined
      })
    })
  }

  // what comes in one turn goes out together
  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      if (!this.done) this.flush()
    })
  }

  private flush(): void {
    const elements = `[${this.texts.join(",")}]`
    if (this.texts.length === 0) return
    this.texts = []
    this.size = 0
    this.sent = true
    const { wire, outbox } = this.answerer
    outbox!.send(
      this.byCredit
        ? notificationOfText(wire, streamMethods.elements, `{"id":${this.id},"elements":${elements}}`)
        : wire.encode.notification(
          wire.progress!.method,
          wire.progress!.encodeElements!(this.token, JSON.parse(elements))
        )
    )
  }

  override onSuccess(): void {
    // a stream that ends as soon as it began is one frame, but who goes on has to see that it does
    if (this.sent || this.from > 0) this.flush()
    this.reply(resultOfText(this.answerer.wire, this.id, `[${this.texts.join(",")}]`))
  }

  protected override fail(error: ErrorObject): void {
    if (this.isSent) this.flush()
    super.fail(error)
  }
}
