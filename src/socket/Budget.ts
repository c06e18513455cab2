/**
 * Bytes of memory that what peers make a process keep may take, each and all together. Whoever keeps something for a peer
 * takes its bytes before, and gives them back after. A connection that would hold more than its share is ended. When there
 * is no room in the process, the connection that holds most is ended, and so on until there is; what belongs to no
 * connection (a body of a POST) may take half of the budget and is refused beyond.
 *
 * It counts what it is told and measures nothing.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/**
 * What one connection holds.
 *
 * @category models
 * @since 0.2.0
 */
export interface Account {
  /** Bytes that it holds. */
  readonly held: () => number
  /** Bytes that it may hold more: what is left of its share, or, while it holds nothing, one thing whatever it costs. */
  readonly room: () => number
  /**
   * Takes so many bytes more. Beyond its share ({@link Account.room}) the account itself is ended; where the process has no
   * room, whoever holds most. `false` where that is this account itself, or where it has been ended before.
   */
  readonly take: (bytes: number) => boolean
  /** Gives back some of what was taken. */
  readonly give: (bytes: number) => void
  /** Gives back everything; what is taken from now on is refused. */
  readonly close: () => void
}

/**
 * Why an account is ended: it would hold more than a connection may, or most of all where the process has no room left.
 *
 * @category models
 * @since 0.2.0
 */
export type Over = "connection" | "process"

/**
 * What {@link Budget} gives.
 *
 * @category models
 * @since 0.2.0
 */
export interface BudgetShape {
  /** Opens the account of a connection; `evict` ends the connection, and is called once at most, in the turn of a `take`. */
  readonly open: (evict: (over: Over) => void) => Account
  /** Takes so many bytes for what belongs to no connection; `false`, and nothing is taken, where they do not fit. */
  readonly acquire: (bytes: number) => boolean
  /** Gives back what was acquired. */
  readonly release: (bytes: number) => void
  /** Bytes that are taken now. */
  readonly taken: () => number
}

/** There may be many thousands: no closures. */
class AccountImpl implements Account {
  bytes = 0
  private closed = false
  private readonly budget: BudgetImpl
  readonly evict: (over: Over) => void

  constructor(budget: BudgetImpl, evict: (over: Over) => void) {
    this.budget = budget
    this.evict = evict
  }
  held(): number {
    return this.bytes
  }
  room(): number {
    return this.bytes === 0 ? Infinity : this.budget.share - this.bytes
  }
  take(bytes: number): boolean {
    if (this.closed) return false
    if (bytes > this.room()) {
      this.close()
      this.evict("connection")
      return false
    }
    if (!this.budget.makeRoom(this, bytes)) return false
    if (this.bytes === 0) this.budget.accounts.add(this)
    this.bytes += bytes
    this.budget.total += bytes
    return true
  }
  give(bytes: number): void {
    if (this.closed) return
    this.bytes -= bytes
    this.budget.total -= bytes
    if (this.bytes === 0) this.budget.accounts.delete(this)
  }
  close(): void {
    this.give(this.bytes)
    this.closed = true
  }
}

class BudgetImpl implements BudgetShape {
  total = 0
  /** Those that hold something. */
  readonly accounts = new Set<AccountImpl>()
  private acquired = 0
  private readonly max: number
  /** Of one connection. */
  readonly share: number

  constructor(max: number, share: number) {
    this.max = max
    this.share = share
  }
  open(evict: (over: Over) => void): Account {
    return new AccountImpl(this, evict)
  }
  acquire(bytes: number): boolean {
    if (this.total + bytes > this.max || this.acquired + bytes > this.max / 2) return false
    this.total += bytes
    this.acquired += bytes
    return true
  }
  release(bytes: number): void {
    this.total -= bytes
    this.acquired -= bytes
  }
  taken(): number {
    return this.total
  }

  /** Ends the largest accounts until so many bytes fit; `false` where the one that wants them is the largest. */
  makeRoom(wants: AccountImpl, bytes: number): boolean {
    while (this.total + bytes > this.max) {
      let largest = wants
      let most = wants.bytes + bytes
      for (const account of this.accounts) {
        if (account !== wants && account.bytes > most) {
          largest = account
          most = account.bytes
        }
      }
      largest.close()
      largest.evict("process")
      if (largest === wants) return false
    }
    return true
  }
}

/**
 * How much of a budget one connection may hold.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** Bytes that one connection may hold; default 8,388,608 (8 MiB). One thing alone is taken whatever it costs. */
  readonly maxConnectionBytes?: number | undefined
}

/**
 * Makes a budget of so many bytes.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (maxBytes: number, options?: Options): BudgetShape =>
  new BudgetImpl(maxBytes, options?.maxConnectionBytes ?? 8_388_608)

/**
 * The budget of the process: 268,435,456 bytes (256 MiB) by default, one for everything that runs in it.
 *
 * @category services
 * @since 0.2.0
 */
export const Budget: Context.Reference<BudgetShape> = Context.Reference<BudgetShape>("effect-wire/socket/Budget", {
  defaultValue: () => process
})

const process = make(268_435_456)

/**
 * Provides a budget of its own to what is below.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (maxBytes: number, options?: Options): Layer.Layer<never> =>
  Layer.sync(Budget, () => make(maxBytes, options))
