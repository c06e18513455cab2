// @effect-diagnostics globalDate:off
/**
 * A part of the clients of `npm run bench -- resume`, in a process of its own: cuts its own connections, without a close
 * frame, and counts what each client has heard.
 */
import { Effect, Logger, Schedule, Stream } from "effect"
import { Agent } from "node:http"
import * as Net from "node:net"
import { io } from "socket.io-client"
import { WebSocket } from "ws"
import { JsonRpcClient } from "../../src/jsonrpc/index.ts"
import * as NodeWebSocket from "../../src/node/NodeWebSocket.ts"
import { TopicsClient } from "../../src/topics/index.ts"
import {
  endWithParent,
  type FromClients,
  type Heard,
  type Kind,
  type Tick,
  Ticks,
  type ToClients,
  warmUp
} from "./model.ts"

const kind = process.argv[2] as Kind
const count = Number(process.argv[3])
const every = Number(process.argv[4])

/** Where servers are dialled, by whatever speaks to them. */
const address = "127.0.0.1:1"

let ports: ReadonlyArray<number> = []
let started = false
let cutting = false
let cuts = 0
let total = 0
let reports = 0
const sockets = new Set<Net.Socket>()
const caughtUp: Array<number> = []

const cutLater = (socket: Net.Socket): void => {
  const timer = setTimeout(() => {
    if (!cutting) return
    cuts++
    socket.destroy()
  }, every * 2000 * Math.random())
  socket.on("close", () => clearTimeout(timer))
}

/** What one client has heard. As an agent of `node:http` it dials any of the servers, and cuts the connection at random. */
class Ear extends Agent {
  isReady = false
  duplicates = 0
  disorder = 0
  late = 0
  /** One byte for each tick. */
  private seen = new Uint8Array(1024)
  /** After which it was told that something is missing, up to the next that came. */
  private readonly holes: Array<{ readonly after: number; before: number }> = []
  private last = -1
  private openedAt: number | undefined

  override createConnection(): Net.Socket {
    const socket = Net.connect(ports[Math.floor(Math.random() * ports.length)] ?? 1, "127.0.0.1")
    socket.setNoDelay()
    sockets.add(socket)
    socket.on("close", () => {
      sockets.delete(socket)
      // with what it has received, and does not have yet
      if (cutting && this.openedAt !== undefined && Date.now() - this.openedAt > 1000) this.late++
      this.openedAt = undefined
    })
    if (cutting) cutLater(socket)
    return socket
  }

  open(): void {
    this.openedAt = Date.now()
  }

  missed(): void {
    total++
    this.holes.push({ after: this.last, before: Infinity })
  }

  hear({ at, n }: Tick): void {
    this.isReady = true
    if (this.openedAt !== undefined && at >= this.openedAt) {
      if (cutting) caughtUp.push(Date.now() - this.openedAt)
      this.openedAt = undefined
    }
    if (n === warmUp) return
    total++
    if (n >= this.seen.length) {
      const larger = new Uint8Array(n * 2)
      larger.set(this.seen)
      this.seen = larger
    }
    if (this.seen[n] === 1) this.duplicates++
    else if (n < this.last) this.disorder++
    this.seen[n] = 1
    if (n > this.last) {
      const hole = this.holes[this.holes.length - 1]
      if (hole?.before === Infinity) hole.before = n
      this.last = n
    }
  }

  result(acknowledged: ReadonlyArray<number>): Pick<Heard, "delivered" | "told" | "unnoted"> {
    let delivered = 0
    let told = 0
    let unnoted = 0
    for (let n = 0; n < acknowledged.length; n++) {
      if (acknowledged[n] !== 1) continue
      if (this.seen[n] === 1) delivered++
      else if (this.holes.some(({ after, before }) => n > after && n < before)) told++
      else unnoted++
    }
    return { delivered, told, unnoted }
  }
}

const plain = (ear: Ear): void => {
  const socket = new WebSocket(`ws://${address}`, { agent: ear, perMessageDeflate: false })
  socket.on("open", () => ear.open())
  socket.on("message", (data) => ear.hear(JSON.parse(String(data))))
  socket.on("error", () => {})
  socket.on("close", () => setTimeout(plain, 100, ear))
}

const socketIo = (ear: Ear): void => {
  const socket = io(`http://${address}`, {
    transports: ["websocket"],
    reconnectionDelay: 100,
    reconnectionDelayMax: 100,
    forceNew: true,
    agent: ear as never
  })
  let isAgain = false
  socket.on("connect", () => {
    ear.open()
    if (isAgain && !socket.recovered) ear.missed()
    isAgain = true
  })
  socket.on("tick", (tick: Tick) => ear.hear(tick))
}

const ours = (ear: Ear): void => {
  Effect.runFork(
    Effect.gen(function*() {
      const socket = yield* NodeWebSocket.make(`ws://${address}/`, { agent: ear })
      const client = yield* JsonRpcClient.fromSocket(socket, {
        reconnect: Schedule.spaced("100 millis"),
        onConnect: () => Effect.sync(() => ear.open())
      })
      yield* Stream.runForEach(
        TopicsClient.eventsOf(client, Ticks, { capacity: 100_000 }),
        (event) => Effect.sync(() => event._tag === "Value" ? ear.hear(event.value) : ear.missed())
      )
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  )
}

const ears = Array.from({ length: count }, () => new Ear())
const connect = kind === "plain ws loop" ? plain : kind.startsWith("Socket.IO") ? socketIo : ours

const say = (message: Pick<FromClients, "result">): void => {
  const ready = ears.reduce((sum, ear) => sum + (ear.isReady ? 1 : 0), 0)
  process.send!({ ...message, ready, total, reports: ++reports })
}
let cpu = process.cpuUsage()

process.on("message", (message: ToClients) => {
  if (message.ports !== undefined) {
    ports = message.ports
    if (!started) { for (const ear of ears) connect(ear) }
    started = true
  }
  if (message.cutting !== undefined) {
    cutting = message.cutting
    if (cutting) {
      for (const socket of sockets) cutLater(socket)
      cpu = process.cpuUsage()
    }
  }
  if (message.acknowledged !== undefined) {
    const { system, user } = process.cpuUsage(cpu)
    const { acknowledged } = message
    const results = ears.map((ear) => ear.result(acknowledged))
    const sum = <A>(of: ReadonlyArray<A>, each: (item: A) => number) => of.reduce((all, item) => all + each(item), 0)
    say({
      result: {
        cuts,
        delivered: sum(results, (result) => result.delivered),
        told: sum(results, (result) => result.told),
        unnoted: sum(results, (result) => result.unnoted),
        duplicates: sum(ears, (ear) => ear.duplicates),
        disorder: sum(ears, (ear) => ear.disorder),
        late: sum(ears, (ear) => ear.late),
        caughtUp,
        cpu: system + user
      }
    })
  }
})
endWithParent()
setInterval(say, 250, {})
