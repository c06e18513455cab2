/**
 * While a world takes its steps, what a program reads of time, chance and order is the world's: `setTimeout`,
 * `setImmediate`, `queueMicrotask`, `Date`, `performance.now`, `Math.random`, `crypto`. A program needs no seam to be
 * simulated, and what forgets to use `Clock` or `Random` is repeatable all the same. All is put back before anything else
 * of the process can run. What this package counts for the whole process is counted anew.
 */
import { backplaneIds } from "../../backplane/internal/ids.ts"
import { connectionIds } from "../../socket/internal/ids.ts"
import type { Life, Loop, Timer } from "./loop.ts"
import { localMillis } from "./runtime.ts"

interface Saved {
  readonly target: object
  readonly key: string
  readonly descriptor: PropertyDescriptor | undefined
}

const RealDate = Date

/** Steps into the world; the returned function steps out. */
export const enter = (loop: Loop): () => void => {
  const saved: Array<Saved> = []
  const replace = (target: object | undefined, key: string, value: unknown): void => {
    if (target === undefined || !(key in target)) return
    saved.push({ target, key, descriptor: Object.getOwnPropertyDescriptor(target, key) })
    Object.defineProperty(target, key, { value, configurable: true, writable: true })
  }
  const { virtualDate, world } = makeGlobals(loop)
  const scope = globalThis as unknown as Record<string, unknown>
  for (const key of Object.keys(world)) replace(scope, key, world[key])
  replace(scope, "Date", virtualDate)
  // they would name files of this machine, and cost more than all else of an error
  replace(Error, "stackTraceLimit", 0)
  replace(Math, "random", () => loop.current.random.next())
  replace(scope.performance as object | undefined, "now", () => loop.now * loop.current.rate)
  const fill = <A extends ArrayBufferView>(view: A): A => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    for (let i = 0; i < bytes.length; i++) bytes[i] = loop.current.random.below(256)
    return view
  }
  replace(scope.crypto as object | undefined, "getRandomValues", fill)
  replace(scope.crypto as object | undefined, "randomUUID", () => {
    const hex = Array.from(fill(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
  })
  const counts = [backplaneIds, connectionIds].map((count) => {
    const { last } = count
    count.last = 0
    return { count, last }
  })
  return () => {
    for (const { count, last } of counts) count.last = last
    for (const { descriptor, key, target } of saved.reverse()) {
      if (descriptor === undefined) delete (target as Record<string, unknown>)[key]
      else Object.defineProperty(target, key, descriptor)
    }
  }
}

class Handle {
  timer: Timer | undefined
  /** As Node's timers have it. */
  unref(): this {
    return this
  }
  ref(): this {
    return this
  }
  hasRef(): boolean {
    return true
  }
}

const globalsOf = new WeakMap<Loop, Globals>()

interface Globals {
  readonly world: Record<string, unknown>
  readonly virtualDate: unknown
}

const makeGlobals = (loop: Loop): Globals => {
  const known = globalsOf.get(loop)
  if (known !== undefined) return known
  const after = (life: Life, millis: number, run: () => void) => loop.timer(life, millis / life.rate, run)
  const setTimeout = (run: (...args: ReadonlyArray<unknown>) => void, millis = 0, ...args: ReadonlyArray<unknown>) => {
    const handle = new Handle()
    handle.timer = after(loop.current, Math.max(1, millis), () => run(...args))
    return handle
  }
  const setInterval = (run: (...args: ReadonlyArray<unknown>) => void, millis = 0, ...args: ReadonlyArray<unknown>) => {
    const handle = new Handle()
    const life = loop.current
    const again = (): void => {
      handle.timer = after(life, Math.max(1, millis), () => {
        again()
        run(...args)
      })
    }
    again()
    return handle
  }
  const clear = (handle: unknown): void => {
    if (handle instanceof Handle && handle.timer !== undefined) loop.cancel(handle.timer)
  }
  const setImmediate = (run: (...args: ReadonlyArray<unknown>) => void, ...args: ReadonlyArray<unknown>) => {
    const handle = new Handle()
    const life = loop.current
    const timer: Timer = { at: loop.now, sequence: -1, life, run: () => run(...args) }
    handle.timer = timer
    life.timers++
    loop.post(life, () => {
      const run = timer.run
      if (run === undefined) return
      loop.cancel(timer)
      run()
    })
    return handle
  }
  const now = (): number => localMillis(loop, loop.current)
  const virtualDate: DateConstructor = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget === virtualDate ? target : newTarget),
    apply: (target) => Reflect.construct(target, [now()]).toString(),
    get: (target, key) => key === "now" ? now : Reflect.get(target, key)
  })
  const globals = {
    virtualDate,
    world: {
      setTimeout,
      setInterval,
      setImmediate,
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
      queueMicrotask: (run: () => void) => loop.microtask(run)
    }
  }
  globalsOf.set(loop, globals)
  return globals
}
