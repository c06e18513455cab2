/** The parts that need no process: addresses, parameters, names that were meant, completion, pictures. */
import { assert, it } from "@effect/vitest"
import { complete, isKept } from "../../src/cli/internal/completion.ts"
import * as Discovery from "../../src/cli/internal/discovery.ts"
import { render, usage } from "../../src/cli/internal/failure.ts"
import { nearest } from "../../src/cli/internal/nearest.ts"
import { bar, table } from "../../src/cli/internal/output.ts"
import { fromArguments } from "../../src/cli/internal/params.ts"
import { Histogram, latency, plot, spark } from "../../src/cli/internal/plot.ts"
import * as Target from "../../src/cli/internal/target.ts"

it("an address is a wire and a carrier", () => {
  const read = (address: string, wire?: string) => {
    const target = Target.parse(address, wire)
    return target instanceof Error ? target.message : [target.wireName, target.wire.name, target.carrier]
  }
  const table: ReadonlyArray<readonly [string, unknown]> = [
    ["ws://h:1/p?q=1", ["standard", "standard", { _tag: "WebSocket", url: "ws://h:1/p?q=1" }]],
    ["rockets+wss://h/p", ["rockets", "rockets", { _tag: "WebSocket", url: "wss://h/p" }]],
    ["v1+https://h/", ["v1", "version1", { _tag: "Http", url: "https://h/" }]],
    ["jsonrpc-websocket+ws://h", ["jsonrpc-websocket", "standard", { _tag: "WebSocket", url: "ws://h" }]],
    ["lsp+tcp://[::1]:9", ["lsp", "lsp", { _tag: "Tcp", host: "::1", port: 9, tls: false }]],
    ["tls://h:9", ["standard", "standard", { _tag: "Tcp", host: "h", port: 9, tls: true }]],
    ["unix:/a b", ["standard", "standard", { _tag: "Unix", path: "/a b" }]],
    ["unix:///a", ["standard", "standard", { _tag: "Unix", path: "/a" }]],
    [
      "mcp+stdio:npx \"a b\" 'c \"d' e\\ f --g=\"h i\"",
      ["mcp", "mcp", { _tag: "Stdio", command: "npx", args: ["a b", "c \"d", "e f", "--g=h i"] }]
    ],
    ["tcp://h", "this is no address"],
    ["tcp://h:70000", "this is no address"],
    ["127.0.0.1:8080/rpc", "this is no address: it begins with no carrier"],
    ["stdio: ", "the program is missing"],
    ["no+ws://h", "there is no wire named \"no\""]
  ]
  for (const [address, expected] of table) assert.deepStrictEqual(read(address), expected, address)
  assert.deepInclude(read("ws://h", "lsp"), "lsp")
  // the wire of the address goes before
  assert.deepInclude(read("mcp+ws://h", "lsp"), "mcp")
  const named = Target.parse("ws://ann:secret@h/p?token=secret")
  assert.strictEqual(named instanceof Error ? "" : Target.nameOf(named), "ws://h/p")
})

it("a name of an object's own is a parameter like any other", () => {
  const found = fromArguments(["__proto__={\"a\":1}", "constructor=2"])
  assert.deepStrictEqual(typeof found === "string" ? [] : Object.entries(found.params!), [
    ["__proto__", { a: 1 }],
    ["constructor", 2]
  ])
  assert.strictEqual(fromArguments(["a=1", "a=2"]), "a parameter is given twice")
})

it("the names that somebody may have meant: slips, swaps, cases, parts; and none where none is near", () => {
  const names = ["add", "subtract", "app.users.getUsers", "set_weather", "whoami"]
  assert.deepStrictEqual(nearest("ad", names), ["add"])
  assert.deepStrictEqual(nearest("subtarct", names), ["subtract"])
  assert.deepStrictEqual(nearest("WhoAmI", names), ["whoami"])
  assert.deepStrictEqual(nearest("getUsers", names), ["app.users.getUsers"])
  assert.deepStrictEqual(nearest("setWeather", names), ["set_weather"])
  assert.deepStrictEqual(nearest("frobnicate", names), [])
})

