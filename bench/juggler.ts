/**
 * What Juggler's parts cost, beside the libraries that others use for them. Medians, in microseconds; the last column
 * says how many times the first row's figure that is; rows take turns. Run: `npm run bench -- juggler`, or one
 * part of it: `npm run bench -- juggler fan-out` (patch, writes, wire, fan-out, memory, resume, views, guesses, local)
 */
import { Effect, Layer, Result } from "effect"
import {
  JsonPatch,
  JugglerClient,
  JugglerGeneration,
  JugglerServer,
  JugglerState,
  JugglerView
} from "effect-wire/juggler"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Budget, MemorySocket } from "effect-wire/socket"
import { SocketServer } from "effect/socket"
import fastJsonPatch from "fast-json-patch"
import * as mutative from "mutative"
import type { AddressInfo } from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as rfc6902 from "rfc6902"
import { WebSocket, WebSocketServer } from "ws"
import { follow } from "./support/followers.ts"

const print = (line: string) => process.stdout.write(`${line}\n`)

type Flat = { [key: string]: number }

const flat = (size: number): Flat => Object.fromEntries(Array.from({ length: size }, (_, i) => [`key${i}`, i]))
const grouped = (groups: number, size: number): { [key: string]: Flat } =>
  Object.fromEntries(Array.from({ length: groups }, (_, g) => [`group${g}`, flat(size)]))

/** The median of one call, in microseconds, of several that take turns, so that all of them meet the same machine. */
const medians = (calls: ReadonlyArray<(i: number) => unknown>, budget = 150): ReadonlyArray<number> => {
  const rows = calls.map((call) => ({ call, inner: 1, samples: [] as Array<number>, i: 0 }))
  const sample = (row: typeof rows[number]): number => {
    const start = performance.now()
    for (let j = 0; j < row.inner; j++) row.call(row.i++)
    return performance.now() - start
  }
  // once cold, once compiled
  for (const _ of [1, 2]) {
    for (const row of rows) {
      row.inner = 1
      while (sample(row) < 0.05 && row.inner < 4_096) row.inner *= 2
    }
  }
  const began = performance.now()
  for (let round = 0; round < 9 || (performance.now() - began < budget * rows.length && round < 5_000); round++) {
    for (const row of rows) row.samples.push((sample(row) * 1_000) / row.inner)
  }
  return rows.map(({ samples }) => samples.sort((a, b) => a - b)[samples.length >> 1]!)
}

const median = (call: (i: number) => unknown): number => medians([call])[0]!

const table = (title: string, rows: ReadonlyArray<readonly [string, (i: number) => unknown]>) => {
  print(`\n${title}`)
  const failed = new Map<string, string>()
  for (const [name, call] of rows) {
    try {
      call(0)
    } catch (error) {
      failed.set(name, (error as Error).message)
    }
  }
  const measured = rows.filter(([name]) => !failed.has(name))
  const times = medians(measured.map(([, call]) => call))
  for (const [name] of rows) {
    const value = times[measured.findIndex((row) => row[0] === name)]
    const text = value === undefined
      ? failed.get(name)!.padStart(12)
      : `${value.toFixed(2).padStart(12)} us  ${(value / times[0]!).toFixed(2).padStart(9)} x`
    print(`  ${name.padEnd(44)}${text}`)
  }
}

const ours = (from: unknown, to: unknown) => Result.getOrThrow(JsonPatch.diff(from as never, to as never))

