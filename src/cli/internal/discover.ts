/**
 * `discover`: what a server can do, as a list that people read, or as its OpenRPC document.
 */
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { connect } from "./client.ts"
import type * as Configs from "./configs.ts"
import { ask, type Known, type Method, signature } from "./discovery.ts"
import { Failure } from "./failure.ts"
import { nearest } from "./nearest.ts"
import * as Output from "./output.ts"

type Input = Command.Command.Config.Infer<typeof Configs.discover>

const listing = (known: Known): string => {
  const sections: Array<string> = []
  if (known.title !== "") sections.push(Output.bold(known.title))
  const { methods, topics } = known
  sections.push(
    Output.bold("METHODS"),
    methods.length === 0
      ? "  none"
      : Output.table(methods.map((method) => [`  ${signature(method)}`, Output.dim(method.summary)]))
  )
  if (topics.length > 0) {
    sections.push(
      Output.bold("TOPICS"),
      Output.table(
        topics.map((
          topic
        ) => [`  ${topic.name}: ${topic.type}${topic.isState ? " (state)" : ""}`, Output.dim(topic.summary)])
      )
    )
  }
  return sections.join("\n")
}

const details = (method: Method): string =>
  [
    Output.bold(signature(method)),
    ...(method.summary === "" ? [] : [`  ${method.summary}`]),
    ...method.params.map(({ name, required, type }) => `  ${name}${required ? "" : "?"}: ${type}`),
    ...method.errors.map((error) => `  error ${error}`)
  ].join("\n")

/** @internal */
export const discover = Effect.fnUntraced(function*(input: Input) {
  const { client } = yield* connect(input.url, input)
  const known = yield* ask(client)
  const name = Option.getOrUndefined(input.method)
  if (name === undefined) {
    return yield* input.json
      ? Output.show(known.document ?? { methods: known.methods.map(({ name }) => name), topics: known.topics }, true)
      : Output.line(listing(known))
  }
  const found = known.methods.find((method) => method.name === name)
  if (found === undefined) {
    return yield* new Failure({
      kind: "NotFound",
      message: `there is no method "${name}"`,
      tries: nearest(name, known.methods.map((method) => method.name))
    })
  }
  yield* input.json ? Output.show(found, true) : Output.line(details(found))
}, Effect.scoped)
