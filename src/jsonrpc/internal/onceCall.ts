import { isKeyed, type Key } from "../../rpc/internal/idempotencyModel.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import type * as Codec from "../JsonRpcCodec.ts"
import { named, own } from "./record.ts"
import type { Wire } from "./wireModel.ts"

/**
 * The method by which a keyed call is called again. Who knows nothing of keys does not know it either, and executes nothing.
 *
 * @internal
 */
export const again = "$/again"

/**
 * The call that is called again; `undefined` where the parameters name none.
 *
 * @internal
 */
export const repeated = (call: Codec.Call): Codec.Call | undefined => {
  const message = named(call.params)
  const method = own(message, "method")
  const params = own(message, "params")
  if (typeof method !== "string" || (params !== undefined && typeof params !== "object")) return undefined
  return {
    _tag: "Call",
    id: call.id,
    method,
    params: params === null ? undefined : params,
    message: message as Readonly<Record<string, unknown>>
  }
}

/**
 * The idempotency key of a call; `undefined` where it has none, or its method is not keyed.
 *
 * @internal
 */
export const onceOf = (wire: Wire, method: RpcMethods.Method, call: Codec.Call, from: number): Key | undefined => {
  if (method.rpc.middlewares.size === 0 || !isKeyed(method.rpc)) return undefined
  const once = wire.once === undefined ? call.message["once"] : wire.once(call.params)
  const key = own(once, "key")
  const age = own(once, "age")
  if (typeof key !== "string" || key === "" || key.length > 255) return undefined
  return { key, age: typeof age === "number" && age >= 0 ? age : undefined, from }
}

/**
 * A keyed call of this end, as it is sent: first by its own name, then, after it was lost, as one that is called again.
 *
 * @internal
 */
export class KeyedFrame {
  /** When it was sent first, in milliseconds of the monotonic clock. */
  private since: number | undefined = undefined
  private readonly encode: (age: number) => string
  isAgain = false

  constructor(encode: (age: number) => string) {
    this.encode = encode
  }

  /** What is sent now. */
  frame(first: string, now: number): string {
    this.since ??= now
    return this.isAgain ? this.encode(Math.max(0, now - this.since)) : first
  }
}
