/** What several worlds have in common. */
import { Context } from "effect"
import { JsonRpcClient, Wire } from "effect-wire/jsonrpc"
import { Reconnect } from "effect-wire/socket"

/** Numbers that are given once, in the whole world. */
export class Numbers
  extends Context.Service<Numbers, { next: number }>()("effect-wire/test/simulation/worlds/shared/Numbers")
{}

/** A client that comes back, and whose calls wait for it. */
export const layerClient = JsonRpcClient.layerSocket({
  wire: Wire.rockets,
  reconnect: Reconnect.schedule,
  whileDisconnected: "wait"
})
