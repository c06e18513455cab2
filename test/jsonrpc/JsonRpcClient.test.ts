/** The client alone: the frames that it sends, and what it makes of whatever comes back. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcTest, Wire } from "effect-wire/jsonrpc"
import { Progress } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { fromSocket } from "./raw.ts"

class One extends Schema.TaggedError<One>()("One", { a: Schema.Int }, JsonRpcError.wire({ code: -32001 })) {}
class Two extends Schema.TaggedError<Two>()("Two", { b: Schema.Int }, JsonRpcError.wire({ code: -32001 })) {}

class Group extends RpcGroup.make(
  Rpc.make("pair", {
    payload: { a: Schema.Int, b: Schema.optionalKey(Schema.Int), c: Schema.optionalKey(Schema.Int) },
    success: Schema.Int
  }),
  Rpc.make("list", { payload: Schema.Tuple([Schema.String, Schema.Int]), success: Schema.Int }),
  Rpc.make("text", { payload: Schema.String, success: Schema.String }),
  Rpc.make("none"),
  Rpc.make("risky", { error: Schema.Union([One, Two]) }),
  Rpc.make("remote", { error: JsonRpcError.RemoteError }),
  Rpc.make("count", { success: Schema.Int, stream: true })
) {}

const connect = (options?: JsonRpcClient.Options) =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const remote = yield* JsonRpcClient.fromSocket(near, options)
    const peer = yield* fromSocket(far)
    const client = yield* JsonRpcClient.fromRemote(Group, remote)
    return { remote, peer, client }
  })

const message = (members: string) => `{"jsonrpc":"2.0",${members}}`

/** Makes a call, and answers its request with these frames. */
const answered = <A, E>(call: Effect.Effect<A, E>, peer: { send: any; take: any }, ...frames: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(call, { startImmediately: true })
    yield* peer.take as Effect.Effect<string>
    yield* peer.send(...frames) as Effect.Effect<void>
    return yield* Fiber.await(fiber)
  })

const reasonOf = (exit: Exit.Exit<unknown, unknown>): JsonRpcError.JsonRpcError["reason"] | undefined => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return error instanceof JsonRpcError.JsonRpcError ? error.reason : undefined
}

describe("requests", () => {
  const sent: ReadonlyArray<readonly [string, (client: RpcClientOf) => Effect.Effect<unknown, unknown>, string]> = [
    ["fields by name", (client) => client.pair({ a: 1, c: 3 }), `"method":"pair","params":{"a":1,"c":3}`],
    ["a tuple by position", (client) => client.list(["x", 1]), `"method":"list","params":["x",1]`],
    ["a scalar by position", (client) => client.text("x"), `"method":"text","params":["x"]`],
    ["no payload without params", (client) => client.none(), `"method":"none"`]
  ]
  for (const [name, call, members] of sent) {
    it.effect(`send ${name}`, () =>
      Effect.gen(function*() {
        const { client, peer } = yield* connect()
        yield* Effect.forkChild(call(client))
        assert.strictEqual(yield* peer.take, message(`"id":1,${members}`))
      }))
  }

  it.effect("are numbered from 1, and sent in the order in which they are made", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      for (let i = 0; i < 5; i++) {
        yield* Effect.forkChild(remote.call("x", [i]))
        yield* Effect.forkChild(remote.notify("y", { i }))
      }
      for (let i = 0; i < 5; i++) {
        assert.strictEqual(yield* peer.take, message(`"id":${i + 1},"method":"x","params":[${i}]`))
        assert.strictEqual(yield* peer.take, message(`"method":"y","params":{"i":${i}}`))
      }
    }))

  it.effect("by position leave out what is absent at the end", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      const client = yield* JsonRpcClient.fromRemote(Group, remote, { positional: true })
      yield* Effect.forkChild(client.pair({ a: 1 }))
      yield* Effect.forkChild(client.pair({ a: 1, b: 2 }))
      assert.deepStrictEqual((yield* peer.takeJson).params, [1])
      assert.deepStrictEqual((yield* peer.takeJson).params, [1, 2])
    }))

  it.effect("that are no JSON fail at once and are not sent", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      const cyclic: Record<string, unknown> = {}
      cyclic.self = cyclic
      for (const params of [[1n], cyclic]) {
        assert.strictEqual((yield* Effect.flip(remote.call("x", params))).reason._tag, "ProtocolError")
        assert.strictEqual((yield* Effect.flip(remote.notify("x", params))).reason._tag, "ProtocolError")
      }
      yield* Effect.forkChild(remote.call("next"))
      assert.strictEqual((yield* peer.takeJson).method, "next")
      assert.strictEqual(remote.port!.caller.inFlight, 1)
    }))
})

type RpcClientOf = Effect.Success<ReturnType<typeof connect>>["client"]

