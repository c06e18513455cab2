/**
 * What a client asks for that takes the elements of a stream by credits: how many it takes before it says more, and how
 * many it has already (from an earlier connection).
 *
 * @internal
 */
export interface StreamAsk {
  readonly credit: number
  readonly from?: number | undefined
}

/**
 * Names of what carries streams by credits; only ends that asked for it, or were asked, send it.
 *
 * @internal
 */
export const streamMethods = { elements: "$/elements", credit: "$/credit" } as const
