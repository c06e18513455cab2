export * as Backplane from "./Backplane.ts"
export * as RpcConnection from "./RpcConnection.ts"
