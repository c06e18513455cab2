/**
 * The tree of commands. Each is read when it runs, so that a start costs what the command needs.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Configs from "./configs.ts"
import { examples } from "./examples.ts"
import type { Trust } from "./flags.ts"

/** What a command does, read when it runs; it begins with whom its connections are to believe. */
const lazily = <Module, Input extends Partial<Trust>, E, R>(
  load: () => Promise<Module>,
  run: (module: Module) => (input: Input) => Effect.Effect<void, E, R>
) =>
(input: Input) =>
  Effect.gen(function*() {
    const { ca = Option.none<string>(), insecure = false } = input
    if (insecure || Option.isSome(ca)) {
      const trust = yield* Effect.promise(() => import("./trust.ts"))
      yield* trust.apply({ ca, insecure })
    }
    return yield* run(yield* Effect.promise(load))(input)
  })

const call = Command.make("call", Configs.call, lazily(() => import("./call.ts"), (module) => module.call)).pipe(
  Command.withDescription("Call a method and print its result; Ctrl-C cancels it at the server"),
  Command.withExamples(examples.call)
)

const notify = Command.make("notify", Configs.notify, lazily(() => import("./call.ts"), (module) => module.notify))
  .pipe(
    Command.withDescription("Send a notification, which is not answered"),
    Command.withExamples(examples.notify)
  )

const batch = Command.make("batch", Configs.batch, lazily(() => import("./call.ts"), (module) => module.batch)).pipe(
  Command.withDescription("Send several calls in one frame and print each answer"),
  Command.withExamples(examples.batch)
)

const listen = Command.make("listen", Configs.listen, lazily(() => import("./listen.ts"), (module) => module.listen))
  .pipe(
    Command.withDescription("Print notifications, or the values of topics, as they come"),
    Command.withExamples(examples.listen)
  )

const discover = Command.make(
  "discover",
  Configs.discover,
  lazily(() => import("./discover.ts"), (module) => module.discover)
).pipe(
  Command.withDescription("List what a server can do: methods, parameters, errors, topics"),
  Command.withExamples(examples.discover)
)

const repl = Command.make("repl", Configs.repl, lazily(() => import("./repl.ts"), (module) => module.repl)).pipe(
  Command.withDescription("Call methods by hand, with completion and a history"),
  Command.withExamples(examples.repl)
)

const bench = Command.make("bench", Configs.bench, lazily(() => import("./bench.ts"), (module) => module.bench)).pipe(
  Command.withDescription("Load a server with one call, and print latencies as numbers and as a picture"),
  Command.withExamples(examples.bench)
)

const loadState = () => import("./state.ts")

const state = Command.make("state").pipe(
  Command.withDescription("Read, follow and change what a Juggler server of any generation shows"),
  Command.withSubcommands([
    Command.make("get", Configs.stateGet, lazily(loadState, (module) => module.get)).pipe(
      Command.withDescription("Print the state, or a part of it"),
      Command.withExamples(examples.stateGet)
    ),
    Command.make("follow", Configs.stateFollow, lazily(loadState, (module) => module.follow)).pipe(
      Command.withDescription("Print the state whenever it changes, as JSON or as patches, one a line"),
      Command.withExamples(examples.stateFollow)
    ),
    Command.make("set", Configs.stateSet, lazily(loadState, (module) => module.set)).pipe(
      Command.withDescription("Set a value: by the server's request; in generation 0.5, of the data of this end"),
      Command.withExamples(examples.stateSet)
    ),
    Command.make("call", Configs.stateCall, lazily(loadState, (module) => module.call)).pipe(
      Command.withDescription("Make a request (0.6, 0.7), or call an action (0.5)"),
      Command.withExamples(examples.stateCall)
    )
  ])
)

const loadQueue = () => import("./queue.ts")

