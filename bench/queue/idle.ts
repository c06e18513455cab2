// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/** What waiting costs: a thousand nodes with a pull each, and nothing comes. */
import { Fiber, type Layer, ManagedRuntime } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { MessageQueue } from "../../src/queue/index.ts"

/** Milliseconds of processor time of the database's processes for this one, which Linux tells. */
const databaseCpu = (name: string): number => {
  let nanos = 0
  for (const pid of readdirSync("/proc").filter((entry) => /^[0-9]+$/.test(entry))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8")
      if (!command.startsWith("postgres:") || !command.includes(` ${name} `)) continue
      nanos += Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0])
    } catch {
      // It has ended meanwhile.
    }
  }
  return nanos / 1e6
}

/** Percents of one core that the program and the database take while so many nodes wait. */
export const idle = async (
  layer: Layer.Layer<MessageQueue.MessageQueue, unknown>,
  database: string | undefined,
  seconds: number,
  nodes = 1000
): Promise<readonly [program: number, database: number | undefined]> => {
  const runtime = ManagedRuntime.make(layer)
  const queue = await runtime.runPromise(MessageQueue.MessageQueue)
  const waiting = Array.from(
    { length: nodes },
    (_, index) => runtime.runFork(queue.pull(`node ${index}`, { wait: Infinity }))
  )
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const hasDatabase = database !== undefined && process.platform === "linux"
  const before = hasDatabase ? databaseCpu(database) : 0
  const start = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const { system, user } = process.cpuUsage(start)
  const after = hasDatabase ? databaseCpu(database) : 0
  await runtime.runPromise(Fiber.interruptAll(waiting))
  await runtime.dispose()
  return [(system + user) / 1e4 / seconds, hasDatabase ? (after - before) / 10 / seconds : undefined]
}
