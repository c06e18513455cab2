/**
 * One connection of a replay: what the other end should say according to the recording, and what it does say.
 */
import type { Json } from "../../juggler/JsonPointer.ts"
import type * as Recording from "../Recording.ts"
import type { Comparison, Deviation } from "./compare.ts"
import * as Juggler from "./juggler.ts"
import { type Item, itemsOfFrame, withIds } from "./messages.ts"
import { States } from "./states.ts"

/**
 * One place where a run is not as the recording. `message` says which message (`"answer 7"`, `"notification tick"`,
 * `"close"`), `at` when it came in the recording (ms); `deviations` are the places within it, as JSON Pointers.
 *
 * @category models
 * @since 0.2.0
 */
export interface Difference {
  readonly connection: number
  readonly at: number
  readonly kind: "changed" | "missing" | "unexpected"
  readonly message: string
  readonly deviations: ReadonlyArray<Deviation>
  readonly value: unknown
}

interface Expected {
  readonly item: Item
  readonly at: number
  isAwaited: boolean
}

/** What a connection of Juggler has besides: its frames are read in order, and show a state. */
class JugglerSide {
  readonly states: States
  readonly form: Juggler.Form
  private readonly recorded: Juggler.Reader
  private readonly current: Juggler.Reader

  constructor(form: Juggler.Form, comparison: Comparison, known: Map<string, Json>) {
    this.form = form
    this.states = new States(comparison, known)
    this.recorded = new Juggler.Reader(form)
    this.current = new Juggler.Reader(form)
  }

  /** What the frame has to be compared by; a patch goes to the states. */
  expect(frame: string, at: number): ReadonlyArray<Item> {
    const said = this.recorded.read(frame)
    if (said._tag === "Item") return [said.item]
    return said._tag === "Patch" && !this.states.expect(said.patch, at, said.position) ? [unfit(said.patch)] : []
  }

  receive(frame: string): { readonly items: ReadonlyArray<Item>; readonly answer?: string } {
    const said = this.current.read(frame)
    if (said._tag === "Item") return { items: [said.item] }
    if (said._tag === "Ping") return { items: [], answer: said.answer }
    return { items: said._tag === "Patch" && !this.states.receive(said.patch) ? [unfit(said.patch)] : [] }
  }
}

const unfit = (patch: unknown): Item => ({ key: "patch that does not fit", value: patch })

/** How much of the recording is awaited, over all connections. */
export interface Progress {
  awaited: number
  sent: number
  received: number
  matched: number
  readonly onProgress: () => void
  /** States of Juggler by their positions. */
  readonly known: Map<string, Json>
}

/** @internal */
export class Conversation {
  readonly differences: Array<Difference> = []
  readonly connection: number
  private readonly expected = new Map<string, Array<Expected>>()
  private readonly early = new Map<string, Array<Item>>()
  /** Ids of the other end's requests: recorded to those of this run, and back. */
  private readonly there = new Map<string, string>()
  private readonly back = new Map<string, string>()
  private at = 0
  private isOver = false
  private readonly comparison: Comparison
  private readonly progress: Progress
  private readonly juggler: JugglerSide | undefined

  constructor(connection: number, comparison: Comparison, progress: Progress, form?: Juggler.Form) {
    this.juggler = form === undefined ? undefined : new JugglerSide(form, comparison, progress.known)
    this.connection = connection
    this.comparison = comparison
    this.progress = progress
  }

  /** The other end sent this in the recording. */
  expect(frame: string | Uint8Array, at: number): void {
    const { juggler } = this
    const items = juggler !== undefined && typeof frame === "string"
      ? this.onStates(({ states }) => {
        const items = juggler.expect(frame, at)
        if (this.isOver) states.giveUp()
        return items
      }) ?? []
      : itemsOfFrame(frame)
    for (const item of items) this.expectItem(item, at)
  }

  /** Whether the event asks only whether the other end lives, or answers that: each run does that by itself. */
  isLiveness(event: Recording.Frame | Recording.Closed): boolean {
    return this.juggler !== undefined && event.type === "frame" && "text" in event &&
      Juggler.isLiveness(this.juggler.form, event.text)
  }

  expectClose(code: number, at: number): void {
    this.expectItem({ key: "close", value: { code } }, at)
  }

