export * as Backplane from "./Backplane.ts"
export * as RedisBackplane from "./RedisBackplane.ts"
