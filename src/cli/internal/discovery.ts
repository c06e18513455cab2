/**
 * What a server says it can do: its OpenRPC document (`rpc.discover`), or the names that aiohttp-json-rpc and its like give
 * (`get_methods`, `get_topics`).
 */
import * as Effect from "effect/Effect"
import type { JsonRpcError } from "../../jsonrpc/JsonRpcError.ts"
import type { Remote } from "../../jsonrpc/JsonRpcRemote.ts"
import { ofConnection } from "./client.ts"
import { Failure } from "./failure.ts"
import { nearest } from "./nearest.ts"
import { isObject, type Json, resolve, typeOf, wordsOf } from "./schemaText.ts"

/** @internal */
export interface Param {
  readonly name: string
  readonly type: string
  readonly required: boolean
  /** What it may be, where that can be listed. */
  readonly words: ReadonlyArray<string>
}

/** @internal */
export interface Method {
  readonly name: string
  readonly summary: string
  readonly params: ReadonlyArray<Param>
  /** What may follow by position, any number of times. */
  readonly rest: string | undefined
  readonly result: string
  readonly isStream: boolean
  readonly errors: ReadonlyArray<string>
}

/** @internal */
export interface Topic {
  readonly name: string
  readonly summary: string
  readonly type: string
  readonly isState: boolean
}

/** @internal */
export interface Known {
  /** `undefined` where the server gives names only. */
  readonly document: Json | undefined
  readonly title: string
  readonly methods: ReadonlyArray<Method>
  readonly topics: ReadonlyArray<Topic>
}

const text = (u: unknown): string => typeof u === "string" ? u : ""
const list = (root: unknown, u: unknown): ReadonlyArray<Json> =>
  Array.isArray(u) ? u.map((one) => resolve(root, one)).filter((one) => one !== undefined) : []

const methodOf = (root: Json, method: Json): Method => {
  const result = resolve(root, method.result)
  return {
    name: text(method.name),
    summary: text(method.summary) || text(method.description).split("\n")[0]!,
    params: list(root, method.params).map((param) => ({
      name: text(param.name),
      type: typeOf(root, param.schema),
      required: param.required === true,
      words: wordsOf(root, param.schema)
    })),
    rest: isObject(method["x-rest-params"])
      ? typeOf(root, method["x-rest-params"])
      : method["x-params"] === undefined
      ? undefined
      : typeOf(root, method["x-params"], 1),
    result: result === undefined ? "nothing" : typeOf(root, result.schema),
    isStream: method["x-stream"] === true,
    errors: list(root, method.errors).map((error) => `${error.code} ${text(error.message)}`)
  }
}

/**
 * What a document says; `undefined` where it is none.
 *
 * @internal
 */
export const read = (document: unknown): Known | undefined => {
  if (!isObject(document) || !Array.isArray(document.methods)) return undefined
  const info = isObject(document.info) ? document.info : {}
  return {
    document,
    title: [text(info.title), text(info.version)].filter((part) => part !== "").join(" "),
    methods: list(document, document.methods).map((method) => methodOf(document, method)),
    topics: list(document, document["x-topics"]).map((topic) => ({
      name: text(topic.name),
      summary: text(topic.summary) || text(topic.description).split("\n")[0]!,
      type: typeOf(document, topic.schema),
      isState: topic.state === true
    }))
  }
}

const bare = (name: string): Method => ({
  name,
  summary: "",
  params: [],
  rest: "any",
  result: "any",
  isStream: false,
  errors: []
})

const names = (u: unknown): ReadonlyArray<string> =>
  Array.isArray(u) ? u.filter((name) => typeof name === "string") : []

/**
 * Asks a server what it can do.
 *
 * @internal
 */
export const ask = (client: Remote): Effect.Effect<Known, Failure> =>
  Effect.gen(function*() {
    const known = read(yield* client.call("rpc.discover").pipe(orNothing))
    if (known !== undefined) return known
    const methods = names(yield* client.call("get_methods").pipe(orNothing))
    if (methods.length === 0) {
      return yield* new Failure({
        kind: "NotFound",
        message: "the server does not say what it can do: it has neither rpc.discover nor get_methods",
        tries: ["a login, where only those who are known may ask", "the document itself, where it is published"]
      })
    }
    const topics = names(yield* client.call("get_topics").pipe(orNothing))
    return {
      document: undefined,
      title: "",
      methods: methods.map(bare),
      topics: topics.map((name) => ({ name, summary: "", type: "any", isState: false }))
    }
  })

/** An error as the answer says nothing; what the connection does is a failure. */
const orNothing = <A>(call: Effect.Effect<A, JsonRpcError>): Effect.Effect<A | undefined, Failure> =>
  Effect.catch(
    call,
    (error) => error.reason._tag === "RemoteError" ? Effect.undefined : Effect.fail(ofConnection(error))
  )

/** @internal */
export const signature = ({ isStream, name, params, rest, result }: Method): string => {
  const all = params.map((param) => `${param.name}${param.required ? "" : "?"}: ${param.type}`)
  if (rest !== undefined) all.push(`...${rest}`)
  return `${name}(${all.join(", ")}) -> ${isStream ? "stream of " : ""}${result}`
}

const problems = (data: unknown): ReadonlyArray<string> => {
  const issues = isObject(data) && Array.isArray(data.issues) ? data.issues : []
  return issues.filter(isObject).map((issue) => {
    const path = Array.isArray(issue.path) ? issue.path.join(".") : text(issue.path)
    return path === "" ? text(issue.message) : `${path}: ${text(issue.message)}`
  })
}

/** How long the server may take to say what it has, when a call has failed, in milliseconds. */
const patience = 3_000

/**
 * Why a call failed, with what the server says about its methods where that helps.
 *
 * @internal
 */
export const explain = (client: Remote, method: string) => (error: JsonRpcError): Effect.Effect<never, Failure> =>
  Effect.gen(function*() {
    const { reason } = error
    if (reason._tag !== "RemoteError" || (reason.code !== -32601 && reason.code !== -32602)) {
      return yield* ofConnection(error)
    }
    const known = yield* ask(client).pipe(
      Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.undefined }),
      Effect.orElseSucceed(() => undefined)
    )
    const details = { code: reason.code, ...(reason.data === undefined ? undefined : { data: reason.data }) }
    const found = known?.methods.find(({ name }) => name === method)
    if (reason.code === -32601) {
      const meant = nearest(method, known?.methods.map(({ name }) => name) ?? [])
      return yield* new Failure({
        kind: "NotFound",
        message: `there is no method "${method}"`,
        details: { ...details, ...(meant.length === 0 ? undefined : { nearest: meant }) },
        tries: [
          ...(meant.length === 0 ? [] : [meant.join(", or ")]),
          "effect-wire discover <url> for what there is",
          "a login (--user, --login), where only some may use it"
        ]
      })
    }
    const issues = problems(reason.data)
    const said = issues.length > 0 || reason.data === undefined ? issues : [JSON.stringify(reason.data)]
    return yield* new Failure({
      kind: "InvalidParams",
      message: `${reason.message}: ${method}`,
      more: said,
      details,
      tries: found === undefined ? [] : [signature(found)]
    })
  })
