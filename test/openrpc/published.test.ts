/** Documents that others published become contracts that compile: those of MetaMask's and Ethereum's APIs, and OpenRPC's own. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { OpenRpcCodegen } from "effect-wire/openrpc"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"

const root = join(import.meta.dirname, "../..")
const { resolve } = createRequire(import.meta.url)
const documents = [
  join(resolve("@metamask/api-specs"), "../build"),
  join(resolve("@open-rpc/examples/package.json"), "../build/service-descriptions")
]
  .flatMap((directory) =>
    readdirSync(directory).filter((file) => file.endsWith(".json")).map((file) => join(directory, file))
  )

// beside this file, so that what contracts import is the source, by the paths of the project
const scratch = Effect.acquireRelease(
  Effect.sync(() => {
    const published = join(import.meta.dirname, ".published")
    mkdirSync(published, { recursive: true })
    return mkdtempSync(join(published, "contract-"))
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const contractOf = (document: unknown) =>
  Effect.gen(function*() {
    const file = join(yield* scratch, "contract.ts")
    writeFileSync(file, yield* OpenRpcCodegen.generate(document, { name: "Contract" }))
    return ((yield* Effect.promise(() => import(file))) as { readonly Contract: any }).Contract
  })

it.live("published documents become contracts that compile", () =>
  Effect.gen(function*() {
    const directory = yield* scratch
    assert.isAtLeast(documents.length, 8)
    for (const [index, file] of documents.entries()) {
      const document = JSON.parse(readFileSync(file, "utf8"))
      const source = yield* OpenRpcCodegen.generate(document, { name: "Contract" })
      assert.strictEqual(source.match(/Rpc\.make\(/g)?.length ?? 0, document.methods.length, file)
      writeFileSync(join(directory, `contract${index}.ts`), source)
      const contract: any = yield* Effect.promise(() => import(join(directory, `contract${index}.ts`)))
      assert.strictEqual(contract.Contract.requests.size, document.methods.length, file)
    }
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({
        extends: "../../../../tsconfig.json",
        include: ["."],
        compilerOptions: { noEmit: true }
      })
    )
    const { stdout } = spawnSync("npx", ["tsc", "-p", directory], { cwd: root, encoding: "utf8" })
    assert.deepStrictEqual(stdout.split("\n").filter((line) => line.includes(" error ")), [])
  }), 120_000)

it.effect("constraints that have no counterpart are left out, and said", () =>
  Effect.gen(function*() {
    const schema = {
      type: "object",
      properties: { if: { type: "string" }, n: { type: "number", not: { const: 1 } } },
      if: { required: ["n"] },
      then: { required: ["if"] }
    }
    const source = yield* OpenRpcCodegen.generate({
      openrpc: "1.3.2",
      info: { title: "x", version: "1" },
      methods: [{ name: "m", params: [], result: { name: "r", schema } }]
    })
    assert.include(source, `// What the document says by "if", "not" is not checked`)
    assert.match(source, /if: Schema\.optionalKey\(Schema\.String\)/)
  }))

it.effect("names beside others that are not known keep them all", () =>
  Effect.gen(function*() {
    const numbers = { type: "array", items: { type: "number" } }
    const record = (schema: object) => ({
      name: "m",
      params: [],
      result: { name: "r", schema: { type: "object", ...schema } }
    })
    const Contract = yield* contractOf({
      openrpc: "1.3.2",
      info: { title: "x", version: "1" },
      methods: [
        { ...record({ properties: { a: { type: "string" } }, additionalProperties: numbers }), name: "named" },
        { ...record({ patternProperties: { "^x": numbers, "^y": { type: "string" } } }), name: "patterns" },
        { ...record({ patternProperties: { "^x": numbers } }), name: "pattern" }
      ]
    })
    const decode = (name: string, value: unknown) =>
      Schema.decodeUnknownEffect(Contract.requests.get(name).successSchema)(value) as Effect.Effect<
        unknown,
        Schema.SchemaError
      >
    for (
      const [name, value] of [["named", { a: "1", b: [2] }], ["patterns", { x: [1], y: "2" }], ["pattern", {
        x1: [1]
      }]] as const
    ) {
      assert.deepStrictEqual(yield* decode(name, value), value)
    }
    yield* Effect.flip(decode("named", { a: "1", b: 2 }))
    yield* Effect.flip(decode("pattern", { x1: 1 }))
  }))
