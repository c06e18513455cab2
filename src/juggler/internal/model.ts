/**
 * What patches are made of, for everything below `JsonPatch.ts`.
 */
import type { Json, Pointer } from "../JsonPointer.ts"

type OperationAt<Place> =
  | { readonly op: "add"; readonly path: Place; readonly value: Json }
  | { readonly op: "remove"; readonly path: Place }
  | { readonly op: "replace"; readonly path: Place; readonly value: Json }
  | { readonly op: "move"; readonly from: Place; readonly path: Place }
  | { readonly op: "copy"; readonly from: Place; readonly path: Place }
  | { readonly op: "test"; readonly path: Place; readonly value: Json }

/**
 * One operation of RFC 6902, section 4, as it travels.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = OperationAt<string>

/**
 * One operation as a program writes and reads it: the same as {@link Operation}, with places instead of text.
 *
 * @category models
 * @since 0.2.0
 */
export type Change = OperationAt<Pointer>

/**
 * Bounds of what a patch may do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Operations of one patch; 1,000 by default. */
  readonly maxOperations: number
  /** Nesting of the document, arrays and objects; 128 by default. */
  readonly maxDepth: number
  /** Bytes of memory that the document takes, by estimate; 33,554,432 by default. */
  readonly maxSize: number
  /** Bytes of memory that the `copy` operations of one patch may duplicate, by estimate; 1,048,576 by default. */
  readonly maxCopied: number
}

/** Limits for what leads to something that has been there before. */
export const unlimited = (maxDepth: number): Limits => ({
  maxDepth,
  maxOperations: Infinity,
  maxSize: Infinity,
  maxCopied: Infinity
})

/** What a document or an operation does wrong. */
export type Reason =
  | "InvalidOperation"
  | "InvalidPointer"
  | "NotFound"
  | "TestFailed"
  | "NotJson"
  | "Cyclic"
  | "ForbiddenKey"
  | "TooManyOperations"
  | "TooDeep"
  | "TooLarge"

/** A failure inside the walks, without the costs of an error object. */
export interface Fault {
  readonly reason: Reason
  readonly detail: string
}

export const fault = (reason: Reason, detail: string): Fault => ({ reason, detail })

export type JsonRecord = { [key: string]: Json }
export type Container = JsonRecord | Array<Json>

export const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null
