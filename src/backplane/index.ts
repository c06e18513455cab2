export * as Backplane from "./Backplane.ts"
