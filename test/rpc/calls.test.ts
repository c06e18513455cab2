/** The table at the head of src/rpc/internal/calls.ts, row by row: one state, one event, what leaves and what settles. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect } from "effect"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { Batch, Call, Entry, type Failure, type Limits } from "../../src/rpc/internal/callModel.ts"
import { Calls } from "../../src/rpc/internal/calls.ts"
import type * as Reconnect from "../../src/socket/Reconnect.ts"

class Note extends Entry<string> {
  constructor(frame: string) {
    super(frame, frame.length)
  }
}

class Recorded extends Call<string> {
  readonly outcome: Array<string> = []
  lost({ kind, maybeExecuted }: Failure): void {
    this.outcome.push(`${kind}${maybeExecuted ? ", maybe executed" : ""}`)
  }
}

/** A line that writes down what it is given. */
class Line extends Calls<string> {
  frames: Array<string> = []
  takes = true
  room = true
  private onRoom: (() => void) | undefined

  protected write(frame: string): boolean {
    if (this.takes) this.frames.push(`${this.connection}:${frame}`)
    return this.takes
  }
  protected join(frames: ReadonlyArray<string>): string {
    return `[${frames.join(",")}]`
  }
  protected retract(call: Call<string>): void {
    this.frames.push(`${this.connection}:cancel ${call.frame}`)
  }
  protected override hasRoom(): boolean {
    return this.room
  }
  protected override whenRoom(run: () => void): void {
    this.onRoom = run
  }
  makeRoom(): void {
    this.room = true
    this.onRoom?.()
  }
  /** Makes calls, `x!` idempotent ones, and notifications, those in capitals. */
  make(...frames: ReadonlyArray<string>): ReadonlyArray<Recorded> {
    return frames.flatMap((frame) => {
      if (frame === frame.toUpperCase()) {
        this.tell(new Note(frame))
        return []
      }
      const call = new Recorded(this.nextId(), frame, frame.length, frame.endsWith("!"), true)
      this.submit(call)
      return [call]
    })
  }
  took(): ReadonlyArray<string> {
    const { frames } = this
    this.frames = []
    return frames
  }
}

const cause = new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1006 }) })
const idle: Reconnect.Status = { _tag: "Idle" }
const dialling: Reconnect.Status = { _tag: "Dialling", attempt: 1 }
const opening: Reconnect.Status = { _tag: "Opening", attempt: 1 }
const open: Reconnect.Status = { _tag: "Open" }
const lost: Reconnect.Status = { _tag: "Lost", cause, nextDial: 0 }
const ended: Reconnect.Status = { _tag: "Ended", cause: undefined }

const make = (options: Partial<Limits> = {}, status: Reconnect.Status = dialling) =>
  Effect.map(Effect.context<never>(), (context) =>
    new Line({
      waits: true,
      maxCalls: 100,
      maxInFlight: 100,
      maxQueued: 100_000,
      timeout: 60_000,
      clock: Context.get(context, Clock.Clock),
      fork: Effect.runForkWith(context),
      describe: (status) => status._tag,
      ...options
    }, status))

const row = (name: string, body: (line: Line) => void, options?: Partial<Limits>, status?: Reconnect.Status) =>
  it.effect(name, () => Effect.flatMap(make(options, status), (line) => Effect.sync(() => body(line))))

