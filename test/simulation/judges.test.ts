import { assert, it } from "@effect/vitest"
import { type History, Judge, QueueJudge, RpcJudge, StateJudge, TopicJudge } from "effect-wire/simulation"
import { readFileSync } from "node:fs"
import { apps as cluster } from "./worlds/cluster.ts"
import { apps as history } from "./worlds/history.ts"
import { apps as jsonrpc } from "./worlds/jsonrpc.ts"
import { apps as juggler } from "./worlds/juggler.ts"
import { apps as peers } from "./worlds/peers.ts"
import { apps as queue } from "./worlds/queue.ts"
import { apps as topics } from "./worlds/topics.ts"

const plain = (text: string): string => text.replace(/\s+/g, " ").toLowerCase()

const judges: ReadonlyArray<Judge.Judge> = [
  Judge.nothingHangs,
  Judge.noDefects,
  Judge.nothingLeft,
  Judge.withinBudget,
  RpcJudge.oneAnswer,
  RpcJudge.nothingAfterACancel,
  RpcJudge.atMostOnce,
  RpcJudge.maybeExecuted(() => ["k"]),
  RpcJudge.failuresAreTyped(["E"]),
  RpcJudge.nobodyWorksForNobody,
  RpcJudge.inOrder,
  RpcJudge.streamsAreWhole,
  TopicJudge.once,
  TopicJudge.oneOrder,
  TopicJudge.toldOrHeard(["news"]),
  TopicJudge.noHoles,
  TopicJudge.sameEnd,
  StateJudge.equalWhenQuiet,
  StateJudge.onlyWhatWasWritten,
  StateJudge.versionsOnlyGrow,
  StateJudge.confirmedIsKept((state) => state?.log),
  ...QueueJudge.all
]

it("every judge quotes its promise from PROTOCOLS.md", () => {
  const protocols = plain(readFileSync(new URL("../../PROTOCOLS.md", import.meta.url), "utf8"))
  const worlds = [jsonrpc, peers, topics, history, juggler, cluster, queue].flatMap((apps) => Object.values(apps))
  const all = new Set([...judges, ...worlds.flatMap(({ spec }) => spec.judges)])
  const missing = [...all].filter(({ promise }) => !protocols.includes(plain(promise)))
  assert.deepStrictEqual(missing.map(({ name, promise }) => `${name}: ${promise}`), [])
})

const noted = (node: string, kind: string, data: unknown, at = 0): History.Event => ({
  _tag: "Noted",
  at,
  node,
  kind,
  data
})
const began = (id: number, operation: string, node = "a", input: unknown = {}): History.Event => ({
  _tag: "Began",
  at: 0,
  node,
  id,
  operation,
  input
})
const ended = (id: number, outcome: History.Outcome, value: unknown, node = "a"): History.Event => ({
  _tag: "Ended",
  at: 0,
  node,
  id,
  outcome,
  value
})
const frame = (node: string, to: string, message: unknown): History.Event => ({
  _tag: "Frame",
  at: 0,
  node,
  to,
  connection: "c",
  frame: JSON.stringify(message)
})
const quiet: History.Event = { _tag: "Quiet", at: 0, node: "world" }
const rest = (id: number, node: string, value: unknown) => [began(id, "rest", node), ended(id, "Success", value, node)]
const heard = (reader: string, n: number | null, offset?: number, from?: number): History.Event =>
  noted("a", "heard", {
    topic: "news",
    reader,
    n,
    ...offset === undefined ? {} : { to: { epoch: "e", offset } },
    ...from === undefined ? {} : { from: { epoch: "e", offset: from } }
  })
const pulled = (id: string, at: number, token = "t") => noted("a", "pulled", { id, body: 1, lease: 100, token }, at)
const pushed = (id: string, body = 1, key: string | null = null) => [
  noted("a", "pushing", { key, body }),
  noted("a", "pushed", { id, key, body })
]
const acked = (id: string, at: number, token = "t") => [
  noted("a", "letting go", { id, how: "ack", token }, at),
  noted("a", "ack", { id, token }, at)
]

type Cases = ReadonlyArray<readonly [sound: ReadonlyArray<History.Event>, broken: ReadonlyArray<History.Event>]>

