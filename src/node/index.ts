export * as NodePostgresBackplane from "./NodePostgresBackplane.ts"
export * as NodeSqliteClient from "./NodeSqliteClient.ts"