describe("what is made", () => {
  row(
    "Idle: stays home, and dials",
    (line) => {
      let dialled = 0
      line.onDemand = () => dialled++
      line.make("a")
      assert.deepStrictEqual([dialled, line.took()], [1, []])
    },
    {},
    idle
  )

  for (const before of [dialling, opening]) {
    row(`${before._tag}: stays home and leaves when it is Open, calls, notifications and batches in order`, (line) => {
      line.enter(before)
      line.make("a", "B", "c")
      const batch = new Batch<string>()
      batch.add(line, new Note("D"))
      batch.add(line, new Note("E"))
      batch.flush()
      line.make("f")
      assert.deepStrictEqual(line.took(), [])
      line.enter(open)
      assert.deepStrictEqual(line.took(), ["1:a", "1:B", "1:c", "1:[D,E]", "1:f"])
    })
  }

  row("Opening: what belongs to the connection goes ahead, and to that connection only", (line) => {
    line.make("a")
    line.enter(opening)
    const first = line.connection
    const login = new Recorded(line.nextId(), "login", 5, true, true)
    assert.isUndefined(line.ahead(login, first))
    assert.deepStrictEqual(line.took(), ["1:login"])
    line.enter(lost)
    assert.deepStrictEqual(login.outcome, [])
    line.enter(opening)
    const late = new Recorded(line.nextId(), "late", 4, false, true)
    line.ahead(late, first)
    assert.deepStrictEqual(late.outcome, ["Lost"])
    assert.deepStrictEqual(line.took(), [])
  })

  row("Open, room: leaves at once", (line) => {
    line.enter(open)
    line.make("a", "B")
    assert.deepStrictEqual(line.took(), ["1:a", "1:B"])
  })

  row(
    "Open, as many calls on the line as the peer takes: stays home behind what is there, notifications too",
    (line) => {
      line.enter(open)
      const [a] = line.make("a", "b", "c", "D", "e")
      assert.deepStrictEqual(line.took(), ["1:a", "1:b"])
      assert.strictEqual(line.take(a!.id), a)
      assert.deepStrictEqual(line.took(), ["1:c", "1:D"])
    },
    { maxInFlight: 2 }
  )

  row("Open, a line that is full: stays home until there is room", (line) => {
    line.enter(open)
    line.room = false
    line.make("a", "B")
    assert.deepStrictEqual(line.took(), [])
    line.makeRoom()
    assert.deepStrictEqual(line.took(), ["1:a", "1:B"])
  })

  row("Open, a batch of more calls than the peer takes goes alone", (line) => {
    line.enter(open)
    const [a] = line.make("a")
    const batch = new Batch<string>()
    const calls = ["b", "c", "d"].map((frame) => new Recorded(line.nextId(), frame, 1, false, true))
    for (const call of calls) line.submit(call, batch)
    batch.flush()
    assert.deepStrictEqual(line.took(), ["1:a"])
    line.take(a!.id)
    assert.deepStrictEqual(line.took(), ["1:[b,c,d]"])
  }, { maxInFlight: 2 })

  row("Open, a line that is gone: waits at its place, for the next connection", (line) => {
    line.enter(open)
    line.takes = false
    const [a] = line.make("a", "B")
    line.enter(lost)
    assert.deepStrictEqual([a!.outcome, line.took()], [[], []])
    line.takes = true
    line.enter(open)
    assert.deepStrictEqual(line.took(), ["2:a", "2:B"])
  })

  row("Lost, waits: stays home", (line) => {
    line.enter(lost)
    const [a] = line.make("a")
    assert.deepStrictEqual(a!.outcome, [])
  })

  row("Lost, does not wait: fails at once", (line) => {
    line.enter(lost)
    const [a] = line.make("a")
    assert.deepStrictEqual(a!.outcome, ["Offline"])
    assert.strictEqual(line.tell(new Note("B"))?.kind, "Offline")
  }, { waits: false })

  row("Ended: fails at once, for ever", (line) => {
    line.enter(ended)
    line.enter(open)
    const [a] = line.make("a")
    assert.deepStrictEqual([a!.outcome, line.took()], [["Ended"], []])
    assert.strictEqual(line.tell(new Note("B"))?.kind, "Ended")
  })

  row("one call too many without an answer is refused", (line) => {
    line.enter(open)
    const [, , c] = line.make("a", "b", "c")
    assert.deepStrictEqual(c!.outcome, ["Full"])
  }, { maxCalls: 2 })

  row("what waits is bounded by its size, more of it while Open", (line) => {
    const frames = (n: number) => Array.from({ length: n }, () => "x".repeat(488))
    const refused = (calls: ReadonlyArray<Recorded>) => calls.filter((call) => call.outcome[0] === "Full").length
    assert.strictEqual(refused(line.make(...frames(12))), 2)
    line.room = false
    line.enter(open)
    assert.strictEqual(refused(line.make(...frames(160))), 10)
  }, { maxQueued: 10_000, maxCalls: 1000 })
})

describe("an answer", () => {
  row("settles what is on the line, once", (line) => {
    line.enter(open)
    const [a] = line.make("a")
    assert.strictEqual(line.take(a!.id), a)
    assert.isUndefined(line.take(a!.id))
  })
  row("is for nobody while the call is at home, or after it was given up", (line) => {
    const [a] = line.make("a")
    assert.isUndefined(line.take(a!.id))
    line.enter(open)
    line.cancel(a!)
    assert.isUndefined(line.take(a!.id))
  })
})

describe("a call that is given up", () => {
  row("at home never leaves, alone or in a batch", (line) => {
    const [a] = line.make("a", "b")
    const batch = new Batch<string>()
    const c = new Recorded(line.nextId(), "c", 1, false, true)
    line.submit(c, batch)
    line.tell(new Note("D"), batch)
    batch.flush()
    line.cancel(a!)
    line.cancel(c)
    line.enter(open)
    assert.deepStrictEqual(line.took(), ["1:b", "1:D"])
  })
  row("at home, and others wait behind it for room only that it takes: they leave", (line) => {
    line.enter(open)
    const [, b] = line.make("a", "b", "C")
    line.took()
    line.cancel(b!)
    assert.deepStrictEqual(line.took(), ["1:C"])
  }, { maxInFlight: 1 })
  row("on the line is called back once, on the connection that carried it", (line) => {
    line.enter(open)
    const [a] = line.make("a")
    line.cancel(a!)
    line.cancel(a!)
    assert.deepStrictEqual(line.took(), ["1:a", "1:cancel a"])
  })
  row("after its connection is gone cancels nothing", (line) => {
    line.enter(open)
    const [a, b] = line.make("a", "b!")
    line.enter(lost)
    line.took()
    line.cancel(a!)
    line.cancel(b!)
    line.enter(open)
    assert.deepStrictEqual(line.took(), [])
  })
})