describe("answers", () => {
  it.effect("are results also where Python would take them for none", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      for (const [i, value] of [0, "", false, null, [], {}].entries()) {
        const exit = yield* answered(
          remote.call("x"),
          peer,
          message(`"result":${JSON.stringify(value)},"id":${i + 1}`)
        )
        assert.deepStrictEqual(exit, Exit.succeed(value) as any)
      }
    }))

  it.effect("may write the id as a string, come in any order, and carry more members", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      const a = yield* Effect.forkChild(remote.call("a"))
      const b = yield* Effect.forkChild(remote.call("b"))
      yield* Effect.yieldNow
      yield* peer.send(message(`"result":"b","id":"2"`), `{"id":1,"result":"a","error":null,"x":1}`)
      assert.deepStrictEqual([yield* Fiber.join(a), yield* Fiber.join(b)], ["a", "b"])
    }))

  it.effect("for nobody, twice, or broken, harm nothing", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      const exit = yield* answered(
        remote.call("x"),
        peer,
        message(`"result":1,"id":99`),
        message(`"result":1,"id":"x"`),
        message(`"result":1`),
        message(`"result":1,"id":{}`),
        message(`"error":7,"id":99`),
        "no JSON",
        "[]",
        "[[]]",
        message(`"result":"first","id":1`),
        message(`"result":"second","id":1`)
      )
      assert.deepStrictEqual(exit, Exit.succeed("first") as any)
      assert.isTrue(yield* remote.connected)
      assert.deepStrictEqual(yield* peer.pending, [])
    }))

  it.effect("that nest too deeply fail their call, and no other", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      const deep = "[".repeat(1_000_000) + "]".repeat(1_000_000)
      const exit = yield* answered(remote.call("x"), peer, message(`"result":${deep},"id":1`))
      assert.strictEqual(reasonOf(exit)?._tag, "ProtocolError")
      assert.deepStrictEqual(
        yield* answered(remote.call("x"), peer, message(`"result":[[1]],"id":2`)),
        Exit.succeed([[1]]) as any
      )
    }))

  const errors: ReadonlyArray<readonly [string, string, unknown]> = [
    ["a plain one", `{"code":5,"message":"m"}`, [5, "m", undefined]],
    ["with data", `{"code":5,"message":"m","data":[1]}`, [5, "m", [1]]],
    ["with null as data", `{"code":5,"message":"m","data":null}`, [5, "m", null]],
    ["without code", `{"message":"m"}`, [-32000, "m", undefined]],
    ["without message", `{"code":5}`, [5, "the peer gave no message", undefined]],
    ["a fraction as code", `{"code":5.5,"message":"m"}`, [-32000, "m", undefined]],
    ["a string", `"m"`, [-32000, "m", undefined]]
  ]
  for (const [name, error, expected] of errors) {
    it.effect(`that are errors: ${name}`, () =>
      Effect.gen(function*() {
        const { peer, remote } = yield* connect()
        const reason = reasonOf(yield* answered(remote.call("x"), peer, message(`"error":${error},"id":1`)))
        assert.isTrue(reason?._tag === "RemoteError")
        if (reason?._tag === "RemoteError") {
          assert.deepStrictEqual([reason.code, reason.message, reason.data] as unknown, expected)
        }
      }))
  }

  it.effect("become the error of the contract that has the code and whose data fits, else RemoteError", () =>
    Effect.gen(function*() {
      const { client, peer } = yield* connect()
      const failure = (id: number, data: string) =>
        Effect.map(
          answered(client.risky(), peer, message(`"error":{"code":-32001,"message":"m","data":${data}},"id":${id}`)),
          (exit) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        )
      assert.deepStrictEqual(yield* failure(1, `{"_tag":"One","a":1}`), new One({ a: 1 }))
      assert.deepStrictEqual(yield* failure(2, `{"_tag":"Two","b":2}`), new Two({ b: 2 }))
      const neither = yield* failure(3, `{"_tag":"Three"}`)
      assert.isTrue(neither instanceof JsonRpcError.JsonRpcError && neither.reason._tag === "RemoteError")
      const declared = yield* answered(client.remote(), peer, message(`"error":{"code":1,"message":"m"},"id":4`))
      assert.deepStrictEqual(declared, Exit.fail(new JsonRpcError.RemoteError({ code: 1, message: "m" })) as any)
    }))
})

