export * as NodePostgresBackplane from "./NodePostgresBackplane.ts"
export * as NodeSqliteClient from "./NodeSqliteClient.ts"
export * as NodeWebSocket from "./NodeWebSocket.ts"
export * as NodeWebSocketServer from "./NodeWebSocketServer.ts"
