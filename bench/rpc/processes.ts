/** Processes under measurement: started once, asked by lines. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

// Node runs the sources as they are; an older one needs tsx, whose code costs a little more.
const loader = "typescript" in process.features && process.features.typescript !== false ? [] : ["--import", "tsx"]

const start = (file: string, args: ReadonlyArray<string>) => {
  const child: ChildProcess = spawn(
    process.execPath,
    ["--expose-gc", ...loader, fileURLToPath(new URL(file, import.meta.url)), ...args],
    { stdio: ["pipe", "pipe", "inherit"] }
  )
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  /** The rest of the next line that begins with a word. */
  const read = (word: string): Promise<string> =>
    lines.next().then(({ done, value }) => {
      if (done === true) throw new Error(`${file} ${args[0]} ended`)
      return value.startsWith(word) ? value.slice(word.length + 1) : read(word)
    })
  const ask = (line: string, word: string): Promise<string> => {
    child.stdin!.write(`${line}\n`)
    return read(word)
  }
  return { read, ask, stop: () => child.stdin!.end() }
}

export interface ServerProcess {
  readonly kind: string
  readonly port: number
  /** Microseconds of CPU so far, by the operating system. */
  readonly cpu: () => Promise<number>
  /** Bytes resident, and of heap, after a collection. */
  readonly memory: () => Promise<readonly [number, number]>
  readonly stop: () => void
}

export const server = (kind: string, ...args: ReadonlyArray<string>): Promise<ServerProcess> => {
  const child = start("./server.ts", [kind, ...args])
  return child.read("port").then((port) => ({
    kind,
    port: Number(port),
    cpu: () => child.ask("cpu", "cpu").then(Number),
    memory: () =>
      child.ask("memory", "memory").then((text) => {
        const [resident, heap] = text.split(" ").map(Number)
        return [resident!, heap!]
      }),
    stop: child.stop
  }))
}

export interface ClientProcess {
  readonly kind: string
  readonly run: (ms: number) => Promise<{ readonly calls: number; readonly seconds: number; readonly cpu: number }>
  readonly stop: () => void
}

export const client = (kind: string, port: number, depth: number): Promise<ClientProcess> => {
  const child = start("./client.ts", [kind, String(port), String(depth)])
  return child.read("ready").then(() => ({
    kind,
    run: (ms) => child.ask(`run ${ms}`, "result").then((text) => JSON.parse(text)),
    stop: child.stop
  }))
}