const queue = Command.make("queue").pipe(
  Command.withDescription("Look into a message queue, and work on it: SQLite, PostgreSQL, Scirocco over HTTP"),
  Command.withSubcommands([
    Command.make("counts", Configs.store, lazily(loadQueue, (module) => module.counts)).pipe(
      Command.withDescription("How many messages are in each status"),
      Command.withExamples(examples.queueCounts)
    ),
    Command.make("list", Configs.queueList, lazily(loadQueue, (module) => module.list)).pipe(
      Command.withDescription("List messages, oldest first"),
      Command.withExamples(examples.queueList)
    ),
    Command.make("show", Configs.queueShow, lazily(loadQueue, (module) => module.show)).pipe(
      Command.withDescription("Print one message with all that is known about it"),
      Command.withExamples(examples.queueShow)
    ),
    Command.make("push", Configs.queuePush, lazily(loadQueue, (module) => module.push)).pipe(
      Command.withDescription("Push a message and print its id"),
      Command.withExamples(examples.queuePush)
    ),
    Command.make("pull", Configs.queuePull, lazily(loadQueue, (module) => module.pull)).pipe(
      Command.withDescription("Take a message; it is held until it is acknowledged or its lease ends"),
      Command.withExamples(examples.queuePull)
    ),
    Command.make("ack", Configs.queueAck, lazily(loadQueue, (module) => module.ack)).pipe(
      Command.withDescription("Acknowledge a message that was pulled"),
      Command.withExamples(examples.queueAck)
    ),
    Command.make("redrive", Configs.queueRedrive, lazily(loadQueue, (module) => module.redrive)).pipe(
      Command.withDescription("Bring dead messages back"),
      Command.withExamples(examples.queueRedrive)
    ),
    Command.make("clear", Configs.queueClear, lazily(loadQueue, (module) => module.clear)).pipe(
      Command.withDescription("Remove messages for good"),
      Command.withExamples(examples.queueClear)
    ),
    Command.make("watch", Configs.queueWatch, lazily(loadQueue, (module) => module.watch)).pipe(
      Command.withDescription("Print the counts whenever they change"),
      Command.withExamples(examples.queueWatch)
    )
  ])
)

const loadContract = () => import("./contract.ts")

const contract = Command.make("contract").pipe(
  Command.withDescription("Compare OpenRPC documents, and make TypeScript contracts of them"),
  Command.withSubcommands([
    Command.make("check", Configs.contractCheck, lazily(loadContract, (module) => module.check)).pipe(
      Command.withDescription("Say whether a later contract breaks clients or servers of an earlier one; exit code 1"),
      Command.withExamples(examples.contractCheck)
    ),
    Command.make("generate", Configs.contractGenerate, lazily(loadContract, (module) => module.generate)).pipe(
      Command.withDescription("Print the TypeScript contract of a document or of a server"),
      Command.withExamples(examples.contractGenerate)
    )
  ])
)

const loadTap = () => import("./tap.ts")

const tap = Command.make("tap").pipe(
  Command.withDescription("Show and record what clients and a server say, and play recordings again"),
  Command.withSubcommands([
    Command.make("proxy", Configs.tapProxy, lazily(loadTap, (module) => module.proxy)).pipe(
      Command.withDescription("Listen for clients, pass everything on to a server, and print it, secrets hidden"),
      Command.withExamples(examples.tapProxy)
    ),
    Command.make("replay", Configs.tapReplay, lazily(loadTap, (module) => module.replay)).pipe(
      Command.withDescription(
        "Play the clients of a recording against a server; exit code 1 where it answers otherwise"
      ),
      Command.withExamples(examples.tapReplay)
    ),
    Command.make("diff", Configs.tapDiff, lazily(loadTap, (module) => module.diff)).pipe(
      Command.withDescription("Play a recording against two servers; exit code 1 where they answer differently"),
      Command.withExamples(examples.tapDiff)
    )
  ])
)

/**
 * The program.
 *
 * @internal
 */
export const program = Command.make("effect-wire").pipe(
  Command.withDescription("JSON-RPC, Juggler and message queues from the command line"),
  Command.withSubcommands([call, notify, batch, listen, discover, repl, state, queue, contract, bench, tap])
)
