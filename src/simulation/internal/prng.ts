/**
 * Random numbers from a seed: sfc32, seeded by a hash of text. Only integer arithmetic and division by a power of two, so
 * that every machine draws the same.
 */

const hash = (text: string): [number, number, number, number] => {
  let a = 1779033703
  let b = 3144134277
  let c = 1013904242
  let d = 2773480762
  for (let i = 0; i < text.length; i++) {
    const k = text.charCodeAt(i)
    a = b ^ Math.imul(a ^ k, 597399067)
    b = c ^ Math.imul(b ^ k, 2869860233)
    c = d ^ Math.imul(c ^ k, 951274213)
    d = a ^ Math.imul(d ^ k, 2716044179)
  }
  a = Math.imul(c ^ (a >>> 18), 597399067)
  b = Math.imul(d ^ (b >>> 22), 2869860233)
  c = Math.imul(a ^ (c >>> 17), 951274213)
  d = Math.imul(b ^ (d >>> 19), 2716044179)
  return [a ^ b ^ c ^ d, b ^ a, c ^ a, d ^ a]
}

/** A stream of random numbers; `Draw` is what users see of it. */
export class Prng {
  private readonly seed: string
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: string) {
    this.seed = seed
    const [a, b, c, d] = hash(seed)
    this.a = a
    this.b = b
    this.c = c
    this.d = d
    for (let i = 0; i < 8; i++) this.next32()
  }

  /** A stream of its own: what is drawn from it changes nothing in this one. */
  derive(name: string): Prng {
    return new Prng(`${this.seed}/${name}`)
  }

  next32(): number {
    const t = (((this.a + this.b) | 0) + this.d) | 0
    this.d = (this.d + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + t | 0
    return t >>> 0
  }

  /** 0 (inclusive) to 1 (exclusive). */
  next(): number {
    return this.next32() / 4294967296
  }

  /** 0 to `n` - 1. */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  int(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(values: ReadonlyArray<A>): A {
    return values[this.below(values.length)]!
  }

  weighted<A>(values: ReadonlyArray<readonly [A, number]>): A {
    let sum = 0
    for (const [, weight] of values) sum += weight
    let at = this.next() * sum
    for (const [value, weight] of values) {
      at -= weight
      if (at < 0) return value
    }
    return values[values.length - 1]![0]
  }
}
