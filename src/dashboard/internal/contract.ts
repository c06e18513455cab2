/**
 * What the page asks of its server. The page uses the types only: it calls without schemas, so that its script stays small.
 */
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { TooManyAttempts } from "../../identity/Authenticator.ts"
import * as ErrorCode from "../../rpc/ErrorCode.ts"

/** Something cannot be done: the queue is away, a message is in nobody's hands any more. Told as it is to who may see it. */
export class Unable extends Schema.TaggedError<Unable>("effect-wire/dashboard/internal/contract/Unable")(
  "Unable",
  { reason: Schema.String },
  ErrorCode.annotation({ code: -32014 })
) {
  override get message(): string {
    return this.reason
  }
}

/** Who looks, and whether they may. */
export const Hello = Schema.Struct({
  title: Schema.String,
  allowed: Schema.Boolean,
  /** Whether there is anybody who can be asked who the caller is. */
  signIn: Schema.Boolean,
  username: Schema.NullOr(Schema.String),
  /** What an identity needs. */
  permission: Schema.String
})

export const TopicInfo = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["plain", "state"]),
  summary: Schema.String
})

/** What there is to show. */
export const Description = Schema.Struct({
  document: Schema.Json,
  topics: Schema.Array(TopicInfo),
  /** Whether the values of topics can be seen. */
  hears: Schema.Boolean,
  states: Schema.Array(Schema.String),
  queues: Schema.Array(Schema.String),
  frames: Schema.Boolean,
  errors: Schema.Boolean,
  connections: Schema.Boolean
})

/** The counts of one method since the process started; `buckets` are pairs of a bound in milliseconds and a count up to it. */
export const MethodCounts = Schema.Struct({
  name: Schema.String,
  outcomes: Schema.Record(Schema.String, Schema.Finite),
  count: Schema.Finite,
  buckets: Schema.Array(Schema.Tuple([Schema.Finite, Schema.Finite]))
})

export const Snapshot = Schema.Struct({
  /** Epoch milliseconds by the server. */
  now: Schema.Finite,
  since: Schema.Finite,
  inFlight: Schema.Finite,
  connections: Schema.Int,
  /** Bytes of the budget that are taken, by everybody. */
  held: Schema.Finite,
  errors: Schema.Int,
  methods: Schema.Array(MethodCounts)
})

export const Connected = Schema.Struct({
  id: Schema.Int,
  wire: Schema.String,
  carrier: Schema.String,
  path: Schema.String,
  address: Schema.NullOr(Schema.String),
  username: Schema.NullOr(Schema.String),
  since: Schema.Finite,
  /** Bytes of the budget that it holds. */
  held: Schema.Finite,
  /** Of them, what waits for the peer to read. */
  waiting: Schema.Finite,
  topics: Schema.Array(Schema.String),
  /** Whether it is the one that asks. */
  own: Schema.Boolean
})

export const LoggedError = Schema.Struct({
  at: Schema.Finite,
  level: Schema.String,
  correlationId: Schema.NullOr(Schema.String),
  method: Schema.NullOr(Schema.String),
  message: Schema.String,
  cause: Schema.String
})

export const Counts = Schema.Struct({
  pending: Schema.Int,
  scheduled: Schema.Int,
  processing: Schema.Int,
  processed: Schema.Int,
  dead: Schema.Int
})

export const Status = Schema.Literals(["pending", "scheduled", "processing", "processed", "dead"])

export const QueueMessage = Schema.Struct({
  id: Schema.String,
  source: Schema.String,
  destination: Schema.String,
  status: Status,
  tries: Schema.Int,
  maxTries: Schema.Int,
  priority: Schema.Int,
  payloadType: Schema.String,
  kind: Schema.Literals(["json", "text", "bytes"]),
  /** The payload as text, bytes in hexadecimal; cut where `size` says that it is longer. */
  payload: Schema.String,
  size: Schema.Int,
  error: Schema.NullOr(Schema.String),
  createdAt: Schema.Finite,
  scheduledAt: Schema.NullOr(Schema.Finite),
  processingAt: Schema.NullOr(Schema.Finite),
  processedAt: Schema.NullOr(Schema.Finite),
  errorAt: Schema.NullOr(Schema.Finite),
  details: Schema.Record(Schema.String, Schema.String)
})

const queue = Schema.String
const node = Schema.optionalKey(Schema.String)
const Secret = Schema.RedactedFromValue(Schema.String)

/** What of the server the page wants to hear of as it happens; nothing of what is absent. */
const Wanted = {
  topics: Schema.optionalKey(Schema.Boolean),
  state: Schema.optionalKey(Schema.String),
  frames: Schema.optionalKey(Schema.Boolean)
}

/** The beginning of the names of all methods here; those of an app do not begin so. */
export const prefix = "dashboard."

