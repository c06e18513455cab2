/**
 * The arguments and options of each command: what is parsed and what `--help` says. What a command does is read when it runs.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Flags from "./flags.ts"

const progress = Flags.yes("progress", "Report progress as lines of JSON on standard error, on a terminal too")

/** @internal */
export const call = {
  url: Flags.url,
  method: Flags.method,
  params: Flags.params,
  ...Flags.connection,
  stream: Flags.yes("stream", "Print the elements of a stream as they come, one a line"),
  progress
}

/** @internal */
export const notify = { url: Flags.url, method: Flags.method, params: Flags.params, ...Flags.connection }

/** @internal */
export const batch = {
  url: Flags.url,
  calls: Argument.String("call").pipe(
    Argument.withDescription("\"method params\" each, !method for a notification; or one JSON array, @file or -"),
    Argument.variadic({ min: 1 })
  ),
  ...Flags.connection,
  progress
}

/** @internal */
export const listen = {
  url: Flags.url,
  ...Flags.connection,
  topic: Flags.many("topic", "name", "Subscribe to this topic; without any, all notifications are printed"),
  from: Flags.text("from", "epoch:offset", "Go on after this position, of one topic with a history"),
  positions: Flags.yes("positions", "Print the position of each value, of topics with a history"),
  method: Flags.many("method", "name", "Of notifications, only those of this method"),
  count: Flags.count("count", "End after so many")
}

/** @internal */
export const discover = {
  url: Flags.url,
  method: Argument.String("method").pipe(
    Argument.withDescription("Only this method, with all that is known about it"),
    Argument.optional
  ),
  ...Flags.connection
}

/** @internal */
export const repl = {
  url: Flags.url,
  ...Flags.connection,
  history: Flags.text(
    "history",
    "file",
    "Where lines are kept (default: effect-wire/history in XDG_STATE_HOME or ~/.local/state)"
  )
}

/**
 * How a command connects to a Juggler server.
 *
 * @internal
 */
export const juggler = {
  generation: Flag.Literals("generation", ["auto", "0.5", "0.6", "0.7"]).pipe(
    Flag.withAlias("g"),
    Flag.withDescription("What the server speaks (default: what it begins with tells)"),
    Flag.withDefault("auto" as const)
  ),
  ...Flags.identity,
  connectTimeout: Flags.connection.connectTimeout,
  timeout: Flags.duration("timeout", "10s", "How long an answer, or the first state, may take"),
  json: Flags.json
}

/** @internal */
export const stateGet = {
  url: Flags.url,
  pointer: Argument.String("pointer").pipe(
    Argument.withDescription("JSON pointer of a part, as in /items/0"),
    Argument.optional
  ),
  ...juggler
}

/** @internal */
export const stateFollow = {
  url: Flags.url,
  ...juggler,
  at: Flags.text("at", "pointer", "Only the part at this JSON pointer"),
  patches: Flags.yes("patches", "Print what changes, as JSON Patch, instead of the state"),
  count: Flags.count("count", "End after so many")
}

/** @internal */
export const stateSet = {
  url: Flags.url,
  pointer: Argument.String("pointer").pipe(Argument.withDescription("JSON pointer of the place")),
  value: Argument.String("value").pipe(Argument.withDescription("JSON, or text")),
  ...juggler,
  request: Flag.String("request").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("From 0.6 on: the request that takes { path, value } (default set)"),
    Flag.withDefault("set")
  ),
  follow: Flags.yes(
    "follow",
    "Stay connected and print the server's state; data of generation 0.5 goes with its client"
  ),
  count: Flags.count("count", "With --follow, end after so many")
}

/** @internal */
export const stateCall = {
  url: Flags.url,
  name: Argument.String("name").pipe(Argument.withDescription("Name of the request, or of the action in 0.5")),
  data: Flags.params,
  ...juggler
}

/**
 * Which queue a command works on.
 *
 * @internal
 */
export const store = {
  store: Argument.String("store").pipe(
    Argument.withDescription("An SQLite file, postgres://user@host/db (PGPASSWORD), http://host (EFFECT_WIRE_TOKEN)")
  ),
  node: Flags.text("node", "node", "In the name of this node; its messages only"),
  prefix: Flags.text("prefix", "prefix", "Of the tables in a database (default effect_wire_queue)"),
  create: Flags.yes("create", "Make the file and the tables, or bring the tables to this version"),
  ...Flags.trust,
  json: Flags.json
}

const destination = Argument.String("destination").pipe(Argument.withDescription("The node that receives"))
const id = Argument.String("id").pipe(Argument.withDescription("Id of the message"))

/** @internal */
export const queueList = {
  ...store,
  status: Flag.Literals("status", ["pending", "scheduled", "processing", "processed", "dead"]).pipe(
    Flag.withDescription("Only messages in this status"),
    Flag.optional
  ),
  limit: Flags.whole("limit", 100, "At most so many, 1,000 at the most"),
  cursor: Flags.text("cursor", "cursor", "Go on where the last page ended")
}

/** @internal */
export const queueShow = { ...store, id }

