/** Elements that a stream is asked for before anything is known of it. */
const initial = 64
const least = 8
const most = 1024
/** Characters that the elements of a window are to have at most. */
const characters = 1024 * 1024

/**
 * How many elements of a stream its reader asks for. It begins small; whenever the reader had nothing left when it asked
 * for more, the network is what it waits for, and the window doubles, up to 1,024 elements or 1 MiB of them.
 *
 * @internal
 */
export class StreamWindow {
  private size = initial
  /** Asked for and not there yet. */
  private asked = 0
  /** There and not taken by the reader. */
  private kept = 0
  private elements = 0
  private characters = 0

  /** Everything that was asked for on another connection is forgotten; what to ask for on this one. */
  open(): number {
    this.asked = Math.max(1, this.size - this.kept)
    return this.asked
  }

  received(elements: number, characters: number): void {
    this.asked -= elements
    this.kept += elements
    this.elements += elements
    this.characters += characters
  }

  /** The reader took some; how many more to ask for now. */
  taken(elements: number): number {
    this.kept -= elements
    if (this.kept === 0) this.size = Math.min(this.size * 2, most)
    const fitting = Math.floor(characters * this.elements / Math.max(1, this.characters))
    const size = Math.min(this.size, Math.max(least, fitting))
    const missing = size - this.asked - this.kept
    if (missing < size / 2) return 0
    this.asked += missing
    return missing
  }
}
