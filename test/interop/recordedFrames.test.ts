/**
 * Frames as the Python clients of seeds 000, 001 and 003 write them (`json.dumps`: spaces after `:` and `,`, everything
 * beyond ASCII escaped), and as their servers answer, against our server and our client.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcPeer, Wire } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Socket } from "effect/socket"
import { WebSocket } from "ws"
import { Caller, eventually, serve } from "./harness.ts"

interface Row {
  readonly name: string
  readonly sends: ReadonlyArray<string | Buffer>
  /** Every frame that comes back, until the server has answered one request more. */
  readonly receives: ReadonlyArray<string>
}

const open = (url: string, protocol?: string) =>
  Effect.acquireRelease(
    Effect.callback<WebSocket>((resume) => {
      const ws = new WebSocket(url, protocol === undefined ? [] : [protocol])
      ws.once("open", () => resume(Effect.succeed(ws)))
    }),
    (ws) => Effect.sync(() => ws.close())
  )

const exchange = (wire: Wire.Wire, row: Row) =>
  Effect.gen(function*() {
    const { url } = yield* serve(wire)
    const ws = yield* open(url, wire.subprotocol)
    const received: Array<string> = []
    const done = yield* Deferred.make<void>()
    ws.on("message", (data) => {
      const text = String(data)
      if (text === `{"jsonrpc":"2.0","result":null,"id":"end"}`) Deferred.doneUnsafe(done, Effect.void)
      else received.push(text)
    })
    for (const frame of row.sends) ws.send(frame)
    ws.send(`{"jsonrpc": "2.0", "method": "nothing", "id": "end"}`)
    yield* Deferred.await(done)
    yield* eventually(() => received.length >= row.receives.length)
    assert.deepStrictEqual(received, row.receives)
  })

const table = (name: string, wire: Wire.Wire, rows: ReadonlyArray<Row>) =>
  describe(name, () => {
    for (const row of rows) it.live(row.name, () => exchange(wire, row))
  })

table("the Python client of Rockets (seed 000)", Wire.rockets, [
  {
    name: "a request with a random id of 8 characters",
    sends: [`{"jsonrpc": "2.0", "method": "add", "params": {"a": 1, "b": 2}, "id": "kX82m0Qz"}`],
    receives: [`{"jsonrpc":"2.0","result":3,"id":"kX82m0Qz"}`]
  },
  {
    name: "a request without params",
    sends: [`{"jsonrpc": "2.0", "method": "nothing", "id": "aaaaaaaa"}`],
    receives: [`{"jsonrpc":"2.0","result":null,"id":"aaaaaaaa"}`]
  },
  {
    name: "a notification",
    sends: [`{"jsonrpc": "2.0", "method": "note", "params": {"text": "\\u00fc"}}`],
    receives: []
  },
  {
    name: "a request, its progress and its answer",
    sends: [`{"jsonrpc": "2.0", "method": "work", "params": {"steps": 1}, "id": "abcd1234"}`],
    receives: [
      `{"jsonrpc":"2.0","method":"progress","params":{"id":"abcd1234","operation":"step 1","amount":1}}`,
      `{"jsonrpc":"2.0","result":"done","id":"abcd1234"}`
    ]
  },
  {
    name: "a cancel of a request under way, then one of a finished request",
    sends: [
      `{"jsonrpc": "2.0", "method": "forever", "id": "abcd1234"}`,
      `{"jsonrpc": "2.0", "method": "cancel", "params": {"id": "abcd1234"}}`,
      `{"jsonrpc": "2.0", "method": "cancel", "params": {"id": "abcd1234"}}`
    ],
    receives: [
      `{"jsonrpc":"2.0","method":"progress","params":{"id":"abcd1234","operation":"begun","amount":0.5}}`,
      `{"jsonrpc":"2.0","error":{"code":-31002,"message":"Request aborted"},"id":"abcd1234"}`
    ]
  },
  {
    name: "cancels that name nothing are ignored",
    sends: [
      `{"jsonrpc": "2.0", "method": "cancel"}`,
      `{"jsonrpc": "2.0", "method": "cancel", "params": {}}`,
      `{"jsonrpc": "2.0", "method": "cancel", "params": {"id": null}}`,
      `{"jsonrpc": "2.0", "method": "cancel", "params": {"id": "unknown1"}}`
    ],
    receives: []
  },
  {
    name: "a batch of requests and a notification, and the batch that cancels one",
    sends: [
      `[{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": "one11111"}, ` +
      `{"jsonrpc": "2.0", "method": "note", "params": {"text": "x"}}, ` +
      `{"jsonrpc": "2.0", "method": "forever", "id": "two22222"}]`,
      `[{"jsonrpc": "2.0", "method": "cancel", "params": {"id": "two22222"}}]`
    ],
    receives: [
      `{"jsonrpc":"2.0","method":"progress","params":{"id":"two22222","operation":"begun","amount":0.5}}`,
      `[{"jsonrpc":"2.0","result":3,"id":"one11111"},` +
      `{"jsonrpc":"2.0","error":{"code":-31002,"message":"Request aborted"},"id":"two22222"}]`
    ]
  },
  {
    name: "an empty batch",
    sends: [`[]`],
    receives: [
      `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"the batch is empty"},"id":null}`
    ]
  }
])

