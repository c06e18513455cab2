/**
 * What families of JSON-RPC peers do beyond the specification, as plain values: how a call is cancelled, how its progress
 * travels, what is accepted of their clients. A new wire is one value of {@link Wire}; nothing else changes.
 *
 * @since 0.1.0
 */
export type { Cancellation, Encode, ProgressStrategy, Wire } from "./internal/wireModel.ts"
export { Alias } from "./internal/wireModel.ts"
export { aiohttp } from "./wires/aiohttp.ts"
export { cdp } from "./wires/cdp.ts"
export { lsp } from "./wires/lsp.ts"
export { mcp } from "./wires/mcp.ts"
export { rockets, rocketsCode } from "./wires/rockets.ts"
export { standard, version2 } from "./wires/standard.ts"
export { version1 } from "./wires/version1.ts"
