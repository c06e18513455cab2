import { type Change, type Direction, judge, type Rule } from "./compareModel.ts"
import { type Resolve, SchemaComparison } from "./compareSchemas.ts"
import type { ContentDescriptor, Method, TopicObject } from "./openRpcModel.ts"

type Errors = ReadonlyArray<
  { readonly code: number; readonly message: string; readonly name?: string; readonly schema?: unknown }
>

/**
 * The methods and topics of two documents side by side.
 *
 * @internal
 */
export class DocumentComparison {
  readonly changes: Array<Change> = []
  private readonly before: Resolve
  private readonly after: Resolve

  constructor(before: Resolve, after: Resolve) {
    this.before = before
    this.after = after
  }

  methods(before: ReadonlyArray<Method>, after: ReadonlyArray<Method>): void {
    const [old, now] = [byName(before), byName(after)]
    for (const [name, method] of old) {
      const path = `methods.${name}`
      const successor = now.get(name)
      if (successor !== undefined) this.method(method, successor, path)
      else {this.add(
          "method-removed",
          path,
          "the method is gone",
          false,
          true,
          "old clients that call it get Method not found (-32601)"
        )}
    }
    for (const name of now.keys()) {
      if (old.has(name)) continue
      const why = "new clients that call it get Method not found (-32601) from an old server"
      this.add("method-added", `methods.${name}`, "the method is new", true, false, why)
    }
  }

  topics(before: ReadonlyArray<TopicObject>, after: ReadonlyArray<TopicObject>): void {
    const [old, now] = [byName(before), byName(after)]
    for (const [name, topic] of old) {
      const path = `topics.${name}`
      const successor = now.get(name)
      if (successor !== undefined) this.topic(topic, successor, path)
      else this.add("topic-removed", path, "the topic is gone", false, true, "old clients cannot subscribe to it")
    }
    for (const name of now.keys()) {
      if (old.has(name)) continue
      const why = "new clients cannot subscribe to it at an old server"
      this.add("topic-added", `topics.${name}`, "the topic is new", true, false, why)
    }
  }

  private add(rule: Rule, path: string, what: string, oldClients: boolean, oldServers: boolean, why: string): void {
    this.changes.push({ rule, path, what, oldClients, oldServers, why })
  }

  private schemas(before: unknown, after: unknown, path: string, direction: Direction): void {
    const comparison = new SchemaComparison(this.before, this.after)
    comparison.compare(before, after, path)
    for (const difference of comparison.differences) this.changes.push(judge(difference, direction))
  }

  private method(before: Method, after: Method, path: string): void {
    if ((before.deprecated === true) !== (after.deprecated === true)) {
      const what = after.deprecated === true ? "it is deprecated now" : "it is no longer deprecated"
      this.add("method-deprecated", path, what, true, true, "it works as before")
    }
    this.params(before, after, `${path}.params`)
    const [was, is] = [before["x-stream"] === true, after["x-stream"] === true]
    if (was !== is) {
      const what = is ? "it answers with a stream now" : "it answers with one result now"
      this.add(
        "result-stream",
        `${path}.result`,
        what,
        false,
        false,
        "what a server sends is not what the client waits for"
      )
    } else {
      this.schemas(before.result?.schema, after.result?.schema, `${path}.result`, "toClient")
    }
    this.errors(errorsOf(before), errorsOf(after), `${path}.errors`)
  }

  private params(before: Method, after: Method, path: string): void {
    const [old, now] = [byName(before.params), byName(after.params)]
    const byPosition = before.paramStructure !== "by-name" && (before.params.length > 0 || after.params.length > 0)
    // names of parameters that are given by position only are for people
    if (before.paramStructure === "by-position" && after.paramStructure === "by-position") {
      for (let i = 0; i < Math.max(before.params.length, after.params.length); i++) {
        this.param(before.params[i], after.params[i], `${path}[${i}]`, true)
      }
    } else {
      for (const [name, param] of old) this.param(param, now.get(name), `${path}.${name}`, false)
      for (const [name, param] of now) if (!old.has(name)) this.param(undefined, param, `${path}.${name}`, false)
      if (byPosition && after.paramStructure !== "by-name") this.order(before.params, after.params, path)
    }
    if (
      before.paramStructure !== after.paramStructure && before.paramStructure !== undefined && byPosition &&
      after.paramStructure === "by-name"
    ) {
      const why = "a new server refuses parameters by position, which old clients may send"
      this.add("param-structure", path, `${before.paramStructure} → by-name`, false, true, why)
    }
    if (before.paramStructure === "by-name" && after.paramStructure === "by-position") {
      const why = "the one gives parameters by name, the other by position"
      this.add("param-structure", path, "by-name → by-position", false, false, why)
    }
    const [rest, restNow] = [before["x-rest-params"], after["x-rest-params"]]
    if (rest !== undefined || restNow !== undefined) {
      this.schemas(rest ?? false, restNow ?? false, `${path}[]`, "toServer")
    }
    const [whole, wholeNow] = [before["x-params"], after["x-params"]]
    if (whole !== undefined && wholeNow !== undefined) this.schemas(whole, wholeNow, path, "toServer")
  }

