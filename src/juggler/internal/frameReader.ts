/**
 * Frames of one connection to messages; what is kept of a message that is not complete counts as what the connection holds.
 */
import type { Account } from "../../socket/Budget.ts"
import type { Malformed, Message, Receiver } from "../JugglerGeneration.ts"

export class FrameReader {
  private readonly receiver: Receiver
  private readonly account: Account
  private readonly decoder: TextDecoder | undefined
  /** Characters of a message whose last segment has not come. */
  private half = 0

  /** `text`: binary frames are text as UTF-8. */
  constructor(receiver: Receiver, account: Account, text: boolean) {
    this.receiver = receiver
    this.account = account
    this.decoder = text ? new TextDecoder() : undefined
  }

  /** `undefined` while segments are missing; `"full"` where there is no room for them. */
  read(frame: string | Uint8Array): Message | Malformed | "full" | undefined {
    const message = this.receiver(
      this.decoder === undefined || typeof frame === "string" ? frame : this.decoder.decode(frame)
    )
    const before = this.half
    if (message === undefined) {
      this.account.give(before)
      this.half += frame.length
      return this.account.take(this.half) ? undefined : "full"
    }
    if (before > 0) {
      this.account.give(before)
      this.half = 0
    }
    return message
  }
}