const libraries = () => {
  for (const size of [10, 1_000, 100_000]) {
    const from = flat(size)
    const to = { ...from, key5: -1 }
    table(`diff: one field of a flat object of ${size} changed`, [
      ["JsonPatch.diff, to and fro", (i) => i % 2 === 0 ? ours(from, to) : ours(to, from)],
      ["fast-json-patch compare", () => fastJsonPatch.compare(from, to)],
      ["rfc6902 createPatch", () => rfc6902.createPatch(from, to)]
    ])
    table(`apply: one replace, the document stays as it was, flat object of ${size}`, [
      ["JsonPatch.apply", (i) => JsonPatch.apply(from, [{ op: "replace", path: "/key5", value: -1 - i }])],
      ["mutative apply", (i) => mutative.apply(from, [{ op: "replace", path: ["key5"], value: -1 - i }])],
      [
        "fast-json-patch applyPatch, copying",
        (i) => fastJsonPatch.applyPatch(from, [{ op: "replace", path: "/key5", value: -1 - i }], false, false)
      ]
    ])
  }

  {
    const from = grouped(1_000, 100)
    const to = { ...from, group5: { ...from["group5"]!, key5: -1 } }
    table("diff: one field of 1,000 groups of 100 changed, the rest shared", [
      ["JsonPatch.diff, to and fro", (i) => i % 2 === 0 ? ours(from, to) : ours(to, from)],
      ["fast-json-patch compare", () => fastJsonPatch.compare(from, to)],
      ["rfc6902 createPatch", () => rfc6902.createPatch(from, to)]
    ])
  }

  {
    const items = Array.from({ length: 10_000 }, (_, i) => ({ id: i, name: `item ${i}` }))
    const to = [{ id: -1, name: "new" }, ...items]
    const parsed = JSON.parse(JSON.stringify(to))
    const list = Array.from({ length: 100_000 }, (_, i) => ({ id: i }))
    const other = list.slice()
    other[50_000] = { id: -1 }
    table("diff: one of 100,000 items of an array changed, the rest shared", [
      ["JsonPatch.diff", () => ours(list, other)],
      ["fast-json-patch compare", () => fastJsonPatch.compare(list, other)]
    ])
    table("diff: an item inserted at the head of 10,000", [
      ["JsonPatch.diff", () => ours(items, to)],
      ["JsonPatch.diff, nothing shared", () => ours(items, parsed)],
      ["fast-json-patch compare", () => fastJsonPatch.compare(items, to)],
      [
        "mutative create, unshift",
        () => mutative.create(items, (draft) => void draft.unshift({ id: -1, name: "new" }), { enablePatches: true })
      ],
      ["rfc6902 createPatch", () => rfc6902.createPatch(items, to)]
    ])
    const { [1]: patches } = mutative.create(items, (draft) => void draft.unshift({ id: -1, name: "new" }), {
      enablePatches: true
    })
    print(
      `  operations: ours ${ours(items, to).length}, fast-json-patch ${
        fastJsonPatch.compare(items, to).length
      }, mutative ${patches.length}`
    )
  }
}

/** The least that a comparison of two objects costs: each key of the one, and its value by reference in both. */
const floor = (from: Flat, to: Flat): number => {
  let differing = 0
  const keys = Object.keys(to)
  for (let i = 0; i < keys.length; i++) if (from[keys[i]!] !== to[keys[i]!]) differing++
  return differing
}

/** Writes to a state that is large; sizes the goals are set for. */
const writes = Effect.gen(function*() {
  for (const size of [1_000, 100_000]) {
    const state = yield* JugglerState.makeJson(flat(size))
    const last = Effect.runSync(state.json) as Flat
    let copy: Flat = last
    const next = (i: number) => (copy = { ...last, key5: -1 - i })
    const took: Array<Array<number>> = [[], [], []]
    const timed = (row: number, call: () => void) => {
      const start = performance.now()
      call()
      took[row]!.push((performance.now() - start) * 1_000)
    }
    for (let i = 0; i < (size > 10_000 ? 30 : 1_000); i++) {
      const before = Effect.runSync(state.json) as Flat
      next(i)
      timed(0, () => floor(before, copy))
      timed(1, () => Effect.runSync(state.set(copy)))
      timed(2, () => fastJsonPatch.compare(before, copy))
    }
    print(`\nset of a flat map of ${size} with one change`)
    const [first, ...rest] = took.map((times) => times.sort((a, b) => a - b)[times.length >> 1]!)
    for (const [i, name] of ["the floor: one pass by reference", "state.set", "fast-json-patch compare"].entries()) {
      const value = [first!, ...rest][i]!
      print(`  ${name.padEnd(44)}${value.toFixed(2).padStart(12)} us  ${(value / first!).toFixed(2).padStart(9)} x`)
    }

    const owned = yield* JugglerState.makeJson(flat(size))
    const seen = yield* JugglerState.makeJson(flat(size))
    let held: Flat = flat(size)
    // by themselves: beside what copies the whole they are measured on what it leaves of the caches
    table(`one field of a flat map of ${size}`, [
      ["put", (i) => Effect.runSync(owned.put(["key5"], -1 - i))],
      ["recipe", (i) => Effect.runSync(owned.update((draft: Flat) => void (draft["key5"] = -1 - i)))]
    ])
    table(`one field of a flat map of ${size}, and the whole as a value of its own each time`, [
      ["put, and the whole is read", (i) => {
        Effect.runSync(seen.put(["key5"], -1 - i))
        return Effect.runSync(seen.json)
      }],
      ["mutative create with patches", (i) => {
        held = mutative.create(held, (draft) => void (draft["key5"] = -1 - i), { enablePatches: true })[0]
      }]
    ])
  }
})

