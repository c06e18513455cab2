export * as OpenRpc from "./OpenRpc.ts"
export * as OpenRpcCodegen from "./OpenRpcCodegen.ts"