table("jsonrpc-websocket (seed 001)", Wire.standard, [
  {
    name: "a random 63-bit id comes back digit for digit",
    sends: [`{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 6129484611666145821}`],
    receives: [`{"jsonrpc":"2.0","result":3,"id":6129484611666145821}`]
  },
  {
    name: "two ids that a double cannot tell apart are two requests",
    sends: [
      `[{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 9007199254740993}, ` +
      `{"jsonrpc": "2.0", "method": "add", "params": [3, 4], "id": 9007199254740992}]`
    ],
    receives: [
      `[{"jsonrpc":"2.0","result":3,"id":9007199254740993},{"jsonrpc":"2.0","result":7,"id":9007199254740992}]`
    ]
  },
  {
    name: "a large id in an error, and beside members that look like one",
    sends: [
      `{"id": 9223372036854775807, "jsonrpc": "2.0", "method": "echo", ` +
      `"params": {"value": {"id": 1, "text": "\\"id\\": 5"}}}`,
      `{"jsonrpc": "2.0", "method": "missing", "id": 9223372036854775806}`
    ],
    receives: [
      `{"jsonrpc":"2.0","result":{"id":1,"text":"\\"id\\": 5"},"id":9223372036854775807}`,
      `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":9223372036854775806}`
    ]
  },
  {
    name: "a nested namespace, by position and by keyword",
    sends: [
      `{"jsonrpc": "2.0", "method": "app.users.count", "params": [true], "id": 1}`,
      `{"jsonrpc": "2.0", "method": "app.users.count", "params": {"active": false}, "id": 2}`
    ],
    receives: [`{"jsonrpc":"2.0","result":2,"id":1}`, `{"jsonrpc":"2.0","result":3,"id":2}`]
  },
  {
    name: "binary frames are read as UTF-8 JSON, or ignored where they are not that",
    sends: [
      Buffer.from(`{"jsonrpc": "2.0", "method": "echo", "params": ["ü"], "id": 1}`),
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.from("no JSON")
    ],
    receives: [`{"jsonrpc":"2.0","result":"ü","id":1}`]
  },
  {
    name: "a notification",
    sends: [`{"jsonrpc": "2.0", "method": "note", "params": {"text": "bar"}}`],
    receives: []
  }
])