const asks = frame("a", "b", { id: 1, method: "m", params: { key: "k" } })
const request = noted("b", "executed", "k")

const cases: { readonly [judge: string]: Cases } = {
  "nothing hangs": [[[began(1, "x"), ended(1, "Success", 1), quiet], [began(1, "x"), quiet]]],
  "no defects": [[[began(1, "x"), ended(1, "Failure", 1)], [began(1, "x"), ended(1, "Defect", "no")]]],
  "nothing is left": [[
    [{ _tag: "Left", at: 0, node: "a", what: "entries", before: 1, after: 1 }],
    [{ _tag: "Left", at: 0, node: "a", what: "entries", before: 1, after: 2 }]
  ]],
  "memory within the budget": [[
    [noted("a", "held", { what: "bytes", size: 5, limit: 5 })],
    [noted("a", "held", { what: "bytes", size: 6, limit: 5 })]
  ]],
  "one answer for each request": [
    [[asks, frame("b", "a", { id: 1, result: 1 })], [
      asks,
      frame("b", "a", { id: 1, result: 1 }),
      frame("b", "a", { id: 1, error: { code: 1 } })
    ]],
    [[asks, frame("b", "a", [{ id: 1, result: 1 }])], [asks, frame("b", "a", { id: 2, result: 1 })]],
    // ids of the two directions are independent
    [[asks, frame("b", "a", { id: 1, method: "m" }), frame("a", "b", { id: 1, result: 1 })], [
      asks,
      frame("a", "b", { id: 1, result: 1 })
    ]]
  ],
  "no execution after a cancel was confirmed": [[
    [asks, request, frame("b", "a", { id: 1, error: { code: -31002 } }), noted("b", "aborted", "k")],
    [asks, frame("b", "a", { id: 1, error: { code: -31002 } }), request]
  ]],
  "at most once": [[[request], [request, request]]],
  "what was not executed was not": [[
    [began(1, "x"), request, ended(1, "Failure", { reason: { maybeExecuted: true } })],
    [began(1, "x"), request, ended(1, "Failure", { reason: { maybeExecuted: false } })]
  ]],
  "failures are typed": [[
    [began(1, "x"), ended(1, "Failure", { _tag: "E" })],
    [began(1, "x"), ended(1, "Failure", { _tag: "F" })]
  ]],
  "what nobody waits for is not executed on": [[
    [request, { _tag: "Node", at: 0, node: "b", what: "crashed" }, quiet],
    [request, quiet]
  ]],
  "calls and notifications keep their order": [[
    [noted("b", "marked", { run: "r", n: 1 }), noted("b", "marked", { run: "r", n: 2 })],
    [noted("b", "marked", { run: "r", n: 2 }), noted("b", "marked", { run: "r", n: 1 })]
  ]],
  "streams give each element once, in order": [[
    [noted("a", "element", { key: "k", n: 1 }), noted("a", "element", { key: "k", n: 2 })],
    [noted("a", "element", { key: "k", n: 1 }), noted("a", "element", { key: "k", n: 3 })]
  ]],
  "nothing comes twice": [[[heard("r", 1), heard("s", 1)], [heard("r", 1), heard("r", 1)]]],
  "one order": [
    [[heard("r", 1), heard("r", 2), heard("s", 1)], [heard("r", 1), heard("r", 2), heard("s", 2), heard("s", 1)]],
    [[heard("r", 1, 1), heard("s", 1, 1)], [heard("r", 1, 1), heard("s", 2, 1)]]
  ],
  "what is lost is told": [[
    [heard("r", 1), heard("r", 2), heard("r", 3), heard("s", 1), heard("s", null), heard("s", 3)],
    [heard("r", 1), heard("r", 2), heard("r", 3), heard("s", 1), heard("s", 3)]
  ]],
  "everything arrives, once and in order, or is told": [
    [[heard("r", 1, 1), heard("r", null, 3, 1), heard("r", 4, 4)], [heard("r", 1, 1), heard("r", 3, 3)]],
    [[heard("r", 1, 1), heard("r", 2, 2)], [heard("r", 2, 2), heard("r", 1, 1)]],
    [[noted("a", "resumes", { topic: "news", reader: "r", from: { epoch: "e", offset: 4 } }), heard("r", 5, 5)], [
      noted("a", "resumes", { topic: "news", reader: "r", from: { epoch: "e", offset: 4 } }),
      heard("r", 6, 6)
    ]]
  ],
  "readers end at the same place": [[[...rest(1, "a", 1), ...rest(2, "b", null)], [
    ...rest(1, "a", 1),
    ...rest(2, "b", 2)
  ]]],
  "equal states when quiet": [[[...rest(1, "a", "s"), ...rest(2, "b", "s")], [
    ...rest(1, "a", "s"),
    ...rest(2, "b", "t")
  ]]],
  "what was confirmed is kept": [
    [
      [
        noted("a", "adding", "x"),
        noted("a", "added", "x"),
        noted("b", "adding", "y"),
        ...rest(1, "a", { log: ["y", "x"] })
      ],
      [noted("a", "adding", "x"), noted("a", "added", "x"), ...rest(1, "a", { log: [] })]
    ],
    [
      [noted("a", "adding", "x"), noted("a", "added", "x"), ...rest(1, "a", null)],
      [noted("a", "adding", "x"), ...rest(1, "a", { log: ["x", "x"] })]
    ],
    [[noted("a", "adding", "x"), ...rest(1, "a", { log: [] })], [...rest(1, "a", { log: ["x"] })]]
  ],
  "no state that nobody wrote, and none that is older than the last": [
    [[noted("a", "wrote", "1"), noted("b", "saw", "1")], [noted("a", "wrote", "1"), noted("b", "saw", "2")]],
    [[noted("a", "wrote", "1"), noted("a", "wrote", "2"), noted("b", "saw", "2")], [
      noted("a", "wrote", "1"),
      noted("a", "wrote", "2"),
      noted("b", "saw", "2"),
      noted("b", "saw", "1")
    ]]
  ],
  "versions only grow": [
    [[noted("a", "stands", { epoch: "e", version: 2 }), noted("a", "stands", { epoch: "f", version: 1 })], [
      noted("a", "stands", { epoch: "e", version: 2 }),
      noted("a", "stands", { epoch: "e", version: 1 })
    ]],
    [[noted("a", "stands", { epoch: "e", version: 2, state: "x" })], [
      noted("a", "stands", { epoch: "e", version: 2, state: "x" }),
      noted("b", "stands", { epoch: "e", version: 2, state: "y" })
    ]]
  ],
  "confirmed is never lost": [[
    [...pushed("m"), pulled("m", 1), ...acked("m", 2), ...rest(1, "a", {})],
    [...pushed("m"), ...rest(1, "a", {})]
  ]],
  "only what was pushed is delivered, with what it was pushed with": [[
    [...pushed("m"), pulled("m", 1)],
    [...pushed("m", 2), pulled("m", 1)]
  ]],
  "no two holders acknowledge": [
    [[pulled("m", 1), ...acked("m", 2)], [pulled("m", 1), ...acked("m", 2), ...acked("m", 3)]],
    [[pulled("m", 1, "t"), pulled("m", 200, "u"), ...acked("m", 201, "u")], [
      pulled("m", 1, "t"),
      pulled("m", 200, "u"),
      ...acked("m", 201, "t")
    ]]
  ],
  "a lease is one holder's": [[[pulled("m", 1), pulled("m", 101)], [pulled("m", 1), pulled("m", 50)]]],
  "order per key": [
    [[...pushed("m", 1, "k"), ...pushed("n", 2, "k"), pulled("m", 1), ...acked("m", 2), pulled("n", 3)], [
      ...pushed("m", 1, "k"),
      ...pushed("n", 2, "k"),
      pulled("n", 1),
      ...acked("n", 2),
      pulled("m", 3)
    ]],
    [[...pushed("m", 1, "k"), pulled("m", 1)], [
      ...pushed("m", 1, "k"),
      ...pushed("n", 2, "k"),
      pulled("m", 1),
      pulled("n", 2)
    ]]
  ]
}

for (const judge of judges) {
  it(`${judge.name}: sees what breaks it, and nothing else`, () => {
    const own = cases[judge.name]
    assert.isDefined(own)
    for (const [sound, broken] of own) {
      assert.isUndefined(judge.check({ seed: 1, events: sound, quiet: true }))
      assert.isDefined(judge.check({ seed: 1, events: broken, quiet: true }))
    }
  })
}
