/**
 * @internal What PostgreSQL does in one round trip. The rules are those of `transition`.
 *
 * Locks: who changes the order of keys locks their rows of `ordering` first, by node and key; then rows of `work`, by
 * number. So nobody waits for somebody who waits for him. What is asked for many at once does not wait at all, it passes
 * over what is locked (`p_wait` is false) and says so.
 */
import { makeDefine, planner } from "./postgresDefine.ts"
import { isBehind, upkeep } from "./postgresUpkeep.ts"
import { leaseRanOut, Op, State } from "./store.ts"

/** The least number of 32 bits: before every rank. */
const first32 = "(-2147483648)"

/** How long a push with a key waits for another transaction with the same key, before it leaves the way to others. */
const patience = "20ms"

export const functions = (p: string): ReadonlyArray<string> => {
  const work = `${p}_work`
  const message = `${p}_message`
  const done = `${p}_done`
  const ordering = `${p}_ordering`
  const define = makeDefine(p)
  const first = (state: number) =>
    `(SELECT seq, rank, state FROM ${work} WHERE destination = p_destination AND ordering_key = p_key
      AND state = ${state} ORDER BY seq LIMIT 1)`
  return [
    // The one clock that decides: milliseconds since 1970.
    `CREATE FUNCTION ${p}_now() RETURNS bigint LANGUAGE sql AS
      $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$`,

    define(
      "arrange",
      "p_destination text, p_key text",
      "boolean",
      `DECLARE
        r record;
      BEGIN
        -- One statement: what it sees is of one moment.
        SELECT f.seq AS free_seq, f.rank AS free_rank, f.state AS free_state, b.seq, b.rank, b.state,
          EXISTS (SELECT 1 FROM ${work} WHERE destination = p_destination AND ordering_key = p_key
            AND state = ${State.processing}) AS busy,
          EXISTS (SELECT 1 FROM ${p}_stop s WHERE s.destination = p_destination AND s.ordering_key = p_key
            AND s.seq < b.seq) AS stopped
        INTO r
        FROM (${first(State.readyBlocked)} UNION ALL ${first(State.scheduledBlocked)} ORDER BY seq LIMIT 1) b
        LEFT JOIN (${first(State.ready)} UNION ALL ${first(State.scheduled)} LIMIT 1) f ON true;
        IF NOT FOUND OR r.busy OR r.stopped OR r.free_seq < r.seq THEN RETURN false; END IF;
        IF r.free_seq IS NOT NULL THEN
          UPDATE ${work} w SET state = r.free_state + 1
            FROM (SELECT seq FROM ${work} WHERE destination = p_destination AND state = r.free_state
              AND rank = r.free_rank AND seq = r.free_seq FOR UPDATE SKIP LOCKED OFFSET 0) x
            WHERE w.destination = p_destination AND w.state = r.free_state AND w.rank = r.free_rank AND w.seq = x.seq;
          -- Taken at this very moment: it is the one on its way.
          IF NOT FOUND THEN RETURN false; END IF;
        END IF;
        UPDATE ${work} SET state = r.state - 1
          WHERE destination = p_destination AND state = r.state AND rank = r.rank AND seq = r.seq;
        RETURN true;
      END`
    ),

    // Makes ready, or dead, what is due; says for whom.
    define(
      "sweep",
      "p_limit integer",
      "text[]",
      `DECLARE
        v_now bigint := ${p}_now();
        v_seqs bigint[];
        v_keyed bigint[];
        v_free bigint[];
        v_nodes text[] := '{}';
        r record;
      BEGIN
        PERFORM 1 FROM ${work} WHERE due_at <= v_now LIMIT 1;
        IF NOT FOUND THEN RETURN v_nodes; END IF;
        v_seqs := ARRAY(SELECT seq FROM ${work} WHERE due_at <= v_now ORDER BY due_at LIMIT p_limit);
        v_keyed := ARRAY(SELECT m.seq FROM unnest(v_seqs) s (seq) JOIN ${message} m ON m.seq = s.seq
          WHERE m.ordering_key IS NOT NULL);
        IF cardinality(v_keyed) > 0 THEN
          v_free := ARRAY(SELECT m.seq FROM (
            SELECT o.destination, o.ordering_key FROM ${ordering} o
            WHERE (o.destination, o.ordering_key) IN (
              SELECT m.destination, m.ordering_key FROM unnest(v_keyed) s (seq) JOIN ${message} m ON m.seq = s.seq)
            ORDER BY 1, 2 FOR UPDATE SKIP LOCKED) k
            JOIN ${message} m ON m.destination = k.destination AND m.ordering_key = k.ordering_key
              AND m.seq = ANY (v_keyed));
          v_seqs := ARRAY(SELECT s FROM unnest(v_seqs) s WHERE NOT s = ANY (v_keyed) OR s = ANY (v_free));
        END IF;
        FOR r IN SELECT w.seq, w.destination, w.state, w.rank, w.tries, w.processing_at, w.ordering_key, m.max_tries, m.stop_key
          FROM unnest(v_seqs) s (seq) JOIN ${message} m ON m.seq = s.seq
          JOIN ${work} w ON w.destination = m.destination
            AND w.state IN (${State.scheduled}, ${State.scheduledBlocked}, ${State.processing})
            AND w.rank = -m.priority AND w.seq = m.seq
          WHERE w.due_at <= v_now ORDER BY w.seq FOR UPDATE OF w SKIP LOCKED
        LOOP
          IF r.state <> ${State.processing} THEN
            -- One of a key may just have been blocked, or freed, by the end of another.
            UPDATE ${work} SET state = state - 2, due_at = NULL
              WHERE destination = r.destination AND state IN (${State.scheduled}, ${State.scheduledBlocked})
                AND rank = r.rank AND seq = r.seq;
          ELSIF r.tries < r.max_tries THEN
            UPDATE ${work} SET state = ${State.ready}, due_at = NULL, token = NULL, error_at = v_now,
              error = '${leaseRanOut}'
              WHERE destination = r.destination AND state = r.state AND rank = r.rank AND seq = r.seq;
          ELSE
            DELETE FROM ${work} WHERE destination = r.destination AND state = r.state AND rank = r.rank AND seq = r.seq;
            INSERT INTO ${done} (seq, finished_at, processing_at, error_at, tries, state, destination, error)
              VALUES (r.seq, v_now, r.processing_at, v_now, r.tries, ${State.dead}, r.destination, '${leaseRanOut}');
            IF r.stop_key = 1 THEN
              INSERT INTO ${p}_stop (destination, ordering_key, seq) VALUES (r.destination, r.ordering_key, r.seq);
            END IF;
          END IF;
          IF r.state = ${State.processing} AND r.ordering_key IS NOT NULL THEN
            PERFORM ${p}_arrange(r.destination, r.ordering_key);
          END IF;
          v_nodes := v_nodes || r.destination;
        END LOOP;
        RETURN v_nodes;
      END`
    ),

    `CREATE TYPE ${p}_claimed AS (
      ord integer, seq bigint, created_at bigint, scheduled_at bigint, updated_at bigint, priority smallint,
      max_tries smallint, payload_kind smallint, source text, topic text, ordering_key text, dedup_key text,
      payload_type text, headers text, former_id text, payload bytea, stop_key smallint, tries smallint, due_at bigint, token uuid,
      processing_at bigint, error_at bigint, error text)`,

    // Of each node up to so many, for so long; first of those after a place, since rows that are gone are passed one by one
    // until they are vacuumed. A crash of the server may forget a claim: then the message is ready again.
    define(
      "claim",
      "p_nodes text[], p_max integer[], p_leases bigint[], p_ranks integer[], p_seqs bigint[], p_alone boolean",
      `SETOF ${p}_claimed`,
      `DECLARE
        v_now bigint := ${p}_now();
        v_count integer;
        v_left integer;
        v_rank integer;
        v_seq bigint;
        v_swept boolean := false;
      BEGIN
        IF p_alone THEN PERFORM set_config('synchronous_commit', 'off', true); END IF;
        FOR i IN 1 .. cardinality(p_nodes) LOOP
          v_left := p_max[i];
          v_rank := COALESCE(p_ranks[i], ${first32});
          v_seq := COALESCE(p_seqs[i], 0);
          LOOP
            RETURN QUERY
              WITH taken AS (
                UPDATE ${work} w SET state = ${State.processing}, tries = w.tries + 1, processing_at = v_now,
                  due_at = v_now + p_leases[i], token = gen_random_uuid()
                WHERE w.ctid = ANY (ARRAY(SELECT ctid FROM ${work} WHERE destination = p_nodes[i]
                  AND state = ${State.ready} AND (rank, seq) > (v_rank, v_seq)
                  ORDER BY rank, seq LIMIT v_left FOR UPDATE SKIP LOCKED))
                RETURNING w.seq, w.tries, w.due_at, w.token, w.processing_at, w.error_at, w.error)
              SELECT i, m.seq, m.created_at, m.scheduled_at, m.updated_at, m.priority, m.max_tries, m.payload_kind,
                m.source, m.topic, m.ordering_key, m.dedup_key, m.payload_type, m.headers, m.former_id, m.payload,
                m.stop_key, t.tries, t.due_at, t.token, t.processing_at, t.error_at, t.error
              FROM taken t CROSS JOIN LATERAL (SELECT * FROM ${message} m WHERE m.seq = t.seq OFFSET 0) m;
            GET DIAGNOSTICS v_count = ROW_COUNT;
            v_left := v_left - v_count;
            EXIT WHEN v_left <= 0;
            IF v_rank > ${first32} THEN
              EXIT WHEN v_count > 0;
              v_rank := ${first32};
              v_seq := 0;
              CONTINUE;
            END IF;
            -- What is due is looked for when the rest was not enough.
            EXIT WHEN v_swept;
            v_swept := true;
            PERFORM 1 FROM ${work} WHERE due_at <= v_now LIMIT 1;
            EXIT WHEN NOT FOUND;
            EXIT WHEN cardinality(${p}_sweep(1000)) = 0;
          END LOOP;
        END LOOP;
      END`,
      planner
    ),

    // Words of holders. 1: done, nobody to wake; 2: done, look; 3: locked by somebody, if nothing was said of it before;
    // 4: look, whatever was said before; nothing: not held.
    define(
      "finish",
      `p_ops integer[], p_seqs bigint[], p_destinations text[], p_tokens uuid[], p_millis bigint[], p_causes text[],
        p_wait boolean`,
      "TABLE (ord bigint, said integer)",
      `DECLARE
        v_now bigint := ${p}_now();
        v_ranks integer[];
        v_most smallint[];
        v_keys bigint;
        v_busy bigint[] := '{}';
        v_count integer;
        r record;
      BEGIN
        -- A heartbeat changes no order.
        SELECT array_agg(-m.priority), array_agg(m.max_tries), count(m.ordering_key) FILTER (WHERE u.op <> ${Op.extend})
          INTO v_ranks, v_most, v_keys
          FROM unnest(p_seqs, p_ops) AS u (seq, op) LEFT JOIN LATERAL (
            SELECT m.priority, m.max_tries, m.ordering_key FROM ${message} m WHERE m.seq = u.seq OFFSET 0) m ON true;
        IF v_keys > 0 THEN
          IF p_wait THEN
            PERFORM 1 FROM ${ordering} o WHERE (o.destination, o.ordering_key) IN (
              SELECT m.destination, m.ordering_key FROM unnest(p_seqs) s (seq) JOIN ${message} m ON m.seq = s.seq)
              ORDER BY o.destination, o.ordering_key FOR UPDATE;
          ELSE
            v_busy := ARRAY(SELECT s.seq FROM unnest(p_seqs, p_ops) s (seq, op) JOIN ${message} m ON m.seq = s.seq
              LEFT JOIN (
                SELECT o.destination, o.ordering_key FROM ${ordering} o WHERE (o.destination, o.ordering_key) IN (
                  SELECT m.destination, m.ordering_key FROM unnest(p_seqs) s (seq) JOIN ${message} m ON m.seq = s.seq)
                ORDER BY 1, 2 FOR UPDATE SKIP LOCKED) k
                ON k.destination = m.destination AND k.ordering_key = m.ordering_key
              WHERE s.op <> ${Op.extend} AND m.ordering_key IS NOT NULL AND k.destination IS NULL);
          END IF;
        END IF;
        RETURN QUERY
          WITH held AS MATERIALIZED (
            SELECT v.ord, v.op, v.millis, v.cause, v.most, w.*
            FROM unnest(p_ops, p_seqs, p_destinations, p_tokens, p_millis, p_causes, v_ranks, v_most)
              WITH ORDINALITY AS v (op, seq, destination, token, millis, cause, rank, most, ord)
            CROSS JOIN LATERAL (
              SELECT w.ctid AS at, w.destination, w.seq, w.tries, w.processing_at, w.error_at, w.error
              FROM ${work} w WHERE w.destination = v.destination AND w.state = ${State.processing}
                AND w.rank = v.rank AND w.seq = v.seq
                AND (v.token IS NULL OR (w.token = v.token AND (w.due_at IS NULL OR w.due_at > v_now)))
              FOR UPDATE SKIP LOCKED) w
            WHERE NOT v.seq = ANY (v_busy)),
          said AS MATERIALIZED (
            SELECT h.*, CASE h.op
              WHEN ${Op.ack} THEN ${State.processed}
              WHEN ${Op.reject} THEN ${State.dead}
              WHEN ${Op.extend} THEN ${State.processing}
              WHEN ${Op.release} THEN CASE WHEN h.millis > 0 THEN ${State.scheduled} ELSE ${State.ready} END
              ELSE CASE WHEN h.tries >= h.most THEN ${State.dead}
                WHEN h.millis > 0 THEN ${State.scheduled} ELSE ${State.ready} END END::smallint AS next
            FROM held h),
          gone AS (
            DELETE FROM ${work} WHERE ctid = ANY (ARRAY(SELECT at FROM said WHERE next > ${State.processing}))),
          kept AS (
            INSERT INTO ${done} (seq, finished_at, processing_at, error_at, tries, state, destination, error)
            SELECT s.seq, v_now, s.processing_at, CASE WHEN s.op = ${Op.ack} THEN s.error_at ELSE v_now END, s.tries,
              s.next, s.destination, CASE WHEN s.op = ${Op.ack} THEN s.error ELSE COALESCE(s.cause, s.error) END
            FROM said s WHERE s.next > ${State.processing}),
          changed AS (
            UPDATE ${work} w SET state = s.next,
              due_at = CASE WHEN s.next IN (${State.scheduled}, ${State.processing}) THEN v_now + s.millis END,
              token = CASE WHEN s.next = ${State.processing} THEN w.token END,
              tries = CASE WHEN s.op = ${Op.release} THEN w.tries - 1 ELSE w.tries END,
              error_at = CASE WHEN s.op = ${Op.nack} THEN v_now ELSE w.error_at END,
              error = CASE WHEN s.op = ${Op.nack} THEN COALESCE(s.cause, w.error) ELSE w.error END
            FROM said s
            WHERE s.next <= ${State.processing} AND w.ctid = s.at)
          SELECT s.ord, CASE WHEN s.next < ${State.processing} THEN 2 ELSE 1 END FROM said s;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        IF v_keys > 0 THEN
          INSERT INTO ${p}_stop (destination, ordering_key, seq)
            SELECT m.destination, m.ordering_key, m.seq FROM unnest(p_seqs) u (seq) JOIN ${message} m ON m.seq = u.seq
            JOIN ${done} d ON d.destination = m.destination AND d.state = ${State.dead} AND d.seq = m.seq
            WHERE m.stop_key = 1 AND NOT u.seq = ANY (v_busy)
            ON CONFLICT DO NOTHING;
          FOR r IN SELECT u.ord, m.destination, m.ordering_key
            FROM unnest(p_seqs, p_ops) WITH ORDINALITY AS u (seq, op, ord) JOIN ${message} m ON m.seq = u.seq
            WHERE m.ordering_key IS NOT NULL AND u.op <> ${Op.extend} AND NOT u.seq = ANY (v_busy) ORDER BY u.ord
          LOOP
            IF ${p}_arrange(r.destination, r.ordering_key) THEN
              ord := r.ord;
              said := 4;
              RETURN NEXT;
            END IF;
          END LOOP;
        END IF;
        IF v_count < cardinality(p_seqs) THEN
          -- What was not done though it is held.
          RETURN QUERY SELECT u.ord, 3
            FROM unnest(p_seqs, p_destinations, p_tokens) WITH ORDINALITY AS u (seq, destination, token, ord)
            JOIN ${message} m ON m.seq = u.seq
            JOIN ${work} w ON w.destination = u.destination AND w.state = ${State.processing}
              AND w.rank = -m.priority AND w.seq = u.seq
            WHERE u.token IS NULL OR (w.token = u.token AND (w.due_at IS NULL OR w.due_at > v_now));
        END IF;
      END`,
      planner
    ),

    // Pushes with keys, all or none, in their order. A message that was there before is given as it is.
    define(
      "push",
      `p_destinations text[], p_sources text[], p_priorities integer[], p_max_tries integer[], p_topics text[],
        p_ordering text[], p_dedup text[], p_windows bigint[], p_types text[], p_kinds integer[], p_headers text[],
        p_at bigint[], p_delay bigint[], p_payloads bytea[], p_stop integer[], p_wait boolean`,
      "TABLE (seq bigint, fresh boolean, state integer, created_at bigint, scheduled_at bigint)",
      `DECLARE
        v_now bigint;
        v_due bigint;
        r record;
      BEGIN
        IF NOT p_wait THEN PERFORM set_config('lock_timeout', '${patience}', true); END IF;
        -- Keys first, in one order; the rows that are there already are locked by that.
        INSERT INTO ${ordering} AS o (destination, ordering_key)
          SELECT DISTINCT u.d, u.k FROM unnest(p_destinations, p_ordering) u (d, k) WHERE u.k IS NOT NULL ORDER BY 1, 2
          ON CONFLICT (destination, ordering_key) DO UPDATE SET destination = o.destination;
        INSERT INTO ${p}_dedup AS k (destination, dedup_key, seq, until)
          SELECT DISTINCT u.d, u.k, 0, 0 FROM unnest(p_destinations, p_dedup) u (d, k) WHERE u.k IS NOT NULL ORDER BY 1, 2
          ON CONFLICT (destination, dedup_key) DO UPDATE SET until = k.until;
        v_now := ${p}_now();
        FOR i IN 1 .. cardinality(p_destinations) LOOP
          IF p_dedup[i] IS NOT NULL THEN
            SELECT m.seq, m.created_at, m.scheduled_at INTO r FROM ${p}_dedup k JOIN ${message} m ON m.seq = k.seq
              WHERE k.destination = p_destinations[i] AND k.dedup_key = p_dedup[i] AND k.until > v_now;
            IF FOUND THEN
              seq := r.seq; fresh := false; state := 0; created_at := r.created_at; scheduled_at := r.scheduled_at;
              RETURN NEXT;
              CONTINUE;
            END IF;
          END IF;
          v_due := COALESCE(p_at[i], v_now + p_delay[i]);
          state := CASE WHEN v_due > v_now THEN ${State.scheduled} ELSE ${State.ready} END;
          IF p_ordering[i] IS NOT NULL AND ${isBehind(p, "p_destinations[i]", "p_ordering[i]")} THEN
            state := state + 1;
          END IF;
          INSERT INTO ${message} AS m (created_at, scheduled_at, priority, max_tries, payload_kind, source, destination,
              topic, ordering_key, dedup_key, payload_type, headers, payload, stop_key)
            VALUES (v_now, v_due, p_priorities[i], p_max_tries[i], p_kinds[i], p_sources[i], p_destinations[i],
              p_topics[i], p_ordering[i], p_dedup[i], p_types[i], p_headers[i], p_payloads[i], p_stop[i])
            RETURNING m.seq INTO seq;
          INSERT INTO ${work} (seq, due_at, rank, tries, state, destination, ordering_key)
            VALUES (seq, CASE WHEN v_due > v_now THEN v_due END, -p_priorities[i], 0, state, p_destinations[i],
              p_ordering[i]);
          IF p_dedup[i] IS NOT NULL THEN
            UPDATE ${p}_dedup k SET seq = ${p}_push.seq, until = v_now + p_windows[i]
              WHERE k.destination = p_destinations[i] AND k.dedup_key = p_dedup[i];
          END IF;
          fresh := true; created_at := v_now; scheduled_at := v_due;
          RETURN NEXT;
        END LOOP;
      END`
    ),

    ...upkeep(p, define)
  ]
}