describe("batches", () => {
  it.effect("are typed by position whatever the order and the framing of the answers", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      const exit = yield* answered(
        JsonRpcClient.batch([remote.call("a"), remote.call("b"), remote.call("c")]),
        peer,
        `[${message(`"result":"c","id":3`)},${message(`"result":"a","id":1`)}]`,
        message(`"result":"b","id":2`)
      )
      assert.deepStrictEqual(exit, Exit.succeed(["a", "b", "c"]) as any)
    }))

  it.effect("of one call are no array, calls made later go by themselves", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      yield* Effect.forkChild(
        JsonRpcClient.batch([
          remote.call("a"),
          Effect.andThen(Effect.sleep("1 second"), remote.call("late"))
        ])
      )
      assert.strictEqual((yield* peer.takeJson).method, "a")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* peer.takeJson).method, "late")
    }))

  it.effect("take the calls of one connection; those of another go by themselves", () =>
    Effect.gen(function*() {
      const first = yield* connect()
      const second = yield* connect()
      yield* Effect.forkChild(
        JsonRpcClient.batch([first.remote.call("a"), second.remote.call("b"), first.remote.call("c")])
      )
      assert.deepStrictEqual((yield* first.peer.takeJson).map((one: any) => one.method), ["a", "c"])
      assert.strictEqual((yield* second.peer.takeJson).method, "b")
    }))

  it.effect("that are interrupted cancel each of their calls once", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect({ wire: Wire.rockets })
      const fiber = yield* Effect.forkChild(JsonRpcClient.batch([remote.call("a"), remote.call("b")]))
      yield* peer.take
      yield* Fiber.interrupt(fiber)
      const cancelled = [(yield* peer.takeJson).params.id, (yield* peer.takeJson).params.id]
      assert.deepStrictEqual(cancelled.sort(), [1, 2])
      assert.deepStrictEqual(yield* peer.pending, [])
    }))
})

describe("streams", () => {
  it.effect("give the elements that come as progress, then those of the answer that did not", () =>
    Effect.gen(function*() {
      const { client, peer } = yield* connect({ wire: Wire.rockets })
      const exit = yield* answered(
        Stream.runCollect(client.count()),
        peer,
        message(`"method":"progress","params":{"id":1,"operation":"","amount":0,"value":[1,2]}`),
        message(`"method":"progress","params":{"id":1,"operation":"","amount":0.5}`),
        message(`"result":[1,2,3],"id":1`)
      )
      assert.deepStrictEqual(exit, Exit.succeed([1, 2, 3]) as any)
    }))

  it.effect("fail with ProtocolError at an element that does not fit", () =>
    Effect.gen(function*() {
      const { client, peer } = yield* connect({ wire: Wire.rockets })
      for (
        const [i, frame] of [
          `"method":"progress","params":{"id":1,"value":["x"]}`,
          `"result":[1,"x"],"id":2`
        ].entries()
      ) {
        const exit = yield* answered(Stream.runCollect(client.count()), peer, message(frame))
        assert.strictEqual(reasonOf(exit)?._tag, "ProtocolError", `${i}`)
        // the first is not answered yet, so the server need not go on
        if (i === 0) assert.deepStrictEqual((yield* peer.takeJson).params, { id: 1 })
        assert.deepStrictEqual(yield* peer.pending, [])
      }
    }))
})

it.effect("progress that comes after the answer, or for nobody, is dropped", () =>
  Effect.gen(function*() {
    const { peer, remote } = yield* connect({ wire: Wire.rockets })
    const heard: Array<number> = []
    const call = remote.call("x").pipe(Progress.tap((report) => Effect.sync(() => heard.push(report.amount))))
    const exit = yield* answered(
      call,
      peer,
      message(`"method":"progress","params":{"id":9,"operation":"","amount":0.1}`),
      message(`"method":"progress","params":{"id":"1","operation":"","amount":0.2}`),
      message(`"result":1,"id":1`),
      message(`"method":"progress","params":{"id":1,"operation":"","amount":0.3}`)
    )
    assert.deepStrictEqual(exit, Exit.succeed(1) as any)
    yield* Effect.yieldNow
    assert.deepStrictEqual(heard, [0.2])
  }))

it.effect("a client that cannot connect says so, and its calls were not executed", () =>
  Effect.gen(function*() {
    const memory = yield* Effect.scoped(MemorySocket.makeServer())
    const remote = yield* JsonRpcClient.fromSocket(memory.connect(), { connect: "lazy" })
    assert.isFalse(yield* remote.connected)
    const refused = yield* Effect.flip(remote.connect)
    assert.isTrue(refused.reason._tag === "ConnectionError" && !refused.reason.maybeExecuted)
    const late = yield* Effect.flip(remote.call("x"))
    assert.isTrue(late.reason._tag === "ConnectionError" && !late.reason.maybeExecuted)
  }))

