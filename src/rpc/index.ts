export * as RpcConnection from "./RpcConnection.ts"