/** Serves a WebSocket on a free port. */
const serve = (options: JugglerServer.Options) =>
  Effect.gen(function*() {
    const run = yield* JugglerServer.make(undefined, options)
    const context = yield* Layer.build(NodeWebSocketServer.layer({ maxConnections: 2_000 }))
    const server = yield* Effect.provideContext(Effect.service(SocketServer.SocketServer), context)
    yield* Effect.forkScoped(server.run(run))
    return server.address._tag === "UnixPathAddress" ? 0 : server.address.port
  })

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Median of one change, from the write at the server until it is applied at the client, in microseconds. */
const following = (size: number, over: "memory" | "WebSocket", how: "put" | "recipe" | "set", count: number) =>
  Effect.scoped(Effect.gen(function*() {
    const state = yield* JugglerState.makeJson(flat(size))
    const options = { state, autoflush: 0, generation: JugglerGeneration.v07 } as const
    const socket = over === "memory"
      ? yield* Effect.gen(function*() {
        const memory = yield* MemorySocket.makeServer()
        yield* Effect.forkScoped(memory.server.run(yield* JugglerServer.make(undefined, options)))
        return memory.connect()
      })
      : yield* NodeWebSocket.make(`127.0.0.1:${yield* serve(options)}`)
    const client = yield* JugglerClient.fromSocket(socket)
    yield* client.connect
    while ((yield* client.state.version) === 0) yield* Effect.sleep(1)
    let version = yield* client.state.version
    const times: Array<number> = []
    let value = yield* state.json
    for (let i = 1; i <= count; i++) {
      if (how === "set") value = { ...value as Flat, key5: -i }
      const start = performance.now()
      if (how === "put") yield* state.put(["key5"], -i)
      else if (how === "set") yield* state.set(value)
      else {
        yield* state.update((draft: Flat) => {
          draft["key5"] = -i
        })
      }
      while ((yield* client.state.version) === version) {
        yield* Effect.promise(over === "memory" ? () => Promise.resolve() : turn)
      }
      version++
      times.push(performance.now() - start)
    }
    return times.sort((a, b) => a - b)[count >> 1]! * 1_000
  }))

/** Medians of what one change costs until all clients have it, in milliseconds, and processor time of the server. */
const fanOut = (port: number, clients: number, changes: number, change: (i: number) => void, bytes: number) =>
  Effect.promise(() =>
    follow(port, "/", clients).then((followers) => {
      const times: Array<number> = []
      let cpu = 0
      const next = (i: number): Promise<{ readonly wall: number; readonly cpu: number }> => {
        if (i === changes) {
          followers.stop()
          return Promise.resolve({ wall: times.sort((a, b) => a - b)[changes >> 1]!, cpu: cpu / changes })
        }
        const done = followers.expect(bytes * clients)
        return turn().then(() => {
          const before = process.cpuUsage()
          const start = performance.now()
          change(i)
          return done.then(() => {
            times.push(performance.now() - start)
            const used = process.cpuUsage(before)
            cpu += (used.user + used.system) / 1_000
            return next(i + 1)
          })
        })
      }
      return next(0)
    })
  )

const number = (i: number) => 100_000 + i

const fanOutOurs = (clients: number, changes: number) =>
  Effect.scoped(Effect.gen(function*() {
    const state = yield* JugglerState.makeJson({ ...flat(1_000), key5: number(0) })
    const port = yield* serve({ state, autoflush: 0, generation: JugglerGeneration.v06, keepAlive: false })
    const bytes = JSON.stringify({ type: "state", diff: [{ op: "replace", path: "/key5", value: number(0) }] }).length +
      2
    return yield* fanOut(port, clients, changes, (i) => Effect.runSync(state.put(["key5"], number(i + 1))), bytes)
  }))

