export * as Handshake from "./Handshake.ts"
export * as Outbox from "./Outbox.ts"
