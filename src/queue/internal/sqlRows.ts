/**
 * @internal What a row of the tables says, as both databases give it.
 */
import { contentTypes } from "./payload.ts"
import { State, type Stored } from "./store.ts"

/** A row by its columns; integers of 64 bits may be `bigint` or text. */
export type Values = ReadonlyArray<any>

/** The envelope, and the payload. */
export const ofMessage: ReadonlyArray<string> = [
  "seq",
  "created_at",
  "scheduled_at",
  "updated_at",
  "priority",
  "max_tries",
  "payload_kind",
  "source",
  "destination",
  "topic",
  "ordering_key",
  "dedup_key",
  "payload_type",
  "headers",
  "former_id",
  "payload",
  "stop_key"
].map((column) => `m.${column}`)

/** A message `m` that may be unfinished, `w`, or finished, `d`: what {@link toStored} reads, in this order (PostgreSQL). */
export const ofAny = [
  ...ofMessage,
  "COALESCE(w.state, d.state)",
  "COALESCE(w.tries, d.tries)",
  "w.due_at",
  "w.token",
  "COALESCE(w.processing_at, d.processing_at)",
  "COALESCE(w.error_at, d.error_at)",
  "COALESCE(w.error, d.error)",
  "d.finished_at"
].join(", ")

/** How the row of work, or of what is done, is found for a message `m`. */
export const joinAny = (p: string): string =>
  `LEFT JOIN ${p}_work w ON w.destination = m.destination AND w.state IN (${
    [State.ready, State.readyBlocked, State.scheduled, State.scheduledBlocked, State.processing].join(", ")
  }) AND w.rank = -m.priority AND w.seq = m.seq
  LEFT JOIN ${p}_done d ON d.destination = m.destination AND d.state IN (${State.processed}, ${State.dead})
    AND d.seq = m.seq`

const optional = (value: unknown): number | null => value === null || value === undefined ? null : Number(value)

export const toStored = (row: Values): Stored => ({
  seq: Number(row[0]),
  createdAt: Number(row[1]),
  scheduledAt: optional(row[2]),
  updatedAt: optional(row[3]),
  priority: Number(row[4]),
  maxTries: Number(row[5]),
  payloadKind: Number(row[6]),
  source: row[7],
  destination: row[8],
  topic: row[9],
  orderingKey: row[10],
  deduplicationKey: row[11],
  payloadType: row[12] ?? contentTypes[Number(row[6]) as 0 | 1 | 2] ?? contentTypes[2],
  headers: row[13] === null ? null : JSON.parse(row[13]),
  formerId: row[14],
  payload: row[15],
  stopKey: Number(row[16]) === 1,
  state: Number(row[17]),
  tries: Number(row[18]),
  dueAt: optional(row[19]),
  token: row[20],
  processingAt: optional(row[21]),
  errorAt: optional(row[22]),
  error: row[23],
  finishedAt: optional(row[24])
})

/** Kept as nothing where it is what the payload's kind has anyhow. */
export const payloadType = (kind: number, type: string): string | null => type === contentTypes[kind as 0] ? null : type

export const headersText = (headers: Readonly<Record<string, string>> | null): string | null =>
  headers === null ? null : JSON.stringify(headers)
