/**
 * The number and the words with which an error of a contract travels on wires whose errors are numbered, as annotations of
 * its schema. A wire with numbered errors has its own default for those without.
 *
 * @since 0.2.0
 */
import type * as Schema from "effect/Schema"

const codeKey = "effect-wire/rpc/ErrorCode/code"
const messageKey = "effect-wire/rpc/ErrorCode/message"

/**
 * Annotations that give an error its code on the wire and, where its own `message` shall not travel, another message.
 *
 * @category annotations
 * @since 0.2.0
 */
export const annotation = (options: { readonly code: number; readonly message?: string | undefined }): {} => ({
  [codeKey]: options.code,
  ...(options.message === undefined ? undefined : { [messageKey]: options.message })
})

/**
 * The code that {@link annotation} gave to a schema; `undefined` without one.
 *
 * @category annotations
 * @since 0.2.0
 */
export const codeOf = (schema: Schema.Top): number | undefined => {
  const annotated = schema.ast.annotations?.[codeKey]
  return typeof annotated === "number" ? annotated : undefined
}

/**
 * The message that {@link annotation} gave to a schema; `undefined` without one.
 *
 * @category annotations
 * @since 0.2.0
 */
export const messageOf = (schema: Schema.Top): string | undefined => {
  const annotated = schema.ast.annotations?.[messageKey]
  return typeof annotated === "string" ? annotated : undefined
}
