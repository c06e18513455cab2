import type { EngineRequest } from "./engineModel.ts"

/** So many places may be empty at the front before they are given back. */
const slack = 1024

/**
 * The requests of a connection that wait their turn, in order. One that leaves the line before its turn leaves its place
 * empty, so that nobody moves.
 *
 * @internal
 */
export class Line {
  private places: Array<EngineRequest | undefined> = []
  private head = 0
  private left = 0
  /** Requests in it that are answered: all but notifications. */
  answered = 0

  /** Requests in it. */
  get size(): number {
    return this.places.length - this.head - this.left
  }

  /** Whether there is no place after the front, empty or not. */
  get isOver(): boolean {
    return this.head === this.places.length
  }

  push(request: EngineRequest): void {
    if (request.key !== undefined) this.answered++
    this.places.push(request)
  }

  /** The place at the front; `undefined` where its request has left. */
  shift(): EngineRequest | undefined {
    const request = this.places[this.head]
    this.places[this.head++] = undefined
    if (request === undefined) this.left--
    else if (request.key !== undefined) this.answered--
    if (this.head > slack) {
      this.places = this.places.slice(this.head)
      this.head = 0
    }
    return request
  }

  /** Leaves before its turn; `false` where it does not wait. */
  leave(request: EngineRequest): boolean {
    const place = this.places.indexOf(request, this.head)
    if (place < 0) return false
    this.places[place] = undefined
    this.left++
    this.answered--
    return true
  }

  forEach(f: (request: EngineRequest) => void): void {
    for (let i = this.head; i < this.places.length; i++) {
      const request = this.places[i]
      if (request !== undefined) f(request)
    }
  }
}

/**
 * Where nobody waits; never changed.
 *
 * @internal
 */
export const noLine = new Line()
