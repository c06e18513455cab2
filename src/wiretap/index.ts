/**
 * Recording and replaying what goes over a wire.
 *
 * @since 0.2.0
 */
export * as Recording from "./Recording.ts"
export * as Redaction from "./Redaction.ts"
export * as Replay from "./Replay.ts"
export * as Wiretap from "./Wiretap.ts"
