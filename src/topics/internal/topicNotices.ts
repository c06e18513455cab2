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
 * A place in the publications of a topic with a history: after number `offset` of those that are counted in `epoch`. The
 * server names the epoch anew when it counts anew. Plain data, to be kept and given back as `from`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Position {
  readonly epoch: string
  readonly offset: number
}