const fanOutBare = (clients: number, changes: number) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocketServer({ port: 0, host: "127.0.0.1" })),
      (server) =>
        Effect.sync(() => {
          for (const client of server.clients) client.terminate()
          server.close()
        })
    )
    yield* Effect.callback<void>((resume) => {
      server.once("listening", () => resume(Effect.void))
    })
    const port = (server.address() as AddressInfo).port
    const text = (i: number) => `{"type":"state","diff":[{"op":"replace","path":"/key5","value":${number(i)}}]}`
    return yield* fanOut(port, clients, changes, (i) => {
      const frame = text(i)
      for (const client of server.clients) client.send(frame)
    }, text(0).length + 2)
  }))

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** Mebibytes of the heap that are in use. */
const used = Effect.map(Effect.sleep(300), () => {
  for (let i = 0; i < 4; i++) collect()
  return process.memoryUsage().heapUsed / 1_048_576
})

/** Mebibytes of a state, and of all with its clients, once it was changed. */
const held = (size: number, clients: number) =>
  Effect.scoped(Effect.gen(function*() {
    const before = yield* used
    const state = yield* JugglerState.makeJson(flat(size))
    const one = (yield* used) - before
    const server = yield* MemorySocket.makeServer()
    yield* Effect.forkScoped(server.server.run(yield* JugglerServer.make(undefined, { state, autoflush: 0 })))
    for (let i = 0; i < clients; i++) {
      const socket = server.connect({ capacity: 1e9 })
      yield* Effect.forkScoped(Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        return yield* Effect.forever(pull)
      })))
    }
    // the peers say nothing: after a second they are sent everything
    yield* Effect.sleep(1_500)
    yield* state.put(["key5"], 1)
    yield* Effect.sleep(100)
    return { one, all: (yield* used) - before }
  }))

const memory = Effect.gen(function*() {
  // what is compiled meanwhile is no memory of the state
  yield* held(10, 10)
  const { all, one } = yield* held(100_000, 100)
  print(
    `\nmemory: a state of 100,000 entries ${one.toFixed(1)} MiB, with 100 clients ${all.toFixed(1)} MiB, ${
      (all / one).toFixed(2)
    } x`
  )
})

const wire = Effect.gen(function*() {
  for (const over of ["memory", "WebSocket"] as const) {
    print(`\none change of a flat object, from the write at the server until applied at the client, over ${over}`)
    for (const how of ["put", "recipe", "set"] as const) {
      yield* following(10, over, how, 1_000)
      const at: Array<number> = []
      for (const size of [10, 1_000, 100_000]) {
        at.push(yield* following(size, over, how, how === "set" && size > 10_000 ? 30 : 1_500))
      }
      print(
        `  ${how.padEnd(8)}${at.map((value) => `${value.toFixed(1).padStart(10)} us`).join("")}   100,000 : 10 = ${
          (at[2]! / at[0]!).toFixed(2)
        }`
      )
    }
  }
})

const fanOuts = Effect.gen(function*() {
  print("\none change to all clients, raw clients in a process of their own")
  for (const clients of [100, 1_000]) {
    const changes = clients === 100 ? 300 : 60
    const rows: Array<readonly [string, { readonly wall: number; readonly cpu: number }]> = []
    for (let round = 0; round < 4; round++) {
      rows.push(["bare ws loop, prepared string", yield* fanOutBare(clients, changes)])
      rows.push(["JugglerServer", yield* fanOutOurs(clients, changes)])
    }
    const best = (name: string) =>
      rows.filter((row) => row[0] === name).map((row) => row[1]).sort((a, b) => a.wall - b.wall)[0]!
    const bare = best("bare ws loop, prepared string")
    for (const name of ["bare ws loop, prepared string", "JugglerServer"]) {
      const { cpu, wall } = best(name)
      print(
        `  ${String(clients).padStart(5)} clients  ${name.padEnd(32)}${wall.toFixed(2).padStart(8)} ms  cpu ${
          cpu.toFixed(2).padStart(7)
        } ms  speed ${(bare.wall / wall).toFixed(2)}`
      )
    }
  }
})

