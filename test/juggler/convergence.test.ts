/**
 * Clients that guess, on lines that are cut or slow, before a server that decides: 1,000 histories, or as many as HISTORIES says,
 * each from its seed. What is judged: a client that guesses nothing shows a state that the server had, and at the end, when
 * everything was delivered, all show the same and nobody guesses any more. The parts are the real ones, driven step by step.
 */
import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { JsonPatch, JugglerGeneration } from "effect-wire/juggler"
import { Budget, type Outbox } from "effect-wire/socket"
import { Follower } from "../../src/juggler/internal/follower.ts"
import { Publisher } from "../../src/juggler/internal/publisher.ts"
import { type Guess, Replica } from "../../src/juggler/internal/replica.ts"
import * as Resume from "../../src/juggler/internal/resume.ts"
import { Store } from "../../src/juggler/internal/store.ts"
import { type Generator, generator } from "./generate.ts"

/** A clock that stands still. */
const standing: Clock.Clock = {
  currentTimeMillisUnsafe: () => 0,
  currentTimeMillis: Effect.succeed(0),
  currentTimeNanosUnsafe: () => 0n,
  currentTimeNanos: Effect.succeed(0n),
  monotonicTimeNanosUnsafe: () => 0n,
  monotonicTimeNanos: Effect.succeed(0n),
  sleep: () => Effect.never
}

const histories = Number(process.env["HISTORIES"] ?? 1_000)

/** Histories that have shown something once. */
const known = [17_605]

const { v06, v07 } = JugglerGeneration

/** An outbox that is a list. */
interface Line {
  readonly frames: Array<string>
  readonly waiters: Array<{ readonly limit: number; readonly resume: () => void }>
}

const waiting = ({ frames }: Line): number => frames.reduce((sum, { length }) => sum + length, 0)

/** Those who wait until there is less go on, if there is. */
const wake = (line: Line): void => {
  for (const waiter of line.waiters.splice(0)) {
    if (waiting(line) <= waiter.limit) waiter.resume()
    else line.waiters.push(waiter)
  }
}

const outboxOf = (line: Line): Outbox.Outbox => ({
  send: (frame) => line.frames.push(frame as string) > 0,
  cork: () => {},
  uncork: () => {},
  waiting: () => waiting(line),
  drained: (limit = 0) =>
    Effect.callback((resume) => {
      line.waiters.push({ limit, resume: () => resume(Effect.void) })
    }),
  close: () => Effect.void,
  isClosed: () => false,
  account: Budget.make(Infinity).open(() => {}),
  room: () => Infinity
})

/** What a client may ask for: the server does it its own way, or refuses. */
interface Wish {
  readonly id: number
  readonly kind: number
  readonly key: string
  readonly guess: Guess
  sent: boolean
}

const guesses: ReadonlyArray<(draft: any, key: string) => void> = [
  (draft) => draft.counter++,
  (draft, key) => draft.items.push({ key, guessed: true }),
  (draft, key) => (draft.byKey[key] = (draft.byKey[key] ?? 0) + 1),
  (draft) => draft.items.splice(0, 1),
  (draft, key) => delete draft.byKey[key],
  (draft, key) => (draft.items[0].key = key)
]

class Client {
  readonly replica = new Replica(new Store(null, JsonPatch.defaultLimits))
  readonly wishes: Array<Wish> = []
  /** Both directions of the line; absent while there is none. */
  line:
    | {
      readonly toClient: Array<string>
      readonly toServer: Array<string>
      readonly follower: Follower
      readonly outbox: Line
    }
    | undefined
  receiver = v07.receiver()
}

class World {
  readonly store: Store
  readonly publisher: Publisher
  readonly clients: Array<Client> = []
  /** The state by version, as text. */
  readonly past: Array<string> = []
  private readonly generation: JugglerGeneration.Generation
  private readonly maxSize: number
  private readonly random: Generator
  private ids = 0

  constructor(random: Generator) {
    this.random = random
    this.generation = random.int(4) === 0 ? v06 : v07
    this.maxSize = random.int(3) === 0 ? 400 : 100_000
    // long enough that what was missed is shorter
    this.store = new Store(null, JsonPatch.defaultLimits)
    this.store.set({ counter: 0, items: [], byKey: {}, pad: "x".repeat(1_000) })
    const delay = random.int(2) === 0 ? 0 : 1e9
    // no time passes: a flush is a step
    const fork = (effect: Effect.Effect<void>) => Effect.runFork(Effect.provideService(effect, Clock.Clock, standing))
    this.publisher = new Publisher(this.store, delay, fork, () => {})
    for (let i = 0; i < 1 + random.int(3); i++) this.clients.push(new Client())
    this.note()
  }

  note(): void {
    this.past[this.store.version] = JSON.stringify(this.store.document.root)
  }

  connect(client: Client): void {
    const toClient: Array<string> = []
    const history = this.generation.resumes ? Resume.historyOf(this.store, "e", this.maxSize) : undefined
    const outbox: Line = { frames: toClient, waiters: [] }
    // some read slowly: what is too much for them is held back
    const highWater = this.random.int(3) === 0 ? 300 + this.random.int(2_000) : 1e9
    const segment = 100 + this.random.int(1_000)
    const follower = new Follower(this.generation, segment, outboxOf(outbox), highWater, history)
    follower.asked = history !== undefined && this.random.int(2) === 0
    client.line = { toClient, toServer: [], follower, outbox }
    client.receiver = this.generation.receiver()
    this.publisher.join(follower)
    const point = client.replica.opened()
    if (this.generation.resumes) client.line.toServer.push(`2${Resume.hello(point)}`)
    for (const wish of client.wishes) this.send(client, wish)
  }

