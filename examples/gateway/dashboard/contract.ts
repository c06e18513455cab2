/** What the dashboard asks of the gateway besides the wires that everybody uses: who is connected, and how much is done. */
import { Schema } from "effect"
import { Authenticator } from "effect-wire/identity"
import { Rpc, RpcGroup } from "effect/rpc"

/** One connection of any wire. */
export const Connected = Schema.Struct({
  id: Schema.Int,
  /** The protocol, as a person calls it. */
  wire: Schema.String,
  /** The route it came by. */
  path: Schema.String,
  address: Schema.NullOr(Schema.String),
  username: Schema.NullOr(Schema.String),
  /** Epoch milliseconds. */
  since: Schema.Finite
})

export const Snapshot = Schema.Struct({
  connections: Schema.Array(Connected),
  /** Requests answered since the gateway started. */
  requests: Schema.Finite,
  /** Requests that run or wait. */
  inFlight: Schema.Finite
})

/** The token is not the one that the gateway was started with. */
export class WrongToken extends Schema.TaggedError<WrongToken>()("WrongToken", {}) {}

export class DashboardMethods extends RpcGroup.make(
  Rpc.make("snapshot", {
    payload: { token: Schema.RedactedFromValue(Schema.String) },
    success: Snapshot,
    error: Schema.Union([WrongToken, Authenticator.TooManyAttempts])
  })
) {}
