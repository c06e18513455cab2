/** Follows the recipes of CONTRIBUTING.md: the code that stands there goes through the suites that it names. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { UserStore } from "effect-wire/identity"
import type { Wire } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { globSync, readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { suite as userSuite } from "../identity/UsersTest.ts"
import { Dial, suite as jsonRpcSuite } from "../jsonrpc/suite.ts"
import { page, recipe } from "./recipes.ts"

const { courier } = await recipe("Add a wire") as { readonly courier: Wire.Wire }
const { layer } = await recipe("Add a store") as { readonly layer: Layer.Layer<UserStore.UserStore> }

const memory = Layer.effect(Dial)(
  Effect.map(MemorySocket.MemoryServer, (server) => Effect.sync(() => server.connect()))
).pipe(Layer.provideMerge(MemorySocket.layer))

// one after the other, so that no test waits for the time that all the others take
describe("a wire", { concurrent: false }, () => jsonRpcSuite("the wire of CONTRIBUTING.md", memory, courier))

describe("a store", { concurrent: false }, () => {
  userSuite("the store of CONTRIBUTING.md", Effect.succeed(layer), (name, effect) => it.effect(name, () => effect))
})

it("the rooms of CONTRIBUTING.md are those of the house, and import what it says", () => {
  const rooms = new Map(
    page.lines.flatMap((line) => {
      const row = /^\| `([a-z]+)\/` +\|[^|]*\|([^|]*)\|$/.exec(line)
      return row === null ? [] : [[row[1]!, Array.from(row[2]!.matchAll(/`(\w+)`/g), (match) => match[1]!)] as const]
    })
  )
  const folders = readdirSync("src", { withFileTypes: true }).filter((entry) => entry.isDirectory())
  assert.sameMembers([...rooms.keys()], folders.map(({ name }) => name))
  for (const [room, imports] of rooms) {
    for (const file of globSync(`src/${room}/**/*.ts`)) {
      for (const [, path] of readFileSync(file, "utf8").matchAll(/^(?:import|export) .*from "(\.\.?\/[^"]+)"/gm)) {
        const target = relative("src", join(file, "..", path!)).split("/")[0]!
        assert.include([room, ...imports], target, file)
      }
    }
  }
})
