/**
 * Wire protocols as composable Effect layers. Everything that needs Node is in `effect-wire/node`, which this module does
 * not import.
 *
 * @since 0.1.0
 */
export * from "./backplane/index.ts"
export * from "./identity/index.ts"
export * from "./jsonrpc/index.ts"
export * from "./juggler/index.ts"
export * from "./openrpc/index.ts"
export * from "./queue/index.ts"
export * from "./rpc/index.ts"
export * from "./socket/index.ts"
export * from "./topics/index.ts"
