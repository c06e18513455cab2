import * as Context from "effect/Context"

/**
 * Annotates a procedure whose parameters may be one bare value, `"params": "x"`, in every wire; it stands for `["x"]`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const ScalarParams: Context.Reference<boolean> = Context.Reference<boolean>(
  "effect-wire/jsonrpc/JsonRpcServer/ScalarParams",
  { defaultValue: () => false }
)
