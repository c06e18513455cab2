/**
 * Compares two OpenRPC documents, of one server at two times or of a server and of what a client was made from: what is
 * different, and for each difference whether clients of the earlier document go on working with servers of the later one
 * (`oldClients`), whether servers of the earlier one go on serving clients of the later one (`oldServers`), and why.
 *
 * What travels from clients to servers (parameters, wishes of subscribers) may only be allowed more for the first, and only less
 * for the second; what travels back (results, data of errors, values of topics) the other way round. Additional parameters
 * by name and additional properties are ignored by whoever does not know them, as `Schema.Struct` and most JSON libraries do.
 *
 * It compares what documents say, not what handlers do: a method that means something else now has not changed.
 *
 * @since 0.2.0
 */
import { DocumentComparison } from "./internal/compareMethods.ts"
import { type Change, rules } from "./internal/compareModel.ts"
import type { Resolve } from "./internal/compareSchemas.ts"
import type { Method, TopicObject } from "./internal/openRpcModel.ts"

export { type Change, type Rule, rules } from "./internal/compareModel.ts"

/**
 * A document of any origin: of OpenRPC, only what is compared.
 *
 * @category models
 * @since 0.2.0
 */
export interface Document {
  readonly methods: ReadonlyArray<unknown>
  readonly components?: unknown
  readonly "x-topics"?: ReadonlyArray<unknown> | undefined
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Comparison {
  /** In the order of the documents; what breaks nobody is listed as well. */
  readonly changes: ReadonlyArray<Change>
  /** Whether all clients of the earlier document go on working. */
  readonly oldClients: boolean
  /** Whether all servers of the earlier document go on serving clients of the later one. */
  readonly oldServers: boolean
}

const isObject = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

/** Follows a JSON pointer of a document, as references have it (RFC 6901). */
const resolver = (document: Document): Resolve => (ref) => {
  if (!ref.startsWith("#/")) return undefined
  let found: unknown = document
  for (const part of ref.slice(2).split("/")) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~")
    if (!isObject(found) || !Object.hasOwn(found, key)) return undefined
    found = found[key]
  }
  return isObject(found) ? found : undefined
}

/** What methods, parameters, results and errors refer to, in its place. */
const inlined = (document: Document) => {
  const resolve = resolver(document)
  const follow = (value: unknown): Record<string, unknown> => {
    let found = value
    for (let i = 0; i < 16 && isObject(found) && typeof found.$ref === "string"; i++) found = resolve(found.$ref)
    return isObject(found) ? found : {}
  }
  const list = (value: unknown) => Array.isArray(value) ? value.map(follow) : []
  const methods = list(document.methods).map((method) => ({
    ...method,
    params: list(method.params),
    result: follow(method.result),
    ...(Array.isArray(method.errors) ? { errors: list(method.errors) } : undefined)
  })) as unknown as ReadonlyArray<Method>
  return { resolve, methods, topics: list(document["x-topics"]) as unknown as ReadonlyArray<TopicObject> }
}

/**
 * What is different in `after`.
 *
 * **Example** (In CI)
 *
 * ```ts
 * const { changes, oldClients } = OpenRpcCompare.compare(published, OpenRpc.fromGroup(Contract, { info }))
 * if (!oldClients) throw new Error(OpenRpcCompare.format(changes))
 * ```
 *
 * @category combinators
 * @since 0.2.0
 */
export const compare = (before: Document, after: Document): Comparison => {
  const [old, now] = [inlined(before), inlined(after)]
  const comparison = new DocumentComparison(old.resolve, now.resolve)
  comparison.methods(old.methods, now.methods)
  comparison.topics(old.topics, now.topics)
  const { changes } = comparison
  return {
    changes,
    oldClients: changes.every((change) => change.oldClients),
    oldServers: changes.every((change) => change.oldServers)
  }
}

const verdict = ({ oldClients, oldServers }: Change): string =>
  oldClients ? oldServers ? "works for all" : "breaks old servers" : oldServers ? "breaks old clients" : "breaks both"

/**
 * The changes as text, one in two lines: the verdict, the place and the difference; the rule and the reason.
 *
 * @category combinators
 * @since 0.2.0
 */
export const format = (changes: ReadonlyArray<Change>): string =>
  changes.map((change) =>
    `${verdict(change).padEnd(18)} ${change.path}: ${change.what}\n${" ".repeat(19)}${
      rules[change.rule]
    } (${change.rule}): ${change.why}`
  ).join("\n")
