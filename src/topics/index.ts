export * as Topic from "./Topic.ts"
export * as Topics from "./Topics.ts"
export * as TopicsClient from "./TopicsClient.ts"