describe("entering", () => {
  row("Lost, waits: what may be sent again goes back to its old place, the rest of the line fails", (line) => {
    line.enter(open)
    const [a, b, c, d] = line.make("a!", "b", "c!", "d", "e")
    assert.deepStrictEqual(line.took(), ["1:a!", "1:b", "1:c!"])
    line.enter(lost)
    line.make("f")
    assert.deepStrictEqual([a, b, c, d].map((call) => call!.outcome), [[], ["Lost, maybe executed"], [], []])
    line.enter(opening)
    line.enter(open)
    assert.deepStrictEqual(line.took(), ["2:a!", "2:c!", "2:d"])
  }, { maxInFlight: 3 })

  row("Lost, does not wait: line and home fail, each as it was", (line) => {
    line.enter(open)
    const [a, b] = line.make("a!", "b")
    line.enter(lost)
    assert.deepStrictEqual([a!.outcome, b!.outcome], [["Lost, maybe executed"], ["Offline"]])
    line.enter(open)
    assert.deepStrictEqual(line.took(), ["1:a!"])
  }, { waits: false, maxInFlight: 1 })

  row("a dial that fails: what waited for it fails, where nothing waits", (line) => {
    const [a] = line.make("a")
    assert.deepStrictEqual(a!.outcome, [])
    line.enter(lost)
    assert.deepStrictEqual(a!.outcome, ["Offline"])
  }, { waits: false })

  row("Ended: everything fails, and says whether it was sent", (line) => {
    line.enter(open)
    const [a, b] = line.make("a!", "b")
    line.enter(ended)
    assert.deepStrictEqual([a!.outcome, b!.outcome], [["Ended, maybe executed"], ["Ended"]])
    assert.strictEqual(line.inFlight, 0)
  }, { maxInFlight: 1 })

  row("any state: the status is published before its consequences", (line) => {
    const seen: Array<string> = []
    line.enter(open)
    const [a] = line.make("a")
    line.observe((status) => seen.push(`${status._tag} ${a!.outcome.length}`))
    line.enter(lost)
    line.enter(ended)
    assert.deepStrictEqual(seen, ["Lost 0", "Ended 1"])
  })

  row("any state: a listener that throws, ends the half or listens anew harms no other", (line) => {
    const seen: Array<string> = []
    line.observe(() => {
      throw new Error("a bug")
    })
    line.observe((status) => {
      seen.push(status._tag)
      line.observe((later) => seen.push(`later ${later._tag}`))
      if (status._tag === "Lost") line.enter(ended)
    })
    const [a] = line.make("a")
    line.enter(lost)
    assert.deepStrictEqual(seen, ["Lost", "Ended", "later Ended"])
    assert.deepStrictEqual(a!.outcome, ["Ended"])
  })
})

describe("time", () => {
  it.effect("a call without an answer fails and is called back, one that shows signs of life goes on", () =>
    Effect.gen(function*() {
      const line = yield* make()
      line.enter(open)
      const [a, b] = line.make("a", "b")
      yield* TestClock.adjust("40 seconds")
      line.touch(b!)
      const [c] = line.make("c")
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual([a!.outcome, b!.outcome, c!.outcome], [["Timeout, maybe executed"], [], []])
      assert.deepStrictEqual(line.took(), ["1:a", "1:b", "1:c", "1:cancel a"])
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual([b!.outcome, c!.outcome].flat(), ["Timeout, maybe executed", "Timeout, maybe executed"])
    }))
  it.effect("a call that never left fails without a cancel, a stream may be silent", () =>
    Effect.gen(function*() {
      const line = yield* make()
      const [a] = line.make("a")
      const stream = new Recorded(line.nextId(), "stream", 6, false, false)
      line.submit(stream)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([a!.outcome, stream.outcome], [["Timeout"], []])
      line.enter(open)
      assert.deepStrictEqual(line.took(), ["1:stream"])
    }))
  it.effect("a call that was lost with a line and waits for the next may have been executed, however it ends", () =>
    Effect.gen(function*() {
      for (const [end, outcome] of [[TestClock.adjust("1 hour"), "Timeout"], [Effect.void, "Ended"]] as const) {
        const line = yield* make()
        line.enter(open)
        const [a] = line.make("a!")
        line.enter(lost)
        const [b] = line.make("b!")
        yield* end
        line.enter(ended)
        assert.deepStrictEqual([a!.outcome, b!.outcome], [[`${outcome}, maybe executed`], [outcome]])
      }
    }))
  it.effect("a jump of the wall clock gives nothing up", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let jump = 0
      const line = yield* make({
        clock: new Proxy(clock, {
          get: (self, key) =>
            key === "currentTimeMillisUnsafe"
              ? () => self.currentTimeMillisUnsafe() + jump
              : Reflect.get(self, key).bind?.(self)
        })
      })
      line.enter(open)
      const [a, b] = line.make("a", "b")
      jump = 3_600_000
      yield* TestClock.adjust("59 seconds")
      line.touch(b!)
      assert.deepStrictEqual([a!.outcome, b!.outcome], [[], []])
      jump = -3_600_000
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([a!.outcome, b!.outcome], [["Timeout, maybe executed"], []])
    }))
})
