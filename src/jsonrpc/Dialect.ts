/**
 * What families of JSON-RPC peers do beyond the specification, as plain values: how a call is cancelled, how its progress
 * travels, what is accepted of their clients. A new dialect is one value of {@link Dialect}; nothing else changes.
 *
 * @since 0.1.0
 */
export { aiohttp } from "./dialects/aiohttp.ts"
export { lsp } from "./dialects/lsp.ts"
export { mcp } from "./dialects/mcp.ts"
export { rockets, rocketsCode } from "./dialects/rockets.ts"
export { standard } from "./dialects/standard.ts"
export type { Cancellation, Dialect, ProgressStrategy } from "./internal/dialectModel.ts"
