import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { JsonPointer, JugglerClient, JugglerServer, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { raw, type RawPeer, settle } from "./wire.ts"

type Json = JsonPointer.Json

const entries = (count: number): { [key: string]: Json } =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, i]))

const served = (options: JugglerServer.Options) =>
  Effect.gen(function*() {
    const memory = yield* MemorySocket.makeServer()
    yield* Effect.forkScoped(memory.server.run(yield* JugglerServer.make(undefined, options)))
    return memory
  })

/** What came, its segments put together; pings and pongs as text. */
const messages = (peer: RawPeer): ReadonlyArray<any> => {
  const found: Array<unknown> = []
  let text = ""
  for (const frame of peer.frames.splice(0)) {
    if (frame[0] === "2" || frame[0] === "3") found.push(frame)
    else text += frame.slice(1)
    if (frame[0] !== "0") continue
    found.push(JSON.parse(text))
    text = ""
  }
  return found
}

const stateOf = (peer: RawPeer) => messages(peer).find((message) => message.type === "state")

/** A client of ours before a server that is nothing but frames. */
const scripted = Effect.gen(function*() {
  const [server, client] = yield* MemorySocket.makePair()
  const peer = yield* raw(server)
  const juggler = yield* JugglerClient.fromSocket(client, { reconnect: false, keepAlive: false })
  yield* settle
  assert.deepStrictEqual(messages(peer), ["2effect-wire/resume"])
  const tell = (diff: ReadonlyArray<unknown>, stamp: object = {}) =>
    peer.send("0" + JSON.stringify({ type: "state", diff, ...stamp }))
  return { peer, juggler, tell }
})

const put = (value: Json) => [{ op: "replace", path: "/n", value }]

