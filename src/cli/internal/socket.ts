/**
 * The socket of a target: WebSocket, TCP, TLS, a Unix socket, the standard input and output of a child.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import { type ChildProcess, spawn } from "node:child_process"
import { isIP } from "node:net"
import * as NodeStdio from "../../node/NodeStdio.ts"
import * as NodeStreamSocket from "../../node/NodeStreamSocket.ts"
import * as NodeWebSocket from "../../node/NodeWebSocket.ts"
import * as Framing from "../../socket/Framing.ts"
import { openError } from "../../socket/internal/socketErrors.ts"
import type { Credentials } from "./credentials.ts"
import { type Failure, usage } from "./failure.ts"
import type { Target } from "./target.ts"

/**
 * Bytes of one message that are taken: whoever asks for much by hand means it.
 *
 * @internal
 */
export const maxFrameSize = 256 * 1024 * 1024

/**
 * How messages are told apart on a carrier of bytes: as asked for, else as the wire has it.
 *
 * @internal
 */
export const framingOf = (target: Target, name: string | undefined): Framing.Framing =>
  (name ?? (target.wireName === "lsp" ? "content-length" : "lines")) === "lines"
    ? Framing.lines({ maxFrameSize })
    : Framing.contentLength({ maxFrameSize })

/** How long a child has to end after its input was closed, and after SIGTERM, in milliseconds. */
const patience = 2_000

const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

/** Starts a child, which ends with the scope: by its closed input, then by SIGTERM, then by SIGKILL. */
const start = (
  command: string,
  args: ReadonlyArray<string>
): Effect.Effect<NodeStdio.Streams, Socket.SocketError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ChildProcess, Socket.SocketError>((resume) => {
      const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] })
      child.once("spawn", () => resume(Effect.succeed(child)))
      child.once("error", (cause) => resume(Effect.fail(openError(cause))))
    }),
    (child) =>
      Effect.gen(function*() {
        child.stdin?.end()
        for (const signal of ["SIGTERM", "SIGKILL"] as const) {
          const over = yield* Effect.timeoutOption(ended(child), patience)
          if (Option.isSome(over)) return
          child.kill(signal)
        }
      })
  ).pipe(Effect.map((child) => ({ input: child.stdout!, output: child.stdin! })))

/** @internal */
export interface Options {
  readonly framing?: string | undefined
  /** Subprotocol to offer; empty for none; `undefined` for that of the wire. */
  readonly protocol?: string | undefined
  /** Milliseconds. */
  readonly openTimeout: number
}

/**
 * The socket of a target that is no HTTP. It dials when it is read.
 *
 * @internal
 */
export const make = (
  target: Target,
  credentials: Credentials,
  options: Options
): Effect.Effect<Socket.Socket, Failure> => {
  const { carrier } = target
  const isSilent = credentials.basic !== undefined || Object.keys(credentials.headers).length > 0
  if (carrier._tag !== "WebSocket" && isSilent) {
    return Effect.fail(
      usage("this carrier has no headers to say who calls", "--login <method> with --user or EFFECT_WIRE_TOKEN")
    )
  }
  const { openTimeout } = options
  switch (carrier._tag) {
    case "WebSocket": {
      const protocol = options.protocol ?? target.wire.subprotocol ?? ""
      return NodeWebSocket.make(carrier.url, {
        protocols: protocol === "" ? [] : [protocol],
        headers: credentials.headers,
        ...(credentials.basic === undefined ? undefined : { basicAuth: credentials.basic }),
        maxFrameSize,
        openTimeout
      }).pipe(Effect.mapError((error) => usage(error.message)))
    }
    case "Tcp":
      return NodeStreamSocket.make({
        host: carrier.host,
        port: carrier.port,
        // a name of a server is no address (RFC 6066, section 3)
        ...(carrier.tls ? { tls: isIP(carrier.host) > 0 ? {} : { servername: carrier.host } } : undefined),
        framing: framingOf(target, options.framing),
        openTimeout
      })
    case "Unix":
      return NodeStreamSocket.make({ path: carrier.path, framing: framingOf(target, options.framing), openTimeout })
    case "Stdio":
      return NodeStdio.make({
        framing: framingOf(target, options.framing),
        streams: start(carrier.command, carrier.args)
      })
    case "Http":
      return Effect.fail(usage("this command wants a connection that stays open", "ws:// instead of http://"))
  }
}
