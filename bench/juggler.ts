/**
 * What Juggler's parts cost, beside the libraries that others use for them. Medians, in microseconds; the last column
 * says how many times the first row's figure that is. Run: `npm run bench -- juggler`
 */
import { Result } from "effect"
import { JsonPatch } from "effect-wire/juggler"
import fastJsonPatch from "fast-json-patch"
import * as mutative from "mutative"
import * as rfc6902 from "rfc6902"

const print = (line: string) => process.stdout.write(`${line}\n`)

type Flat = { [key: string]: number }

const flat = (size: number): Flat => Object.fromEntries(Array.from({ length: size }, (_, i) => [`key${i}`, i]))
const grouped = (groups: number, size: number): { [key: string]: Flat } =>
  Object.fromEntries(Array.from({ length: groups }, (_, g) => [`group${g}`, flat(size)]))

/** Median of the time of one call, in microseconds; runs for about `budget` milliseconds. */
const median = (call: (i: number) => unknown, budget = 150): number => {
  const samples: Array<number> = []
  const began = performance.now()
  let inner = 1
  let i = 0
  while (samples.length < 5 || (performance.now() - began < budget && samples.length < 5_000)) {
    const start = performance.now()
    for (let j = 0; j < inner; j++) call(i++)
    const took = performance.now() - start
    samples.push((took * 1_000) / inner)
    if (took < 0.05 && inner < 4_096) {
      inner *= 2
      samples.length = 0
    }
  }
  return samples.sort((a, b) => a - b)[samples.length >> 1]!
}

const table = (title: string, rows: ReadonlyArray<readonly [string, () => number]>) => {
  print(`\n${title}`)
  let first: number | undefined
  for (const [name, measure] of rows) {
    let text: string
    try {
      const value = measure()
      first ??= value
      text = `${value.toFixed(2).padStart(12)} us  ${(value / first).toFixed(2).padStart(9)} x`
    } catch (error) {
      text = `${(error as Error).message}`.padStart(12)
    }
    print(`  ${name.padEnd(44)}${text}`)
  }
}

const ours = (from: unknown, to: unknown) => Result.getOrThrow(JsonPatch.diff(from as never, to as never))

for (const size of [10, 1_000, 100_000]) {
  const from = flat(size)
  const to = { ...from, key5: -1 }
  table(`diff: one field of a flat object of ${size} changed`, [
    ["JsonPatch.diff, to and fro", () => median((i) => i % 2 === 0 ? ours(from, to) : ours(to, from))],
    ["fast-json-patch compare", () => median(() => fastJsonPatch.compare(from, to))],
    ["rfc6902 createPatch", () => median(() => rfc6902.createPatch(from, to))]
  ])
  table(`apply: one replace, the document stays as it was, flat object of ${size}`, [
    ["JsonPatch.apply", () => median((i) => JsonPatch.apply(from, [{ op: "replace", path: "/key5", value: i }]))],
    ["mutative apply", () => median((i) => mutative.apply(from, [{ op: "replace", path: ["key5"], value: i }]))],
    [
      "fast-json-patch applyPatch, copying",
      () => median((i) => fastJsonPatch.applyPatch(from, [{ op: "replace", path: "/key5", value: i }], false, false))
    ]
  ])
}

{
  const from = grouped(1_000, 100)
  const to = { ...from, group5: { ...from["group5"]!, key5: -1 } }
  table("diff: one field of 1,000 groups of 100 changed, the rest shared", [
    ["JsonPatch.diff, to and fro", () => median((i) => i % 2 === 0 ? ours(from, to) : ours(to, from))],
    ["fast-json-patch compare", () => median(() => fastJsonPatch.compare(from, to))],
    ["rfc6902 createPatch", () => median(() => rfc6902.createPatch(from, to))]
  ])
}

{
  const items = Array.from({ length: 10_000 }, (_, i) => ({ id: i, name: `item ${i}` }))
  const to = [{ id: -1, name: "new" }, ...items]
  const parsed = JSON.parse(JSON.stringify(to))
  table("diff: an item inserted at the head of 10,000", [
    ["JsonPatch.diff", () => median(() => ours(items, to))],
    ["JsonPatch.diff, nothing shared", () => median(() => ours(items, parsed))],
    ["fast-json-patch compare", () => median(() => fastJsonPatch.compare(items, to))],
    [
      "mutative create, unshift",
      () =>
        median(() =>
          mutative.create(items, (draft) => void draft.unshift({ id: -1, name: "new" }), { enablePatches: true })
        )
    ],
    ["rfc6902 createPatch", () => median(() => rfc6902.createPatch(items, to))]
  ])
  const { [1]: patches } = mutative.create(items, (draft) => void draft.unshift({ id: -1, name: "new" }), {
    enablePatches: true
  })
  print(
    `  operations: ours ${ours(items, to).length}, fast-json-patch ${
      fastJsonPatch.compare(items, to).length
    }, mutative ${patches.length}`
  )
}
