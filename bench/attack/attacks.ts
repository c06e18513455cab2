// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * The attacks: each one is anonymous, keeps within every documented limit of one frame or body, and goes on for as long as
 * it is told. The name says what it fills or stalls.
 */
import { bare, deaf, open, post, pour, sleep, type Target } from "./peer.ts"

type Attack = (target: Target) => Promise<unknown>

const megabyte = "y".repeat(1_040_000)
/** One megabyte of text that is twenty in memory. */
const empties = `[${Array.from({ length: 340_000 }, () => "{}").join(",")}]`
const many = (count: number, attack: () => Promise<unknown>) => Promise.all(Array.from({ length: count }, attack))
const rpc = (id: number | string, method: string, params: string) =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"${method}","params":${params}}`
const again = async (target: Target, attack: () => Promise<unknown>) => {
  while (target.running()) {
    await attack()
    await sleep(20)
  }
}

export const attacks: Record<string, Attack> = {
  "requests that wait, of 1 MB each": (target) =>
    many(3, () =>
      again(target, async () => {
        const ws = await open(target, "/rpc")
        await pour(target, ws, (i) => rpc(i, "sleep", `{"ms":60000,"pad":"${megabyte}"}`))
        ws.terminate()
      })),

  "calls back that are never answered, of 1 MB each": (target) =>
    many(3, () =>
      again(target, async () => {
        const ws = await open(target, "/rpc")
        await pour(target, ws, (i) => rpc(i, "callback", `{"method":"m","params":["${megabyte}"]}`))
        ws.terminate()
      })),

  "requests whose text is small and whose values are large": (target) =>
    many(2, () =>
      again(target, async () => {
        const ws = await open(target, "/rpc")
        await pour(target, ws, (i) => rpc(i, "sleep", `{"ms":60000,"pad":${empties}}`))
        ws.terminate()
      })),

  "broadcasts to clients that read nothing": async (target) => {
    const stuck = [await deaf(target, "/lsp"), await deaf(target, "/rpc")]
    const body = rpc(1, "broadcast", `{"method":"x","params":["${megabyte}"]}`)
    await many(4, () => again(target, () => post(target, "/rpc", body)))
    for (const socket of stuck) socket.destroy()
  },

  "answers to a client that reads nothing": async (target) => {
    const socket = await deaf(target, "/rpc")
    const text = Buffer.from(rpc(1, "echo", `["${"x".repeat(60_000)}"]`))
    const head = Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 255, 0, 0, 0, 0])
    while (target.running() && !socket.destroyed) {
      socket.write(Buffer.concat([head, text]))
      if (socket.writableLength > 1e6) await sleep(5)
    }
    socket.destroy()
  },

  "POSTs under way": (target) => {
    const body = rpc(1, "sleep", `{"ms":12000,"pad":"${"z".repeat(200_000)}"}`)
    return many(1000, () => again(target, () => post(target, "/rpc", body)))
  },

  "a Juggler client's state": (target) =>
    many(2, () =>
      again(target, async () => {
        const ws = await open(target, "/ws")
        ws.send(`{"type":"DATA","payload":[{"op":"add","path":"","value":{}}]}`)
        await pour(
          target,
          ws,
          (i) => `{"type":"DATA","payload":[{"op":"add","path":"/k${i}","value":${empties}}]}`,
          200
        )
        ws.terminate()
      })),

  "a Juggler client's state, in messages that are taken": (target) =>
    many(3, () =>
      again(target, async () => {
        const ws = await open(target, "/ws")
        ws.send(`{"type":"DATA","payload":[{"op":"add","path":"","value":{}}]}`)
        const some = `[${Array.from({ length: 30_000 }, () => "{}").join(",")}]`
        await pour(
          target,
          ws,
          (i) => `{"type":"DATA","payload":[{"op":"add","path":"/k${i % 2}","value":${some}}]}`,
          50
        )
        ws.terminate()
      })),

  "messages that never come to their end": (target) =>
    many(200, () =>
      again(target, async () => {
        const socket = await deaf(target, "/rpc")
        const head = Buffer.alloc(14)
        head.set([0x81, 0xff])
        head.writeUInt32BE(1_048_576, 6)
        socket.write(Buffer.concat([head, Buffer.alloc(1_040_000)]))
        while (target.running() && !socket.destroyed) await sleep(100)
        socket.destroy()
      })),

  "patches of a wide Juggler state": async (target) => {
    const ws = await open(target, "/ws")
    ws.send(`{"type":"DATA","payload":[{"op":"add","path":"","value":{}}]}`)
    for (let k = 0; k < 300_000 && target.running();) {
      const patch = Array.from({ length: 1000 }, () => ({ op: "add", path: `/${(k++).toString(36)}`, value: 1 }))
      ws.send(JSON.stringify({ type: "DATA", payload: patch }))
      await sleep(3)
    }
    await pour(
      target,
      ws,
      (i) => JSON.stringify({ type: "DATA", payload: [{ op: "replace", path: `/${i.toString(36)}`, value: `v${i}` }] }),
      5
    )
    ws.terminate()
  },

  "Juggler calls that are never answered": (target) =>
    again(target, async () => {
      const ws = await open(target, "/ws")
      const until = Date.now() + 3000
      const some = { ...target, running: () => target.running() && Date.now() < until }
      await pour(some, ws, () => `{"type":"MESSAGE","payload":{"call":"x"}}`)
      ws.terminate()
    }),

  "a full line and its cancels": (target) =>
    again(target, async () => {
      const ws = await open(target, "/rpc")
      for (let i = 0; i < 1500; i++) ws.send(rpc(i, "sleep", "[8000]"))
      for (let i = 0; i < 1500; i++) ws.send(`{"jsonrpc":"2.0","method":"cancel","params":{"id":${i}}}`)
      await sleep(500)
      ws.terminate()
    }),

  "headers, bodies and messages that trickle": (target) =>
    many(200, () =>
      again(target, async () => {
        const socket = await bare(target)
        const kind = Math.floor(Math.random() * 3)
        const host = `Host: 127.0.0.1:${target.port}\r\n`
        socket.write(
          kind === 0
            ? `GET /health HTTP/1.1\r\n${host}`
            : `POST /rpc HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n`
        )
        while (target.running() && !socket.destroyed) {
          socket.write(kind === 0 ? "X-a: b\r\n" : " ")
          await sleep(1000)
        }
        socket.destroy()
      })),

  "connections that say nothing": async (target) => {
    const sockets = await many(2500, () => bare(target)) as Array<{ destroy: () => void }>
    while (target.running()) await sleep(100)
    for (const socket of sockets) socket.destroy()
  },

  "guesses of passwords and tokens": (target) =>
    many(20, () =>
      again(target, async () => {
        await post(target, "/messageQueue", "x", {
          authorization: `guess${Math.random()}`,
          "scirocco-node-source": "aa"
        })
        const ws = await open(target, "/rpc", { authorization: "Basic " + Buffer.from("bob:wrong").toString("base64") })
        ws.terminate()
      })),

  "frames that are no JSON, and nested without end": (target) =>
    many(4, () =>
      again(target, async () => {
        const ws = await open(target, "/rpc")
        const until = Date.now() + 1000
        const some = { ...target, running: () => target.running() && Date.now() < until }
        await pour(some, ws, (i) => i % 2 === 0 ? `{"jsonrpc":` : "[".repeat(500_000), 10)
        ws.terminate()
      })),

  "pulls of one node with other lease times": (target) =>
    many(30, () =>
      again(target, async () => {
        const response = await fetch(`${target.url}/messageQueue?wait=2`, {
          headers: {
            authorization: "DEFAULT_TOKEN",
            "scirocco-node-source": "bb",
            "scirocco-lease-time": String(5 + Math.floor(Math.random() * 20))
          }
        }).catch(() => undefined)
        target.note(response === undefined ? "error" : String(response.status))
        await response?.text().catch(() => undefined)
      }))
}
