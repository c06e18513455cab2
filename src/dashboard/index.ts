/**
 * A page for the people who run an app.
 *
 * @since 0.2.0
 */
export * as Dashboard from "./Dashboard.ts"
