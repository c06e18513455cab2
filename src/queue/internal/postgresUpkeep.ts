/**
 * @internal What PostgreSQL does in one round trip now and then: removes, brings back, looks for those who wait, and keeps the
 * tables small. Locks are taken as `postgresFunctions` says.
 */
import type { Define } from "./postgresDefine.ts"
import { State } from "./store.ts"

/** How many rows one look for what is past its retention reads. */
const read = 2000

/** Whether something of a key is unfinished, or stops it. */
export const isBehind = (p: string, destination: string, key: string): string =>
  `(EXISTS (SELECT 1 FROM ${p}_work w WHERE w.destination = ${destination} AND w.ordering_key = ${key})
    OR EXISTS (SELECT 1 FROM ${p}_stop s WHERE s.destination = ${destination} AND s.ordering_key = ${key}))`

export const upkeep = (p: string, define: Define): ReadonlyArray<string> => {
  const work = `${p}_work`
  const message = `${p}_message`
  const done = `${p}_done`
  const ordering = `${p}_ordering`
  return [
    // Removes these, whatever is unfinished (`p_all`: and finished); gives the nodes to look for, and how many they were.
    define(
      "remove",
      "p_seqs bigint[], p_source text, p_all boolean",
      "TABLE (removed bigint, nodes text[])",
      `DECLARE
        r record;
        v_removed bigint[] := '{}';
        v_again boolean;
      BEGIN
        removed := 0;
        nodes := '{}';
        PERFORM 1 FROM ${ordering} o WHERE (o.destination, o.ordering_key) IN (
          SELECT m.destination, m.ordering_key FROM unnest(p_seqs) s (seq) JOIN ${message} m ON m.seq = s.seq
          WHERE m.ordering_key IS NOT NULL)
          ORDER BY o.destination, o.ordering_key FOR UPDATE;
        LOOP
          v_again := false;
          FOR r IN SELECT w.destination, w.state, w.rank, w.seq FROM unnest(p_seqs) s (seq)
            JOIN ${message} m ON m.seq = s.seq
            JOIN ${work} w ON w.destination = m.destination
              AND w.state IN (${[0, 1, 2, 3].join(", ")}, CASE WHEN p_all THEN ${State.processing} ELSE 0 END)
              AND w.rank = -m.priority AND w.seq = m.seq
            WHERE p_source IS NULL OR m.source = p_source
            ORDER BY w.seq FOR UPDATE OF w
          LOOP
            DELETE FROM ${work} WHERE destination = r.destination AND state = r.state AND rank = r.rank AND seq = r.seq;
            v_removed := v_removed || r.seq;
          END LOOP;
          EXIT WHEN NOT p_all;
          FOR r IN SELECT d.destination, d.state, d.seq FROM unnest(p_seqs) s (seq)
            JOIN ${message} m ON m.seq = s.seq
            JOIN ${done} d ON d.destination = m.destination AND d.state IN (${State.processed}, ${State.dead})
              AND d.seq = m.seq
            WHERE p_source IS NULL OR m.source = p_source
          LOOP
            DELETE FROM ${done} WHERE destination = r.destination AND state = r.state AND seq = r.seq;
            -- Redriven at this very moment: it is looked for again.
            IF FOUND THEN v_removed := v_removed || r.seq; ELSE v_again := true; END IF;
          END LOOP;
          EXIT WHEN NOT v_again;
        END LOOP;
        FOR r IN DELETE FROM ${message} m USING unnest(v_removed) s (seq) WHERE m.seq = s.seq
          RETURNING m.seq, m.destination, m.ordering_key, m.dedup_key
        LOOP
          removed := removed + 1;
          IF r.dedup_key IS NOT NULL THEN
            DELETE FROM ${p}_dedup WHERE destination = r.destination AND dedup_key = r.dedup_key AND seq = r.seq;
          END IF;
          IF r.ordering_key IS NOT NULL THEN
            DELETE FROM ${p}_stop WHERE destination = r.destination AND ordering_key = r.ordering_key AND seq = r.seq;
            IF ${p}_arrange(r.destination, r.ordering_key) THEN nodes := nodes || r.destination; END IF;
          END IF;
        END LOOP;
        RETURN NEXT;
      END`
    ),

    define(
      "redrive",
      "p_seqs bigint[], p_destination text",
      "TABLE (redriven bigint, nodes text[])",
      `DECLARE
        r record;
      BEGIN
        redriven := 0;
        nodes := '{}';
        INSERT INTO ${ordering} AS o (destination, ordering_key)
          SELECT DISTINCT m.destination, m.ordering_key FROM unnest(p_seqs) s (seq) JOIN ${message} m ON m.seq = s.seq
          WHERE m.ordering_key IS NOT NULL ORDER BY 1, 2
          ON CONFLICT (destination, ordering_key) DO UPDATE SET destination = o.destination;
        FOR r IN DELETE FROM ${done} d USING (SELECT DISTINCT m.seq, m.destination, m.priority, m.ordering_key
            FROM unnest(p_seqs) s (seq) JOIN ${message} m ON m.seq = s.seq) m
          WHERE d.destination = m.destination AND d.state = ${State.dead} AND d.seq = m.seq
            AND (p_destination IS NULL OR m.destination = p_destination)
          RETURNING d.seq, d.destination, m.priority, m.ordering_key, d.processing_at, d.error_at, d.error
        LOOP
          IF r.ordering_key IS NOT NULL THEN
            DELETE FROM ${p}_stop WHERE destination = r.destination AND ordering_key = r.ordering_key AND seq = r.seq;
          END IF;
          INSERT INTO ${work} (seq, rank, tries, state, destination, ordering_key, processing_at, error_at, error)
            VALUES (r.seq, -r.priority, 0, CASE WHEN r.ordering_key IS NOT NULL
                AND ${isBehind(p, "r.destination", "r.ordering_key")}
              THEN ${State.readyBlocked} ELSE ${State.ready} END,
              r.destination, r.ordering_key, r.processing_at, r.error_at, r.error);
          IF r.ordering_key IS NOT NULL THEN PERFORM ${p}_arrange(r.destination, r.ordering_key); END IF;
          redriven := redriven + 1;
          nodes := nodes || r.destination;
        END LOOP;
        RETURN NEXT;
      END`
    ),

    // Another time for what waits, or is dead; says in how many milliseconds that is, or nothing when there is none.
    define(
      "reschedule",
      "p_seq bigint, p_at bigint, p_node text",
      "TABLE (millis bigint)",
      `DECLARE
        v_now bigint;
        v_state smallint;
        v_due bigint;
        v_done boolean := false;
        r record;
        v record;
      BEGIN
        SELECT destination, source, ordering_key, -priority AS rank INTO r FROM ${message} WHERE seq = p_seq;
        IF NOT FOUND THEN RETURN; END IF;
        IF r.ordering_key IS NOT NULL THEN
          INSERT INTO ${ordering} AS o (destination, ordering_key) VALUES (r.destination, r.ordering_key)
            ON CONFLICT (destination, ordering_key) DO UPDATE SET destination = o.destination;
        END IF;
        v_now := ${p}_now();
        IF p_at > v_now THEN v_due := p_at; END IF;
        v_state := CASE WHEN v_due IS NULL THEN ${State.ready} ELSE ${State.scheduled} END;
        IF p_node IS NULL OR p_node = r.source THEN
          SELECT state INTO v FROM ${work} WHERE destination = r.destination AND state < ${State.processing}
            AND rank = r.rank AND seq = p_seq FOR UPDATE;
          v_done := FOUND;
          IF v_done THEN
            UPDATE ${work} SET state = v_state + v.state % 2, due_at = v_due
              WHERE destination = r.destination AND state = v.state AND rank = r.rank AND seq = p_seq;
          END IF;
        END IF;
        IF NOT v_done AND (p_node IS NULL OR p_node = r.destination) THEN
          DELETE FROM ${done} WHERE destination = r.destination AND state = ${State.dead} AND seq = p_seq
            RETURNING processing_at, error_at, error INTO v;
          v_done := FOUND;
          IF v_done THEN
            DELETE FROM ${p}_stop WHERE destination = r.destination AND ordering_key = r.ordering_key AND seq = p_seq;
            INSERT INTO ${work} (seq, due_at, rank, tries, state, destination, ordering_key, processing_at, error_at,
                error)
              VALUES (p_seq, v_due, r.rank, 0, v_state + CASE WHEN r.ordering_key IS NOT NULL
                AND ${
        isBehind(p, "r.destination", "r.ordering_key")
      } THEN 1 ELSE 0 END, r.destination, r.ordering_key, v.processing_at, v.error_at, v.error);
            IF r.ordering_key IS NOT NULL THEN PERFORM ${p}_arrange(r.destination, r.ordering_key); END IF;
          END IF;
        END IF;
        IF NOT v_done THEN RETURN; END IF;
        UPDATE ${message} SET scheduled_at = p_at WHERE seq = p_seq;
        millis := GREATEST(0, p_at - v_now);
        RETURN NEXT;
      END`
    ),

    // One question of a process: sweeps, and says which of these nodes have something, and when something becomes due.
    define(
      "poll",
      "p_nodes text[]",
      "TABLE (nodes text[], due bigint)",
      `BEGIN
        PERFORM ${p}_sweep(1000);
        SELECT min(due_at) - ${p}_now() INTO due FROM ${work} WHERE due_at IS NOT NULL;
        nodes := ARRAY(SELECT n FROM unnest(p_nodes) n CROSS JOIN LATERAL (
          SELECT 1 FROM ${work} WHERE destination = n AND state = ${State.ready} LIMIT 1) r);
        RETURN NEXT;
      END`
    ),

    // Of what is dead, what is past its retention and not kept by its deduplication key; keys past their window.
    define(
      "prune",
      "p_state integer, p_retention bigint, p_limit integer",
      "bigint",
      `DECLARE
        v_now bigint := ${p}_now();
        v_removed bigint := 0;
      BEGIN
        IF p_state = ${State.dead} THEN
          SELECT removed INTO v_removed FROM ${p}_remove(ARRAY(
            SELECT d.seq FROM ${done} d JOIN ${message} m ON m.seq = d.seq
            WHERE d.state = ${State.dead} AND d.finished_at <= v_now - p_retention AND NOT EXISTS (
              SELECT 1 FROM ${p}_dedup k WHERE k.destination = m.destination AND k.dedup_key = m.dedup_key
                AND k.seq = m.seq AND k.until > v_now)
              AND NOT EXISTS (SELECT 1 FROM ${p}_stop s WHERE s.destination = m.destination
                AND s.ordering_key = m.ordering_key AND s.seq = m.seq)
            ORDER BY d.finished_at LIMIT p_limit), NULL, true);
        END IF;
        DELETE FROM ${p}_dedup k USING (SELECT destination, dedup_key FROM ${p}_dedup WHERE until <= v_now
            ORDER BY until LIMIT p_limit FOR UPDATE SKIP LOCKED) x
          WHERE k.destination = x.destination AND k.dedup_key = x.dedup_key;
        RETURN v_removed;
      END`
    ),

    // Removes of what is processed and past its retention so many, without an index for it: a node's messages are read in the
    // order of their pushes, from a place on, and those after the first that was pushed later than that cannot be. Says where
    // to go on, or nothing at the end.
    define(
      "prune_processed",
      "p_node text, p_seq bigint, p_retention bigint, p_limit integer",
      "TABLE (removed bigint, node text, seq bigint)",
      `DECLARE
        v_now bigint := ${p}_now();
        v_seqs bigint[] := '{}';
        v_from bigint;
        v_read integer := 0;
        r record;
      BEGIN
        removed := 0;
        node := p_node;
        seq := p_seq;
        IF seq IS NULL THEN
          SELECT min(d.destination) INTO node FROM ${done} d WHERE d.destination > p_node;
          seq := 0;
        END IF;
        IF node IS NULL THEN RETURN; END IF;
        v_from := seq;
        FOR r IN SELECT d.seq, d.finished_at, m.created_at, EXISTS (
            SELECT 1 FROM ${p}_dedup k WHERE k.destination = m.destination AND k.dedup_key = m.dedup_key
              AND k.seq = m.seq AND k.until > v_now) AS kept
          FROM (SELECT * FROM ${done} d WHERE d.destination = node AND d.state = ${State.processed}
            AND d.seq > v_from ORDER BY d.seq LIMIT ${read}) d
          CROSS JOIN LATERAL (SELECT * FROM ${message} m WHERE m.seq = d.seq OFFSET 0) m ORDER BY d.seq
        LOOP
          EXIT WHEN r.created_at > v_now - p_retention;
          v_read := v_read + 1;
          seq := r.seq;
          IF r.finished_at <= v_now - p_retention AND NOT r.kept THEN v_seqs := v_seqs || r.seq; END IF;
          EXIT WHEN cardinality(v_seqs) = p_limit;
        END LOOP;
        IF v_read < ${read} AND cardinality(v_seqs) < p_limit THEN seq := NULL; END IF;
        IF cardinality(v_seqs) > 0 THEN
          SELECT x.removed INTO removed FROM ${p}_remove(v_seqs, NULL, true) x;
        END IF;
        RETURN NEXT;
      END`
    ),

    // Of the rows of orders after this one: locks some that nobody holds, and drops those whose messages are all done.
    define(
      "tidy",
      "p_destination text, p_key text, p_limit integer",
      "TABLE (destination text, ordering_key text)",
      `DECLARE
        v_destinations text[];
        v_keys text[];
      BEGIN
        SELECT array_agg(x.destination), array_agg(x.ordering_key) INTO v_destinations, v_keys FROM (
          SELECT o.destination, o.ordering_key FROM ${ordering} o
          WHERE (o.destination, o.ordering_key) > (p_destination, p_key)
          ORDER BY 1, 2 LIMIT p_limit FOR UPDATE SKIP LOCKED) x;
        -- Another statement: it sees what was committed before the rows were locked.
        DELETE FROM ${ordering} o USING unnest(v_destinations, v_keys) x (d, k)
          WHERE o.destination = x.d AND o.ordering_key = x.k AND NOT ${isBehind(p, "x.d", "x.k")};
        IF cardinality(v_keys) = p_limit THEN
          destination := v_destinations[p_limit]; ordering_key := v_keys[p_limit];
          RETURN NEXT;
        END IF;
      END`
    )
  ]
}