/** A raw client of 0.7: how long from its greeting until it has been told the state, and by how many characters. */
const reconnection = (port: number, hello: string) =>
  Effect.callback<{ readonly millis: number; readonly characters: number; readonly message: any }>((resume) => {
    let start = 0
    const ws = new WebSocket(`ws://127.0.0.1:${port}/`)
    let characters = 0
    let text = ""
    ws.on("open", () => {
      start = performance.now()
      ws.send(hello)
    })
    ws.on("message", (data: Buffer) => {
      const frame = data.toString()
      characters += frame.length
      if (frame[0] !== "0" && frame[0] !== "1") return
      text += frame.slice(1)
      if (frame[0] === "1") return
      const message = JSON.parse(text)
      const millis = performance.now() - start
      ws.removeAllListeners("message")
      ws.close()
      resume(Effect.succeed({ millis, characters, message }))
    })
  })

const resume = Effect.gen(function*() {
  yield* Effect.scoped(Effect.gen(function*() {
    const state = yield* JugglerState.makeJson(flat(100_000))
    const port = yield* serve({ state, autoflush: 0, keepAlive: false })
    print(
      "\na client comes back to a state of 100,000 entries, from its greeting until it has what it missed, over WebSocket"
    )
    const wholes: Array<number> = []
    const missed: Array<number> = []
    let characters = [0, 0]
    for (let round = 0; round < 30; round++) {
      const whole = yield* reconnection(port, "2effect-wire/resume")
      for (let i = 0; i < 10; i++) yield* state.put([`key${round * 10 + i}`], -1)
      const { epoch, version } = whole.message
      const rest = yield* reconnection(port, `2effect-wire/resume ${epoch} ${version}`)
      wholes.push(whole.millis)
      missed.push(rest.millis)
      characters = [whole.characters, rest.characters]
    }
    const sorted = (times: Array<number>) => times.sort((a, b) => a - b)
    for (const [i, [name, times]] of ([["everything", wholes], ["10 changes", missed]] as const).entries()) {
      const ordered = sorted(times)
      print(
        `  ${name.padEnd(12)} median${ordered[times.length >> 1]!.toFixed(2).padStart(9)} ms  quickest${
          ordered[0]!.toFixed(2).padStart(9)
        } ms${String(characters[i]).padStart(10)} characters`
      )
    }
  }))
})

/** Processor time of one change, until it is written for everybody, by the number of clients and of their views. */
const views = Effect.gen(function*() {
  print("\none change that 10 views show, each a function of 1,000 entries, to clients in memory")
  for (const clients of [10, 100, 1_000]) {
    yield* Effect.scoped(Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(flat(1_000))
      let runs = 0
      let next = 0
      const made = Array.from({ length: 10 }, (_, view) =>
        JugglerView.make((value) => {
          runs++
          return { view, sum: Object.values(value as Flat).reduce((sum, one) => sum + one, 0) }
        }))
      const run = yield* JugglerServer.make(undefined, {
        state,
        autoflush: 0,
        keepAlive: false,
        view: () => made[next++ % 10]!
      })
      const server = yield* MemorySocket.makeServer({ capacity: 1e9 })
      yield* Effect.forkScoped(server.server.run(run))
      for (let i = 0; i < clients; i++) {
        const socket = server.connect()
        yield* Effect.forkScoped(Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          return yield* Effect.forever(pull)
        })))
      }
      yield* Effect.sleep(300)
      runs = 0
      const before = process.cpuUsage()
      for (let i = 1; i <= 200; i++) {
        yield* state.put(["key5"], -i)
        yield* Effect.promise(turn)
      }
      const { system, user } = process.cpuUsage(before)
      print(
        `  ${String(clients).padStart(5)} clients${(runs / 200).toFixed(1).padStart(8)} runs a change${
          ((user + system) / 200).toFixed(0).padStart(8)
        } us`
      )
    }))
  }
})

