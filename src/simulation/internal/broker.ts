/**
 * The broker behind the backplanes of a world: a log, as PostgreSQL and Redis have it, that lives as long as the world, and
 * announces to each node what was published. The receiving half of a node is the one of those backplanes.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Backplane from "../../backplane/Backplane.ts"
import { type CatchUpRow, type Log, type Notice, page } from "../../backplane/internal/log.ts"
import { makeRouter, type Router } from "../../backplane/internal/router.ts"
import type { Life, Loop } from "./loop.ts"
import type { Prng } from "./prng.ts"

/** What goes wrong at the moment: probabilities, and milliseconds of delay. */
export interface Trouble {
  /** A publication is not kept, and announced to some. */
  readonly lose: number
  /** It is kept, and one node is not told. */
  readonly miss: number
  /** A node is told twice. */
  readonly twice: number
  readonly delay: number
  /** `publish` fails, though it was carried; a query by which a node catches up fails. */
  readonly unsure: number
}

export const noTrouble: Trouble = { lose: 0, miss: 0, twice: 0, delay: 0, unsure: 0 }

interface Entry {
  readonly sequence: number
  readonly payload: string
  readonly retain: boolean
  readonly time: number
}

interface Channel {
  readonly name: string
  counter: number
  /** Without those that were lost. */
  entries: Array<Entry>
  last: Entry | undefined
}

/** The receiving half of one life of a node. */
interface Receiver {
  readonly life: Life
  readonly router: Router<Backplane.BackplaneError>
  /** Runs an effect in the life. */
  readonly run: (effect: Effect.Effect<void, Backplane.BackplaneError>) => void
  listeners: number
  isPolling: boolean
  /** On their way, in order. */
  readonly way: Array<Notice>
  /** When the newest arrives. */
  at: number
}

/** How a life that hears nothing for a while learns what it missed. */
export type Deafness = "late" | "gap" | "never"

/** One listener of a life, and what it is to hear when the life hears again. */
interface Ear {
  readonly life: Life
  readonly channel: string
  readonly onEvent: (event: Backplane.Event) => void
  waiting: Array<Backplane.Event>
  /** The count that it hears. */
  epoch: string
  /** What never reached it since it heard something. */
  unheard: Array<Backplane.Event>
}

/** A node that was not told of something finds out within so many milliseconds. */
const pollEvery = 2000

/** So many of a channel are kept. */
const kept = 2000

export class Broker {
  private readonly loop: Loop
  private readonly random: Prng
  private readonly trouble: () => Trouble
  private readonly channels = new Map<string, Channel>()
  private readonly receivers = new Set<Receiver>()
  private readonly ears = new Set<Ear>()
  private readonly deaf = new Map<Life, { readonly how: Deafness; readonly until: number }>()
  private isQuiet = false
  /** Names the count of all channels: one, until a fault makes it begin anew. */
  private epoch = "world"

  constructor(loop: Loop, random: Prng, trouble: () => Trouble) {
    this.loop = loop
    this.random = random
    this.trouble = trouble
  }

  private channel(name: string): Channel {
    let channel = this.channels.get(name)
    if (channel === undefined) {
      this.channels.set(name, channel = { name, counter: 0, entries: [], last: undefined })
    }
    return channel
  }

  private delay(): number {
    return 0.2 + this.random.next() * this.trouble().delay
  }

  private readonly pause = Effect.suspend(() => Effect.sleep(this.delay()))

  /** Nothing is looked for any more: what is left is counted. */
  quiet(): void {
    this.isQuiet = true
  }

