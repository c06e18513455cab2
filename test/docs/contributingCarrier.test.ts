/** Follows CONTRIBUTING.md, "Add a carrier": the code that stands there goes through the suites that it names. */
import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Socket, SocketServer } from "effect/socket"
import { Dial, suite as jsonRpcSuite } from "../jsonrpc/suite.ts"
import { suite as carrierSuite } from "../socket/carrierSuite.ts"
import { recipe } from "./recipes.ts"

const { makeServer } = await recipe("Add a carrier") as {
  readonly makeServer: Effect.Effect<{
    readonly server: SocketServer.SocketServer["Service"]
    readonly connect: Effect.Effect<Socket.Socket>
  }>
}

const carrier = Layer.unwrap(Effect.map(makeServer, ({ connect, server }) =>
  Layer.mergeAll(
    Layer.succeed(SocketServer.SocketServer)(server),
    Layer.effect(Socket.Socket)(connect),
    Layer.succeed(Dial)(connect)
  )))
// one after the other, so that no test waits for the time that all the others take
describe("a carrier", { concurrent: false }, () => {
  carrierSuite("the carrier of CONTRIBUTING.md", carrier, { text: true, closeCodes: true })
  jsonRpcSuite("the carrier of CONTRIBUTING.md", carrier)
})
