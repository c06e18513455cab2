// @effect-diagnostics asyncFunction:off
/**
 * A load generator for WebSocket servers that writes frames made in advance and only counts what comes back, so that it
 * is not what is measured. It runs in a process of its own; the server runs in another, which reports its processor time.
 */
import { build } from "esbuild"
import { type ChildProcess, fork } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as Net from "node:net"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"

export interface Plan {
  readonly port: number
  readonly path: string
  readonly protocol?: string | undefined
  readonly connections: number
  /** Messages in flight on each connection. */
  readonly depth: number
  readonly seconds: number
  /** Sent in turn. */
  readonly messages: ReadonlyArray<string>
}

export interface Outcome {
  readonly answers: number
  readonly seconds: number
  /** Microseconds, at depth 1 only. */
  readonly p50: number
  readonly p99: number
}

export interface Result extends Outcome {
  readonly perSecond: number
  /** Microseconds of processor time of the server for each answer. */
  readonly cpu: number
}

const encode = (message: string): Buffer => {
  const payload = Buffer.from(message)
  const mask = randomBytes(4)
  const head = payload.length < 126
    ? Buffer.from([0x81, 0x80 | payload.length])
    : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff])
  for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i % 4]!
  return Buffer.concat([head, mask, payload])
}

/** Opens a raw connection and completes the handshake. */
export const open = (port: number, path: string, protocol?: string): Promise<Net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.setNoDelay()
    socket.once("error", reject)
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
        (protocol === undefined ? "\r\n" : `Sec-WebSocket-Protocol: ${protocol}\r\n\r\n`)
    )
    let head = ""
    const onData = (data: Buffer) => {
      head += data.toString("latin1")
      if (!head.includes("\r\n\r\n")) return
      socket.off("data", onData)
      if (!head.startsWith("HTTP/1.1 101")) reject(new Error(head))
      else resolve(socket)
    }
    socket.on("data", onData)
  })

/** Counts whole frames in what a server sends. */
export const counter = () => {
  let skip = 0
  let head: Buffer = Buffer.alloc(0)
  return (data: Buffer): number => {
    let frames = 0
    let at = 0
    if (head.length > 0) {
      data = Buffer.concat([head, data])
      head = Buffer.alloc(0)
    }
    for (;;) {
      if (skip > 0) {
        const n = Math.min(skip, data.length - at)
        at += n
        skip -= n
        if (skip > 0) return frames
        frames++
      }
      const rest = data.length - at
      if (rest === 0) return frames
      const short = rest < 2 ? -1 : data[at + 1]! & 0x7f
      const size = short < 0 ? Infinity : short < 126 ? 2 : short === 126 ? 4 : 10
      if (rest < size) {
        head = data.subarray(at)
        return frames
      }
      skip = short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2))
      at += size
      if (skip === 0) frames++
    }
  }
}

const generate = async (plan: Plan): Promise<Outcome> => {
  const frames = plan.messages.map(encode)
  // Runs of frames for one write, so that the generator copies little.
  let next = 0
  const take = (count: number): Buffer => {
    if (count === 1) {
      next = (next + 1) % frames.length
      return frames[next]!
    }
    const out: Array<Buffer> = []
    for (let i = 0; i < count; i++) {
      next = (next + 1) % frames.length
      out.push(frames[next]!)
    }
    return Buffer.concat(out)
  }
  let answers = 0
  let measuring = false
  let done = false
  const latencies: Array<number> = []
  const sockets = await Promise.all(
    Array.from({ length: plan.connections }, () => open(plan.port, plan.path, plan.protocol))
  )
  for (const socket of sockets) {
    const count = counter()
    let sentAt = 0n
    socket.on("error", () => {})
    socket.on("data", (data: Buffer) => {
      const got = count(data)
      if (measuring) {
        answers += got
        if (plan.depth === 1 && got === 1) latencies.push(Number(process.hrtime.bigint() - sentAt) / 1000)
      }
      if (!done && got > 0) {
        sentAt = process.hrtime.bigint()
        socket.write(take(got))
      }
    })
    sentAt = process.hrtime.bigint()
    socket.write(take(plan.depth))
  }
  await new Promise((resolve) => setTimeout(resolve, 1000))
  measuring = true
  process.send!("begin")
  const from = process.hrtime.bigint()
  await new Promise((resolve) => setTimeout(resolve, plan.seconds * 1000))
  measuring = false
  process.send!("end")
  const seconds = Number(process.hrtime.bigint() - from) / 1e9
  done = true
  for (const socket of sockets) socket.destroy()
  latencies.sort((a, b) => a - b)
  const at = (p: number) => latencies.length === 0 ? NaN : latencies[Math.floor(latencies.length * p)]!
  return { answers, seconds, p50: at(0.5), p99: at(0.99) }
}

