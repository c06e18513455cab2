/**
 * Many WebSocket clients that only count the bytes that come in, in a process of their own. The parent says how many there
 * are to be, and for how many bytes in all it wants to be told.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { open } from "./load.ts"

export interface Followers {
  /** Starts counting anew; completes when so many bytes have come. */
  readonly expect: (bytes: number) => Promise<void>
  readonly stop: () => void
}

/** Starts the clients; completes when all are connected and what they are sent at first has come. */
export const follow = (port: number, path: string, connections: number): Promise<Followers> =>
  new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), ["followers"], { execArgv: process.execArgv })
    let told: () => void = () =>
      resolve({
        expect: (bytes) =>
          new Promise((done) => {
            told = done
            child.send({ bytes })
          }),
        stop: () => void child.kill()
      })
    child.on("message", () => told())
    child.send({ port, path, connections })
  })

const run = () => {
  let received = 0
  let wanted = Infinity
  const check = () => {
    if (received < wanted) return
    received -= wanted
    wanted = Infinity
    process.send!("done")
  }
  process.on("message", (message: any) => {
    if ("bytes" in message) {
      wanted = message.bytes
      return check()
    }
    const opening = Array.from(
      { length: message.connections },
      () =>
        open(message.port, message.path).then((socket) => {
          socket.on("data", (data) => {
            received += data.length
            check()
          })
        })
    )
    void Promise.all(opening).then(() =>
      setTimeout(() => {
        received = 0
        process.send!("done")
      }, 500)
    )
  })
}

if (process.argv[2] === "followers" && process.send !== undefined) run()
