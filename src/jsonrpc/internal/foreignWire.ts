import type { Call } from "../JsonRpcCodec.ts"
import { own } from "./record.ts"

const byMethod = new Map([
  ["cancel", "rockets"],
  ["progress", "rockets"],
  ["$/cancelRequest", "lsp"],
  ["$/progress", "lsp"],
  ["notifications/cancelled", "mcp"],
  ["notifications/progress", "mcp"]
])

/**
 * The wire that a notification is typical of, where nothing here knows it.
 *
 * @internal
 */
export const wireOf = ({ method, params }: Call): string | undefined => {
  const name = byMethod.get(method)
  // names that an app may use for something else
  return name === "rockets" && own(params, "id") === undefined ? undefined : name
}
