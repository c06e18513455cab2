import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as RpcMetrics from "../../rpc/RpcMetrics.ts"
import { type MethodCounts, prefix } from "./contract.ts"

interface Method {
  name: string
  outcomes: Record<string, number>
  count: number
  buckets: ReadonlyArray<readonly [number, number]>
}

/** What the registry counts of the methods of the app. Names come from contracts; still none becomes a key that is looked up. */
export const methodCounts: Effect.Effect<{
  readonly inFlight: number
  readonly methods: ReadonlyArray<typeof MethodCounts.Type>
}> = Effect.map(Metric.snapshot, (snapshot) => {
  const methods = new Map<string, Method>()
  let inFlight = 0
  for (const { attributes, id, state } of snapshot) {
    if (id === RpcMetrics.inFlight.id && "value" in state) inFlight += Number(state.value)
    const name = attributes?.["method"]
    if (name === undefined || name.startsWith(prefix)) continue
    let method = methods.get(name)
    if (method === undefined) methods.set(name, method = { name, outcomes: {}, count: 0, buckets: [] })
    if (id === RpcMetrics.requests.id && "count" in state) {
      method.outcomes[attributes!["outcome"] ?? ""] = Number(state.count)
    } else if (id === RpcMetrics.duration.id && "buckets" in state) {
      method.count = state.count
      method.buckets = state.buckets.map(([seconds, count]) => [Math.round(seconds * 1000), count])
    }
  }
  return {
    inFlight,
    methods: Array.from(methods.values()).sort((a, b) => a.name < b.name ? -1 : 1) as ReadonlyArray<
      typeof MethodCounts.Type
    >
  }
})
