/**
 * `repl`: calls by hand, with the names of the server's methods and parameters at the tabulator key, and a history.
 */
import * as Cause from "effect/Cause"
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Readline from "node:readline"
import type { Client } from "../../jsonrpc/JsonRpcClient.ts"
import * as Progress from "../../rpc/Progress.ts"
import { connect, ofConnection } from "./client.ts"
import { commands, complete, isKept } from "./completion.ts"
import type * as Configs from "./configs.ts"
import { ask, explain, type Known, signature } from "./discovery.ts"
import { Failure, ofCause, render, usage } from "./failure.ts"
import { nearest } from "./nearest.ts"
import * as Output from "./output.ts"
import { fromArguments } from "./params.ts"
import { nameOf, words } from "./target.ts"

type Input = Command.Command.Config.Infer<typeof Configs.repl>

const kept = 1_000

const defaultHistory = (): string =>
  Path.join(process.env.XDG_STATE_HOME ?? Path.join(Os.homedir(), ".local", "state"), "effect-wire", "history")

/** The lines of earlier times, the newest first, and how one more is kept. A file that cannot be used is none. */
const history = (file: string) => {
  const guarded = <A>(f: () => A, orElse: A): A => {
    try {
      return f()
    } catch {
      return orElse
    }
  }
  const lines = guarded(() => Fs.readFileSync(file, "utf8").split("\n").filter((line) => line !== ""), [])
  if (lines.length > 2 * kept) {
    guarded(() => Fs.writeFileSync(file, `${lines.slice(-kept).join("\n")}\n`, { mode: 0o600 }), undefined)
  }
  return {
    lines: lines.slice(-kept).reverse(),
    keep: (line: string) =>
      guarded(() => {
        Fs.mkdirSync(Path.dirname(file), { recursive: true })
        Fs.appendFileSync(file, `${line}\n`, { mode: 0o600 })
      }, undefined)
  }
}

interface Session {
  readonly client: Client
  readonly known: Known | undefined
  readonly isJson: boolean
  listens: boolean
}

const help = Output.table([
  ["method name=value …", "call a method; values are JSON or text"],
  ["method value …", "the same by position; or one JSON object or array"],
  ...commands
])

const send = (session: Session, line: string, isNotification: boolean): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { client, isJson } = session
    const [method, ...rest] = words(line)
    if (method === undefined) return yield* usage("a method is missing")
    // JSON has spaces and quotes of its own
    const json = /^\s*\S+\s+([[{].*)$/s.exec(line)?.[1]
    const given = fromArguments(json === undefined ? rest : [json])
    if (typeof given === "string") return yield* usage(given)
    if (isNotification) return yield* Effect.mapError(client.notify(method, given.params), ofConnection)
    const meter = new Output.Meter(false)
    const result = yield* Effect.catch(client.call(method, given.params), explain(client, method)).pipe(
      (call) => meter.isWanted() ? Progress.tap(call, (report) => Effect.sync(() => meter.report(report))) : call,
      Effect.ensuring(Effect.sync(() => meter.clear()))
    )
    yield* Output.show(result, isJson)
  })

const listMethods = ({ known }: Session, part: string): Effect.Effect<void> =>
  Output.line(
    known === undefined
      ? "the server does not say what it has"
      : known.methods.filter(({ name }) => name.includes(part)).map(signature).join("\n") || "none"
  )

