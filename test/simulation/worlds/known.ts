/**
 * Defects that are not ours. Effect's `RpcClient` interrupts a fiber that it has not made yet when a call is interrupted
 * right after a yield that the scheduler forces inside of it: a defect in place of an interruption.
 */
export const known = /^Fiber.runLoop: Not a valid effect: (self|function)/
