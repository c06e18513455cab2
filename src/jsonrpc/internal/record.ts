/** @internal */
export const isRecord = (u: unknown): u is Readonly<Record<string, unknown>> =>
  typeof u === "object" && u !== null && !Array.isArray(u)

/** @internal */
export const own = (u: unknown, key: string): unknown => isRecord(u) && Object.hasOwn(u, key) ? u[key] : undefined
