import * as Context from "effect/Context"
import { standard } from "../wires/standard.ts"
import type { Wire } from "./wireModel.ts"

/**
 * The wire of a connection that is no `ConnectedClient`, which has one.
 *
 * @internal
 */
export const CurrentWire: Context.Reference<Wire> = Context.Reference<Wire>(
  "effect-wire/jsonrpc/internal/currentWire/CurrentWire",
  { defaultValue: () => standard }
)