/** Runs one line; `false` ends the session. */
const run = (session: Session, line: string): Effect.Effect<boolean, Failure> =>
  Effect.gen(function*() {
    const [command, ...rest] = line.trim().split(/\s+/)
    const argument = rest.join(" ")
    if (command === "" || command === undefined) return true
    if (!command.startsWith(".")) return yield* Effect.as(send(session, line, false), true)
    switch (command) {
      case ".exit":
        return false
      case ".help":
        return yield* Effect.as(Output.line(help), true)
      case ".methods":
        return yield* Effect.as(listMethods(session, argument), true)
      case ".describe": {
        const found = session.known?.methods.find(({ name }) => name === argument)
        if (found === undefined) {
          return yield* usage(
            `there is no method "${argument}"`,
            ...nearest(argument, session.known?.methods.map(({ name }) => name) ?? [])
          )
        }
        yield* Output.line([signature(found), ...(found.summary === "" ? [] : [found.summary])].join("\n"))
        return true
      }
      case ".notify":
        return yield* Effect.as(send(session, line.replace(/^\s*\.notify/, ""), true), true)
      case ".listen":
        session.listens = !session.listens
        return yield* Effect.as(Output.note(session.listens ? "listening" : "no longer listening"), true)
      default:
        return yield* usage(`there is no command "${command}"`, ...nearest(command, commands.keys()), ".help")
    }
  })

const terminal = (
  completer: (line: string) => readonly [Array<string>, string],
  lines: ReadonlyArray<string>
): Effect.Effect<Readline.Interface, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      Readline.createInterface({
        input: process.stdin,
        output: process.stdin.isTTY === true ? process.stdout : undefined,
        terminal: process.stdin.isTTY === true,
        prompt: "> ",
        history: [...lines],
        historySize: kept,
        removeHistoryDuplicates: true,
        completer: (line: string) => completer(line) as [Array<string>, string]
      })
    ),
    (rl) => Effect.sync(() => rl.close())
  )

/** @internal */
export const repl = Effect.fnUntraced(function*(input: Input) {
  const { client, target } = yield* connect(input.url, input, { stays: true })
  const known = yield* Effect.orElseSucceed(ask(client), () => undefined)
  const session: Session = { client, known, isJson: input.json, listens: false }
  const past = history(Option.getOrElse(input.history, defaultHistory))
  const isTerminal = process.stdin.isTTY === true
  const rl = yield* terminal((line) => complete(known, line), past.lines)
  const lines = yield* Queue.unbounded<string, Cause.Done>()
  let running: Fiber.Fiber<unknown, unknown> | undefined
  rl.on("line", (line) => Queue.offerUnsafe(lines, line))
  rl.on("close", () => Queue.endUnsafe(lines))
  // Ctrl-C cancels what runs; where nothing runs it clears the line, and on an empty one it ends
  rl.on("SIGINT", () => {
    if (running !== undefined) running.interruptUnsafe()
    else if (rl.line === "") rl.close()
    else rl.write(null, { ctrl: true, name: "u" })
  })
  yield* Effect.forkScoped(Stream.runForEach(client.notifications, ({ method, params }) =>
    session.listens
      ? Output.line(Output.dim(`<- ${method}${params === undefined ? "" : ` ${Output.compact(params)}`}`))
      : Effect.void))
  if (isTerminal) {
    yield* Output.note(
      `${nameOf(target)}: ${
        known === undefined ? "no list of methods" : `${known.methods.length} methods`
      }; .help helps`
    )
  }
  let failed = 0
  while (true) {
    if (isTerminal) rl.prompt()
    const line = yield* Effect.option(Queue.take(lines))
    if (Option.isNone(line)) break
    if (isTerminal && isKept(line.value)) past.keep(line.value)
    const fiber: Fiber.Fiber<boolean, Failure> = yield* Effect.forkChild(run(session, line.value))
    running = fiber
    const exit: Exit.Exit<boolean, Failure> = yield* Fiber.await(fiber)
    running = undefined
    if (Exit.isSuccess(exit)) {
      if (!exit.value) break
      continue
    }
    failed++
    const failure = ofCause(exit.cause)
    if (failure !== undefined) yield* Output.note(render(failure, input.json))
    else if (Cause.hasInterruptsOnly(exit.cause)) yield* Output.note("cancelled")
    else return yield* Effect.failCause(exit.cause)
  }
  if (!isTerminal && failed > 0) {
    return yield* new Failure({ kind: "Refused", message: `${failed} line${failed === 1 ? "" : "s"} failed` })
  }
}, Effect.scoped)
