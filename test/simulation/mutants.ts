/** Planted faults: each a small patch of a source file, and the world that finds it. */

export interface Mutant {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The application of `worlds/` that is explored. */
  readonly app: string
}

const calls = "src/rpc/internal/calls.ts"
const caller = "src/jsonrpc/internal/caller.ts"
const typedCall = "src/jsonrpc/internal/typedCall.ts"
const session = "src/rpc/internal/session.ts"
const subscriber = "src/topics/internal/topicSubscriber.ts"
const channel = "src/topics/internal/topicChannel.ts"
const publisher = "src/juggler/internal/publisher.ts"
const replica = "src/juggler/internal/replica.ts"
const router = "src/backplane/internal/router.ts"
const outbox = "src/socket/Outbox.ts"

export const mutants: ReadonlyArray<Mutant> = [
  // the client half: one log, one connection
  {
    name: "calls overtake what waits",
    file: calls,
    find: "if (this.flows && this.home.size === 0 && this.hasRoom() && this.send(entry)) return undefined",
    replace: "if (this.flows && this.send(entry)) return undefined",
    app: "jsonrpc/narrow"
  },
  {
    name: "what goes home loses its place",
    file: calls,
    find: "this.home = new Set(items.sort((a, b) => a.seq - b.seq))",
    replace: "this.home = new Set(items.sort((a, b) => b.seq - a.seq))",
    app: "jsonrpc/narrow"
  },
  {
    name: "every call is sent again",
    file: calls,
    find: "      if (!stays || !call.goesAgain()) {",
    replace: "      if (false) {",
    app: "jsonrpc/standard"
  },
  {
    name: "a lost call has no end",
    file: calls,
    find: "        lost.push(call)\n        continue",
    replace: "        continue",
    app: "jsonrpc/endless"
  },
  {
    name: "maybeExecuted is always false",
    file: calls,
    find: "const failures = calls.map(({ maybeExecuted }) =>",
    replace: "const failures = calls.map((call) => call.maybeExecuted && call.id > 1000).map((maybeExecuted) =>",
    app: "jsonrpc/standard"
  },
  {
    name: "the status is forgotten when it opens",
    file: calls,
    find: "      case \"Open\":\n        return this.pump()",
    replace: "      case \"Open\":\n        return",
    app: "jsonrpc/endless"
  },
  {
    name: "no cancel for what was sent",
    file: calls,
    find: "    if (connection === this.connection) this.retract(call)",
    replace: "    if (connection > this.connection) this.retract(call)",
    app: "jsonrpc/rockets"
  },
  {
    name: "a cancelled call leaves home no more",
    file: calls,
    find: "    if (connection === 0) return this.leaveHome(call)",
    replace: "    if (connection === 0) return",
    app: "jsonrpc/order"
  },
  {
    name: "an off-by-one in the window of calls",
    file: calls,
    find: "    this.onLine--\n    if (connection === this.connection) this.retract(call)",
    replace: "    if (connection === this.connection) this.retract(call)",
    app: "jsonrpc/narrow"
  },
  {
    name: "an answer frees no place",
    file: calls,
    find: "    call.connection = settled\n    this.onLine--\n    if (this.home.size > 0) this.pump()\n    return call",
    replace: "    call.connection = settled\n    this.onLine--\n    return call",
    app: "jsonrpc/narrow"
  },
  {
    name: "calls are forgotten with their connection",
    file: calls,
    find: "        return this.takeHome(waits)",
    replace: "        return waits ? this.takeHome(waits) : undefined",
    app: "jsonrpc/fail"
  },
  {
    name: "the calls of a lost connection stay on the line",
    file: calls,
    find: "    const items = [...this.home]\n    this.onLine = 0",
    replace: "    const items = [...this.home]",
    app: "jsonrpc/narrow"
  },
  {
    name: "a batch sends its last entry alone",
    file: calls,
    find: "frame = frames.length === 1 ? frames[0]! : this.join(frames)",
    replace: "frame = frames[0]!",
    app: "jsonrpc/endless"
  },
  {
    name: "the answer of another call is taken",
    file: caller,
    find: "    const call = this.take(id) as RpcCall | undefined\n    if (call === undefined) return false",
    replace:
      "    const call = (this.take(id - 1) ?? this.take(id)) as RpcCall | undefined\n    if (call === undefined) return false",
    app: "jsonrpc/standard"
  },
  {
    name: "an interrupted call is not given up",
    file: typedCall,
    find: "    this.half.calls.delete(this.requestId)\n    this.caller?.cancel(this)",
    replace: "    this.half.calls.delete(this.requestId)",
    app: "jsonrpc/endless"
  },
  // the server
  {
    name: "a cancel interrupts nobody",
    file: session,
    find: "      request.fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation)\n    } else {",
    replace: "    } else {",
    app: "jsonrpc/rockets"
  },
  {
    name: "requests outlive their connection",
    file: session,
    find: "        for (const fiber of this.fibers) fiber.interruptUnsafe()\n",
    replace: "        if (this.fibers.size > 1000) return Effect.void\n",
    app: "jsonrpc/rockets"
  },
  // what is written
  {
    name: "a lost wake-up of the outbox",
    file: outbox,
    find: "    if (this.corks === 0 && !this.writing) this.schedule()\n    return true",
    replace: "    if (this.corks === 0 && !this.writing && this.queue.length > 1) this.schedule()\n    return true",
    app: "jsonrpc/endless"
  },
  {
    name: "what was written while a write was under way stays",
    file: outbox,
    find: "      this.ended(exit)\n      this.flush()",
    replace: "      this.ended(exit)",
    app: "jsonrpc/endless"
  },
  {
    name: "frames of one turn are written backwards",
    file: outbox,
    find: "    this.queue = noFrames\n    this.inFlight = this.queued",
    replace:
      "    frames.slice()\n    ;(frames as unknown as Array<Frame>).reverse()\n    this.queue = noFrames\n    this.inFlight = this.queued",
    app: "jsonrpc/order"
  },
  // topics
  {
    name: "a missing re-subscription",
    file: subscriber,
    find: "    entry.granted = undefined\n    entry.isCurrent = false\n",
    replace: "    entry.isCurrent = false\n",
    app: "topics/topics"
  },
  {
    name: "what was lost with a connection is not told",
    file: subscriber,
    find: "      this.missed(entry, undefined)\n    }\n    entry.granted",
    replace: "    }\n    entry.granted",
    app: "topics/topics"
  },
  {
    name: "a known state value is heard again",
    file: subscriber,
    find: "      if (!isKnown || !entry.served.has(reader)) this.hand(entry, reader, value)",
    replace: "      this.hand(entry, reader, value)",
    app: "topics/topics"
  },
  {
    name: "gaps of the backplane are not told",
    file: channel,
    find: "      for (const subscription of [...subscriptions]) subscription.missed(event.missed)\n",
    replace: "",
    app: "topics/topics"
  },
  {
    name: "the last value is not kept",
    file: channel,
    find: "    if (this.isState) this.last = published\n",
    replace: "",
    app: "topics/topics"
  },
  {
    name: "a subscriber is told twice",
    file: channel,
    find: "    for (let i = subscriptions.length - 1; i >= 0; i--) subscriptions[i]!.deliver(published)",
    replace:
      "    for (let i = subscriptions.length - 1; i >= 0; i--) { subscriptions[i]!.deliver(published); if (i === 1) subscriptions[i]!.deliver(published) }",
    app: "topics/topics"
  },
  // Juggler
  {
    name: "a patch is applied twice",
    file: replica,
    find: "    if (verdict === \"duplicate\") return undefined\n",
    replace:
      "    if (verdict === \"duplicate\" || Array.isArray(patch) && patch.length === 2) this.store.patch(patch, \"wire\")\n    if (verdict === \"duplicate\") return undefined\n",
    app: "juggler/v07"
  },
  {
    name: "who joins gets patches of before",
    file: publisher,
    find: "    if (this.delay !== undefined) this.flush()\n    this.followers.add(follower)",
    replace: "    this.followers.add(follower)",
    app: "juggler/v07"
  },
  {
    name: "the timer is not forgotten",
    file: publisher,
    find: "    this.timer = undefined\n    timer?.interruptUnsafe()",
    replace: "    timer?.interruptUnsafe()",
    app: "juggler/v07"
  },
  {
    name: "the version of the publisher runs ahead",
    file: publisher,
    find: "    if (this.version === this.store.version) return []\n    this.version = this.store.version",
    replace: "    if (this.version === this.store.version) return []\n    this.version = this.store.version + 1",
    app: "juggler/v07"
  },
  {
    name: "who leaves takes the listener of the others along",
    file: publisher,
    find: "    if (this.followers.size > 0) return\n    this.cancelTimer()",
    replace: "    if (this.followers.size > 1) return\n    this.cancelTimer()",
    app: "juggler/v07"
  },
  {
    name: "an epoch is not compared on resume",
    file: "src/juggler/internal/resume.ts",
    find: "    if (point.epoch !== epoch) return undefined\n",
    replace: "",
    app: "juggler/resume"
  },
  {
    name: "who resumes is told nothing",
    file: "src/juggler/internal/resume.ts",
    find: "? this.steps.slice(low).flatMap(({ operations }) => operations) : undefined",
    replace: "? [] : undefined",
    app: "juggler/resume"
  },
  // keyed calls
  {
    name: "a keyed call is executed again",
    file: "src/rpc/internal/onceMemory.ts",
    find: "        if (one !== undefined) {",
    replace: "        if (one !== undefined && record.age === undefined) {",
    app: "jsonrpc/keyed"
  },
  {
    name: "a server that was started again takes a repeated call for a new one",
    file: "src/rpc/internal/onceMemory.ts",
    find:
      "        if (record.age !== undefined && now - record.age <= forgotten) return Effect.succeed(\"Forgotten\")\n",
    replace: "",
    app: "jsonrpc/keyed"
  },
  // the queue
  {
    name: "each statement is a transaction of its own",
    file: "src/queue/internal/sqliteSession.ts",
    find: "attempt(() => db.all(\"BEGIN IMMEDIATE\", none))",
    replace: "attempt(() => [db].length)",
    app: "queue/sqlite"
  },
  {
    name: "an ack without a token check",
    file: "src/queue/internal/transition.ts",
    find: "(word.token !== null && (message.token !== word.token || (message.dueAt",
    replace: "(word.token !== null && (false || (message.dueAt",
    app: "queue/sqlite"
  },
  {
    name: "a lease that has run out still acknowledges",
    file: "src/queue/internal/transition.ts",
    find: "message.token !== word.token || (message.dueAt !== null && message.dueAt <= now)",
    replace: "false",
    app: "queue/sqlite"
  },
  {
    name: "a key is not held by its message",
    file: "src/queue/internal/sqliteWork.ts",
    find: "if (key === null || one(text.isHeld, [destination, key]) !== undefined) return false",
    replace: "if (key === null) return false",
    app: "queue/sqlite"
  },
  {
    name: "what waits behind a key is not freed",
    file: "src/queue/internal/sqliteWork.ts",
    find: "return { held: true, wake: arrange(destination, key) || next.state < State.processing }",
    replace: "return { held: true, wake: next.state < State.processing }",
    app: "queue/sqlite"
  },
  {
    name: "leases do not run out",
    file: "src/queue/internal/sqliteWork.ts",
    find: "const runsOut = all(text.runsOut, [now, limit])",
    replace: "const runsOut = all(text.runsOut, [now - 3_600_000, limit])",
    app: "queue/sqlite"
  },
  // both directions
  {
    name: "a client that is gone stays in the list",
    file: "src/jsonrpc/JsonRpcClients.ts",
    find: "() => Effect.sync(() => own.delete(client.connection.id))",
    replace: "() => Effect.sync(() => own.size)",
    app: "peers/rockets"
  },
  {
    name: "a broadcast is sent twice",
    file: "src/jsonrpc/JsonRpcClients.ts",
    find: "if (client.connection.outbox?.send(frame) === true) count++",
    replace:
      "if (client.connection.outbox?.send(frame) === true && client.connection.outbox?.send(frame) === true) count++",
    app: "peers/rockets"
  },
  // topics with a history
  {
    name: "an off-by-one in the position",
    file: "src/topics/internal/topicFollower.ts",
    find: "recovered ? Math.min(position.offset, ring.end) : oldest",
    replace: "recovered ? Math.min(position.offset + 1, ring.end) : oldest",
    app: "history/history"
  },
  {
    name: "what is kept no more is not told",
    file: subscriber,
    find: "if (from === undefined || (recovered === true && from.epoch === epoch)) continue",
    replace: "if (from === undefined || epoch.length > 0) continue",
    app: "history/history"
  },
  {
    name: "what was heard is heard again",
    file: subscriber,
    find: "      if (reader.isBehind === true || hasReached(reader.position, position)) continue\n",
    replace: "",
    app: "history/history"
  },
  {
    name: "a reader falls out of the history unnoticed",
    file: "src/topics/internal/topicFollower.ts",
    find: "if (positions) this.tell(notices.position, { epoch, offset: this.cursor, recovered: false })",
    replace: "if (positions) this.tell(notices.position, { epoch, offset: this.cursor, recovered: true })",
    app: "history/history"
  },
  {
    name: "who goes on from its position hears what comes meanwhile",
    file: subscriber,
    find: "      reader.isBehind = true\n",
    replace: "",
    app: "history/history"
  },
  {
    name: "a value that comes while its reader yields wakes nobody",
    file: "src/topics/internal/topicBuffer.ts",
    find: "      if (meanwhile !== undefined) return resume(meanwhile)\n",
    replace: "      if (meanwhile?._tag === \"Success\") this.items = [...meanwhile.value]\n",
    app: "topics/preempted"
  },
  // the receiving half of a backplane
  {
    name: "what was not announced is never looked for",
    file: router,
    find: "if (row?.counter !== channel.sequence || row?.epoch !== channel.epoch) catchUp(channel)",
    replace: "if (row?.epoch !== channel.epoch) catchUp(channel)",
    app: "history/history"
  },
  {
    name: "what a catch-up does not find is not told",
    file: router,
    find: "        if (row.sequence > channel.sequence! + 1) skipTo(channel, row.sequence - 1, row)\n",
    replace: "",
    app: "topics/topics"
  },
  {
    name: "a listener waits for the number at which it began, when the count begins anew",
    file: router,
    find: "      for (const listener of channel.listeners) listener.from = 0\n",
    replace: "",
    app: "topics/emptied"
  },
  // a state in many processes, views
  {
    name: "what others wrote meanwhile is not looked at",
    file: "src/juggler/internal/clusterReplica.ts",
    find: "if (before !== undefined && !meet(places, before) && !meet(places, refused)) {",
    replace: "if (before !== undefined && !meet(places, refused)) {",
    app: "cluster/calm"
  },
  {
    name: "a writer goes on within the rehearsal of others",
    file: "src/juggler/JugglerCluster.ts",
    find: "settled.push(() => job.settle(outcome))",
    replace: "job.settle(outcome)",
    app: "cluster/calm"
  },
  {
    name: "a copy that missed something goes on",
    file: "src/juggler/internal/clusterReplica.ts",
    find: "    if (missed) this.lose(event._tag === \"Gap\" ? event.sequence : event.sequence - 1)\n",
    replace: "",
    app: "cluster/rough"
  },
  {
    name: "an epoch begins from less than what others confirmed",
    file: "src/juggler/internal/clusterReplica.ts",
    find: "return asked > this.unjudged && !this.spoken.after(asked, (other) => knowsMore(other, known))",
    replace: "return asked > this.unjudged",
    app: "cluster/deaf"
  },
  {
    name: "a count that begins anew goes unnoticed",
    file: "src/juggler/internal/clusterReplica.ts",
    find: "    if (event._tag === \"Gap\" && event.epoch !== this.count) this.recount(event)\n",
    replace: "",
    app: "cluster/emptied"
  },
  {
    name: "a whole that is older than what was missed is taken",
    file: "src/juggler/internal/clusterReplica.ts",
    find: "    if (at < this.needed) return\n",
    replace: "",
    app: "cluster/deaf"
  },
  {
    name: "a part that is another is not shown",
    file: "src/juggler/internal/views.ts",
    find: "=== undefined) return\n      this.store.set(this.part)",
    replace: "=== undefined) return",
    app: "juggler/views"
  },
  {
    name: "who comes back to a view is shown what it was",
    file: "src/juggler/internal/views.ts",
    find: "    this.shownTo.add(onFault)\n    this.compute()",
    replace: "    this.shownTo.add(onFault)",
    app: "juggler/views"
  }
]
