/** The token that the reader typed; the queue and the list of connections are for who knows it. */
import { Redacted } from "effect"
import { valueOf } from "./dom.ts"

export const token = (): Redacted.Redacted => Redacted.make(valueOf("token"))
