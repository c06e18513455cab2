/**
 * What requests are refused with.
 */
import { isInexact } from "../../rpc/internal/numbers.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import type { ErrorObject } from "../JsonRpcMessage.ts"

/** @internal */
export const methodNotFound: ErrorObject = { code: JsonRpcError.code.methodNotFound, message: "Method not found" }

/** @internal */
export const duplicateId: ErrorObject = {
  code: JsonRpcError.code.invalidRequest,
  message: "Invalid Request",
  data: "a request with this id is in flight"
}

/** @internal */
export const tooMany: ErrorObject = {
  code: JsonRpcError.code.serverError,
  message: "Too many requests",
  data: { retryable: true }
}

/** @internal */
export const shuttingDown: ErrorObject = {
  code: JsonRpcError.code.serverError,
  message: "Server is shutting down",
  data: { retryable: true, closing: true }
}

/** @internal */
export const invalidAgain: ErrorObject = {
  code: JsonRpcError.code.invalidParams,
  message: "Invalid params",
  data: { issues: [{ path: [], message: "names no call" }] }
}

/** @internal */
export const noBatches: ErrorObject = {
  code: JsonRpcError.code.invalidRequest,
  message: "Invalid Request",
  data: "there are no batches"
}

/** @internal */
export const internalError: ErrorObject = { code: JsonRpcError.code.internalError, message: "Internal error" }

/** @internal */
export const hasInexact = (number: string): ErrorObject => ({
  code: JsonRpcError.code.invalidParams,
  message: "Invalid params",
  data: { issues: [{ path: [], message: `there is ${number}, ${isInexact}` }] }
})
