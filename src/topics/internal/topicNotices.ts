/**
 * Names of the notifications about a subscription itself, for clients that asked for them.
 *
 * @internal
 */
export const notices = { gap: "topic_gap", ended: "topic_ended" } as const
