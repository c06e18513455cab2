/**
 * @internal What waits in a lane: who asked for what, how it becomes work for a store, and how they are told.
 */
import type * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type * as Message from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import * as Metrics from "../QueueMetrics.ts"
import {
  type Busy,
  busy,
  type Claim,
  type Done,
  type Finish,
  type Finished,
  type NewMessage,
  Op,
  type Pushed,
  type Work
} from "./store.ts"

export type Settle<A> = (exit: Exit.Exit<A, MessageQueueError>) => void

export interface Waiting<A> {
  readonly settle: Settle<A>
  cancelled: boolean
  /** How often it found what it needs held by somebody else. */
  refusals: number
}

export interface PushOp extends Waiting<ReadonlyArray<Pushed>> {
  readonly messages: ReadonlyArray<NewMessage>
}

export interface FinishOp extends Waiting<Finished> {
  readonly finish: Finish
}

/** A claim for one node, on behalf of those who wait in its room. */
export interface ClaimOp extends Claim {
  readonly settle: Settle<ReadonlyArray<Message.Delivery>>
}

export interface Ops {
  readonly pushes: ReadonlyArray<PushOp>
  readonly finishes: ReadonlyArray<FinishOp>
  readonly claims: ReadonlyArray<ClaimOp>
}

export const none: ReadonlyArray<never> = []

export const isKeyed = (message: NewMessage): boolean =>
  message.orderingKey !== null || message.deduplicationKey !== null

export const nobody: ReadonlySet<string> = new Set()

export const destinations = (pushes: ReadonlyArray<PushOp>): ReadonlySet<string> => {
  const nodes = new Set<string>()
  for (const op of pushes) for (const message of op.messages) nodes.add(message.destination)
  return nodes
}

export const workOf = (ops: Ops): Work => ({
  pushes: ops.pushes.map((op) => op.messages),
  finishes: ops.finishes.map((op) => op.finish),
  claims: ops.claims
})

export const fail = (ops: Ops, exit: Exit.Exit<never, MessageQueueError>): void => {
  for (const op of ops.pushes) op.settle(exit)
  for (const op of ops.finishes) op.settle(exit)
  for (const op of ops.claims) op.settle(exit)
}

export const singles = (ops: Ops): ReadonlyArray<Ops> => [
  ...ops.pushes.map((op) => ({ pushes: [op], finishes: none, claims: none })),
  ...ops.finishes.map((op) => ({ pushes: none, finishes: [op], claims: none })),
  ...ops.claims.map((op) => ({ pushes: none, finishes: none, claims: [op] }))
]

/** What trying again, each by itself, would not change, or would do twice. */
export const isFinal = (cause: Cause.Cause<MessageQueueError>): boolean =>
  cause.reasons.some((reason) =>
    reason._tag === "Fail" && reason.error.reason._tag === "QueueUnavailable" &&
    (reason.error.reason.uncertain || reason.error.reason.busy === true)
  )

export const makeCounters = (context: Parameters<typeof Metrics.rounds.updateUnsafe>[1]) => {
  const settled = [...Object.values(Op), -1].map((op) =>
    Metric.withAttributes(Metrics.settled, {
      word: Object.entries(Op).find(([, value]) => value === op)?.[0] ?? "lost"
    })
  )
  return ({ finishes }: Work, done: Done): void => {
    Metrics.rounds.updateUnsafe(1, context)
    let pushed = 0
    for (const messages of done.pushed) if (messages !== busy) pushed += messages.length
    if (pushed > 0) Metrics.pushed.updateUnsafe(pushed, context)
    let pulled = 0
    for (const deliveries of done.claimed) pulled += deliveries.length
    if (pulled > 0) Metrics.pulled.updateUnsafe(pulled, context)
    if (finishes.length === 0) return
    const words = settled.map(() => 0)
    done.finished.forEach((finished: Finished | Busy, index) => {
      if (finished !== busy) words[finished.held ? finishes[index]!.op : words.length - 1]!++
    })
    words.forEach((times, index) => times > 0 && settled[index]!.updateUnsafe(times, context))
  }
}
