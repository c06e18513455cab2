/**
 * Who knows more of a shared state, and who has said so: where nobody who counts is left to ask, one of those who wait
 * begins a new epoch from what it has, and it has to be one whose copy lacks nothing that another one's has.
 */

/** What somebody has: the state at version `v` of an epoch that began at number `o` of the channel; `e` is `""` for nothing. */
export interface Known {
  readonly e: string
  readonly v: number
  readonly o?: number | undefined
}

/** Whether one of them has what the other lacks: more of the same epoch, or of the older one, which is the one that holds. */
export const knowsMore = (one: Known, other: Known): boolean => {
  if (one.e === "" || other.e === "") return one.e !== "" && other.e === ""
  return one.e === other.e ? one.v > other.v : (one.o ?? 0) < (other.o ?? 0)
}

/** So many are remembered; who knows no more than a later one says nothing new. */
const maxSpoken = 64

/** What those who spoke on the channel know, by the number at which they said it. */
export class Spoken {
  private entries: Array<{ readonly known: Known; readonly sequence: number }> = []

  add(known: Known, sequence: number): void {
    this.entries = this.entries.filter(({ known: { e, v } }) => e !== known.e || v > known.v)
    this.entries.push({ known, sequence })
    if (this.entries.length > maxSpoken) this.entries.shift()
  }

  clear(): void {
    this.entries = []
  }

  /** Whether somebody for whom the test holds has spoken after a number. */
  after(sequence: number, test: (known: Known) => boolean): boolean {
    return this.entries.some((entry) => entry.sequence > sequence && test(entry.known))
  }
}
