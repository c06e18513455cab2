// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/** A queue under measurement: the same few operations of ours and of everybody else. */
export interface Candidate {
  readonly name: string
  /** Fills the queue with so many waiting messages, as fast as it can, without ANALYZE. */
  readonly load: (count: number) => Promise<void>
  /** One after the other, as one sender does; gives how many it pushed. */
  readonly push: () => Promise<number>
  /** 100 at once, where there is such a thing. */
  readonly pushBatch?: () => Promise<number>
  /** One after the other, as one worker does. */
  readonly pullAck: () => Promise<number>
  readonly pullAckBatch?: () => Promise<number>
  /** Takes one message and keeps it. */
  readonly claim: () => Promise<unknown>
  readonly analyze: () => Promise<void>
  readonly close: () => Promise<void>
}

export const body = { type: "message", text: "x".repeat(100) }

/** How many a sender or worker does in its own loop where nothing is waited for but the disk: a turn of the event loop for each would be measured. */
export const times = 20
