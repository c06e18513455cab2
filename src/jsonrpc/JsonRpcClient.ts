/**
 * Calls JSON-RPC 2.0 peers: typed by an `RpcGroup`, untyped by name, many in one frame, as notifications. Interrupting a
 * call (a timeout too) cancels it at the far end where the wire can; a lost connection fails what was under way at once.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Progress from "../rpc/Progress.ts"
import { BatchCollector, CurrentBatch } from "./internal/caller.ts"
import type { Client } from "./internal/clientModel.ts"
import * as Link from "./internal/link.ts"
import * as Typed from "./internal/typed.ts"
import type { JsonRpcError } from "./JsonRpcError.ts"
import type { Remote } from "./JsonRpcRemote.ts"

export type { Client, Notification } from "./internal/clientModel.ts"
export type { Options } from "./internal/link.ts"
export {
  /**
   * Annotates a procedure whose requests may be sent again after a reconnection.
   *
   * @category annotations
   * @since 0.1.0
   */
  Idempotent
} from "./internal/typed.ts"
export type { TypedOptions } from "./internal/typed.ts"

/**
 * A client's connection to one server.
 *
 * @category services
 * @since 0.1.0
 */
export class JsonRpcClient extends Context.Service<JsonRpcClient, Client>()("effect-wire/jsonrpc/JsonRpcClient") {}

/**
 * Makes a client on a socket. The connection belongs to the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSocket = (
  socket: Socket.Socket,
  options?: Link.Options
): Effect.Effect<Client, never, Scope.Scope> => Link.make(socket, options ?? {}, new Map())

/**
 * A client on the `Socket` of the environment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocket = (options?: Link.Options): Layer.Layer<JsonRpcClient, never, Socket.Socket> =>
  Layer.effect(JsonRpcClient, Effect.flatMap(Socket.Socket, (socket) => fromSocket(socket, options)))

/**
 * Makes a client typed by a group: one method for each procedure, taking its payload and failing with its errors or a
 * `JsonRpcError`. It is the client of `effect/rpc`, so code that takes an `RpcClient` of the group takes this. Procedures
 * with `stream: true` give a `Stream`; where the wire has no progress its elements come with the answer. The option
 * `{ discard: true }` of a call sends a notification: it completes when that is handed to the connection.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options?: Typed.TypedOptions
): Effect.Effect<
  RpcClient.RpcClient<Rpcs, JsonRpcError>,
  never,
  JsonRpcClient | Scope.Scope | Rpc.MiddlewareClient<Rpcs>
> => Effect.flatMap(JsonRpcClient, (client) => fromRemote(group, client, options))

/**
 * Makes a typed client of any remote: a server's own client, to call it back.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRemote = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  remote: Remote,
  options?: Typed.TypedOptions
): Effect.Effect<
  RpcClient.RpcClient<Rpcs, JsonRpcError>,
  never,
  Scope.Scope | Rpc.MiddlewareClient<Rpcs>
> => Typed.make(group, remote, options)

/**
 * Runs effects side by side and sends the calls and notifications that they make at once in one frame. The results come
 * by position; the first failure fails the batch and cancels the rest, unless `mode` is `"result"`, which gives a
 * `Result` for each. Notifications go out with them, whatever else is in the batch. Progress heard by `Progress.tap` around
 * the batch is the mean of its members, of which those that are done count as 1. All of them must go to one connection.
 *
 * **Example** (Two calls, one frame)
 *
 * ```ts
 * const [sum, image] = yield* JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client.render({ scene })])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const batch = <
  const Calls extends ReadonlyArray<Effect.Effect<any, any, any>>,
  const Options extends { readonly mode?: "default" | "result" | undefined } = {}
>(
  calls: Calls,
  options?: Options
): Effect.All.Return<Calls, Options & { readonly concurrency: "unbounded" }> =>
  Effect.suspend(() => {
    const collector = new BatchCollector()
    const each = Progress.mean(calls.length)
    return Effect.withFiber((fiber) => {
      const listener = fiber.getRef(Progress.Listener)
      const members = calls.map((call, index) =>
        Effect.provideService(
          listener === undefined ? call : Effect.tap(call, () => Effect.sync(() => each.done(index))),
          Progress.Listener,
          listener === undefined ? undefined : each.listener(index, listener)
        )
      )
      const all = Effect.all(members, { ...options, concurrency: "unbounded" } as never) as Effect.Effect<any, any, any>
      const flush = Effect.sync(() => collector.flush())
      // the calls are made as their fibers start, in this turn; then what they made is sent, also where none of them waits
      return Effect.provideService(
        Effect.ensuring(Effect.raceFirst(all, Effect.andThen(flush, Effect.never)), flush),
        CurrentBatch,
        collector
      )
    })
  }) as never

/**
 * Nested access to a client typed by names with separators: `nest(client, ".")` makes `client["app.users.getUsers"]`
 * also `client.app.users.getUsers`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const nest = <Client extends object, const Separator extends string>(
  client: Client,
  separator: Separator
): Nested<Client, Separator> => {
  const root: Node = { method: undefined, below: new Map() }
  for (const [name, method] of Object.entries(client)) {
    let node = root
    for (const segment of name.split(separator)) {
      let next = node.below.get(segment)
      if (next === undefined) node.below.set(segment, next = { method: undefined, below: new Map() })
      node = next
    }
    node.method = method
  }
  return nested(root) as Nested<Client, Separator>
}

interface Node {
  method: ((...args: ReadonlyArray<unknown>) => unknown) | undefined
  readonly below: Map<string, Node>
}

// A method that has others below it is wrapped: the client's own functions stay as they are.
const nested = ({ below, method }: Node): unknown => {
  if (below.size === 0) return method
  const target = method === undefined ? Object.create(null) : (...args: ReadonlyArray<unknown>) => method(...args)
  for (const [name, node] of below) Object.defineProperty(target, name, { value: nested(node), enumerable: true })
  return target
}

/**
 * The type of {@link nest}.
 *
 * @category models
 * @since 0.1.0
 */
