// @effect-diagnostics asyncFunction:off globalTimers:off
/**
 * The gateway as a process that is killed and started again, on one file of SQLite; and a line to it that is cut.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { Probed } from "../attack/probe.ts"

const root = join(import.meta.dirname, "../..")

export interface Memory {
  /** Megabytes: resident, and of values after a collection. */
  readonly resident: number
  readonly heap: number
}

export interface Gateway {
  readonly url: string
  readonly kill: () => Promise<void>
  readonly memory: () => Promise<Memory>
  readonly stop: () => void
}

/** Starts it on a free port, which it keeps. */
export const startGateway = async (): Promise<Gateway> => {
  const directory = mkdtempSync(join(tmpdir(), "effect-wire-soak-"))
  const probe = pathToFileURL(join(import.meta.dirname, "../attack/probe.ts")).href
  let port = "0"
  let child: ChildProcess
  const start = () =>
    new Promise<string>((resolve, reject) => {
      child = spawn(process.execPath, ["--import", "tsx", "--import", probe, "examples/gateway/main.ts"], {
        cwd: root,
        env: { ...process.env, HOST: "127.0.0.1", PORT: port, DATA_DIR: directory, LOG_LEVEL: "Error" },
        stdio: ["ignore", "pipe", "ignore", "ipc"]
      })
      let output = ""
      child.stdout!.on("data", (data: Buffer) => {
        output += data.toString()
        const found = /^listening on (\S+)$/m.exec(output)
        if (found !== null) resolve(found[1]!)
      })
      child.once("exit", () => reject(new Error(`the gateway did not start: ${output}`)))
    })
  const url = await start()
  port = new URL(url).port
  const stop = () => {
    child.removeAllListeners("exit")
    child.kill("SIGKILL")
    rmSync(directory, { recursive: true, force: true })
  }
  return {
    url,
    stop,
    kill: async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      await gone
      await start()
    },
    memory: () =>
      new Promise((resolve) => {
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8")
        child.once("message", (probed) =>
          resolve({
            resident: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024),
            heap: (probed as Probed).heap
          }))
        child.send("collect")
      })
  }
}

/** A port that leads to the gateway, until each of its connections is cut after `seconds` or so. */
export const startCutter = (target: URL, seconds: number) =>
  new Promise<{ readonly url: URL; readonly cuts: () => number; readonly close: () => void }>((resolve) => {
    let cuts = 0
    let isOpen = true
    const server = Net.createServer((near) => {
      const far = Net.connect(Number(target.port), target.hostname)
      const cut = () => {
        near.destroy()
        far.destroy()
      }
      const timer = setTimeout(() => {
        if (!isOpen) return
        cuts++
        cut()
      }, -Math.log(1 - Math.random()) * seconds * 1000)
      for (const end of [near, far]) {
        end.setNoDelay()
        end.on("error", cut)
        end.on("close", () => {
          clearTimeout(timer)
          cut()
        })
      }
      near.pipe(far)
      far.pipe(near)
    })
    server.listen(0, "127.0.0.1", () => {
      resolve({
        url: new URL(`http://127.0.0.1:${(server.address() as Net.AddressInfo).port}`),
        cuts: () => cuts,
        close: () => {
          isOpen = false
        }
      })
    })
  })
