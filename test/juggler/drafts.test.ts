/**
 * Drafts are what they look like: whatever a recipe does to them, moves and aliases included, comes out as if the document
 * had been an ordinary mutable value, and as Mutative has it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { JsonPatch, type JsonPointer, JugglerState } from "effect-wire/juggler"
import * as mutative from "mutative"
import { generator } from "./generate.ts"

type Json = JsonPointer.Json

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null

/** Whether one value is, or holds, another. */
const holds = (value: unknown, other: unknown): boolean =>
  value === other || (isContainer(value) && Object.values(value).some((member) => holds(member, other)))

const containers = (value: unknown): Array<any> => {
  const found: Array<any> = []
  const walk = (at: unknown) => {
    if (!isContainer(at)) return
    found.push(at)
    for (const key of Object.keys(at).sort()) walk((at as any)[key])
  }
  walk(value)
  return found
}

/** The same steps for the same seed, on whatever it is given. */
const recipe = (seed: number, steps: number) => (draft: any): void => {
  const random = generator(seed)
  /** What was taken hold of: it may have moved, or be gone, when it is used. */
  const held: Array<any> = []
  const oneOf = <A>(items: ReadonlyArray<A>): A => items[random.int(items.length)]!
  /** A scalar, something new, or something that is there already. */
  const value = (target: object): unknown => {
    const kind = random.int(6)
    if (kind < 2) return random.int(100)
    if (kind === 2) return random.json(2)
    const candidate = kind === 3 && held.length > 0 ? oneOf(held) : oneOf(containers(draft))
    if (holds(candidate, target) || containers(candidate).length > 30) return random.int(100)
    return kind === 5 ? { wrapped: candidate } : candidate
  }
  for (let i = 0; i < steps; i++) {
    const all = containers(draft)
    if (all.length > 120) return
    const target = held.length > 0 && random.int(4) === 0 ? oneOf(held) : oneOf(all)
    if (random.int(3) === 0) held.push(oneOf(all))
    if (!Array.isArray(target)) {
      const key = oneOf(["a", "b", "c", "x"])
      if (random.int(4) === 0) delete target[key]
      else target[key] = value(target)
      continue
    }
    switch (random.int(10)) {
      case 0:
        target.push(value(target))
        break
      case 1:
        target.unshift(value(target))
        break
      case 2:
        if (target.length > 0) held.push(...[target.pop()].filter(isContainer))
        break
      case 3:
        // taken from one end and put at the other
        if (target.length > 0) target.push(target.shift())
        break
      case 4:
        held.push(...target.splice(random.int(3), random.int(3), value(target)).filter(isContainer))
        break
      case 5:
        target.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
        break
      case 6:
        target.reverse()
        break
      case 7:
        if (target.length > 0) target.length = random.int(target.length)
        break
      default:
        if (target.length > 0) target[random.int(target.length)] = value(target)
    }
  }
}

describe("drafts", () => {
  it.prop("come to what they come to in Mutative, and on an ordinary value", { seed: Schema.Int }, ({ seed }) => {
    const initial = {
      a: generator(seed).json(4),
      b: [generator(seed + 1).json(3), { x: 1 }, [1, 2]],
      c: { a: { b: 1 } }
    }
    const change = recipe(seed, 14)
    const plain = structuredClone(initial)
    change(plain)
    const theirs = mutative.create(initial as any, (draft: any) => change(draft))
    assert.deepStrictEqual(theirs, plain)
    const state = Effect.runSync(JugglerState.makeJson(structuredClone(initial)))
    const looked = seed % 2 === 0 ? Effect.runSync(state.json) : undefined
    const changes = Effect.runSync(state.update((draft) => void change(draft)))
    assert.deepStrictEqual(Effect.runSync(state.json), plain)
    // and those who are told the changes come to the same
    assert.deepStrictEqual(
      Result.getOrThrow(JsonPatch.apply(initial, JsonPatch.encode(changes), { maxOperations: 1e6 })),
      plain
    )
    if (looked !== undefined) assert.deepStrictEqual(looked, initial)
  }, { arbitrary: { runs: 200 } })

  it.effect("count where they were moved to", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ list: [{ n: 0 }, { n: 1 }], a: { x: 1 }, o: {} })
      yield* state.update((draft) => {
        const first = draft.list.shift()
        draft.list.push(first)
        first.n = 5
      })
      yield* state.update((draft) => {
        const { a } = draft
        delete draft.a
        draft.o.b = a
        a.x = 2
      })
      assert.deepStrictEqual(yield* state.json, { list: [{ n: 1 }, { n: 5 }], o: { b: { x: 2 } } })
    }))

  it.effect("are refused inside themselves", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ a: { b: {} } })
      const error = yield* Effect.flip(state.update((draft) => {
        draft.a.b.up = draft.a
      }))
      assert.strictEqual(error.reason, "TooDeep")
      const aliases = yield* Effect.flip(state.update((draft) => {
        draft.x = { n: 0 }
        for (let i = 0; i < 60; i++) draft.x = { left: draft.x, right: draft.x }
      }))
      assert.strictEqual(aliases.reason, "TooLarge")
      assert.deepStrictEqual(yield* state.json, { a: { b: {} } })
    }))

  it.effect("take frozen values, and let them be written to as drafts", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ rooms: { hall: { n: 1 } } })
      const before = (yield* state.json) as { readonly rooms: { readonly hall: Json } }
      yield* state.update((draft) => {
        draft.copy = before.rooms
        draft.copy.hall.n = 2
      })
      assert.deepStrictEqual(yield* state.json, { rooms: { hall: { n: 1 } }, copy: { hall: { n: 2 } } })
      assert.deepStrictEqual(before, { rooms: { hall: { n: 1 } } })
    }))

  it("of an asynchronous recipe do not compile, and have no effect", () => {
    const state = Effect.runSync(JugglerState.makeJson({ n: 0 }))
    // @ts-expect-error a recipe is synchronous
    const asynchronous = state.update((draft) => Promise.resolve(void (draft.n = 1)))
    assert.strictEqual(Effect.runSyncExit(asynchronous)._tag, "Failure")
    // @ts-expect-error an effect would not be run
    const effect = () => state.update((draft) => Effect.sync(() => void (draft.n = 1)))
    assert.isFunction(effect)
    assert.deepStrictEqual(Effect.runSync(state.json), { n: 0 })
    // what a recipe gives otherwise is its own business
    Effect.runSync(state.update((draft) => ++draft.n))
    assert.deepStrictEqual(Effect.runSync(state.json), { n: 1 })
  })
})
