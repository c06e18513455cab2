export * as JsonPatch from "./JsonPatch.ts"
export * as JsonPointer from "./JsonPointer.ts"
export * as JugglerState from "./JugglerState.ts"