/** What may be asked by who may not see anything. */
export const open: ReadonlySet<string> = new Set([
  "dashboard.hello",
  "dashboard.login",
  "dashboard.authenticate",
  "dashboard.logout"
])

export class DashboardMethods extends RpcGroup.make(
  Rpc.make("dashboard.hello", { success: Hello }),
  Rpc.make("dashboard.login", {
    payload: { username: Schema.String, password: Secret },
    success: Schema.Boolean,
    error: Schema.Union([TooManyAttempts, Unable])
  }),
  Rpc.make("dashboard.authenticate", {
    payload: { token: Secret },
    success: Schema.Boolean,
    error: Schema.Union([TooManyAttempts, Unable])
  }),
  Rpc.make("dashboard.logout", { success: Schema.Boolean }),
  Rpc.make("dashboard.describe", { success: Description }),
  Rpc.make("dashboard.snapshot", { success: Snapshot }),
  Rpc.make("dashboard.connections", {
    success: Schema.Struct({ total: Schema.Int, connections: Schema.Array(Connected) })
  }),
  Rpc.make("dashboard.close", { payload: { id: Schema.Int }, success: Schema.Boolean }),
  Rpc.make("dashboard.errors", { success: Schema.Array(LoggedError) }),
  Rpc.make("dashboard.watch", { payload: Wanted, success: Schema.Boolean }),
  Rpc.make("dashboard.queue.counts", { payload: { queue, node }, success: Counts, error: Unable }),
  Rpc.make("dashboard.queue.nodes", {
    payload: { queue },
    success: Schema.Struct({
      /** Whether every message was looked at. */
      complete: Schema.Boolean,
      nodes: Schema.Array(Schema.Struct({ node: Schema.String, counts: Counts }))
    }),
    error: Unable
  }),
  Rpc.make("dashboard.queue.list", {
    payload: {
      queue,
      node,
      status: Schema.optionalKey(Status),
      cursor: Schema.optionalKey(Schema.String),
      limit: Schema.Int
    },
    success: Schema.Struct({ messages: Schema.Array(QueueMessage), cursor: Schema.NullOr(Schema.String) }),
    error: Unable
  }),
  Rpc.make("dashboard.queue.message", {
    payload: { queue, id: Schema.String },
    success: Schema.NullOr(QueueMessage),
    error: Unable
  }),
  Rpc.make("dashboard.queue.push", {
    payload: {
      queue,
      destination: Schema.String,
      payload: Schema.Union([Schema.Struct({ json: Schema.Json }), Schema.Struct({ text: Schema.String })]),
      /** Milliseconds. */
      delay: Schema.optionalKey(Schema.Int),
      priority: Schema.optionalKey(Schema.Int)
    },
    success: Schema.String,
    error: Unable
  }),
  Rpc.make("dashboard.queue.pull", {
    payload: { queue, node: Schema.String },
    success: Schema.NullOr(Schema.String),
    error: Unable
  }),
  Rpc.make("dashboard.queue.act", {
    payload: {
      queue,
      id: Schema.String,
      action: Schema.Literals(["ack", "retry", "reject", "delete", "redrive"])
    },
    error: Unable
  }),
  Rpc.make("dashboard.queue.reschedule", {
    payload: {
      queue,
      id: Schema.String,
      /** Milliseconds from now. */
      delay: Schema.Int
    },
    /** When it is due. */
    success: Schema.Finite,
    error: Unable
  }),
  Rpc.make("dashboard.queue.redrive", { payload: { queue, node }, success: Schema.Int, error: Unable })
) {}

type Methods = RpcGroup.Rpcs<typeof DashboardMethods>

/** The names of the methods. */
export type Name = Methods["_tag"]

type Of<N extends Name> = Extract<Methods, { readonly _tag: N }>

/** Parameters and result of a method, as they travel. */
export type Params<N extends Name> = Rpc.PayloadConstructor<Of<N>> extends void ? undefined
  : Of<N> extends Rpc.Rpc<any, infer P, any, any> ? P["Encoded"]
  : never
export type Result<N extends Name> = Of<N> extends Rpc.Rpc<any, any, infer S, any> ? S["Encoded"] : never

/** One value of a topic. */
export interface TopicValue {
  readonly topic: string
  /** Epoch milliseconds. */
  readonly at: number
  readonly value: Schema.Json
}

/** A frame that went by. */
export interface FrameSeen {
  readonly at: number
  readonly connection: number
  readonly what: string
  readonly from: "client" | "server" | ""
  readonly text: string
}

/** What is told as it happens. */
export type Event =
  | { readonly kind: "topics"; readonly reset: boolean; readonly values: ReadonlyArray<TopicValue> }
  | {
    readonly kind: "state"
    readonly state: string
    readonly version: number
    readonly operations: ReadonlyArray<Schema.Json>
  }
  | { readonly kind: "frames"; readonly frames: ReadonlyArray<FrameSeen> }
