/**
 * Topics: named kinds of values that a server publishes and clients subscribe to, typed by schemas and shared by both
 * sides like a contract.
 *
 * **Example** (Two topics and their group)
 *
 * ```ts
 * const Clock = Topic.make("clock", { payload: Schema.Int })
 * const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) })
 * const Ops = Topic.make("ops", { payload: Schema.String }).pipe(Access.permissionRequired("ops"))
 * const topics = Topic.group(Clock, Weather, Ops)
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import type { History } from "../backplane/Backplane.ts"
import type { Wire } from "../jsonrpc/internal/wireModel.ts"
import * as RpcMethods from "../rpc/RpcMethods.ts"

/**
 * What a server does with a plain topic for a subscriber that reads too slowly: keep the newest publications and count
 * the others, or close the connection (1013). State topics always keep the newest value only.
 *
 * @category models
 * @since 0.1.0
 */
export type SlowPolicy = "drop-oldest" | "disconnect"

/**
 * A topic. `kind` tells whether it keeps its last value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Topic<
  out Name extends string,
  in out Value,
  in out Parameters = void
> extends Pipeable {
  readonly name: Name
  readonly kind: "plain" | "state"
  readonly payload: Schema.Codec<Value, any>
  /** Schema of what a subscriber may say about what it wants; `Schema.Void` for topics that are all or nothing. */
  readonly parameters: Schema.Codec<Parameters, any>
  /** Whether a value is for a subscriber with these parameters. Evaluated by the server, once more by our client. */
  readonly matches: ((value: Value, parameters: Parameters) => boolean) | undefined
  readonly slow: SlowPolicy
  /** Whether publications stay in the process that publishes them. */
  readonly local: boolean
  /** What is kept for subscribers that come back; `undefined` for nothing. */
  readonly history: History | undefined
  readonly annotations: Context.Context<never>
  /** The same topic with one more annotation: access rules, `OpenRpc` descriptions. */
  readonly annotate: <I, S>(key: Context.Key<I, S>, value: S) => Topic<Name, Value, Parameters>
}

/**
 * Any topic.
 *
 * @category models
 * @since 0.1.0
 */
export type Any = Topic<string, any, any>

/**
 * The values of a topic.
 *
 * @category models
 * @since 0.1.0
 */
export type Value<T> = T extends Topic<string, infer V, any> ? V : never

/**
 * The parameters of a topic's subscriptions.
 *
 * @category models
 * @since 0.1.0
 */
export type Parameters<T> = T extends Topic<string, any, infer P> ? P : never

/**
 * Options of {@link make} and {@link state}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Value, Parameters> {
  readonly payload: Schema.Codec<Value, any>
  readonly parameters?: Schema.Codec<Parameters, any> | undefined
  /** Pure and quick: it is asked for each value and each subscriber that gave parameters. */
  readonly matches?: ((value: Value, parameters: Parameters) => boolean) | undefined
  /**
   * Publications stay in the process that publishes them: for what each process has of its own, such as the time or its
   * load. Default `false`: they go through the backplane.
   */
  readonly local?: boolean | undefined
  /**
   * Keeps what was published last, so that a subscriber that was away goes on where it stopped, once and in order, or is
   * told from where to where it cannot: `{}` for 1,000 values, 4 MiB of them, 5 minutes. One history serves all
   * subscribers of a process, slow ones too. Both sides must say it: a client asks for positions where its contract has a
   * history. Default: none is kept.
   */
  readonly history?: History | undefined
}

const Proto = {
  annotate(this: Any, key: Context.Key<any, any>, value: any) {
    return fromFields({ ...this, annotations: Context.add(this.annotations, key, value) as Context.Context<never> })
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const fromFields = (fields: Omit<Any, "annotate" | "pipe">): any => Object.assign(Object.create(Proto), fields)

/**
 * Makes a plain topic: who subscribes hears what is published from then on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Name extends string, Value, Parameters = void>(
  name: Name,
  options: Options<Value, Parameters> & {
    /** Default `"drop-oldest"`. */
    readonly slow?: SlowPolicy | undefined
  }
): Topic<Name, Value, Parameters> => {
  const { history, local = false, matches, parameters, payload, slow = "drop-oldest" } = options
  return fromFields({
    name,
    kind: "plain",
    payload,
    parameters: parameters ?? Schema.Void,
    matches,
    slow,
    local,
    history,
    annotations: Context.empty()
  })
}