  /** The backplane of one life of a node. */
  of(life: Life): Backplane.Backplane["Service"] {
    let made: Receiver | undefined
    const receiver = Effect.gen({ self: this }, function*() {
      if (made !== undefined) return made
      const context = yield* Effect.context<never>()
      const router = yield* Effect.provideService(makeRouter(this.log), Scope.Scope, Scope.makeUnsafe())
      // another fiber may have been faster
      return made ??= {
        life,
        router,
        run: (effect) => void Effect.runForkWith(context)(Effect.ignore(effect)),
        listeners: 0,
        isPolling: false,
        way: [],
        at: 0
      }
    })
    return Backplane.make({
      publish: (name, payload, options) =>
        this.pause.pipe(
          Effect.andThen(Effect.sync(() => this.publish(this.channel(name), payload, options?.retain === true))),
          Effect.tap(this.pause),
          Effect.flatMap((sequence) =>
            this.random.chance(this.trouble().unsure) ? Effect.fail(failed("publish", name)) : Effect.succeed(sequence)
          )
        ),
      listen: (name, onEvent, options) =>
        Effect.gen({ self: this }, function*() {
          const mine = yield* receiver
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              if (mine.listeners++ === 0) this.poll(mine)
            }),
            () =>
              Effect.sync(() => {
                if (--mine.listeners === 0) this.receivers.delete(mine)
              })
          )
          const ear: Ear = { life, channel: name, onEvent, waiting: [], epoch: this.epoch, unheard: [] }
          yield* Effect.acquireRelease(
            Effect.sync(() => this.ears.add(ear)),
            () => Effect.sync(() => this.ears.delete(ear))
          )
          const registration = yield* mine.router.listen(name, (event) => this.reach(ear, event), options)
          ear.epoch = registration.epoch
          return registration
        }),
      last: (name) =>
        Effect.map(this.pause, () => {
          const last = this.channels.get(name)?.last
          return last === undefined
            ? undefined
            : { _tag: "Publication", channel: name, payload: last.payload, sequence: last.sequence }
        })
    })
  }

  /** Nothing of what the broker carries reaches a life until then; `false` where it listens to nothing. */
  deafen(life: Life, how: Deafness, until: number): boolean {
    let listens = false
    for (const ear of this.ears) listens ||= ear.life === life
    if (!listens) return false
    this.deaf.set(life, { how, until })
    this.loop.timer(this.loop.root, until - this.loop.now, () => this.hearAgain(life))
    return true
  }

  /** Nothing is left of what was published: who listens finds out when it looks, or by what is published next. */
  empty(): void {
    this.epoch += "'"
    this.channels.clear()
  }

  /** Everybody hears again, and is told at last. */
  heal(): void {
    for (const ear of this.ears) {
      if (ear.unheard.length === 0) continue
      for (const event of ear.unheard.splice(0)) miss(ear, event, this.channel(ear.channel).last)
      if (!this.deaf.has(ear.life)) this.deaf.set(ear.life, { how: "late", until: this.loop.now })
    }
    for (const [life, { how }] of [...this.deaf]) {
      this.deaf.set(life, { how, until: this.loop.now })
      this.hearAgain(life)
    }
  }

  private hearAgain(life: Life): void {
    const deaf = this.deaf.get(life)
    if (deaf === undefined || this.loop.isAhead(deaf.until)) return
    this.deaf.delete(life)
    for (const ear of this.ears) {
      if (ear.life === life) {
        this.loop.post(life, () => {
          for (const event of ear.waiting.splice(0)) ear.onEvent(event)
        })
      }
    }
  }

  private reach(ear: Ear, event: Backplane.Event): void {
    const how = this.deaf.get(ear.life)?.how
    if (how !== "gap" && event._tag === "Gap") ear.epoch = event.epoch
    if (how === "never") return void ear.unheard.push(event)
    ear.unheard.length = 0
    if (how === "gap") miss(ear, event, this.channel(ear.channel).last)
    else if (how === "late" || ear.waiting.length > 0) ear.waiting.push(event)
    else ear.onEvent(event)
  }

  /** Tells a receiver what is published from now on, and lets it look by itself now and then. */
  private poll(receiver: Receiver): void {
    const { life, router, run } = receiver
    this.receivers.add(receiver)
    if (receiver.isPolling) return
    receiver.isPolling = true
    const again = (): void => {
      this.loop.timer(this.loop.root, pollEvery, () => {
        receiver.isPolling = this.receivers.has(receiver) && !life.dead && !this.isQuiet
        if (!receiver.isPolling) return
        this.loop.post(life, () => run(router.poll))
        again()
      })
    }
    again()
  }

  private publish(channel: Channel, payload: string, retain: boolean): number {
    const { lose, miss, twice } = this.trouble()
    const sequence = ++channel.counter
    const entry: Entry = { sequence, payload, retain, time: this.loop.now }
    if (retain) channel.last = entry
    const isLost = this.random.chance(lose)
    if (!isLost) channel.entries.push(entry)
    if (channel.entries.length > kept) channel.entries.shift()
    const notice: Notice = { channel: channel.name, sequence, epoch: this.epoch, payload, retain }
    for (const receiver of this.receivers) {
      if (receiver.life.dead) {
        this.receivers.delete(receiver)
        continue
      }
      if (this.random.chance(isLost ? 0.5 : miss)) continue
      this.announce(receiver, notice)
      if (this.random.chance(twice)) this.announce(receiver, notice)
    }
    return sequence
  }

  private announce(receiver: Receiver, notice: Notice): void {
    const { loop } = this
    receiver.at = Math.max(receiver.at, loop.now + this.delay())
    receiver.way.push(notice)
    loop.timer(loop.root, receiver.at - loop.now, () => {
      loop.post(receiver.life, () => {
        const next = receiver.way.shift()
        if (next !== undefined) receiver.router.notice(next)
      })
    })
  }

  /** What catches up is asked again when it fails; what a listener begins with is read in the end. */
  private query<A>(name: string, read: () => A, mayFail = false): Effect.Effect<A, Backplane.BackplaneError> {
    return Effect.andThen(
      this.pause,
      Effect.suspend(() =>
        mayFail && this.random.chance(this.trouble().unsure) ? Effect.fail(failed("listen", name)) : Effect.sync(read)
      )
    )
  }

  private readonly log: Log<Backplane.BackplaneError> = {
    catchUp: (name, after) =>
      this.query(name, () => {
        const { counter, entries, last } = this.channel(name)
        const row = {
          counter,
          epoch: this.epoch,
          epoch_start: 0,
          last_sequence: last?.sequence ?? null,
          last_payload: last?.payload ?? null
        }
        const rows = entries.filter(({ sequence }) => sequence > after).slice(0, page).map((entry): CatchUpRow => ({
          ...row,
          sequence: entry.sequence,
          payload: entry.payload,
          retain: entry.retain
        }))
        return rows.length > 0 ? rows : [{ ...row, sequence: null, payload: null, retain: null }]
      }, true),
    counters: (names) =>
      this.query(
        names[0] ?? "",
        () => names.map((name) => ({ channel: name, counter: this.channel(name).counter, epoch: this.epoch })),
        true
      ),
    ensure: () => Effect.void,
    renew: () => Effect.void,
    history: (name, to, bounds) =>
      this.query(name, () => {
        const { entries } = this.channel(name)
        const oldest = this.loop.now - bounds.age
        return entries.filter(({ sequence, time }) => sequence <= to && time >= oldest).slice(-bounds.values).reverse()
          .map(({ payload, sequence, time }) => ({ number: sequence, payload, age: this.loop.now - time }))
      }),
    last: (name) =>
      this.query(name, () => {
        const { counter, last } = this.channel(name)
        return [{ counter, epoch: this.epoch, sequence: last?.sequence ?? null, payload: last?.payload ?? null }]
      })
  }
}

/** A gap in the place of an event; what is retained follows the gap that swallows it. */
const miss = (ear: Ear, event: Backplane.Event, last: Entry | undefined): void => {
  const { channel, waiting } = ear
  const { sequence } = event
  const before = waiting.at(-1)
  if (event._tag === "Gap") ear.epoch = event.epoch
  const { epoch } = ear
  if (event._tag === "Publication" && last?.sequence === sequence) waiting.push(event)
  else if (before?._tag === "Gap") {
    const missed = event._tag === "Gap" ? event.missed : 1
    const all = before.missed === undefined || missed === undefined ? undefined : before.missed + missed
    waiting[waiting.length - 1] = { ...before, sequence, missed: all, epoch }
  } else if (event._tag === "Gap") waiting.push(event)
  else waiting.push({ _tag: "Gap", channel, after: sequence - 1, sequence, missed: 1, epoch })
}

const failed = (operation: "publish" | "listen", channel: string) =>
  new Backplane.BackplaneError({
    operation,
    channel,
    uncertain: true,
    cause: new Error("no answer from the broker")
  })
