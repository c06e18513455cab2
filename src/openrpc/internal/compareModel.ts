import type * as JsonSchema from "effect/JsonSchema"

/**
 * What a rule of the comparison is called.
 *
 * @category models
 * @since 0.2.0
 */
export type Rule = keyof typeof rules

/**
 * One thing that is different in the later document.
 *
 * @category models
 * @since 0.2.0
 */
export interface Change {
  readonly rule: Rule
  /** Where, for people: `methods.render.params.scene`, `topics.weather.value.celsius`. */
  readonly path: string
  /** What is different. */
  readonly what: string
  /** Whether clients made from the earlier document go on working with a server of the later one. */
  readonly oldClients: boolean
  /** Whether servers of the earlier document go on serving clients made from the later one. */
  readonly oldServers: boolean
  /** What goes wrong, and for whom; or why nothing does. */
  readonly why: string
}

/**
 * Each rule with what it says.
 *
 * @category models
 * @since 0.2.0
 */
export const rules = {
  "method-added": "a method is new",
  "method-removed": "a method is gone",
  "method-deprecated": "a method is deprecated now, or no longer",
  "param-added": "a parameter is new",
  "param-removed": "a parameter is gone",
  "param-required": "a parameter must be given now",
  "param-optional": "a parameter may be left out now",
  "param-moved": "parameters have another order",
  "param-structure": "parameters are given in another way: by position, by name",
  "result-stream": "a method answers with a stream now, or no longer",
  "error-added": "a method may fail with an error that it did not declare",
  "error-removed": "a method no longer declares an error",
  "error-code": "an error has another code",
  "topic-added": "a topic is new",
  "topic-removed": "a topic is gone",
  "topic-state": "a topic keeps its last value now, or no longer",
  "topic-parameters": "what a subscriber may say of its wishes is new or gone",
  "type-changed": "a value is of another type",
  "property-added": "a property is new",
  "property-removed": "a property is gone",
  "property-required": "a property is always there now",
  "property-optional": "a property may be absent now",
  "value-added": "a further value is allowed",
  "value-removed": "a value is no longer allowed",
  "alternative-added": "a further form is allowed",
  "alternative-removed": "a form is no longer allowed",
  "bound-loosened": "a limit allows more",
  "bound-tightened": "a limit allows less",
  "format-changed": "a text has another form"
} as const

/**
 * A difference between two schemas: whether the later one allows values that the earlier does not (`widens`), or forbids
 * values that the earlier allows (`narrows`).
 *
 * @internal
 */
export interface Difference {
  readonly rule: Rule
  readonly path: string
  readonly what: string
  readonly widens: boolean
  readonly narrows: boolean
}

/** @internal */
export type Json = JsonSchema.JsonSchema

/**
 * A schema without unions and references: of one type, or of any.
 *
 * @internal
 */
export interface Leaf {
  /** `any` allows everything. */
  readonly type: "any" | "null" | "boolean" | "string" | "number" | "object" | "array"
  readonly schema: Json
}

/**
 * Compares schemas, and takes what is found.
 *
 * @internal
 */
export interface Comparison {
  /** Reports every difference of `after` from `before`. */
  readonly compare: (before: unknown, after: unknown, path: string) => void
  readonly report: (
    rule: Rule,
    path: string,
    what: string,
    effect: { readonly widens?: boolean; readonly narrows?: boolean }
  ) => void
}

/**
 * Which way values of a schema travel: from clients to servers, or back.
 *
 * @internal
 */
export type Direction = "toServer" | "toClient"

/**
 * What a difference means for those who were made from the earlier document.
 *
 * @internal
 */
export const judge = (difference: Difference, direction: Direction): Change => {
  const { narrows, path, rule, what, widens } = difference
  const reasons: Array<string> = []
  if (direction === "toServer") {
    if (narrows) reasons.push("a new server refuses what old clients may send")
    if (widens) reasons.push("new clients may send what an old server refuses")
    return {
      rule,
      path,
      what,
      oldClients: !narrows,
      oldServers: !widens,
      why: reasons.join("; ") || "the one ignores what the other does not know"
    }
  }
  if (widens) reasons.push("a new server may give what old clients cannot decode")
  if (narrows) reasons.push("an old server may give what new clients cannot decode")
  return {
    rule,
    path,
    what,
    oldClients: !widens,
    oldServers: !narrows,
    why: reasons.join("; ") || "the one ignores what the other does not know"
  }
}
