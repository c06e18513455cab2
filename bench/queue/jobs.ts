// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * Jobs end to end on PostgreSQL, in one process: so many senders push one after the other, so many workers handle what
 * comes, and a sender waits while too much waits. What is counted is handled and acknowledged.
 */
import { Effect, Fiber, ManagedRuntime } from "effect"
import { makeWorkerUtils, run as runWorker } from "graphile-worker"
import { PgBoss } from "pg-boss"
import { MessageQueue } from "../../src/queue/index.ts"
import { body } from "./candidate.ts"
import { layerPostgres } from "./ours.ts"
import { quiet } from "./peers.ts"

/** A queue at work: how much it has handled, until it is stopped. */
interface Running {
  readonly handled: () => number
  readonly stop: () => Promise<void>
}

export interface Jobs {
  readonly name: string
  readonly start: (url: string, side: number) => Promise<Running>
}

/** How much may wait for each worker before the senders wait. */
const ahead = 16

/** Loops that push while not too much waits. */
const send = (side: number, push: () => Promise<unknown>, handled: () => number) => {
  let pushed = 0
  let isOver = false
  const loop = async () => {
    while (!isOver) {
      if (pushed - handled() > side * ahead) await new Promise((resolve) => setTimeout(resolve, 2))
      else {
        pushed++
        await push()
      }
    }
  }
  const loops = Promise.all(Array.from({ length: side }, loop))
  return async () => {
    isOver = true
    await loops
  }
}

export const ours: Jobs = {
  name: "effect-wire",
  start: async (url, side) => {
    const runtime = ManagedRuntime.make(layerPostgres(url))
    const queue = await runtime.runPromise(MessageQueue.MessageQueue)
    let count = 0
    const handled = () => count
    const worker = runtime.runFork(
      MessageQueue.consume("jobs", () => Effect.sync(() => void count++), { concurrency: side, prefetch: side })
    )
    const stop = send(side, () => runtime.runPromise(queue.push("jobs", body)), handled)
    return {
      handled,
      stop: async () => {
        await stop()
        await runtime.runPromise(Fiber.interrupt(worker))
        await runtime.dispose()
      }
    }
  }
}

export const pgBoss: Jobs = {
  name: "pg-boss 12.27",
  start: async (url, side) => {
    const boss = new PgBoss({ connectionString: url, max: 10, supervise: false, schedule: false })
    boss.on("error", () => {})
    await boss.start()
    await boss.createQueue("jobs")
    let count = 0
    const handled = () => count
    // Its workers look every half a second at most often, so each takes as many as it can.
    await boss.work(
      "jobs",
      { batchSize: 100, pollingIntervalSeconds: 0.5, localConcurrency: Math.min(side, 64) },
      async (jobs) => {
        count += jobs.length
      }
    )
    const stop = send(side, () => boss.send("jobs", body), handled)
    return {
      handled,
      stop: async () => {
        await stop()
        await boss.stop({ graceful: false })
      }
    }
  }
}

export const graphile: Jobs = {
  name: "graphile-worker",
  start: async (url, side) => {
    const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: 10, logger: quiet })
    await utils.migrate()
    let count = 0
    const handled = () => count
    const runner = await runWorker({
      connectionString: url,
      maxPoolSize: 10,
      concurrency: side,
      pollInterval: 100,
      noHandleSignals: true,
      logger: quiet,
      taskList: { task: () => void count++ }
    })
    const stop = send(side, () => utils.addJob("task", body), handled)
    return {
      handled,
      stop: async () => {
        await stop()
        await runner.stop()
        await utils.release()
      }
    }
  }
}

/** Jobs a second in each of so many windows of so many seconds, after a second to warm up. */
export const measureJobs = async (
  jobs: Jobs,
  url: string,
  side: number,
  windows: number,
  seconds: number
): Promise<ReadonlyArray<number>> => {
  const running = await jobs.start(url, side)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const perSecond: Array<number> = []
  for (let window = 0; window < windows; window++) {
    const before = running.handled()
    const start = performance.now()
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    perSecond.push((running.handled() - before) / ((performance.now() - start) / 1000))
  }
  await running.stop()
  return perSecond
}
