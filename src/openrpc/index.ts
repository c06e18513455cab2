export * as OpenRpc from "./OpenRpc.ts"
export * as OpenRpcCodegen from "./OpenRpcCodegen.ts"
export * as OpenRpcCompare from "./OpenRpcCompare.ts"
