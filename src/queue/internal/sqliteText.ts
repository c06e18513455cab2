/**
 * @internal The statements of SQLite.
 *
 * `LIMIT ? + 0`: with a bare `LIMIT ?` SQLite plans the statement anew each time that a number is bound.
 */
import { ofMessage } from "./sqlRows.ts"
import { State } from "./store.ts"

/** How many rows one statement inserts where there are as many, and of how many columns. */
export const manyRows = 10
export const plainColumns = 8

/** Of a message `m` that may wait, `w`, be in somebody's hands, `h`, or be finished, `d`: what `toStored` reads. */
const columns = (state: string): string =>
  [
    ...ofMessage,
    state,
    "COALESCE(w.tries, h.tries, d.tries)",
    "COALESCE(w.due_at, h.due_at)",
    "h.token",
    ...["processing_at", "error_at", "error"].map((column) => `COALESCE(w.${column}, h.${column}, d.${column})`),
    "d.finished_at"
  ].join(", ")

export const makeText = (p: string) => {
  const message = `${p}_message`
  const work = `${p}_work`
  const held = `${p}_held`
  const done = `${p}_done`
  const dedup = `${p}_dedup`
  const stop = `${p}_stop`
  const at = `WHERE destination = ? AND state = ? AND rank = ? AND seq = ?`
  const upTo = `WHERE destination = ? AND state = ${State.ready} AND (rank, seq) <= (?, ?)`
  const join = `LEFT JOIN ${work} w ON w.destination = m.destination AND w.state IN (${
    [State.ready, State.readyBlocked, State.scheduled, State.scheduledBlocked].join(", ")
  }) AND w.rank = -m.priority AND w.seq = m.seq
    LEFT JOIN ${held} h ON h.seq = m.seq
    LEFT JOIN ${done} d ON d.destination = m.destination AND d.state IN (${State.processed}, ${State.dead})
      AND d.seq = m.seq`
  const state = `COALESCE(w.state, CASE WHEN h.seq IS NOT NULL THEN ${State.processing} END, d.state)`
  const messages = `SELECT ${columns(state)} FROM ${message} m ${join}`
  const some = (states: ReadonlyArray<number> | undefined) =>
    states === undefined ? "" : ` AND ${state} IN (${states.join(", ")})`
  const plain = "(seq, created_at, priority, max_tries, payload_kind, source, destination, payload)"
  /** What is removed: number, node, state, rank, ordering key, deduplication key. */
  const removable = `SELECT m.seq, m.destination, ${state}, -m.priority, m.ordering_key, m.dedup_key
    FROM ${message} m ${join} WHERE m.seq = ?`
  /** What is brought back: number, node, priority, ordering key, and how it came to its end. */
  const redrivable = `SELECT m.seq, m.destination, m.priority, m.ordering_key, d.processing_at, d.error_at, d.error
    FROM ${done} d CROSS JOIN ${message} m ON m.seq = d.seq`
  const expired = `NOT EXISTS (SELECT 1 FROM ${dedup} k
    WHERE k.destination = m.destination AND k.dedup_key = m.dedup_key AND k.seq = m.seq AND k.until > ?)`
  return {
    next: `SELECT max(last, COALESCE((SELECT max(seq) FROM ${message}), 0)) FROM ${p}_meta`,
    /** Numbers of messages that are gone are not given out again. */
    keepLast: `UPDATE ${p}_meta SET last = max(last, ?)`,

    insertMessage: `INSERT INTO ${message} (seq, created_at, scheduled_at, priority, max_tries, payload_kind, source,
      destination, topic, ordering_key, dedup_key, payload_type, headers, payload, stop_key)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    /** Those that say nothing but where they go. */
    insertPlain: `INSERT INTO ${message} ${plain} VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    insertPlainMany: `INSERT INTO ${message} ${plain} VALUES ${
      Array.from({ length: manyRows }, () => "(?, ?, ?, ?, ?, ?, ?, ?)").join(", ")
    }`,
    insertReady: `INSERT INTO ${work} (seq, rank, tries, state, destination) VALUES (?, ?, 0, ${State.ready}, ?)`,
    /** The work of all messages of a range of numbers, none of which has a key. */
    insertReadyMany: `INSERT INTO ${work} (seq, due_at, rank, tries, state, destination)
      SELECT seq, CASE WHEN scheduled_at > created_at THEN scheduled_at END, -priority, 0,
        CASE WHEN scheduled_at > created_at THEN ${State.scheduled} ELSE ${State.ready} END, destination
      FROM ${message} WHERE seq BETWEEN ? AND ?`,
    insertWork:
      `INSERT INTO ${work} (seq, due_at, rank, tries, state, destination, ordering_key, processing_at, error_at, error)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    behind: `SELECT 1 FROM ${work} WHERE destination = ?1 AND ordering_key = ?2
      UNION ALL SELECT 1 FROM ${held} WHERE destination = ?1 AND ordering_key = ?2
      UNION ALL SELECT 1 FROM ${stop} WHERE destination = ?1 AND ordering_key = ?2 LIMIT 1`,
    /** What has died, where it stops its key. */
    stop: `INSERT INTO ${stop} (destination, ordering_key, seq)
      SELECT destination, ordering_key, seq FROM ${message} WHERE seq = ? AND stop_key = 1`,
    stopsBefore: `SELECT 1 FROM ${stop} WHERE destination = ? AND ordering_key = ? AND seq < ?`,
    dropStop: `DELETE FROM ${stop} WHERE destination = ? AND ordering_key = ? AND seq = ?`,
    dedup: `SELECT seq, until FROM ${dedup} WHERE destination = ? AND dedup_key = ?`,
    setDedup: `INSERT INTO ${dedup} (destination, dedup_key, seq, until) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET seq = excluded.seq, until = excluded.until`,
    dropDedup: `DELETE FROM ${dedup} WHERE destination = ? AND dedup_key = ? AND seq = ?`,

    ready: `SELECT ${ofMessage.join(", ")}, w.tries, w.error_at, w.error
      FROM ${work} w CROSS JOIN ${message} m ON m.seq = w.seq
      WHERE w.destination = ? AND w.state = ${State.ready} ORDER BY w.rank, w.seq LIMIT ? + 0`,
    dropWork: `DELETE FROM ${work} ${at}`,
    insertHeld:
      `INSERT INTO ${held} (seq, due_at, processing_at, error_at, rank, tries, token, destination, ordering_key,
      error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    /** All up to the last that was read: two statements for many. */
    takeMany: `INSERT INTO ${held} (seq, due_at, processing_at, error_at, rank, tries, token, destination, ordering_key,
      error)
      SELECT seq, ?, ?, error_at, rank, tries + 1, lower(hex(randomblob(16))), destination, ordering_key, error
      FROM ${work} ${upTo} RETURNING seq, token`,
    dropMany: `DELETE FROM ${work} ${upTo}`,

    held: `SELECT tries, due_at, token, ordering_key, processing_at, error_at, error, rank FROM ${held}
      WHERE seq = ? AND destination = ?`,
    maxTries: `SELECT max_tries FROM ${message} WHERE seq = ?`,
    extend: `UPDATE ${held} SET due_at = ? WHERE seq = ?`,
    dropHeld: `DELETE FROM ${held} WHERE seq = ?`,
    insertDone: `INSERT INTO ${done} (seq, finished_at, processing_at, error_at, tries, state, destination, error)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    /** What of these, tokens by their numbers, is held and has no key, is done. */
    ackMany: `INSERT INTO ${done} (seq, finished_at, processing_at, error_at, tries, state, destination, error)
      SELECT h.seq, ?1, h.processing_at, h.error_at, h.tries, ${State.processed}, h.destination, h.error
      FROM json_each(?2) j CROSS JOIN ${held} h ON h.seq = j.key
      WHERE h.token = j.value AND h.destination = ?3 AND h.ordering_key IS NULL AND (h.due_at IS NULL OR h.due_at > ?1)
      RETURNING seq`,
    dropHeldMany: `DELETE FROM ${held} WHERE seq IN (SELECT value FROM json_each(?))`,

    comes: `SELECT due_at, seq, destination, state, rank, ordering_key FROM ${work} INDEXED BY ${p}_due_at
      WHERE due_at <= ? ORDER BY due_at LIMIT ? + 0`,
    runsOut: `SELECT h.due_at, h.seq, h.destination, h.rank, h.ordering_key, h.tries, h.processing_at, m.max_tries
      FROM ${held} h INDEXED BY ${p}_lease CROSS JOIN ${message} m ON m.seq = h.seq
      WHERE h.due_at <= ? ORDER BY h.due_at LIMIT ? + 0`,
    nextDue: `SELECT min(due_at) FROM (SELECT min(due_at) AS due_at FROM ${work} INDEXED BY ${p}_due_at
      WHERE due_at IS NOT NULL UNION ALL SELECT min(due_at) FROM ${held} INDEXED BY ${p}_lease WHERE due_at IS NOT NULL)`,
    comesTrue: `UPDATE ${work} SET state = ?, due_at = NULL ${at}`,
    setState: `UPDATE ${work} SET state = ? ${at}`,
    firstOf: `SELECT seq, rank, state FROM ${work} INDEXED BY ${p}_in_order
      WHERE destination = ? AND ordering_key = ? AND state = ? ORDER BY seq LIMIT 1`,
    isHeld: `SELECT 1 FROM ${held} INDEXED BY ${p}_held_in_order WHERE destination = ? AND ordering_key = ? LIMIT 1`,
    hasReady: `SELECT j.value FROM json_each(?) j WHERE EXISTS (
      SELECT 1 FROM ${work} WHERE destination = j.value AND state = ${State.ready})`,

    former: `SELECT seq FROM ${message} WHERE former_id = ?`,
    one: `${messages} WHERE m.seq = ?`,
    page: (states: ReadonlyArray<number> | undefined) =>
      `${messages} WHERE m.seq > ?${some(states)} ORDER BY m.seq LIMIT ? + 0`,
    sentBy: (states: ReadonlyArray<number>, more: string) =>
      `SELECT m.seq FROM ${message} m ${join} WHERE m.source = ?${more} AND m.seq > ?${some(states)}
      ORDER BY m.seq LIMIT ? + 0`,
    heldBy: `SELECT seq FROM ${held} WHERE destination = ? AND seq > ? ORDER BY seq LIMIT ? + 0`,
    finishedOf: `SELECT seq FROM ${done} WHERE destination = ? AND state = ? AND seq > ? ORDER BY seq LIMIT ? + 0`,
    ranks: `WITH RECURSIVE r (rank) AS (
        SELECT min(rank) FROM ${work} WHERE destination = ?1 AND state = ?2
        UNION ALL
        SELECT (SELECT min(rank) FROM ${work} w WHERE destination = ?1 AND state = ?2 AND w.rank > r.rank)
        FROM r WHERE r.rank IS NOT NULL)
      SELECT rank FROM r WHERE rank IS NOT NULL`,
    waitingOf: `SELECT seq FROM ${work} WHERE destination = ? AND state = ? AND rank = ? AND seq > ?
      ORDER BY seq LIMIT ? + 0`,

    update: `UPDATE ${message} SET payload = ?, payload_kind = ?, payload_type = ?, updated_at = ? WHERE seq = ?`,
    setScheduledAt: `UPDATE ${message} SET scheduled_at = ? WHERE seq = ?`,
    setDue: `UPDATE ${work} SET state = ?, due_at = ? ${at}`,
    removable,
    waits: ` AND w.state < ${State.processing}`,
    range: (more: string) => `SELECT seq FROM ${message} WHERE seq > ? AND seq <= ?${more} ORDER BY seq LIMIT ? + 0`,
    dropMessage: `DELETE FROM ${message} WHERE seq = ?`,
    dropDone: `DELETE FROM ${done} WHERE destination = ? AND state = ? AND seq = ?`,
    destination: `SELECT destination FROM ${message} WHERE seq = ?`,
    redrivableOne: `${redrivable} WHERE d.destination = ? AND d.state = ${State.dead} AND d.seq = ?`,
    redrivableOf: `${redrivable} WHERE d.destination = ? AND d.state = ${State.dead} AND d.finished_at <= ?
      ORDER BY d.seq LIMIT ? + 0`,
    redrivable: `${redrivable} WHERE d.state = ${State.dead} AND d.finished_at <= ? ORDER BY d.finished_at LIMIT ? + 0`,

    /** Dead letters past their time. */
    pruneDead: `SELECT m.seq, m.destination, d.state, 0, NULL, m.dedup_key FROM ${done} d INDEXED BY ${p}_finished
      CROSS JOIN ${message} m ON m.seq = d.seq
      WHERE d.state = ${State.dead} AND d.finished_at <= ? AND ${expired} AND NOT EXISTS (
        SELECT 1 FROM ${stop} s WHERE s.destination = m.destination AND s.ordering_key = m.ordering_key AND s.seq = m.seq)
      ORDER BY d.finished_at LIMIT ? + 0`,
    nextNode: `SELECT min(destination) FROM ${done} WHERE destination > ?`,
    /** What is processed, in the order of the pushes: nothing can be past its time after the first that is younger. */
    processed: `SELECT m.seq, d.finished_at, m.created_at FROM ${done} d CROSS JOIN ${message} m ON m.seq = d.seq
      WHERE d.destination = ? AND d.state = ${State.processed} AND d.seq > ? ORDER BY d.seq LIMIT ? + 0`,
    pruneProcessed: `SELECT m.seq, m.destination, d.state, 0, NULL, m.dedup_key FROM ${done} d
      CROSS JOIN ${message} m ON m.seq = d.seq
      WHERE d.destination = ? AND d.state = ${State.processed} AND d.seq = ? AND d.finished_at <= ? AND ${expired}`,
    overKeys: `SELECT destination, dedup_key, seq FROM ${dedup} WHERE until <= ? ORDER BY until LIMIT ? + 0`
  }
}

export type Text = ReturnType<typeof makeText>
