/**
 * `contract`: whether a changed contract goes on working with the programs that are out there, and the TypeScript of one.
 */
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as OpenRpcCodegen from "../../openrpc/OpenRpcCodegen.ts"
import * as OpenRpcCompare from "../../openrpc/OpenRpcCompare.ts"
import { connect } from "./client.ts"
import type * as Configs from "./configs.ts"
import * as Credentials from "./credentials.ts"
import { ask } from "./discovery.ts"
import { Failure, unreachable, usage } from "./failure.ts"
import * as Output from "./output.ts"
import { textOf } from "./params.ts"

type Input<C extends Command.Command.Config> = Command.Command.Config.Infer<C>
type Connection = Parameters<typeof connect>[1]

const isDocument = (u: unknown): u is OpenRpcCompare.Document =>
  typeof u === "object" && u !== null && Array.isArray((u as { readonly methods?: unknown }).methods)

const parsed = (source: string, text: string): Effect.Effect<OpenRpcCompare.Document, Failure> =>
  Effect.gen(function*() {
    const value = yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: () => usage(`${source} is no JSON`)
    })
    return isDocument(value) ? value : yield* usage(`${source} is no OpenRPC document: it has no "methods"`)
  })

/** A document that is published at an address; `undefined` where the address has something else. */
const fetched = (url: string, input: Connection) =>
  Effect.gen(function*() {
    const http = yield* HttpClient.HttpClient
    const credentials = yield* Credentials.read(input)
    const request = HttpClientRequest.get(url).pipe(HttpClientRequest.setHeader("accept", "application/json"))
    const headers = Object.entries(Credentials.httpHeaders(credentials))
    const secured = headers.reduce(
      (made, [name, value]) => HttpClientRequest.setHeader(made, name, Redacted.value(value)),
      request
    )
    const response = yield* http.execute(secured)
    if (response.status !== 200) return undefined
    return yield* Effect.option(parsed(url, yield* response.text)).pipe(Effect.map(Option.getOrUndefined))
  }).pipe(
    Effect.mapError((error) => error instanceof Failure ? error : unreachable(`cannot read ${url}`, error)),
    Effect.provide(FetchHttpClient.layer)
  )

/** A document: of a file, of standard input, of an address that publishes it, or of a server that is asked for it. */
const load = Effect.fnUntraced(function*(source: string, input: Connection) {
  if (!/^[a-z][\w+-]*:/i.test(source)) {
    return yield* parsed(source, yield* textOf(source === "-" || source.startsWith("@") ? source : `@${source}`))
  }
  if (/^https?:/.test(source)) {
    const published = yield* fetched(source, input)
    if (published !== undefined) return published
  }
  const { client } = yield* connect(source, input)
  const { document } = yield* ask(client)
  return isDocument(document) ? document : yield* new Failure({
    kind: "NotFound",
    message: `${source} has no document: it gives names of methods only`
  })
})

const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`

/** @internal */
export const check = Effect.fnUntraced(function*(input: Input<typeof Configs.contractCheck>) {
  const before = yield* load(input.before, input)
  const after = yield* load(input.after, input)
  const { changes, oldClients, oldServers } = OpenRpcCompare.compare(before, after)
  const shown = input.all ? changes : changes.filter((change) => !change.oldClients || !change.oldServers)
  if (input.json) yield* Output.show({ oldClients, oldServers, changes: shown }, true)
  else {
    if (shown.length > 0) yield* Output.line(OpenRpcCompare.format(shown))
    yield* Output.line(
      `${plural(changes.length, "change")}: clients of the earlier contract ${
        oldClients ? "go on working" : "break"
      }, servers of the earlier contract ${oldServers ? "go on serving" : "break new clients"}`
    )
  }
  const { failOn } = input
  const fails = (!oldClients && failOn !== "servers") || (!oldServers && failOn !== "clients")
  if (fails) {
    return yield* new Failure({
      kind: "Refused",
      message: "the contract breaks",
      tries: ["what is new beside what is old, and what is old gone later", "--fail-on, to say whom it may break"]
    })
  }
}, Effect.scoped)

/** @internal */
export const generate = Effect.fnUntraced(function*(input: Input<typeof Configs.contractGenerate>) {
  const document = yield* load(input.document, input)
  const source = yield* Effect.mapError(
    OpenRpcCodegen.generate(document, { name: Option.getOrUndefined(input.name) }),
    (error) => usage(error.message)
  )
  const out = Option.getOrUndefined(input.out)
  if (out === undefined) return yield* Output.line(source.trimEnd())
  const fs = yield* FileSystem.FileSystem
  yield* Effect.mapError(fs.writeFileString(out, source), () => usage(`the file ${out} cannot be written`))
  yield* Output.note(`written to ${out}`)
}, Effect.scoped)