const guesses = Effect.scoped(Effect.gen(function*() {
  print("\na guess of one field, shown and taken back")
  for (const size of [10, 1_000, 100_000]) {
    const state = yield* JugglerState.makeJson(flat(size))
    const server = yield* MemorySocket.makeServer()
    yield* Effect.forkScoped(server.server.run(yield* JugglerServer.make(undefined, { state, keepAlive: false })))
    const client = yield* JugglerClient.fromSocket(server.connect(), { keepAlive: false })
    while ((yield* client.state.version) === 0) yield* Effect.sleep(1)
    const refused = Effect.fail("no")
    const time = median((i) =>
      Effect.runSyncExit(
        client.predict((draft) => {
          draft.key5 = -i
        })(refused)
      )
    )
    print(`  ${String(size).padStart(7)} entries${time.toFixed(2).padStart(10)} us`)
  }
}))

/** Processor time of this thread so far, in milliseconds. */
const threadTime = () => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1_000
}

/** What a client of 0.5 makes a server do that shows it its own data again, in processor time. */
const local = Effect.gen(function*() {
  print("\na client's data, shown to it again: keys that come 1,000 at a time, then one change at a time")
  for (const size of [1_000, 10_000, 100_000, 500_000]) {
    yield* Effect.scoped(Effect.gen(function*() {
      const server = yield* MemorySocket.makeServer({ capacity: 1e9 })
      const run = yield* JugglerServer.make(undefined, {
        generation: JugglerGeneration.v05,
        limits: { maxSize: 2 ** 30 },
        autoflush: "5 millis",
        onConnection: ({ local, remote }) =>
          Effect.orDie(Effect.andThen(local.set({ echo: null }), JugglerView.mirror(remote, [], local, ["echo"])))
      })
      yield* Effect.forkScoped(server.server.run(run))
      const socket = server.connect({ capacity: 1e9 })
      const { pull } = yield* socket.reader
      yield* Effect.forkScoped(Effect.ignore(Effect.forever(pull)))
      const writer = yield* socket.writer
      const took: Array<number> = []
      /** Until it was shown again; nothing else happens meanwhile. */
      const send = (payload: ReadonlyArray<unknown>) =>
        Effect.gen(function*() {
          const text = JSON.stringify({ type: "DATA", payload })
          const before = threadTime()
          yield* writer.write(text)
          yield* Effect.promise(turn)
          const received = threadTime() - before
          yield* Effect.sleep(8)
          took.push(received)
          return threadTime() - before
        })
      yield* send([{ op: "replace", path: "", value: {} }])
      for (let i = 0; i < size; i += 1_000) {
        yield* send(
          Array.from({ length: 1_000 }, (_, j) => ({ op: "add", path: `/${(i + j).toString(36)}`, value: 1 }))
        )
      }
      const all = took.reduce((sum, one) => sum + one, 0)
      const longest = Math.max(...took.slice(1))
      const changes: Array<number> = []
      for (let i = 0; i < 200; i++) {
        changes.push(yield* send([{ op: "replace", path: `/${i.toString(36)}`, value: `v${i}` }]))
      }
      print(
        `  ${String(size).padStart(7)} keys  all of them${all.toFixed(0).padStart(6)} ms, the longest of 1,000${
          longest.toFixed(1).padStart(7)
        } ms; one change${(changes.sort((a, b) => a - b)[100]! * 1_000).toFixed(0).padStart(6)} us`
      )
    }))
  }
}).pipe(Effect.provide(Budget.layer(2 ** 32, { maxConnectionBytes: 2 ** 31 })))

const parts: ReadonlyArray<readonly [string, Effect.Effect<void>]> = [
  ["patch", Effect.sync(libraries)],
  ["writes", Effect.orDie(writes)],
  ["wire", Effect.orDie(wire)],
  ["fan-out", fanOuts as Effect.Effect<void>],
  ["memory", memory as Effect.Effect<void>],
  ["resume", Effect.orDie(resume) as Effect.Effect<void>],
  ["views", Effect.orDie(views) as Effect.Effect<void>],
  ["guesses", Effect.orDie(guesses) as Effect.Effect<void>],
  ["local", Effect.orDie(local) as Effect.Effect<void>]
]
for (const [name, part] of parts) {
  if (process.argv[2] === undefined || process.argv[2] === name) await Effect.runPromise(part)
}
process.exit(0)
