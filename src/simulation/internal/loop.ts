/**
 * The event loop of a world: tasks that can run now, microtasks, timers, and virtual time, which only passes when nothing
 * else is left to do. Which of the tasks comes next is drawn from the seed.
 */
import type { Prng } from "./prng.ts"

/**
 * One life of a node, from its start to its stop or crash: whose task this is. What belongs to a dead life never runs.
 */
export class Life {
  readonly node: string
  readonly random: Prng
  dead = false
  /** Tasks wait until this moment: a node that pauses, or is slow. */
  heldUntil = 0
  /** Virtual milliseconds that each task takes. */
  perTask = 0
  /** Local time = `rate` × true time + `offset`. */
  rate = 1
  offset = 0
  readonly onCrash: Array<() => void> = []
  /** It has crashed, and what runs then has run: nothing of it reaches the disk any more. */
  crashed = false
  /** The node crashes at its step of this number, counted from now on; 0: at none. */
  stepsLeft = 0
  onLastStep: () => void = () => {}
  fibers = 0
  timers = 0
  /** Tasks that wait for `heldUntil`. */
  held: Array<Task> | undefined = undefined

  constructor(node: string, random: Prng) {
    this.node = node
    this.random = random
  }

  /** A step that a crash may come before; it throws when one does, and ever after. */
  step(): void {
    if (this.stepsLeft > 0 && --this.stepsLeft === 0) this.onLastStep()
    if (this.crashed) throw new Error(`${this.node} has crashed`)
  }
}

export interface Task {
  readonly life: Life
  readonly run: () => void
}

export interface Timer {
  readonly at: number
  readonly sequence: number
  readonly life: Life
  run: (() => void) | undefined
}

const isBefore = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.sequence < b.sequence)

/** How the seed disturbs the order of what runs. */
export interface Interleaving {
  /** The next task is one of the first so many that can run; 1 is the order of a production scheduler. */
  readonly window: number
  /** Operations of a fiber before it yields, at most; 0: as in production. */
  readonly preemptAfter: number
  /** Probability that microtasks wait for another task of the same turn. */
  readonly lateTurns: number
}

export const inOrder: Interleaving = { window: 1, preemptAfter: 0, lateTurns: 0 }

export class Loop {
  /** Milliseconds since the beginning of the world. */
  now = 0
  steps = 0
  current: Life
  readonly root: Life
  interleaving: Interleaving = inOrder
  onThrow: (life: Life, error: unknown) => void = () => {}
  private readonly random: Prng
  private ready: Array<Task> = []
  private low: Array<Task> = []
  private micro: Array<Task> = []
  private heap: Array<Timer> = []
  private sequence = 0
  private untilPreempt = 0

  constructor(random: Prng) {
    this.random = random.derive("order")
    this.root = new Life("world", random.derive("world"))
    this.current = this.root
  }

  /** Runs in some later turn. */
  post(life: Life, run: () => void, priority = 0): void {
    if (life.dead) return
    if (this.isAhead(life.heldUntil) && life !== this.root) this.hold(life, { life, run })
    else if (priority > 0) this.low.push({ life, run })
    else this.ready.push({ life, run })
  }

  /** Runs at the end of this turn. It runs even when the node crashes: a turn is never cut in two. */
  microtask(run: () => void): void {
    this.micro.push({ life: this.current, run })
  }

  /** Runs `delay` milliseconds of true time from now. */
  timer(life: Life, delay: number, run: () => void): Timer {
    const at = Math.ceil((this.now + Math.max(0, delay)) * 1000) / 1000
    const timer: Timer = { at, sequence: this.sequence++, life, run }
    if (life.dead || !Number.isFinite(at)) return timer
    life.timers++
    const heap = this.heap
    let i = heap.push(timer) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!isBefore(timer, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = timer
    return timer
  }

  cancel(timer: Timer): void {
    if (timer.run === undefined) return
    timer.run = undefined
    timer.life.timers--
  }

  /** Whether a moment is still to come, to the microsecond. */
  isAhead(moment: number): boolean {
    return moment > this.now + 0.0005
  }

  /** Nothing of this life happens before `until`. */
  hold(life: Life, task: Task): void {
    if (life.held === undefined) {
      const held: Array<Task> = life.held = []
      const release = (): void => {
        if (this.isAhead(life.heldUntil)) return void this.timer(this.root, life.heldUntil - this.now, release)
        life.held = undefined
        for (const task of held) this.post(task.life, task.run)
      }
      this.timer(this.root, life.heldUntil - this.now, release)
    }
    life.held.push(task)
  }

  /** Whether a fiber yields here: called once for each operation. */
  shouldPreempt(): boolean {
    const { preemptAfter } = this.interleaving
    if (preemptAfter === 0 || --this.untilPreempt > 0) return false
    this.untilPreempt = 1 + this.random.below(preemptAfter)
    return true
  }

  /** Runs what can run now; time stands still. `false` when `limit` steps were not enough. */
  drain(limit: number): boolean {
    while (true) {
      const task = this.next()
      if (task === undefined) {
        if (this.micro.length === 0) return true
        this.endTurn()
        continue
      }
      if (task.life.dead) continue
      if (this.isAhead(task.life.heldUntil) && task.life !== this.root) {
        this.hold(task.life, task)
        continue
      }
      if (++this.steps > limit) return false
      this.execute(task)
      if (task.life.perTask > 0) task.life.heldUntil = this.now + task.life.perTask
      if (this.micro.length > 0 && !this.random.chance(this.interleaving.lateTurns)) this.endTurn()
    }
  }

  /** Time passes until the next timer, but not beyond `until`. `false` when there is none. */
  advance(until: number): boolean {
    this.pruneTimers()
    const first = this.heap[0]
    if (first === undefined || first.at > until) {
      if (until > this.now && Number.isFinite(until)) this.now = until
      return false
    }
    this.now = first.at
    while (this.heap.length > 0 && this.heap[0]!.at <= this.now) {
      const timer = this.pop()
      if (timer.run === undefined) continue
      // due, and cancelled all the same where something that runs before it says so
      this.post(timer.life, () => {
        const { run } = timer
        if (run === undefined) return
        this.cancel(timer)
        run()
      })
    }
    return true
  }

  get isIdle(): boolean {
    return this.ready.length === 0 && this.low.length === 0 && this.micro.length === 0
  }

  private pruneTimers(): void {
    while (this.heap.length > 0 && (this.heap[0]!.run === undefined || this.heap[0]!.life.dead)) this.pop()
  }

  private next(): Task | undefined {
    const { ready } = this
    if (ready.length === 0 || (this.low.length > 0 && this.random.chance(0.1))) {
      const task = this.low.shift()
      if (task !== undefined) return task
    }
    if (ready.length < 2 || this.interleaving.window === 1) return ready.shift()
    const at = this.random.below(Math.min(ready.length, this.interleaving.window))
    if (at === 0) return ready.shift()
    return ready.splice(at, 1)[0]
  }

  private endTurn(): void {
    for (let i = 0; i < this.micro.length; i++) this.execute(this.micro[i]!)
    this.micro = []
  }

  private execute(task: Task): void {
    this.current = task.life
    try {
      task.run()
    } catch (error) {
      this.onThrow(task.life, error)
    }
    this.current = this.root
  }

  private pop(): Timer {
    const heap = this.heap
    const top = heap[0]!
    const last = heap.pop()!
    if (heap.length > 0) {
      let i = 0
      while (true) {
        let child = 2 * i + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
        if (!isBefore(heap[child]!, last)) break
        heap[i] = heap[child]!
        i = child
      }
      heap[i] = last
    }
    return top
  }
}