it.effect("a server that calls a client without methods is told that there are none", () =>
  Effect.gen(function*() {
    const { peer, remote } = yield* connect()
    yield* remote.connect
    yield* peer.send(message(`"method":"x","id":7`), message(`"method":"x"`), "no JSON")
    assert.deepStrictEqual(yield* peer.takeJson, {
      jsonrpc: "2.0",
      error: { code: -32601, message: "Method not found" },
      id: 7
    })
    yield* Effect.yieldNow
    assert.deepStrictEqual(yield* peer.pending, [])
  }))

it.effect("a payload that may be anything arrives as it was, over both of our ends", () =>
  Effect.gen(function*() {
    const Any = RpcGroup.make(
      Rpc.make("mixed", {
        payload: Schema.Union([Schema.String, Schema.Struct({ a: Schema.Int })]),
        success: Schema.Json
      })
    )
    const client = yield* JsonRpcTest.makeClient(Any).pipe(
      Effect.provide(Any.toLayer({ mixed: (payload) => Effect.succeed(payload) }))
    )
    assert.strictEqual(yield* client.mixed("x"), "x")
    assert.deepStrictEqual(yield* client.mixed({ a: 1 }), { a: 1 })
  }))

it.effect("what throws while a message is handled concerns that message only", () =>
  Effect.gen(function*() {
    const broken: Wire.Wire = {
      ...Wire.rockets,
      progress: {
        ...Wire.rockets.progress!,
        decode: () => {
          throw new Error("broken wire")
        }
      }
    }
    const { peer, remote } = yield* connect({ wire: broken })
    const exit = yield* answered(
      remote.call("x"),
      peer,
      message(`"method":"progress","params":{"id":1}`),
      message(`"result":5,"id":1`)
    )
    assert.deepStrictEqual(exit, Exit.succeed(5))
  }).pipe(Effect.provide(Logger.layer([]))))

describe("nest", () => {
  const flat = {
    "a": (n: number) => `a${n}`,
    "a.b": (n: number) => `ab${n}`,
    "a.name": () => "named",
    "a.b.length": () => "long",
    "x__y.z": () => "xyz",
    "constructor.prototype": () => "proto",
    "__proto__.polluted": () => "no"
  }

  it("gives methods by segments, also below methods, whatever they are called", () => {
    const nested = JsonRpcClient.nest(flat, ".")
    const a: string = nested.a(1)
    const ab: string = nested.a.b(2)
    assert.deepStrictEqual([a, ab], ["a1", "ab2"])
    assert.strictEqual((nested.a.name as unknown as () => string)(), "named")
    assert.strictEqual((nested.a.b.length as unknown as () => string)(), "long")
    assert.strictEqual(nested.x__y.z(), "xyz")
    assert.strictEqual((nested.constructor as any).prototype(), "proto")
    assert.isUndefined(({} as any).polluted)
    // @ts-expect-error there is no such method
    assert.isUndefined(nested.b)
  })

  it("leaves the client as it was", () => {
    JsonRpcClient.nest(flat, ".")
    assert.deepStrictEqual(Object.keys(flat.a), [])
    assert.strictEqual(flat.a.name, "a")
  })

  it("takes any separator", () => {
    assert.strictEqual(JsonRpcClient.nest(flat, "__").x["y.z"](), "xyz")
  })
})

describe("namespace", () => {
  it.effect("sends arguments by position, one object by name, and nothing where there is nothing", () =>
    Effect.gen(function*() {
      const { peer, remote } = yield* connect()
      const server = JsonRpcClient.namespace(remote)
      const under = JsonRpcClient.namespace(remote, { separator: "__" })
      const calls = [
        server.app!.users!.get!(1, 2),
        server.app!.users!.get!({ from: 1 }),
        server.app!.users!.get!([1, 2]),
        server.app!.users!.get!({ a: 1 }, 2),
        server.call!(),
        (server as any as { readonly toString: JsonRpcClient.Namespace }).toString(),
        under.app!.users!.get!("x")
      ]
      for (const call of calls) yield* Effect.forkChild(call)
      const sent: Array<unknown> = []
      for (let i = 0; i < calls.length; i++) {
        const { method, params } = yield* peer.takeJson
        sent.push([method, params])
      }
      assert.deepStrictEqual(sent, [
        ["app.users.get", [1, 2]],
        ["app.users.get", { from: 1 }],
        ["app.users.get", [[1, 2]]],
        ["app.users.get", [{ a: 1 }, 2]],
        ["call", undefined],
        ["toString", undefined],
        ["app__users__get", ["x"]]
      ])
      assert.isUndefined((server as any).then)
    }))
})

it.effect("what is sent as soon as the connection is open leaves, though the client is closed next", () =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const peer = yield* fromSocket(far)
    const client = yield* JsonRpcClient.fromSocket(near, { connect: "lazy" })
    yield* client.connect
    yield* client.notify("hello")
    yield* client.disconnect
    assert.strictEqual((yield* peer.takeJson).method, "hello")
  }))
