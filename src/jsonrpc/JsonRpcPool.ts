/**
 * One remote over several connections, to one address or to many: each call goes to the open connection with the fewest
 * calls under way. Typed clients are made of it by `JsonRpcClient.fromRemote`. Order holds on each connection, not among
 * them: what must arrive in order goes to one client.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Client } from "./JsonRpcClient.ts"
import * as JsonRpcError from "./JsonRpcError.ts"
import type { Remote } from "./JsonRpcRemote.ts"

interface Member {
  readonly client: Client
  calls: number
}

/**
 * A pool of clients that exist already; it neither connects nor closes them. A call goes to the member that is open and
 * has the fewest calls of the pool under way; where none is open, to the one with the fewest, and what happens then is
 * what that client says (`whileDisconnected`). A notification goes the same way. Without members everything fails with
 * `ConnectionError`.
 *
 * **Details**
 *
 * A call that could not be sent (`maybeExecuted` is `false`), and an idempotent one that was lost, is tried on each other
 * member that is open, once.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromClients = (clients: ReadonlyArray<Client>): Remote => {
  const members = clients.map((client): Member => ({ client, calls: 0 }))
  const use = <A>(
    run: (client: Client) => Effect.Effect<A, JsonRpcError.JsonRpcError>,
    isIdempotent: boolean,
    tried: ReadonlySet<Member>
  ): Effect.Effect<A, JsonRpcError.JsonRpcError> =>
    Effect.flatMap(choose(members, tried), (member) => {
      if (member === undefined) return Effect.fail(JsonRpcError.connection("the pool is empty", false))
      member.calls++
      return run(member.client).pipe(
        Effect.ensuring(Effect.sync(() => {
          member.calls--
        })),
        Effect.catch((error) => {
          if (!JsonRpcError.mayTryElsewhere(error, isIdempotent)) return Effect.fail(error)
          const next = new Set([...tried, member])
          return Effect.flatMap(
            openOf(members, next),
            (open) => open.length === 0 ? Effect.fail(error) : use(run, isIdempotent, next)
          )
        })
      )
    })
  return {
    call: (method, params, options) =>
      use((client) => client.call(method, params, options), options?.idempotent === true, new Set()),
    notify: (method, params) => use((client) => client.notify(method, params), false, new Set())
  }
}

/**
 * Makes `size` clients, one after the other by their index, and the pool of them; they belong to the scope.
 *
 * **Example** (Four connections to one server)
 *
 * ```ts
 * const pool = yield* JsonRpcPool.make(4, () =>
 *   Effect.flatMap(NodeWebSocket.make("ws://localhost:8080/rpc"), (socket) => JsonRpcClient.fromSocket(socket)))
 * const client = yield* JsonRpcClient.fromRemote(Renderer, pool)
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = <E, R>(
  size: number,
  client: (index: number) => Effect.Effect<Client, E, R | Scope.Scope>
): Effect.Effect<Remote, E, R | Scope.Scope> =>
  Effect.map(Effect.forEach(Array.from({ length: size }, (_, index) => index), client), fromClients)

const openOf = (members: ReadonlyArray<Member>, without: ReadonlySet<Member>): Effect.Effect<ReadonlyArray<Member>> =>
  Effect.filter(members.filter((member) => !without.has(member)), ({ client }) => client.connected)

const choose = (members: ReadonlyArray<Member>, without: ReadonlySet<Member>): Effect.Effect<Member | undefined> =>
  Effect.map(openOf(members, without), (open) => {
    const candidates = open.length > 0 ? open : members.filter((member) => !without.has(member))
    return candidates.reduce<Member | undefined>(
      (best, member) => best === undefined || member.calls < best.calls ? member : best,
      undefined
    )
  })
