/**
 * npm `vscode-jsonrpc`, what language servers and their editors are made with: both ends of it against both ends of ours,
 * in both directions, over WebSocket and over TCP with `Content-Length` headers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue, type Scope, Stream } from "effect"
import { JsonRpcClient, type JsonRpcError, JsonRpcPeer, Wire } from "effect-wire/jsonrpc"
import { NodeStreamSocket, NodeWebSocket } from "effect-wire/node"
import { Progress } from "effect-wire/rpc"
import { Framing } from "effect-wire/socket"
import { Socket } from "effect/socket"
import * as Net from "node:net"
import {
  CancellationTokenSource,
  createMessageConnection,
  type Message,
  type MessageConnection,
  NullLogger,
  ProgressType,
  type ResponseError,
  StreamMessageReader,
  StreamMessageWriter
} from "vscode-jsonrpc/node"
import { WebSocket, WebSocketServer } from "ws"
import { Calculator, Caller, eventually, gather, serve, serveOn, type Serving } from "./harness.ts"

/** A connection of theirs on a WebSocket: one message per frame. */
const overWebSocket = (ws: WebSocket): MessageConnection => {
  const never = () => ({ dispose: () => {} })
  return createMessageConnection(
    {
      onError: never,
      onPartialMessage: never,
      onClose: (listener: () => void) => {
        ws.on("close", listener)
        return never()
      },
      listen: (callback: (message: Message) => void) => {
        ws.on("message", (data) => callback(JSON.parse(String(data)) as Message))
        return never()
      },
      dispose: () => {}
    },
    {
      onError: never,
      onClose: never,
      write: (message: Message) => {
        ws.send(JSON.stringify(message))
        return Promise.resolve()
      },
      end: () => {},
      dispose: () => {}
    },
    NullLogger
  )
}

const overStream = (socket: Net.Socket): MessageConnection =>
  createMessageConnection(new StreamMessageReader(socket), new StreamMessageWriter(socket), NullLogger)

interface Carrier {
  readonly name: string
  readonly ourServer: Effect.Effect<Serving, unknown, Scope.Scope>
  readonly theirClient: (port: number) => Effect.Effect<MessageConnection, never, Scope.Scope>
  readonly theirServer: (
    onConnection: (connection: MessageConnection) => void
  ) => Effect.Effect<number, never, Scope.Scope>
  readonly ourSocket: (port: number) => Effect.Effect<Socket.Socket, unknown>
}

const framing = Framing.contentLength()

const carriers: ReadonlyArray<Carrier> = [
  {
    name: "WebSocket",
    ourServer: serve(Wire.lsp),
    theirClient: (port) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.callback<WebSocket>((resume) => {
            const ws = new WebSocket(`ws://127.0.0.1:${port}`)
            ws.once("open", () => resume(Effect.succeed(ws)))
          }),
          (ws) => Effect.sync(() => ws.close())
        ),
        overWebSocket
      ),
    theirServer: (onConnection) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.callback<WebSocketServer>((resume) => {
            const server: WebSocketServer = new WebSocketServer(
              { port: 0, host: "127.0.0.1" },
              () => resume(Effect.succeed(server))
            )
            server.on("connection", (ws) => onConnection(overWebSocket(ws)))
          }),
          (server) =>
            Effect.sync(() => {
              for (const client of server.clients) client.terminate()
              server.close()
            })
        ),
        (server) => (server.address() as Net.AddressInfo).port
      ),
    ourSocket: (port) => NodeWebSocket.make(`ws://127.0.0.1:${port}`)
  },
  {
    name: "TCP",
    ourServer: Effect.flatMap(NodeStreamSocket.makeServer({ framing }), (server) => serveOn(server, Wire.lsp)),
    theirClient: (port) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.callback<Net.Socket>((resume) => {
            const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
          }),
          (socket) => Effect.sync(() => socket.destroy())
        ),
        overStream
      ),
    theirServer: (onConnection) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.callback<Net.Server>((resume) => {
            const server = Net.createServer((socket) => {
              socket.on("error", () => {})
              onConnection(overStream(socket))
            })
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        ),
        (server) => (server.address() as Net.AddressInfo).port
      ),
    ourSocket: (port) => NodeStreamSocket.make({ port, framing })
  }
]