const known = Discovery.read({
  openrpc: "1.3.2",
  info: { title: "t", version: "1" },
  methods: [
    {
      name: "paint",
      params: [
        { name: "color", required: true, schema: { $ref: "#/components/schemas/Color" } },
        { name: "dark", schema: { type: "boolean" } }
      ],
      result: { name: "r", schema: { type: "array", items: { type: "integer" } } }
    },
    { name: "pause", params: [] },
    { name: "subscribe", params: [] },
    "no method",
    { name: "loop", params: [{ name: "x", schema: { $ref: "#/components/schemas/Loop" } }] }
  ],
  components: { schemas: { Color: { enum: ["red", "green"] }, Loop: { $ref: "#/components/schemas/Loop" } } },
  "x-topics": [{ name: "clock", state: false, schema: { type: "integer" } }]
})!

it("completes commands, methods, parameters that are not given yet, their values, and topics", () => {
  const table: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["pa", ["paint ", "pause "]],
    [".de", [".describe "]],
    [".describe pau", ["pause "]],
    ["paint ", ["color=", "dark="]],
    ["paint color=red ", ["dark="]],
    ["paint color=", ["color=red ", "color=green "]],
    ["paint dark=t", ["dark=true "]],
    [".notify paint da", ["dark="]],
    ["subscribe cl", ["clock "]],
    ["nothing ", []]
  ]
  for (const [line, expected] of table) assert.deepStrictEqual(complete(known, line)[0], expected, line)
  assert.deepStrictEqual(complete(undefined, "pa")[0], [])
})

it("documents of others are read as far as they can be, and told in a line", () => {
  assert.deepStrictEqual(known.methods.map(Discovery.signature), [
    "paint(color: \"red\" | \"green\", dark?: boolean) -> integer[]",
    "pause() -> nothing",
    "subscribe() -> nothing",
    "loop(x?: Loop) -> nothing"
  ])
  assert.isUndefined(Discovery.read({ methods: "none" }))
})

it("lines that name something secret are not kept", () => {
  assert.isTrue(isKept("add a=1"))
  for (const line of ["", " add a=1", "login username=ann password=x", "authenticate abc", "set_token x"]) {
    assert.isFalse(isKept(line), line)
  }
})

it("latencies are right to a percent, and their picture has an axis with units", () => {
  const histogram = new Histogram()
  for (let i = 1; i <= 10_000; i++) histogram.add(i / 100)
  for (const [part, expected] of [[0.5, 50], [0.9, 90], [0.99, 99], [0.999, 99.9]] as const) {
    assert.approximately(histogram.percentile(part), expected, expected * 0.01)
  }
  assert.strictEqual(histogram.percentile(1), 100)
  const lines = plot(histogram, { width: 40, height: 4 }).split("\n")
  assert.lengthOf(lines, 6)
  assert.match(lines[5]!, /^ +9\.00 µs +\S+ (µs|ms) +110 ms$/)
  assert.include(lines[0]!, "█")
  assert.deepStrictEqual([0.0004, 0.5, 2, 34.56, 789, 12_345].map(latency), [
    "0.40 µs",
    "500 µs",
    "2.00 ms",
    "34.6 ms",
    "789 ms",
    "12.3 s"
  ])
  assert.strictEqual(spark([0, 1, 2, 4, 8]), " ▁▂▄█")
  assert.strictEqual(plot(new Histogram(), { width: 10, height: 2 }), "")
})

it("a bar, a table, a failure", () => {
  assert.strictEqual(bar({ operation: "step 1", amount: 0.5 }), `[${"#".repeat(15)}${"-".repeat(15)}]  50 %  step 1`)
  assert.strictEqual(bar({ operation: "", amount: 7 }), `[${"#".repeat(30)}] 100 %`)
  assert.strictEqual(table([["a", "bbb", "c"], ["aa", "b", ""]]), "a   bbb  c\naa  b")
  assert.strictEqual(render(usage("wrong", "right"), false), "error: wrong\n  try: right")
  assert.strictEqual(render(usage("wrong"), true), "{\"error\":{\"kind\":\"Usage\",\"message\":\"wrong\"}}")
})
