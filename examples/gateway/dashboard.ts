/**
 * The dashboard of the package, mounted at `/` on what the gateway has: its contract, topics, panel and queue. On loopback it
 * is open while the gateway has the token that everybody knows; else its reader signs in, as a user with the permission
 * `dashboard` or with the master token.
 */
import { Effect, Layer, Redacted } from "effect"
import { Dashboard } from "effect-wire/dashboard"
import { Authenticator, Identity } from "effect-wire/identity"
import { JugglerClients } from "effect-wire/juggler"
import { NodeTokens } from "effect-wire/node"
import { Settings } from "./config.ts"
import { Contract, topics } from "./contract.ts"
import { PanelState } from "./juggler.ts"
import * as Queue from "./queue.ts"
import { drainTimeout } from "./start.ts"

/** Users as everywhere in the gateway, and who has the master token. */
const Readers = Authenticator.layer(Effect.gen(function*() {
  const { allowedOrigins, masterToken } = yield* Settings
  const { find, login } = yield* Authenticator.Authenticator
  const operator = Identity.make("operator", { permissions: ["dashboard"] })
  return Authenticator.make({
    password: (credentials, origin) => login(credentials, origin),
    token: NodeTokens.fromList([{ token: masterToken, identity: operator }]),
    find,
    origins: allowedOrigins === "same" ? [] : allowedOrigins
  })
}))

/** `GET /` for people and for programs, and what the page needs. */
export const layer = Layer.unwrap(Effect.gen(function*() {
  const { allowedOrigins, isLoopback, masterToken } = yield* Settings
  return Dashboard.layerHttp(Contract, {
    path: "/",
    title: "effect-wire gateway",
    topics,
    states: { panel: yield* PanelState },
    loopback: isLoopback && Redacted.value(masterToken) === "DEFAULT_TOKEN",
    allowedOrigins,
    drainTimeout,
    otherwise: yield* Queue.description(masterToken)
  })
})).pipe(Layer.provide([Readers, JugglerClients.layer]))