const failure = (task: Promise<unknown>) =>
  Effect.flip(Effect.tryPromise({ try: () => task, catch: (error) => error as ResponseError<unknown> }))

for (const carrier of carriers) {
  describe(`over ${carrier.name}`, () => {
    const setup = Effect.gen(function*() {
      const server = yield* carrier.ourServer
      const connection = yield* carrier.theirClient(server.port)
      return { ...server, connection }
    })

    it.live("their client calls our server: by name, by position, with errors and notifications", () =>
      Effect.gen(function*() {
        const { clients, connection, seen } = yield* setup
        connection.listen()
        const request = (method: string, ...params: ReadonlyArray<unknown>) =>
          Effect.promise(() => connection.sendRequest<unknown>(method, ...params))
        assert.strictEqual(yield* request("add", { a: 1, b: 2 }), 3)
        assert.strictEqual(yield* request("add", 1, 2), 3)
        assert.isNull(yield* request("nothing"))
        assert.deepStrictEqual(yield* request("echo", { value: "ü€😀" }), "ü€😀")
        const declared = yield* failure(connection.sendRequest("divide", 7, 0))
        assert.strictEqual(declared.code, -32010)
        assert.deepStrictEqual(declared.data, { _tag: "DivisionByZero", dividend: 7 })
        assert.strictEqual((yield* failure(connection.sendRequest("missing"))).code, -32601)
        assert.strictEqual((yield* failure(connection.sendRequest("$/missing"))).code, -32601)
        void connection.sendNotification("$/unknown", { any: 1 })
        void connection.sendNotification("note", { text: "noted" })
        assert.strictEqual(yield* Queue.take(seen.notes), "noted")
        const received: Array<unknown> = []
        connection.onNotification("weather", (params) => {
          received.push(params)
        })
        yield* clients.broadcast("weather", { degrees: 20 })
        yield* eventually(() => received.length === 1)
        assert.deepStrictEqual(received, [{ degrees: 20 }])
      }))

    it.live("their cancellation interrupts our handler and is answered -32800", () =>
      Effect.gen(function*() {
        const { connection, seen } = yield* setup
        connection.listen()
        const source = new CancellationTokenSource()
        const begun = yield* Deferred.make<void>()
        connection.onProgress(new ProgressType<unknown>(), "token", () => {
          Deferred.doneUnsafe(begun, Effect.void)
        })
        const task = connection.sendRequest("forever", { workDoneToken: "token" }, source.token)
        yield* Deferred.await(begun)
        source.cancel()
        assert.strictEqual((yield* failure(task)).code, -32800)
        yield* Deferred.await(seen.interrupted)
      }))

    it.live("the progress of our handlers reaches their client under the token that it chose", () =>
      Effect.gen(function*() {
        const { connection } = yield* setup
        connection.listen()
        const reports: Array<unknown> = []
        connection.onProgress(new ProgressType<unknown>(), 7, (value) => {
          reports.push(value)
        })
        const result = yield* Effect.promise(() =>
          connection.sendRequest<string>("work", { steps: 2, workDoneToken: 7 })
        )
        assert.strictEqual(result, "done")
        assert.deepStrictEqual(reports, [
          { kind: "begin", title: "step 1", percentage: 50 },
          { kind: "report", message: "step 2", percentage: 100 },
          { kind: "end" }
        ])
      }))

    it.live("our server calls their client", () =>
      Effect.gen(function*() {
        const { clients, connection } = yield* setup
        connection.onRequest("name", (kind: string) => `${kind} name`)
        const cancelled = yield* Deferred.make<void>()
        const begun = yield* Deferred.make<void>()
        connection.onRequest("endless", (token: { readonly onCancellationRequested: (f: () => void) => void }) => {
          Deferred.doneUnsafe(begun, Effect.void)
          return new Promise<void>((resolve) =>
            token.onCancellationRequested(() => {
              Deferred.doneUnsafe(cancelled, Effect.void)
              resolve()
            })
          )
        })
        connection.listen()
        assert.strictEqual(yield* Effect.promise(() => connection.sendRequest<string>("greet")), "hello full name")
        const [client] = yield* clients.all
        const missing = yield* Effect.flip(client!.call("missing"))
        assert.strictEqual((missing.reason as JsonRpcError.RemoteError).code, -32601)
        const fiber = yield* Effect.forkChild(client!.call("endless"))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(cancelled)
      }))

    it.live("our client calls their server, cancels it and hears its progress; their server calls our client", () =>
      Effect.gen(function*() {
        const cancelled = yield* Deferred.make<void>()
        const port = yield* carrier.theirServer((connection) => {
          connection.onRequest("add", ({ a, b }: { readonly a: number; readonly b: number }) => a + b)
          connection.onRequest("nothing", () => undefined)
          connection.onRequest("greet", () => connection.sendRequest<string>("name", "full"))
          connection.onRequest(
            "work",
            ({ steps, workDoneToken }) =>
              Array.from({ length: steps }).reduce<Promise<void>>(
                (before, _, i) =>
                  before.then(() =>
                    connection.sendProgress(new ProgressType<unknown>(), workDoneToken, {
                      kind: i === 0 ? "begin" : "report",
                      [i === 0 ? "title" : "message"]: `step ${i + 1}`,
                      percentage: (100 * (i + 1)) / steps
                    })
                  ),
                Promise.resolve()
              ).then(() => "done")
          )
          connection.onRequest("forever", (params, token) => {
            void connection.sendProgress(new ProgressType<unknown>(), params.workDoneToken, {
              kind: "begin",
              title: "begun"
            })
            return new Promise<void>((_, reject) =>
              token.onCancellationRequested(() => {
                Deferred.doneUnsafe(cancelled, Effect.void)
                reject(new Error("cancelled"))
              })
            )
          })
          connection.listen()
        })
        const socket = yield* carrier.ourSocket(port)
        const peer = yield* JsonRpcPeer.make({
          serves: Caller,
          calls: Calculator,
          connection: { wire: Wire.lsp }
        }).pipe(
          Effect.provideService(Socket.Socket, socket),
          Effect.provide(Caller.toLayer({ name: ([kind]) => Effect.succeed(`${kind} name`) }))
        )
        assert.strictEqual(yield* peer.client.add({ a: 1, b: 2 }), 3)
        assert.isUndefined(yield* peer.client.nothing())
        assert.strictEqual(yield* peer.client.greet(), "full name")
        const reports: Array<Progress.Report> = []
        const result = yield* peer.client.work({ steps: 2 }).pipe(
          Progress.tap((report) => Effect.sync(() => reports.push(report)))
        )
        assert.strictEqual(result, "done")
        assert.deepStrictEqual(reports, [
          { operation: "step 1", amount: 0.5 },
          { operation: "step 2", amount: 1 }
        ])
        const begun = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          peer.client.forever().pipe(Progress.tap(() => Deferred.succeed(begun, undefined)))
        )
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(cancelled)
        // the answer to what was cancelled is dropped
        assert.strictEqual(yield* peer.client.add({ a: 2, b: 2 }), 4)
      }))

    it.live("notifications of their server are a stream", () =>
      Effect.gen(function*() {
        const port = yield* carrier.theirServer((connection) => {
          connection.onRequest("start", () => {
            for (const degrees of [1, 2, 3]) void connection.sendNotification("weather", { degrees })
          })
          connection.listen()
        })
        const client = yield* JsonRpcClient.fromSocket(yield* carrier.ourSocket(port), { wire: Wire.lsp })
        yield* client.connect
        const heard = yield* gather(client.notifications.pipe(Stream.map((notification) => notification.params)), 3)
        yield* Effect.yieldNow
        yield* client.call("start")
        assert.deepStrictEqual(yield* Fiber.join(heard), [{ degrees: 1 }, { degrees: 2 }, { degrees: 3 }])
      }))
  })
}