  private param(
    before: ContentDescriptor | undefined,
    after: ContentDescriptor | undefined,
    path: string,
    byPosition: boolean
  ): void {
    if (before !== undefined && after !== undefined) {
      if (before.required !== true && after.required === true) {
        this.add(
          "param-required",
          path,
          "it must be given now",
          false,
          true,
          "a new server refuses requests of old clients without it"
        )
      }
      if (before.required === true && after.required !== true) {
        this.add(
          "param-optional",
          path,
          "it may be left out now",
          true,
          false,
          "an old server refuses requests of new clients without it"
        )
      }
      return this.schemas(before.schema, after.schema, path, "toServer")
    }
    if (after !== undefined) {
      const required = after.required === true
      const refused = byPosition ? "an old server refuses the additional parameter of new clients" : undefined
      this.add(
        "param-added",
        path,
        required ? "a required parameter" : "an optional parameter",
        !required,
        refused === undefined,
        [
          ...(required ? ["a new server refuses requests of old clients, which lack it"] : []),
          ...(refused === undefined ? [] : [refused])
        ]
          .join("; ") || "an old server ignores it"
      )
    } else if (before !== undefined) {
      const required = before.required === true
      const refused = byPosition ? "a new server refuses the additional parameter of old clients" : undefined
      this.add(
        "param-removed",
        path,
        required ? "a required parameter" : "an optional parameter",
        refused === undefined,
        !required,
        [
          ...(required ? ["an old server refuses requests of new clients, which lack it"] : []),
          ...(refused === undefined ? [] : [refused])
        ]
          .join("; ") || "a new server ignores it"
      )
    }
  }

  /** Who calls by position finds other parameters there. */
  private order(before: ReadonlyArray<ContentDescriptor>, after: ReadonlyArray<ContentDescriptor>, path: string): void {
    const shared = Math.min(before.length, after.length)
    for (let i = 0; i < shared; i++) {
      const [was, is] = [before[i]!.name, after[i]!.name]
      if (was === is) continue
      const why = "who gives parameters by position gives another one here"
      return this.add("param-moved", path, `position ${i + 1}: ${was} → ${is}`, false, false, why)
    }
  }

  private errors(before: Errors, after: Errors, path: string): void {
    const key = (error: Errors[number]) => error.name ?? String(error.code)
    const [old, now] = [new Map(before.map((e) => [key(e), e])), new Map(after.map((e) => [key(e), e]))]
    for (const [name, error] of old) {
      const successor = now.get(name)
      const at = `${path}.${name}`
      if (successor === undefined) {
        const why = "from an old server new clients get it untyped, as an error with its code"
        this.add("error-removed", at, `code ${error.code}`, true, true, why)
      } else if (successor.code !== error.code) {
        const why = "an error with the other one's code is not recognised: it arrives untyped"
        this.add("error-code", at, `code ${error.code} → ${successor.code}`, false, false, why)
      } else if (error.schema !== undefined && successor.schema !== undefined) {
        this.schemas(error.schema, successor.schema, `${at}.data`, "toClient")
      }
    }
    for (const [name, error] of now) {
      if (old.has(name)) continue
      const why = "old clients get it untyped, as an error with its code"
      this.add("error-added", `${path}.${name}`, `code ${error.code}`, true, true, why)
    }
  }

  private topic(before: TopicObject, after: TopicObject, path: string): void {
    if (before.state !== after.state) {
      const what = after.state ? "it keeps its last value now" : "it no longer keeps its last value"
      if (after.state) {
        this.add(
          "topic-state",
          path,
          what,
          true,
          false,
          "new clients wait for a first value that an old server does not send"
        )
      } else {
        this.add(
          "topic-state",
          path,
          what,
          false,
          true,
          "old clients wait for a first value that a new server does not send"
        )
      }
    }
    this.schemas(before.schema, after.schema, `${path}.value`, "toClient")
    const [was, is] = [before.parameters, after.parameters]
    if (was !== undefined && is !== undefined) this.schemas(was, is, `${path}.parameters`, "toServer")
    else if (was !== undefined) {
      const why = "a new server sends old clients every value; they choose by themselves"
      this.add("topic-parameters", path, "a subscriber can no longer choose", true, true, why)
    } else if (is !== undefined) {
      const why = "an old server sends new clients every value; they choose by themselves"
      this.add("topic-parameters", path, "a subscriber can choose now", true, true, why)
    }
  }
}

const byName = <A extends { readonly name: string }>(items: ReadonlyArray<A>): ReadonlyMap<string, A> =>
  new Map(items.map((item) => [item.name, item]))

/** Errors with their schemas where the document has them, else by code. */
const errorsOf = (method: Method): Errors => method["x-errors"] ?? method.errors ?? []
