export * as NodePostgresBackplane from "./NodePostgresBackplane.ts"
