import * as Context from "effect/Context"
import type * as JsonSchema from "effect/JsonSchema"

/**
 * What people want to know of a method or a topic, beyond its schemas.
 *
 * @category models
 * @since 0.1.0
 */
export interface Description {
  readonly summary?: string | undefined
  /** Markdown. */
  readonly description?: string | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  readonly deprecated?: boolean | undefined
  /** Names of parameters that are given by position only (a tuple, a single value). */
  readonly params?: ReadonlyArray<string> | undefined
  /** `params` is a payload and `result` a success of the method, decoded. */
  readonly examples?:
    | ReadonlyArray<{
      readonly name: string
      readonly description?: string | undefined
      readonly params?: unknown
      readonly result?: unknown
    }>
    | undefined
}

/**
 * The annotation that holds a {@link Description}.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Descriptions: Context.Reference<Description> = Context.Reference<Description>(
  "effect-wire/jsonrpc/OpenRpc/Descriptions",
  { defaultValue: () => ({}) }
)

/**
 * @category models
 * @since 0.1.0
 */
export interface ContentDescriptor {
  readonly name: string
  readonly description?: string
  readonly required?: boolean
  readonly schema: JsonSchema.JsonSchema
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Method {
  readonly name: string
  readonly summary?: string
  readonly description?: string
  readonly tags?: ReadonlyArray<{ readonly name: string }>
  readonly deprecated?: boolean
  readonly paramStructure?: "by-position" | "by-name" | "either"
  readonly params: ReadonlyArray<ContentDescriptor>
  readonly result: ContentDescriptor
  readonly errors?: ReadonlyArray<{ readonly code: number; readonly message: string; readonly data?: unknown }>
  readonly examples?: ReadonlyArray<{
    readonly name: string
    readonly description?: string
    readonly params: ReadonlyArray<{ readonly name: string; readonly value: unknown }>
    readonly result: { readonly name: string; readonly value: unknown }
  }>
  readonly "x-errors"?: ReadonlyArray<{
    readonly code: number
    readonly message: string
    readonly name?: string
    readonly schema: JsonSchema.JsonSchema
  }>
  readonly "x-rest-params"?: JsonSchema.JsonSchema
  readonly "x-params"?: JsonSchema.JsonSchema
  readonly "x-stream"?: boolean
}

/**
 * @category models
 * @since 0.1.0
 */
export interface TopicObject {
  readonly name: string
  readonly summary?: string
  readonly description?: string
  readonly tags?: ReadonlyArray<{ readonly name: string }>
  readonly deprecated?: boolean
  /** Whether the topic keeps its last value. */
  readonly state: boolean
  readonly schema: JsonSchema.JsonSchema
  /** What a subscriber may say about what it wants. */
  readonly parameters?: JsonSchema.JsonSchema
}