  /** This end closes the connection: the echo of that is no news. */
  over(): void {
    this.isOver = true
  }

  /** The other end has sent this now. What is to be answered at once is given. */
  receive(frame: string | Uint8Array): string | undefined {
    this.progress.received++
    const { juggler } = this
    if (juggler !== undefined && typeof frame === "string") {
      const { answer, items } = this.onStates(() => juggler.receive(frame))!
      for (const item of items) this.receiveItem(item)
      this.progress.onProgress()
      return answer
    }
    const text = typeof frame === "string" && this.back.size > 0 ? withIds(frame, this.back) : frame
    for (const item of itemsOfFrame(text)) this.receiveItem(item)
    return undefined
  }

  receiveClose(code: number): void {
    if (!this.isOver) this.receiveItem({ key: "close", value: { code } })
    // nothing more can come
    this.isOver = true
    this.giveUp()
    this.progress.onProgress()
  }

  /** A frame of this end, as it is to be sent in this run. */
  own(frame: string): string {
    const position = this.juggler === undefined ? undefined : Juggler.positionOf(frame)
    if (position !== undefined) this.juggler!.states.begin(position)
    const current = this.comparison.withGenerated(frame)
    if (this.there.size === 0) return current
    return this.juggler === undefined
      ? withIds(current, this.there)
      : Juggler.withIds(this.juggler.form, current, this.there)
  }

  /** Nothing of what is still missing is waited for any longer; it may come late. */
  giveUp(): void {
    this.onStates(({ states }) => states.giveUp())
    for (const list of this.expected.values()) {
      for (const expected of list) {
        if (!expected.isAwaited) continue
        expected.isAwaited = false
        this.progress.awaited--
      }
    }
  }

  /** What never came, and what came for nothing. */
  finish(): void {
    for (const list of this.expected.values()) {
      for (const { at, item } of list) this.differs("missing", item, at)
    }
    for (const { at, deviations, value } of this.juggler?.states.finish() ?? []) {
      this.differences.push({ connection: this.connection, at, kind: "changed", message: "state", deviations, value })
    }
    for (const list of this.early.values()) for (const item of list) this.differs("unexpected", item, this.at)
    this.differences.sort((a, b) => a.at - b.at)
  }

  /** Does something to the states, and counts what of them is awaited and has come. */
  private onStates<A>(f: (side: JugglerSide) => A): A | undefined {
    const { juggler, progress } = this
    if (juggler === undefined) return undefined
    const { isAwaited, matched } = juggler.states
    const result = f(juggler)
    progress.awaited += Number(juggler.states.isAwaited) - Number(isAwaited)
    progress.matched += juggler.states.matched - matched
    return result
  }

  private expectItem(item: Item, at: number): void {
    this.at = at
    const actual = this.early.get(item.key)?.shift()
    if (actual !== undefined) return this.match(item, actual, at)
    if (!this.isOver) this.progress.awaited++
    push(this.expected, item.key, { item, at, isAwaited: !this.isOver })
  }

  private receiveItem(item: Item): void {
    const expected = this.expected.get(item.key)?.shift()
    if (expected === undefined) push(this.early, item.key, item)
    else {
      if (expected.isAwaited) this.progress.awaited--
      this.match(expected.item, item, expected.at)
    }
    this.progress.onProgress()
  }

  private match(expected: Item, actual: Item, at: number): void {
    this.progress.matched++
    if (expected.asks !== undefined && actual.asks !== undefined && expected.asks !== actual.asks) {
      this.there.set(expected.asks, actual.asks)
      this.back.set(actual.asks, expected.asks)
    }
    const deviations = this.comparison.deviations(expected.value, actual.value)
    if (deviations.length > 0) {
      this.differences.push({
        connection: this.connection,
        at,
        kind: "changed",
        message: expected.key,
        deviations,
        value: actual.value
      })
    }
  }

  private differs(kind: "missing" | "unexpected", { key, value }: Item, at: number): void {
    this.differences.push({ connection: this.connection, at, kind, message: key, deviations: [], value })
  }
}

const push = <A>(map: Map<string, Array<A>>, key: string, value: A): void => {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

/** The frame of an event. @internal */
export const frameOf = (event: Recording.Frame, decode: (base64: string) => Uint8Array): string | Uint8Array =>
  "text" in event ? event.text : decode(event.bytes)
