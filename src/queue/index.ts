export * as Message from "./Message.ts"
export * as MessageQueue from "./MessageQueue.ts"
export * as MessageQueueError from "./MessageQueueError.ts"
export * as QueueSignal from "./QueueSignal.ts"