  cut(client: Client): void {
    if (client.line === undefined) return
    this.publisher.leave(client.line.follower)
    client.line = undefined
    for (const wish of client.wishes.filter(({ sent }) => sent)) this.settled(client, wish, false)
  }

  wish(client: Client): void {
    const kind = this.random.int(guesses.length)
    const key = `k${this.random.int(4)}`
    const guess = client.replica.predict((draft) => void guesses[kind]!(draft, key))
    const wish = { id: ++this.ids, kind, key, guess, sent: false }
    client.wishes.push(wish)
    this.send(client, wish)
  }

  private send(client: Client, wish: Wish): void {
    if (client.line === undefined) return
    wish.sent = true
    client.line.toServer.push(
      this.generation.encode({ _tag: "Request", id: wish.id, name: `${wish.kind}`, data: wish.key })[0]!
    )
  }

  private settled(client: Client, wish: Wish, success: boolean): void {
    client.wishes.splice(client.wishes.indexOf(wish), 1)
    if (success) client.replica.settle(wish.guess)
    else client.replica.withdraw(wish.guess)
  }

  /** The server takes one frame of a client. */
  serve({ line }: Client): void {
    const frame = line?.toServer.shift()
    if (line === undefined || frame === undefined) return
    const { follower, toClient } = line
    const hello = frame[0] === "2" ? Resume.readHello(frame.slice(1)) : undefined
    if (hello !== undefined) return this.publisher.resume(follower, hello.point)
    this.publisher.release(follower)
    const { data, id, name } = JSON.parse(this.generation.resumes ? frame.slice(1) : frame)
    const refused = this.random.int(4) === 0
    // it is done in another way than was guessed, now and then
    if (!refused) this.change(this.random.int(4) === 0 ? this.random.int(guesses.length) : Number(name), data)
    const version = follower.stamped ? this.store.version : undefined
    toClient.push(...this.generation.encode({ _tag: "Response", id, success: !refused, data: null, version }))
  }

  change(kind: number, key: string): void {
    try {
      this.store.update((draft) => void guesses[kind]!(draft, key))
    } catch {
      // there was nothing to change
    }
    this.note()
  }

  /** A client takes one frame of the server. */
  take(client: Client): void {
    const { line, replica } = client
    const frame = line?.toClient.shift()
    if (line === undefined || frame === undefined) return
    wake(line.outbox)
    const message = client.receiver(frame)
    if (message?._tag === "State") {
      const result = replica.receive(message.patch, message.stamp)
      if (result === "ask") line.toServer.push(`2${Resume.hello(replica.point)}`)
      else assert.isUndefined(result)
      this.judge(client)
    } else if (message?._tag === "Response") {
      replica.onAnswer(message.version)
      const wish = client.wishes.find(({ id }) => id === message.id)
      if (wish !== undefined) this.settled(client, wish, message.success)
    }
  }

  /** What is shown without a guess was so once. */
  judge({ replica }: Client): void {
    const { point } = replica
    if (replica.size > 0 || point === undefined) return
    assert.strictEqual(canonical(replica.store.document.root), canonical(JSON.parse(this.past[point.version]!)))
  }

  /** Everything that is under way arrives. */
  deliver(): void {
    for (let moving = true; moving;) {
      moving = false
      this.publisher.flush()
      for (const client of this.clients) {
        while (client.line !== undefined && client.line.toServer.length + client.line.toClient.length > 0) {
          moving = true
          this.serve(client)
          this.take(client)
        }
      }
    }
  }
}

const canonical = (value: unknown): string =>
  JSON.stringify(
    value,
    (_, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner
  )

const history = (seed: number): void => {
  const random = generator(seed)
  const world = new World(random)
  const steps = 10 + random.int(60)
  for (let step = 0; step < steps; step++) {
    const client = world.clients[random.int(world.clients.length)]!
    switch (random.int(12)) {
      case 0:
      case 1:
        if (client.line === undefined) world.connect(client)
        break
      case 2:
        world.cut(client)
        break
      case 3:
      case 4:
        world.wish(client)
        break
      case 5:
        world.change(random.int(guesses.length), `k${random.int(4)}`)
        break
      case 6:
        world.publisher.flush()
        break
      case 7:
      case 8:
        world.take(client)
        break
      default:
        // the line is quick for a while
        for (let i = random.int(4); i >= 0; i--) world.serve(client)
        for (let i = random.int(30); i >= 0; i--) world.take(client)
    }
  }
  for (const client of world.clients) if (client.line === undefined) world.connect(client)
  world.deliver()
  // a server that tells no versions: the guesses go with the next state
  world.change(0, "")
  world.deliver()
  const expected = canonical(world.store.document.root)
  for (const { replica, wishes } of world.clients) {
    assert.strictEqual(wishes.length, 0)
    assert.strictEqual(replica.size, 0)
    assert.strictEqual(canonical(replica.store.document.root), expected)
  }
}

it(`everybody ends with what the server decided, after each of ${histories} histories`, () => {
  for (const seed of [...known, ...Array.from({ length: histories }, (_, i) => i + 1)]) {
    try {
      history(seed)
    } catch (error) {
      throw new Error(`history ${seed}`, { cause: error })
    }
  }
}, 60_000 + histories * 50)