/**
 * Makes a topic that keeps its last value: who subscribes hears that value first, then each later one; who reads slowly
 * hears the newest. With a `history`, who comes back hears each that it missed, as far as they are kept.
 *
 * @category constructors
 * @since 0.1.0
 */
export const state = <const Name extends string, Value, Parameters = void>(
  name: Name,
  options: Options<Value, Parameters>
): Topic<Name, Value, Parameters> => fromFields({ ...make(name, options), kind: "state" })

/**
 * The topics of a server, by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group<out T extends Any> {
  readonly topics: ReadonlyMap<string, T>
}

/**
 * Puts topics together. Two of one name are a mistake: it throws.
 *
 * @category constructors
 * @since 0.1.0
 */
export const group = <const Topics extends ReadonlyArray<Any>>(...topics: Topics): Group<Topics[number]> => {
  const byName = new Map<string, Topics[number]>()
  for (const topic of topics) {
    if (byName.has(topic.name)) throw new Error(`there are two topics named "${topic.name}"`)
    byName.set(topic.name, topic)
  }
  return { topics: byName }
}

/**
 * Annotates an `RpcGroup` with the topics that belong to the same contract, for documents made of it.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Published: Context.Reference<Group<Any>> = Context.Reference<Group<Any>>(
  "effect-wire/topics/Topic/Published",
  { defaultValue: () => group() }
)

/** @internal */
export interface Compiled {
  readonly method: RpcMethods.Method
  /** Parameters of the notification that carries an encoded value; what the backplane carries is their text. */
  readonly toParams: (encoded: unknown) => unknown
  /** The encoded value of such parameters. */
  readonly fromParams: (params: unknown) => unknown
  /** Such parameters, as text, the way a wire wants them. */
  readonly onWire: (wire: Wire, text: string) => string
  /** The encoded value of parameters that came by a wire: as they stood in the message, where the wire has bare values. */
  readonly fromWire: (wire: Wire, params: unknown) => unknown
}

const compiled = new WeakMap<Schema.Top, Compiled>()

/**
 * The codec of a topic. `params` of JSON-RPC is an array or an object, so a value that is neither is sent as the only
 * element of an array. Where a schema has values of both kinds every value that is no object is sent so, arrays too.
 *
 * @internal
 */
export const compile = (topic: Any): Compiled => {
  let codec = compiled.get(topic.payload)
  if (codec === undefined) {
    const method = RpcMethods.fromRpc(Rpc.make("topic", { payload: topic.payload }))
    const wraps = method.shape === "scalar" || method.shape === "raw"
    const fromParams = (params: unknown) =>
      method.shape === "none" ? undefined : wraps && Array.isArray(params) && params.length === 1 ? params[0] : params
    codec = {
      method,
      fromParams,
      onWire: (wire, text) =>
        text === ""
          ? text
          : wire.bareNotifications === true
          ? wraps && text.startsWith("[") ? text.slice(1, -1) : text
          : wire.positional === true && method.shape === "struct"
          ? JSON.stringify(RpcMethods.toParams(method, JSON.parse(text), true))
          : text,
      fromWire: (wire, params) => {
        if (wire.positional === true && method.shape === "struct") return RpcMethods.toPayload(method, params)
        if (wire.bareNotifications !== true || !wraps) return fromParams(params)
        // our servers of 0.1 send it in an array
        const exit = method.decodePayload(params)
        return Exit.isExit(exit) && exit._tag === "Success" ? params : fromParams(params)
      },
      toParams: (encoded) =>
        method.shape === "none"
          ? undefined
          : wraps && (typeof encoded !== "object" || encoded === null || Array.isArray(encoded))
          ? [encoded]
          : encoded
    }
    compiled.set(topic.payload, codec)
  }
  return codec
}
