/**
 * OpenRPC documents of contracts: as a function, as the method `rpc.discover`, as a route. A document lists what its
 * reader may use, and nothing else.
 *
 * Schemas become JSON Schema draft 7, what they name (`identifier`) becomes a component, recursion included. What OpenRPC has no
 * place for is added as extensions: `x-errors` (the errors of a method with their schemas), `x-rest-params` (any number
 * of parameters after those listed), `x-params` (the parameters as a whole, where they are no list), `x-stream`, and
 * `x-topics`. `OpenRpcCodegen` reads all of them back.
 *
 * Source: OpenRPC specification 1.3.2 and 1.4.0, https://spec.open-rpc.org
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as JsonSchema from "effect/JsonSchema"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Access from "../identity/Access.ts"
import { Authenticator } from "../identity/Authenticator.ts"
import type { Identity } from "../identity/Identity.ts"
import * as RpcConnection from "../rpc/RpcConnection.ts"
import * as Topic from "../topics/Topic.ts"
import { methodOf, Schemas, topicOf } from "./internal/openRpcMethod.ts"
import { type Description, Descriptions, type Method, type TopicObject } from "./internal/openRpcModel.ts"

export {
  type ContentDescriptor,
  type Description,
  Descriptions,
  type Method,
  type TopicObject
} from "./internal/openRpcModel.ts"
export { compare } from "./OpenRpcCompare.ts"

/**
 * Describes a method or a topic; called twice, the second adds to the first.
 *
 * @category annotations
 * @since 0.1.0
 */
export const describe = (description: Description) => <A extends Access.Annotatable>(self: A): A =>
  (self as unknown as { readonly annotate: (key: typeof Descriptions, value: Description) => A }).annotate(
    Descriptions,
    { ...Context.get(self.annotations, Descriptions), ...description }
  )

/**
 * An OpenRPC document.
 *
 * @category models
 * @since 0.1.0
 */
export interface Document {
  readonly openrpc: string
  readonly info: Info
  readonly servers?: ReadonlyArray<{ readonly name?: string; readonly url: string; readonly summary?: string }>
  readonly methods: ReadonlyArray<Method>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema.JsonSchema>> }
  readonly "x-topics"?: ReadonlyArray<TopicObject>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Info {
  readonly title: string
  /** Of the contract, not of OpenRPC. */
  readonly version: string
  readonly description?: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly info: Info
  /** Default `"1.3.2"`. */
  readonly openrpc?: "1.3.2" | "1.4.0" | undefined
  readonly servers?: Document["servers"] | undefined
  /** Default: those that the group is annotated with (`Topic.Published`). */
  readonly topics?: Topic.Group<Topic.Any> | undefined
}

/**
 * The document of a group. `filter` says which methods and topics are in it; by default all are, which is for files and
 * tests: what is served to others is filtered by their rights. An example that does not fit its schema throws.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromGroup = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options: Options,
  filter: (target: Access.Annotatable) => boolean = () => true
): Document => {
  const schemas = new Schemas()
  const methods = [...(group.requests as ReadonlyMap<string, Rpc.Any>).values()]
    .filter(filter)
    .map((rpc) => methodOf(rpc as unknown as Rpc.AnyWithProps, schemas))
  const published = options.topics ?? Context.get(group.annotations, Topic.Published)
  const topics = [...published.topics.values()].filter(filter).map((topic) => topicOf(topic, schemas))
  schemas.convert()
  return {
    openrpc: options.openrpc ?? "1.3.2",
    info: options.info,
    ...(options.servers === undefined ? undefined : { servers: options.servers }),
    methods: methods.map((method) => method()),
    components: { schemas: schemas.definitions },
    ...(topics.length === 0 ? undefined : { "x-topics": topics.map((topic) => topic()) })
  }
}

const keptDocuments = 32

/** Documents by what is visible in them: callers with the same rights share one, and making one takes milliseconds. */
const documents = <Rpcs extends Rpc.Any>(group: RpcGroup.RpcGroup<Rpcs>, options: Options) => {
  const made = new Map<string, Document>()
  const published = options.topics ?? Context.get(group.annotations, Topic.Published)
  const targets = [
    ...(group.requests as ReadonlyMap<string, Access.Annotatable>).values(),
    ...published.topics.values()
  ]
  return (filter: (target: Access.Annotatable) => boolean): Document => {
    const visible = new Set(targets.filter(filter))
    const key = targets.map((target) => visible.has(target) ? "1" : "0").join("")
    let document = made.get(key)
    if (document === undefined) {
      document = fromGroup(group, options, (target) => visible.has(target))
      if (made.size >= keptDocuments) made.delete(made.keys().next().value!)
      made.set(key, document)
    }
    return document
  }
}

/**
 * `rpc.discover`: the document of what its caller may use.
 *
 * @category contracts
 * @since 0.1.0
 */
export class Rpcs extends RpcGroup.make(
  Rpc.make("rpc.discover", { success: Schema.Json }).pipe(
    describe({ summary: "Describes the methods and topics that the caller may use, as an OpenRPC document" })
  )
) {}

/**
 * The handler of {@link Rpcs}. `methods` is the whole group that the server serves.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHandlers = <Methods extends Rpc.Any>(
  options: Options & { readonly methods: RpcGroup.RpcGroup<Methods> }
): Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof Rpcs>>> => {
  const documentFor = documents(options.methods, options)
  return Rpcs.toLayer({
    "rpc.discover": () =>
      Effect.gen(function*() {
        const connection = yield* RpcConnection.current
        const access = yield* RpcConnection.MethodAccess
        const identity = yield* Access.identityOf(connection)
        const document = documentFor((target) =>
          Rpc.isRpc(target)
            ? access(target as unknown as Rpc.AnyWithProps, connection)
            : Access.satisfies(target, identity)
        )
        return document as unknown as Schema.Json
      })
  })
}

/**
 * Serves the document by GET (default path `/openrpc.json`), with what the caller may use: as an `Authenticator`, if
 * there is one, judges the headers of the request, else what is open to everybody.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp = <Methods extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Methods>,
  options: Options & { readonly path?: HttpRouter.PathInput | undefined }
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const authenticator = yield* Effect.serviceOption(Authenticator)
      const clock = yield* Clock.Clock
      const documentFor = documents(group, options)
      yield* router.add("GET", options.path ?? "/openrpc.json", (request) =>
        Effect.gen(function*() {
          let identity: Identity | undefined
          if (Option.isSome(authenticator)) {
            identity = yield* authenticator.value.fromHandshake({
              carrier: "http",
              remoteAddress: Option.getOrUndefined(request.remoteAddress),
              headers: request.headers,
              url: request.originalUrl,
              protocol: undefined
            }).pipe(Effect.orElseSucceed(() => undefined))
          }
          const expired = identity?.expiresAt !== undefined && identity.expiresAt <= clock.currentTimeMillisUnsafe()
          const caller = expired ? undefined : identity
          const document = documentFor((target) => Access.satisfies(target, caller))
          return HttpServerResponse.text(JSON.stringify(document, undefined, 2), {
            contentType: "application/json",
            headers: { vary: "authorization, cookie", "cache-control": "no-store" }
          })
        }))
    })
  )
