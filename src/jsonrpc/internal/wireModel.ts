import * as Context from "effect/Context"
import type * as Rpc from "effect/rpc/Rpc"
import type { Report } from "../../rpc/Progress.ts"
import * as Codec from "../JsonRpcCodec.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"

/**
 * How a peer is told that a call is no longer wanted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cancellation {
  /** The notification's method. */
  readonly method: string
  /** Parameters that name the request. */
  readonly encode: (id: string | number) => unknown
  /** The request that parameters name; `undefined` where they name none. */
  readonly decode: (params: unknown) => unknown
  /** What a cancelled request is answered with; `undefined` where no answer follows. */
  readonly answer: ErrorObject | undefined
}

/**
 * How progress of a call travels.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProgressStrategy {
  /** The notification's method. */
  readonly method: string
  /** Adds to a request's parameters what asks for its progress, where the wire wants it asked for. */
  readonly request: (params: unknown, id: string | number, isStream: boolean) => unknown
  /** What a request's progress is sent under; `undefined` where none is wanted. `id` is the request's id as a value. */
  readonly token: (params: unknown, id: unknown) => unknown
  /**
   * What the elements of a stream are sent under, for peers that know partial results but no credits; `undefined` where none
   * are wanted. The answer does not repeat them.
   */
  readonly elementsToken?: ((params: unknown, id: unknown) => unknown) | undefined
  /** Parameters of one report; `count` reports of this request came before. */
  readonly encode: (token: unknown, report: Report, count: number) => unknown
  /** Parameters that carry elements of a stream under {@link ProgressStrategy.elementsToken}. */
  readonly encodeElements?: ((token: unknown, elements: ReadonlyArray<unknown>) => unknown) | undefined
  /** Parameters of a last notification before the answer, where reports were sent and the wire wants an end. */
  readonly finish?: ((token: unknown) => unknown) | undefined
  /** The token and the report of received parameters; elements of a stream are an array in `value`. */
  readonly decode: (params: unknown) => { readonly token: unknown; readonly report: Report } | undefined
}

/**
 * How messages are written. What one throws for parameters that are no JSON fails the call.
 *
 * @category models
 * @since 0.2.0
 */
export interface Encode {
  /** `id` is the JSON text of the id; `extra` are further members of the message. */
  readonly request: (id: string, method: string, params: unknown, extra?: Record<string, unknown>) => string
  /** `extra` are further members of the message. */
  readonly notification: (method: string, params: unknown, extra?: Record<string, unknown>) => string
  /** `undefined` stands for `null`. */
  readonly result: (id: string, result: unknown) => string
  /** The answer that a request failed. */
  readonly error: (id: string, error: ErrorObject) => string
  /**
   * Several messages in one frame; `undefined` where the wire has no batches: members go out one after the other, and a
   * peer that sends an array is answered -32600.
   */
  readonly batch: ((messages: ReadonlyArray<string>) => string) | undefined
}

/**
 * The text of a notification whose parameters are JSON text, empty for none: what goes to many subscribers. A wire that
 * writes notifications its own way gets them as values.
 *
 * @internal
 */
export const notificationOfText = ({ encode }: Wire, method: string, params: string): string =>
  encode.notification === Codec.encodeNotification
    ? Codec.notificationOfText(method, params)
    : encode.notification(method, params === "" ? undefined : JSON.parse(params))

/**
 * The text of an answer whose result is JSON text: a stream.
 *
 * @internal
 */
export const resultOfText = ({ encode }: Wire, id: string, result: string): string =>
  encode.result === Codec.encodeResult ? Codec.resultOfText(id, result) : encode.result(id, JSON.parse(result))

/**
 * The text of a notification of the app: a value that is neither array nor object is sent bare, or, where the wire has no
 * bare ones, as the only element of an array.
 *
 * @internal
 */
export const notificationOf = (wire: Wire, method: string, params: unknown): string =>
  wire.encode.notification(
    method,
    wire.bareNotifications === true || params === undefined || (typeof params === "object" && params !== null)
      ? params
      : [params]
  )

