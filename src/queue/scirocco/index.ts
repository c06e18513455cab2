export * as SciroccoClient from "./SciroccoClient.ts"
export * as SciroccoServer from "./SciroccoServer.ts"
