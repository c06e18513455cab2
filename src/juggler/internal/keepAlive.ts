/**
 * Pings of the protocol: one when nothing came for a while, and the end when nothing comes after it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { PeerConfig } from "./peerModel.ts"

/** What is kept alive. */
export interface Pinged {
  /** Counts the frames that came. */
  readonly heard: number
  readonly ping: () => void
  /** There was no answer. */
  readonly silent: () => void
}

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** Pings for as long as the scope is open, if this end does. */
export const keepAlive = (
  { generation, options: { keepAlive: option }, role }: PeerConfig,
  pinged: Pinged
): Effect.Effect<void, never, Scope.Scope> => {
  if (option === false || (option === undefined && !generation.pings)) return Effect.void
  if (!generation.allows("Ping", role)) return Effect.void
  const delay = option === undefined ? (role === "server" ? 30_000 : 5_000) : millis(option.delay)
  const timeout = option === undefined ? 5_000 : millis(option.timeout)
  return Effect.asVoid(Effect.forkScoped(Effect.gen(function*() {
    let { heard } = pinged
    while (true) {
      yield* Effect.sleep(delay)
      if (pinged.heard !== heard) {
        heard = pinged.heard
        continue
      }
      pinged.ping()
      yield* Effect.sleep(timeout)
      if (pinged.heard === heard) return pinged.silent()
      heard = pinged.heard
    }
  })))
}
