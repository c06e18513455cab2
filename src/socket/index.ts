export * as Handshake from "./Handshake.ts"
export * as MemorySocket from "./MemorySocket.ts"
export * as Outbox from "./Outbox.ts"
