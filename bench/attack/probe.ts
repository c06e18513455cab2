// @effect-diagnostics globalTimers:off
/**
 * Loaded into the gateway before anything else: how long its event loop takes for one turn. Of the longest turn it tells the
 * time that passed and the processor time that the thread used, so that a stalled gateway can be told from a machine that is
 * busy with something else. Answers the message `read` of the parent, and begins anew; `collect` frees what is garbage first.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

export interface Probed {
  /** Milliseconds that the longest turn took, and those of the processor that the longest turn used. */
  readonly wall: number
  readonly cpu: number
  /** Megabytes of values, and of buffers. */
  readonly heap: number
  readonly buffers: number
}

const every = 5
let wall = 0
let cpu = 0
let at = performance.now()
let used = process.threadCpuUsage()
setInterval(() => {
  const now = performance.now()
  const since = process.threadCpuUsage(used)
  wall = Math.max(wall, now - at - every)
  cpu = Math.max(cpu, (since.user + since.system) / 1000)
  at = now
  used = process.threadCpuUsage()
}, every).unref()

process.on("message", (message) => {
  if (message === "collect") {
    setFlagsFromString("--expose-gc")
    runInNewContext("gc")()
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  const probed: Probed = { wall, cpu, heap: heapUsed / 1e6, buffers: arrayBuffers / 1e6 }
  process.send!(probed)
  wall = cpu = 0
})
process.channel?.unref()