describe("resume", () => {
  it.effect("a client that missed ten changes of 100,000 entries is sent those, in less than 2 kB", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(entries(100_000))
      const memory = yield* served({ state, keepAlive: false })
      const first = yield* raw(memory.connect())
      yield* settle
      yield* first.send("2effect-wire/resume")
      const { diff, epoch, version } = stateOf(first)
      assert.strictEqual(diff[0].path, "")
      yield* first.close
      for (let i = 0; i < 10; i++) yield* state.put([`key${i * 7}`], "new")
      const second = yield* raw(memory.connect())
      yield* settle
      yield* second.send(`2effect-wire/resume ${epoch} ${version}`)
      assert.isBelow(second.frames.join("").length, 2_000)
      assert.deepStrictEqual(stateOf(second), {
        type: "state",
        diff: Array.from({ length: 10 }, (_, i) => ({ op: "replace", path: `/key${i * 7}`, value: "new" })),
        epoch,
        version: version + 10,
        base: version
      })
    }))

  it.effect("goes on after a reconnection where it stopped, whatever happened in between", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ ...entries(3_000), list: [{ a: 1 }] })
      const memory = yield* served({ state, autoflush: "50 millis" })
      const client = yield* JugglerClient.fromSocket(memory.connect())
      yield* client.connect
      yield* settle
      for (let round = 0; round < 4; round++) {
        yield* client.redial
        yield* state.update((draft: any) => {
          draft.list.unshift({ round })
          delete draft[`key${round}`]
          draft.deep = { round: [round] }
        })
        yield* state.put(["list", "-"], round)
        const before = yield* client.state.version
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(yield* client.state.json, yield* state.json)
        // one commit: what was missed, not the whole compared with what was there
        assert.strictEqual((yield* client.state.version) - before, 1)
        yield* state.put(["live"], round)
        yield* TestClock.adjust("50 millis")
        yield* settle
        assert.deepStrictEqual(yield* client.state.json, yield* state.json)
      }
    }))

  it.effect("sends the whole where the log does not reach back, and to who stopped in another epoch", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(entries(3_000))
      const memory = yield* served({ state, keepAlive: false, autoflush: 0, resume: { maxSize: 500 } })
      const first = yield* raw(memory.connect())
      yield* first.send("2effect-wire/resume")
      const { epoch, version } = stateOf(first)
      for (let i = 0; i < 20; i++) yield* state.put([`key${i}`], "new")
      for (const point of [`${epoch} ${version}`, `foreign ${version + 20}`, `${epoch} ${version + 99}`]) {
        const peer = yield* raw(memory.connect())
        yield* peer.send(`2effect-wire/resume ${point}`)
        const message = stateOf(peer)
        assert.strictEqual(message.diff[0].path, "")
        assert.strictEqual(message.version, version + 20)
        assert.isFalse("base" in message)
      }
    }))

  it.effect("is invisible to others: a ping, and the whole with their pong, or their first word, or after a second", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(entries(3_000))
      const memory = yield* served({ state, keepAlive: false })
      const peers: Array<RawPeer> = []
      for (let i = 0; i < 3; i++) peers.push(yield* raw(memory.connect()))
      yield* settle
      for (const peer of peers) assert.deepStrictEqual(messages(peer), ["2effect-wire/resume"])
      yield* peers[0]!.send("3effect-wire/resume")
      yield* peers[1]!.send(`0{"type":"request","id":1,"name":"","data":1}`)
      for (const peer of peers.slice(0, 2)) assert.deepStrictEqual(Object.keys(stateOf(peer)), ["type", "diff"])
      assert.deepStrictEqual(messages(peers[2]!), [])
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(Object.keys(stateOf(peers[2]!)), ["type", "diff"])
      yield* state.put(["key1"], null)
      yield* TestClock.adjust("200 millis")
      yield* settle
      for (const peer of peers) {
        assert.deepStrictEqual(messages(peer), [{
          type: "state",
          diff: [{ op: "replace", path: "/key1", value: null }]
        }])
      }
    }))

  it.effect("sees a gap, a duplicate and a foreign epoch, and has them repaired", () =>
    Effect.gen(function*() {
      const { juggler, peer, tell } = yield* scripted
      const n = Effect.map(juggler.state.json, (json) => (json as { n: Json }).n)
      const whole = [{ op: "replace", path: "", value: { n: 1 } }]
      yield* tell(whole, { epoch: "e", version: 5 })
      yield* tell(put(2), { epoch: "e", version: 6, base: 5 })
      yield* tell(put(0), { epoch: "e", version: 6, base: 5 })
      assert.deepStrictEqual([yield* n, messages(peer)], [2, []])
      yield* tell(put(9), { epoch: "e", version: 9, base: 8 })
      yield* tell(put(10), { epoch: "e", version: 10, base: 9 })
      assert.deepStrictEqual([yield* n, messages(peer)], [2, ["2effect-wire/resume e 6"]])
      yield* tell([...put(3), ...put(11)], { epoch: "e", version: 11, base: 6 })
      assert.strictEqual(yield* n, 11)
      yield* tell(put(12), { epoch: "f", version: 12, base: 11 })
      assert.deepStrictEqual([yield* n, messages(peer)], [11, ["2effect-wire/resume e 11"]])
      yield* tell([{ op: "replace", path: "", value: { n: 13 } }], { epoch: "f", version: 3 })
      yield* tell(put(14), { epoch: "f", version: 4, base: 3 })
      assert.deepStrictEqual([yield* n, messages(peer)], [14, []])
      yield* tell(put(20), { epoch: "f", version: 20, base: 19 })
      const lost = `0{"type":"state","diff":[],"epoch":"f","version":9,"base":8}`
      yield* peer.send(...Array.from({ length: 1_100 }, () => lost))
      assert.strictEqual(peer.closed(), 1002)
    }))

  it.effect("resumes nothing in the middle of a step of several patches", () =>
    Effect.gen(function*() {
      const { juggler, tell } = yield* scripted
      yield* tell([{ op: "replace", path: "", value: { n: 1 } }], { epoch: "e", version: 5 })
      yield* tell(put(2), { epoch: "e", version: 5, base: 5, more: true })
      yield* tell(put(3), { epoch: "e", version: 6, base: 5 })
      assert.deepStrictEqual(yield* juggler.state.json, { n: 3 })
      const state = yield* JugglerState.makeJson(entries(30_000))
      const memory = yield* served({ state, autoflush: "50 millis", keepAlive: false })
      const peer = yield* raw(memory.connect())
      yield* peer.send("2effect-wire/resume")
      const { version } = stateOf(peer)
      for (let i = 0; i < 1_500; i++) yield* state.put([`key${i}`], -1)
      yield* TestClock.adjust("50 millis")
      yield* settle
      const patches = messages(peer).filter((message) => message.type === "state")
      assert.deepStrictEqual(patches.map(({ base, diff, more, version }) => [diff.length, base, version, more]), [
        [1_000, version, version, true],
        [500, version, version + 1_500, undefined]
      ])
    }))

  it.effect("closes who asks again and again", () =>
    Effect.gen(function*() {
      const memory = yield* served({ state: yield* JugglerState.makeJson(entries(3_000)), keepAlive: false })
      const peer = yield* raw(memory.connect())
      for (let i = 0; i < 20; i++) yield* peer.send("2effect-wire/resume")
      assert.strictEqual(peer.closed(), 1008)
    }))

  it.effect("tells nobody anything where it is switched off", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(entries(3_000))
      const memory = yield* served({ state, keepAlive: false, resume: false })
      const client = yield* JugglerClient.fromSocket(memory.connect())
      yield* client.connect
      yield* Stream.runHead(Stream.filter(client.state.changes, (value) => value !== null))
      assert.deepStrictEqual(yield* client.state.json, yield* state.json)
    }))

  it.effect("sends a slow reader what it missed, not the whole", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(entries(3_000))
      const server = yield* MemorySocket.makeServer({ capacity: 1 })
      const run = yield* JugglerServer.make(undefined, { state, keepAlive: false, autoflush: 0, highWaterMark: 500 })
      yield* Effect.forkScoped(server.server.run(run))
      const socket = server.connect()
      const { pull } = yield* socket.reader
      const writer = yield* socket.writer
      const frames: Array<string> = []
      const read = Effect.gen(function*() {
        for (let idle = 0; idle < 3;) {
          const batch = yield* Effect.timeoutOption(pull, "1 millis").pipe(
            Effect.raceFirst(Effect.andThen(settle, Effect.succeedNone))
          )
          if (batch._tag === "None") idle++
          else frames.push(...batch.value.map(String))
        }
        const peer = { frames } as RawPeer
        return messages(peer).filter((message) => message.type === "state")
      })
      yield* writer.write("2effect-wire/resume")
      const [whole] = yield* read
      assert.strictEqual(whole.diff[0].path, "")
      for (let i = 0; i < 100; i++) yield* state.put([`key${i}`], "new")
      yield* settle
      const missed = yield* read
      let version = whole.version
      let count = 0
      for (const step of missed) {
        assert.strictEqual(step.base, version)
        version = step.version
        count += step.diff.length
      }
      assert.strictEqual(version, yield* state.version)
      assert.strictEqual(count, 100)
      assert.isBelow(missed.length, 50)
    }))

  it.effect("goes on in another run with what it holds from an earlier one", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(entries(3_000))
      const memory = yield* served({ state, keepAlive: false, autoflush: 0 })
      const client = yield* JugglerClient.fromSocket(memory.connect())
      yield* client.connect
      yield* settle
      const held = { value: yield* client.state.json, position: yield* client.position }
      assert.strictEqual(held.position?.version, yield* state.version)
      yield* client.disconnect
      yield* state.put(["key7"], "missed")
      // another run: what was written somewhere is read again
      const options = { state: Schema.Json, holding: JSON.parse(JSON.stringify(held)), connect: "lazy" } as const
      const later = yield* JugglerClient.fromSocket(memory.connect(), options)
      assert.strictEqual(((yield* later.state.get) as any).key7, 7)
      const seen: Array<Json> = []
      yield* Effect.forkScoped(Stream.runForEach(later.state.commits({ holding: held.value }), ({ changes }) =>
        Effect.sync(() =>
          void seen.push(changes as never)
        )))
      yield* settle
      yield* later.connect
      yield* settle
      assert.deepStrictEqual(seen as ReadonlyArray<unknown>, [[{ op: "replace", path: ["key7"], value: "missed" }]])
      assert.deepStrictEqual(yield* later.state.json, yield* state.json)
      // a position that the server does not know, and a value that is another: the whole repairs it
      const foreign = yield* JugglerClient.fromSocket(memory.connect(), {
        holding: { value: { other: true }, position: { epoch: "other", version: 7 } }
      })
      yield* foreign.connect
      yield* settle
      assert.deepStrictEqual(yield* foreign.state.json, yield* state.json)
      // what cannot be a state is not begun with
      const broken = yield* JugglerClient.fromSocket(memory.connect(), { connect: "lazy", holding: { value: NaN } })
      assert.isNull(yield* broken.state.json)
    }))
})