export type Nested<Client, Separator extends string> = Merge<
  {
    [Name in keyof Client & string]: Path<Name, Separator, Client[Name]>
  }[keyof Client & string]
>

type Path<Name extends string, Separator extends string, Value> = Name extends `${infer Head}${Separator}${infer Tail}`
  ? { readonly [K in Head]: Path<Tail, Separator, Value> }
  : { readonly [K in Name]: Value }

type Merge<Union> = (Union extends unknown ? (u: Union) => void : never) extends (u: infer Intersection) => void
  ? Intersection
  : never

/**
 * An untyped method: call it with arguments by position, or with one object for arguments by name; its properties are the
 * methods below it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Namespace {
  (...args: ReadonlyArray<unknown>): Effect.Effect<any, JsonRpcError>
  readonly [name: string]: Namespace
}

/**
 * Makes untyped methods of a remote, for peers without a contract: `namespace(client).app.users.getUsers(1, 2)` calls
 * `app.users.getUsers` with `[1, 2]`, and one plain object is the parameters by name. `notification: true` sends
 * notifications instead.
 *
 * **Gotchas**
 *
 * `then` is no method, so that a namespace is not taken for a promise; call such a method with `Remote.call`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const namespace = (remote: Remote, options?: {
  readonly notification?: boolean | undefined
  /** Between the names; default `.`; aiohttp-json-rpc's servers use `__`. */
  readonly separator?: string | undefined
}): { readonly [name: string]: Namespace } => {
  const separator = options?.separator ?? "."
  const at = (path: string): any =>
    new Proxy(() => {}, {
      get: (_target, key) =>
        typeof key !== "string" || key === "then" ? undefined : at(path === "" ? key : `${path}${separator}${key}`),
      apply: (_target, _this, args: ReadonlyArray<unknown>) => {
        const only = args[0]
        const params = args.length === 0
          ? undefined
          : args.length === 1 && typeof only === "object" && only !== null && !Array.isArray(only)
          ? only as { readonly [name: string]: unknown }
          : args
        return options?.notification === true ? remote.notify(path, params) : remote.call(path, params)
      }
    })
  return at("")
}