/** The messages of a process, in order, none lost. */
const mailbox = (child: ChildProcess) => {
  const messages: Array<unknown> = []
  const waiting: Array<{ resolve: (message: any) => void; reject: (error: Error) => void }> = []
  child.on("message", (message) => {
    const waiter = waiting.shift()
    if (waiter === undefined) messages.push(message)
    else waiter.resolve(message)
  })
  child.on("exit", (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`a process of the benchmark ended with ${code}`))
  })
  return <A>(): Promise<A> =>
    new Promise((resolve, reject) => {
      if (messages.length > 0) resolve(messages.shift() as A)
      else waiting.push({ resolve, reject })
    })
}

export interface Server {
  readonly port: number
  /** Microseconds of processor time used so far. */
  readonly cpu: () => Promise<number>
  /** Resident bytes after a collection. */
  readonly memory: () => Promise<number>
  readonly stop: () => void
}

const bundles = new Map<string, Promise<string>>()

/** The file as plain JavaScript, so that neither a loader nor its garbage is measured. */
const bundle = (file: string): Promise<string> => {
  let out = bundles.get(file)
  if (out === undefined) {
    const outfile = fileURLToPath(new URL(`../.out/${basename(file, ".ts")}.mjs`, import.meta.url))
    out = build({
      entryPoints: [file],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      sourcemap: "inline"
    }).then(() => outfile)
    bundles.set(file, out)
  }
  return out
}

/** Starts a file as the server; it must call {@link serve}. */
export const start = async (file: string, args: ReadonlyArray<string>): Promise<Server> => {
  const child = fork(await bundle(file), ["--server", ...args], { execArgv: ["--expose-gc"] })
  const next = mailbox(child)
  const port = await next<number>()
  const ask = async (question: string) => {
    child.send(question)
    return await next<number>()
  }
  return { port, cpu: () => ask("cpu"), memory: () => ask("memory"), stop: () => child.kill("SIGKILL") }
}

/** In the server's process: says where it listens and answers questions about itself. */
export const serve = (port: number): void => {
  process.send!(port)
  process.on("message", (question) => {
    if (question === "cpu") {
      const { system, user } = process.cpuUsage()
      process.send!(user + system)
    } else {
      // The thorough kind, which also gives back the young generation that the load has grown.
      const collect = globalThis.gc as ((options: object) => void) | undefined
      for (let i = 0; i < 2; i++) collect?.({ type: "major", flavor: "last-resort" })
      process.send!(process.memoryUsage.rss())
    }
  })
}

/** Loads a server and says what it took. */
export const measure = async (server: Server, plan: Omit<Plan, "port">): Promise<Result> => {
  const child = fork(fileURLToPath(import.meta.url), ["--generate"], { execArgv: process.execArgv })
  const next = mailbox(child)
  child.send({ ...plan, port: server.port })
  await next()
  const before = await server.cpu()
  await next()
  const after = await server.cpu()
  const outcome = await next<Outcome>()
  child.kill("SIGKILL")
  return { ...outcome, perSecond: outcome.answers / outcome.seconds, cpu: (after - before) / outcome.answers }
}

export const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!

if (process.argv.includes("--generate") && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.once("message", (plan) => {
    void generate(plan as Plan).then((outcome) => process.send!(outcome))
  })
}
