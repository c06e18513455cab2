import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Batch, type Call, type Entry } from "../../rpc/internal/callModel.ts"
import { inexactNumber, isInexact } from "../../rpc/internal/numbers.ts"
import { inWords } from "../../socket/internal/describe.ts"
import type * as Reconnect from "../../socket/Reconnect.ts"
import * as Codec from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import { Caller, type CallerConfig, isClosing, RpcCall } from "./caller.ts"

/**
 * What a server answered to one request.
 *
 * @internal
 */
export interface Reply {
  readonly status: number
  readonly text: string
  readonly contentType: string | undefined
  /** Milliseconds. */
  readonly retryAfter: number | undefined
}

// milliseconds before a keyed call is called again, twice as many each time
const firstPause = 100
const longestPause = 5000

const open: Reconnect.Status = { _tag: "Open" }

/** One request under way, or the pause before it, and its calls that somebody waits for. */
interface Post {
  readonly fiber: Fiber.Fiber<void>
  readonly left: Set<Call<string>>
}

const callsOf = (item: Entry<string> | Batch<string>): ReadonlyArray<RpcCall> =>
  (item instanceof Batch ? item.entries : [item]).filter((entry): entry is RpcCall => entry instanceof RpcCall)

/**
 * The client half over HTTP: always open, each entry of the log a request of its own.
 *
 * @internal
 */
export class HttpCaller extends Caller {
  private readonly post: (frame: string, calls: ReadonlyArray<RpcCall>) => Fiber.Fiber<void>
  private readonly posts = new Set<Post>()
  private readonly postOf = new Map<Call<string>, Post>()
  private readonly tries = new WeakMap<Call<string>, number>()

  constructor(
    limits: CallerConfig,
    post: (frame: string, calls: ReadonlyArray<RpcCall>) => Fiber.Fiber<void>
  ) {
    super(limits, { _tag: "Dialling", attempt: 1 })
    this.post = post
    this.enter(open)
  }

  override get hasHeaders(): boolean {
    return true
  }
  override get hasElements(): boolean {
    return false
  }
  get fibers(): ReadonlyArray<Fiber.Fiber<void>> {
    return Array.from(this.posts, (post) => post.fiber)
  }

  protected override write(frame: string, item: Entry<string> | Batch<string>): boolean {
    const calls = callsOf(item)
    this.begin(this.post(frame, calls), calls)
    return true
  }

  /** A fiber that works for these calls: it ends when nobody waits for any of them. */
  private begin(fiber: Fiber.Fiber<void>, calls: ReadonlyArray<RpcCall>): void {
    if (fiber.pollUnsafe() !== undefined) return
    const post: Post = { fiber, left: new Set(calls) }
    this.posts.add(post)
    for (const call of calls) this.postOf.set(call, post)
    fiber.addObserver(() => {
      this.posts.delete(post)
      // one that is called again is another's by now
      for (const call of calls) if (this.postOf.get(call) === post) this.postOf.delete(call)
    })
  }

  // a request is aborted when nobody waits for any of its calls
  protected override retract(call: Call<string>): void {
    const post = this.postOf.get(call)
    post?.left.delete(call)
    if (post?.left.size === 0) post.fiber.interruptUnsafe()
  }

  /** The request did not get through, or something of it threw. */
  failed(calls: ReadonlyArray<RpcCall>, address: string, cause: unknown): void {
    this.fail(this.again(calls), (call) => {
      const message = `${call.method}: cannot post to ${address}: ${inWords(cause)}`
      return new JsonRpcError.ConnectionError({ message, maybeExecuted: true, kind: "Lost", cause })
    })
  }

  /** The answers of a body settle their calls; what has none fails. */
  replied(calls: ReadonlyArray<RpcCall>, address: string, { contentType, retryAfter, status, text }: Reply): void {
    const inexact = text === "" ? undefined : inexactNumber(text)
    const told = retryAfter === undefined ? undefined : { retryAfter }
    let isLost = status >= 500
    if (text !== "" && inexact === undefined) {
      const frame = Codec.decode(text, { maxBatch: Infinity, expectsAnswers: true })
      for (const message of (Array.isArray(frame) ? frame : [frame]) as ReadonlyArray<Codec.Message>) {
        if (message._tag === "Invalid" && message.answer === undefined) {
          this.spoil(message.id, "the answer is nested too deeply")
        } else if (message._tag === "Result" || message._tag === "Failure") {
          const answer = message._tag === "Result" ? message : { ...message, error: { ...message.error, ...told } }
          isLost ||= message._tag === "Failure" && isClosing(message.error)
          // an answer without an id is about all that was sent
          if (message.id !== undefined && message.id !== "null") this.answer(answer)
          else for (const call of calls) this.answer({ ...answer, id: String(call.id) })
        }
      }
    }
    const left = isLost ? this.again(calls, retryAfter) : calls
    const isRefused = status < 200 || status > 299
    const wait = retryAfter === undefined ? "" : ` (retry after ${retryAfter / 1000} s)`
    this.fail(left, (call) => {
      if (isRefused) {
        return new JsonRpcError.ConnectionError({
          message: `${call.method}: ${address} answered HTTP ${status}${wait}`,
          maybeExecuted: status >= 500,
          cause: new JsonRpcError.HttpStatusError({ status }),
          ...told
        })
      }
      const what = inexact !== undefined
        ? `answered with ${inexact}, ${isInexact}`
        : text === ""
        ? "did not answer the request"
        : `answered what is no answer to the request${contentType === undefined ? "" : ` (${contentType})`}`
      return new JsonRpcError.ProtocolError({ message: `${call.method}: ${address} ${what}` })
    })
  }

  /** Calls those again that carry a key and wait still, until they have had their time; gives the others. */
  private again(calls: ReadonlyArray<RpcCall>, wait?: number): ReadonlyArray<RpcCall> {
    return calls.filter((call) => {
      // what a stream made is in one answer here, and nobody keeps it
      if (call.keyed === undefined || !call.timed || this.get(call.id) !== call) return true
      const tries = this.tries.get(call) ?? 0
      this.tries.set(call, tries + 1)
      call.wasSent = true
      call.goesAgain()
      const repeat = Effect.sync(() => void this.write(this.frameOf(call), call))
      this.begin(this.limits.fork(Effect.delay(repeat, wait ?? Math.min(firstPause * 2 ** tries, longestPause))), [
        call
      ])
      return false
    })
  }

  private fail(calls: ReadonlyArray<RpcCall>, error: (call: RpcCall) => JsonRpcError.JsonRpcError["reason"]): void {
    for (const call of calls) {
      // those that are settled are not there any more
      if (this.take(call.id) === call) call.onFailure(new JsonRpcError.JsonRpcError({ reason: error(call) }))
    }
  }
}
