/** @internal */
export const isRecord = (u: unknown): u is Readonly<Record<string, unknown>> =>
  typeof u === "object" && u !== null && !Array.isArray(u)

/** @internal */
export const own = (u: unknown, key: string): unknown => isRecord(u) && Object.hasOwn(u, key) ? u[key] : undefined

/** Parameters by name, also where the wire put them into an array, which is all that some have. @internal */
export const named = (params: unknown): unknown => Array.isArray(params) && params.length === 1 ? params[0] : params
