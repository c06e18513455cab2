/**
 * Names of the notifications about a subscription itself, for clients that asked for them (`notices`, `positions`).
 *
 * @internal
 */
export const notices = {
  gap: "topic_gap",
  ended: "topic_ended",
  available: "topic_available",
  position: "topic_position",
  value: "topic_value"
} as const

/**
 * A place in the publications of a topic: after number `offset` of those that are counted in `epoch`.
 *
 * @internal
 */
export interface Position {
  readonly epoch: string
  readonly offset: number
}
