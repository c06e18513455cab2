/**
 * Bytes of memory that what peers make a process keep may take, all together. Whoever keeps something for a peer takes its
 * bytes before, and gives them back after. When there is no room, the connection that holds most is ended, and so on until
 * there is; what belongs to no connection (a body of a POST) may take half of the budget and is refused beyond.
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
  /**
   * Takes so many bytes more. Where they do not fit, whoever holds most is ended; `false` where that is this account itself, or
   * where it has been ended before.
   */
  readonly take: (bytes: number) => boolean
  /** Gives back some of what was taken. */
  readonly give: (bytes: number) => void
  /** Gives back everything; what is taken from now on is refused. */
  readonly close: () => void
}

/**
 * What {@link Budget} gives.
 *
 * @category models
 * @since 0.2.0
 */
export interface BudgetShape {
  /** Opens the account of a connection; `evict` ends the connection, and is called once at most, in the turn of a `take`. */
  readonly open: (evict: () => void) => Account
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
  readonly evict: () => void

  constructor(budget: BudgetImpl, evict: () => void) {
    this.budget = budget
    this.evict = evict
  }
  held(): number {
    return this.bytes
  }
  take(bytes: number): boolean {
    if (this.closed || !this.budget.makeRoom(this, bytes)) return false
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

  constructor(max: number) {
    this.max = max
  }
  open(evict: () => void): Account {
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
      largest.evict()
      if (largest === wants) return false
    }
    return true
  }
}

/**
 * Makes a budget of so many bytes.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (maxBytes: number): BudgetShape => new BudgetImpl(maxBytes)

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
export const layer = (maxBytes: number): Layer.Layer<never> => Layer.sync(Budget, () => make(maxBytes))