table("the Python client of aiohttp-json-rpc (seed 003)", Wire.aiohttp, [
  {
    name: "ids count from 0",
    sends: [`{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 0}`],
    receives: [`{"jsonrpc":"2.0","result":3,"id":0}`]
  },
  {
    name: "params may be a bare string, number, or null",
    sends: [
      `{"jsonrpc": "2.0", "method": "echo", "params": "foo", "id": 1}`,
      `{"jsonrpc": "2.0", "method": "echo", "params": 5, "id": 2}`,
      `{"jsonrpc": "2.0", "method": "nothing", "params": null, "id": 3}`
    ],
    receives: [
      `{"jsonrpc":"2.0","result":"foo","id":1}`,
      `{"jsonrpc":"2.0","result":5,"id":2}`,
      `{"jsonrpc":"2.0","result":null,"id":3}`
    ]
  },
  {
    name: "a null id makes a notification",
    sends: [`{"jsonrpc": "2.0", "method": "note", "params": {"text": "x"}, "id": null}`],
    receives: []
  },
  {
    name: "what is no JSON and what is no request",
    sends: [`not json`, `{"jsonrpc": "2.0", "id": 7}`, `{"jsonrpc": "1.0", "method": "add", "id": 8}`],
    receives: [
      `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}`,
      `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"the method is not a string"},"id":7}`,
      `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request",` +
      `"data":"the member jsonrpc is not \\"2.0\\""},"id":8}`
    ]
  }
])

/** Our client, and the frames of its server by hand. */
const byHand = (options?: JsonRpcClient.Options) =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const client = yield* JsonRpcClient.fromSocket(near, options)
    const { pull } = yield* far.reader
    const { write } = yield* far.writer
    const frames = yield* Queue.unbounded<string>()
    yield* pull.pipe(
      Effect.flatMap((batch) => Queue.offerAll(frames, batch.map(String))),
      Effect.forever,
      Effect.forkScoped
    )
    yield* client.connect
    return { client, near, write, next: Queue.take(frames) }
  })

const reasonOf = (fiber: Fiber.Fiber<unknown, JsonRpcError.JsonRpcError>) =>
  Effect.map(Effect.flip(Fiber.join(fiber)), (error) => error.reason)

it.effect("an error of aiohttp-json-rpc's server that has no id fails the only call that waits", () =>
  Effect.gen(function*() {
    const { client, next, write } = yield* byHand({ wire: Wire.aiohttp })
    const fiber = yield* Effect.forkChild(client.call("x"))
    assert.strictEqual(yield* next, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
    yield* write(`{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid request"}}`)
    assert.deepInclude(yield* reasonOf(fiber), { _tag: "RemoteError", code: -32600 })
  }))

it.effect("an error without id fails no call where it could be about several", () =>
  Effect.gen(function*() {
    const { client, next, write } = yield* byHand()
    const one = yield* Effect.forkChild(client.call("x"))
    const two = yield* Effect.forkChild(client.call("y"))
    yield* next
    yield* next
    yield* write(`{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid request"}, "id": null}`)
    yield* write(`{"jsonrpc": "2.0", "result": 1, "id": 1}`)
    yield* write(`{"jsonrpc": "2.0", "result": 2, "id": "2"}`)
    assert.deepStrictEqual([yield* Fiber.join(one), yield* Fiber.join(two)], [1, 2])
  }))

it.effect("falsy results, which Python's Rockets client takes for none, are results here", () =>
  Effect.gen(function*() {
    const { client, next, write } = yield* byHand({ wire: Wire.rockets })
    for (const [id, falsy] of [`0`, `""`, `false`, `null`, `[]`].entries()) {
      const fiber = yield* Effect.forkChild(client.call("x"))
      yield* next
      yield* write(`{"jsonrpc": "2.0", "id": ${id + 1}, "result": ${falsy}}`)
      assert.deepStrictEqual(yield* Fiber.join(fiber), JSON.parse(falsy))
    }
  }))

it.effect("a server written in Python calls the client on the same socket (seed 001)", () =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    yield* JsonRpcPeer.make({ serves: Caller, calls: Caller }).pipe(
      Effect.provideService(Socket.Socket, near),
      Effect.provide(Caller.toLayer({ name: ([kind]) => Effect.succeed(`${kind} name`) }))
    )
    const { pull } = yield* far.reader
    const { write } = yield* far.writer
    yield* write(`{"jsonrpc": "2.0", "method": "name", "params": ["full"], "id": 6129484611666145821}`)
    assert.deepStrictEqual(yield* pull, [`{"jsonrpc":"2.0","result":"full name","id":6129484611666145821}`])
    yield* write(Buffer.from(`{"jsonrpc": "2.0", "method": "nobody", "params": [], "id": 1}`))
    assert.deepStrictEqual(yield* pull, [
      `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}`
    ])
  }))