/**
 * The names that a procedure has on some wires, by the name of the wire, where its own is reserved there or is another:
 * `rpc.annotate(Wire.Alias, { rockets: "stopJob" })`. Both ends go by it.
 *
 * @category annotations
 * @since 0.2.0
 */
export const Alias: Context.Reference<Readonly<Record<string, string>>> = Context.Reference<
  Readonly<Record<string, string>>
>("effect-wire/jsonrpc/Wire/Alias", { defaultValue: () => ({}) })

/**
 * The name of a procedure on a wire.
 *
 * @internal
 */
export const nameOn = (wire: Wire, rpc: Rpc.AnyWithProps): string => {
  const names = Context.get(rpc.annotations, Alias)
  return Object.hasOwn(names, wire.name) ? names[wire.name]! : rpc._tag
}

/**
 * How a family of peers speaks: how messages are written, what is accepted of them, what there is beyond calls. A plain
 * value, the same for both ends: a new wire is one small file of data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wire {
  readonly name: string
  readonly encode: Encode
  /** WebSocket subprotocol that its clients offer. */
  readonly subprotocol: string | undefined
  readonly cancellation: Cancellation | undefined
  readonly progress: ProgressStrategy | undefined
  /** Whether `params` that is neither array nor object stands for an array of it. */
  readonly scalarParams: boolean
  /** Whether `"id": null` makes a notification. */
  readonly nullIdIsNotification: boolean
  /** Whether messages need not have `"jsonrpc": "2.0"`; default `false`. */
  readonly anyVersion?: boolean | undefined
  /** Changes the parameters of each call and notification as they come in, before they are looked at. */
  readonly params?: ((params: unknown, message: Readonly<Record<string, unknown>>) => unknown) | undefined
  /** Whether typed clients send parameters by position; default `false`, by name. */
  readonly positional?: boolean | undefined
  /** Whether parameters beyond those of the method are ignored; default `false`: -32602. */
  readonly ignoresSurplus?: boolean | undefined
  /**
   * Whether notifications and publications carry one value bare, whatever it is; default `false`: what is neither array nor
   * object is the only element of an array.
   */
  readonly bareNotifications?: boolean | undefined
  /** Whether several calls are sent in one frame, where the wire can; default `true`. Batches of the peer are answered. */
  readonly sendsBatches?: boolean | undefined
  /**
   * Whether a client names topics by nothing but their names, where the contract asks for no more (parameters, a history);
   * default `false`: with what our servers understand beyond it (notices).
   */
  readonly topicsByName?: boolean | undefined
  /** Whether `get_methods` lists a method that the caller may use; default: all of them. */
  readonly lists?: ((method: string, isLoggedIn: boolean) => boolean) | undefined
  /** Bytes of one message where neither the route nor the server says; default 1 MiB. */
  readonly maxFrameSize?: number | undefined
  /** Whether a contract may not define a method of this name. */
  readonly isReserved: (method: string) => boolean
  /** Members that the wire itself puts into parameters (tokens); methods never see them. */
  readonly metaKeys: ReadonlyArray<string>
  /**
   * What has the trace context of a request as members (`traceparent`, `tracestate`, `baggage`), where the wire has room for
   * it in the parameters; otherwise it is the message.
   */
  readonly trace: ((params: unknown) => unknown) | undefined
  /** Adds trace context to the parameters of a request. */
  readonly withTrace: ((params: unknown, trace: Readonly<Record<string, string>>) => unknown) | undefined
  /**
   * Reads what asks for a stream by credits from the parameters of a request, where the wire has room for it there;
   * otherwise it is the member `stream` of the message.
   */
  readonly stream?: ((params: unknown) => unknown) | undefined
  /** Adds what asks for a stream by credits to the parameters of a request. */
  readonly withStream?: ((params: unknown, ask: unknown) => unknown) | undefined
  /**
   * Reads the idempotency key from the parameters of a request, where the wire has room for it there; otherwise it is the
   * member `once` of the message.
   */
  readonly once?: ((params: unknown) => unknown) | undefined
  /** Adds an idempotency key to the parameters of a request. */
  readonly withOnce?: ((params: unknown, once: unknown) => unknown) | undefined
}