/** @internal */
export const queuePush = {
  ...store,
  destination,
  payload: Argument.String("payload").pipe(Argument.withDescription("JSON or text; @file or - reads it")),
  text: Flags.yes("text", "Push as text what would be JSON"),
  binary: Flags.yes("binary", "Push the bytes of @file"),
  delay: Flags.duration("delay", "0s", "Not before so long from now"),
  topic: Flags.text("topic", "word", "What the message is about"),
  type: Flags.text("type", "type", "Type of the payload"),
  priority: Flag.Int("priority").pipe(
    Flag.withMetavar("n"),
    Flag.withDescription("Higher goes first (default 0)"),
    Flag.optional
  ),
  key: Flags.text("key", "key", "Ordering key: messages of one key come strictly in order"),
  deduplicate: Flags.text("deduplicate", "key", "Adds nothing where this key was pushed within 5 minutes")
}

/** @internal */
export const queuePull = {
  ...store,
  destination,
  wait: Flags.duration("wait", "0s", "How long to wait for a message"),
  lease: Flags.optionalDuration("lease", "How long the message is held (default: that of the queue, 30m)"),
  max: Flags.whole("max", 1, "At most so many"),
  ack: Flags.yes("ack", "Acknowledge each as soon as it is printed")
}

/** @internal */
export const queueAck = {
  ...store,
  id: Argument.String("id").pipe(
    Argument.withDescription("Id of the message; or @file or - with what pull --json printed, and nothing else")
  ),
  destination: Argument.optional(destination),
  token: Flags.text("token", "token", "Of the lease, as pull printed it; not needed for a Scirocco server")
}

/** @internal */
export const queueRedrive = {
  ...store,
  ids: Argument.String("id").pipe(
    Argument.withDescription("Only these; all dead messages when absent"),
    Argument.variadic({ min: 0 })
  )
}

/** @internal */
export const queueClear = {
  ...store,
  waiting: Flags.yes("waiting", "Only what is pending or scheduled, sent by --node or by anybody"),
  yes: Flags.yes("yes", "Do not ask")
}

/** @internal */
export const queueWatch = {
  ...store,
  interval: Flags.duration("interval", "1s", "How often to look"),
  count: Flags.count("count", "End after so many lines")
}

/** @internal */
export const contractCheck = {
  before: Argument.String("before").pipe(
    Argument.withDescription("The earlier document: a file, an address, a server")
  ),
  after: Argument.String("after").pipe(Argument.withDescription("The later one")),
  failOn: Flag.Literals("fail-on", ["clients", "servers", "both"]).pipe(
    Flag.withDescription(
      "Whose breaking is an error: old clients with new servers (default), old servers with new clients"
    ),
    Flag.withDefault("clients" as const)
  ),
  all: Flags.yes("all", "Print changes that break nobody, too"),
  ...Flags.connection
}

/** @internal */
export const contractGenerate = {
  document: Argument.String("document").pipe(Argument.withDescription("A file, an address, or a server")),
  name: Flags.text("name", "Name", "Name of the group (default: the title of the document)"),
  out: Flags.text("out", "file.ts", "Write to this file instead of standard output"),
  ...Flags.connection
}

/** @internal */
export const bench = {
  url: Flags.url,
  method: Flags.method,
  params: Flags.params,
  ...Flags.connection,
  connections: Flags.whole("connections", 1, "Connections side by side").pipe(Flag.withAlias("c")),
  inFlight: Flags.whole("in-flight", 16, "Calls of a connection at once"),
  rate: Flags.count("rate", "Calls a second, answered or not, instead of --in-flight"),
  duration: Flags.duration("duration", "5s", "How long to measure").pipe(Flag.withAlias("d")),
  warmup: Flags.duration("warmup", "500ms", "How long to load before that")
}

/** @internal */
export const tapProxy = {
  url: Flags.url,
  port: Flag.Int("port").pipe(
    Flag.withMetavar("n"),
    Flag.withDescription("Where it listens (default: a free port)"),
    Flag.withDefault(0)
  ),
  host: Flag.String("host").pipe(
    Flag.withMetavar("address"),
    Flag.withDescription("Where it listens (default 127.0.0.1, for programs of this machine)"),
    Flag.withDefault("127.0.0.1")
  ),
  out: Flags.text("out", "file", "Record to this file, too"),
  hide: Flags.many("hide", "name", "Hide the values of members of this name, besides those that sound secret"),
  secrets: Flags.yes("show-secrets", "Hide nothing: tokens, passwords, cookies are shown and recorded"),
  ...Flags.trust,
  framing: Flags.connection.framing,
  connectTimeout: Flags.connection.connectTimeout,
  json: Flags.json
}

const playing = {
  recording: Argument.String("recording").pipe(Argument.withDescription("A file that tap proxy --out wrote")),
  ignore: Flags.many("ignore", "name", "A member, or a JSON pointer into messages, that may differ"),
  recordedPace: Flags.yes("recorded-pace", "Take the times of the recording, rather than going as fast as it goes"),
  patience: Flags.duration("patience", "5s", "How long nothing expected may come before it counts as missing"),
  ...Flags.identity,
  framing: Flags.connection.framing,
  connectTimeout: Flags.connection.connectTimeout,
  json: Flags.json
}

/** @internal */
export const tapReplay = { ...playing, url: Flags.url }

/** @internal */
export const tapDiff = {
  ...playing,
  before: Argument.String("before").pipe(Argument.withDescription("Address of the earlier server")),
  after: Argument.String("after").pipe(Argument.withDescription("Address of the later server"))
}
