/** @internal A binary heap; the smallest is on top. */
export interface Heap<A> {
  readonly push: (value: A) => void
  readonly peek: () => A | undefined
  readonly pop: () => A | undefined
  readonly clear: () => void
}

export const makeHeap = <A>(before: (a: A, b: A) => boolean): Heap<A> => {
  let values: Array<A> = []
  const swap = (i: number, j: number): void => {
    const value = values[i]!
    values[i] = values[j]!
    values[j] = value
  }
  return {
    push: (value) => {
      let i = values.push(value) - 1
      while (i > 0) {
        const parent = (i - 1) >> 1
        if (!before(values[i]!, values[parent]!)) break
        swap(i, parent)
        i = parent
      }
    },
    peek: () => values[0],
    pop: () => {
      if (values.length <= 1) return values.pop()
      const top = values[0]
      values[0] = values.pop()!
      let i = 0
      while (true) {
        const left = 2 * i + 1
        let least = i
        if (left < values.length && before(values[left]!, values[least]!)) least = left
        if (left + 1 < values.length && before(values[left + 1]!, values[least]!)) least = left + 1
        if (least === i) return top
        swap(i, least)
        i = least
      }
    },
    clear: () => {
      values = []
    }
  }
}
