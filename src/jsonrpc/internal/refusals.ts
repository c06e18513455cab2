/**
 * What both kinds of ends refuse with.
 */
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"

/** @internal */
export const methodNotFound: ErrorObject = { code: JsonRpcError.code.methodNotFound, message: "Method not found" }

/** @internal */
export const noBatches: ErrorObject = {
  code: JsonRpcError.code.invalidRequest,
  message: "Invalid Request",
  data: "there are no batches"
}

/** @internal */
export const internalError: ErrorObject = { code: JsonRpcError.code.internalError, message: "Internal error" }
