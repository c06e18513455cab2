// @effect-diagnostics asyncFunction:off globalConsole:off
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Load from "./rpc/load.ts"

const kinds = (process.argv[2] ?? "bare,corked,effect-wire,effect").split(",")
const ms = Number(process.argv[3] ?? 2000)

const start = async (kind: string, ...args: Array<string>) => {
  const child = spawn(process.execPath, [
    "--expose-gc",
    "--import",
    "tsx",
    new URL("./rpc/server.ts", import.meta.url).pathname,
    kind,
    ...args
  ], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const read = async (word: string) => {
    for (;;) {
      const { done, value } = await lines.next()
      if (done) throw new Error(`${kind} ended`)
      if (value.startsWith(word)) return Number(value.slice(word.length + 1))
    }
  }
  const port = await read("port")
  const ask = (word: string) => {
    child.stdin.write(`${word}\n`)
    return read(word)
  }
  return { port, cpu: () => ask("cpu"), memory: () => ask("memory"), stop: () => child.stdin.end() }
}

const request = (id: number) => `{"jsonrpc":"2.0","method":"add","params":{"a":${id},"b":2},"id":${id}}`
for (const kind of kinds) {
  const server = await start(kind)
  for (const depth of [1, 64]) {
    const socket = await Load.open(server.port)
    await Load.run([socket], depth, 500, request)
    const before = await server.cpu()
    const outcome = await Load.run([socket], depth, ms, request)
    const cpu = (await server.cpu()) - before
    const p = (q: number) => outcome.latencies[Math.floor(outcome.latencies.length * q)]?.toFixed(3)
    console.log(
      kind,
      "depth",
      depth,
      Math.round(outcome.requests / outcome.seconds),
      "req/s",
      (cpu / outcome.requests).toFixed(2),
      "µs",
      p(0.5),
      p(0.99)
    )
    socket.destroy()
  }
  server.stop()
}
