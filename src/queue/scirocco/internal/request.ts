/**
 * @internal One request to a Scirocco server.
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Redacted from "effect/Redacted"
import { contentTypes, toBytes } from "../../internal/payload.ts"
import type { Encoded } from "../../internal/store.ts"
import { invalid, type MessageQueueError } from "../../MessageQueueError.ts"
import { answerError, unavailable } from "./errors.ts"

/** Names that people choose are not for this wire. */
export const checkNode = (field: string, node: string): Effect.Effect<string, MessageQueueError> =>
  /^[0-9a-fA-F]{1,128}$/.test(node)
    ? Effect.succeed(node)
    : invalid(field, "is no node id of the Scirocco wire: 1 to 128 hexadecimal digits")

/** What a server answered, read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

/** `timeout` in milliseconds, besides what the request itself waits for. An answer from 400 on is a failure. */
export const makeRequest = ({ base, client, timeout, token }: {
  readonly client: HttpClient.HttpClient
  readonly base: string
  readonly token: Redacted.Redacted
  readonly timeout: number
}) =>
  Effect.fnUntraced(function*(
    operation: string,
    method: HttpMethod,
    path: string,
    node: string,
    extra?: {
      readonly headers?: Record<string, string | null | undefined>
      readonly body?: Encoded | undefined
      /** JSON text. */
      readonly json?: string
      readonly wait?: number
      readonly id?: string
    }
  ): Effect.fn.Return<Answer, MessageQueueError> {
    const headers: Record<string, string> = {
      authorization: Redacted.value(token),
      "scirocco-node-source": node
    }
    for (const [name, value] of Object.entries(extra?.headers ?? {})) {
      if (value !== undefined && value !== null) headers[name] = value
    }
    let outgoing = HttpClientRequest.setHeaders(HttpClientRequest.make(method)(base + path), headers)
    if (extra?.body !== undefined) {
      outgoing = HttpClientRequest.bodyUint8Array(outgoing, toBytes(extra.body.data), contentTypes[extra.body.kind]!)
    } else if (extra?.json !== undefined) {
      outgoing = HttpClientRequest.bodyText(outgoing, extra.json, contentTypes[0])
    }
    const answer = yield* client.execute(outgoing).pipe(
      Effect.flatMap((response) =>
        Effect.map(response.arrayBuffer, (body): Answer => ({
          status: response.status,
          headers: response.headers,
          body: new Uint8Array(body)
        }))
      ),
      Effect.timeout(timeout + (extra?.wait ?? 0)),
      Effect.mapError((cause) => unavailable(operation, cause))
    )
    return answer.status < 400 ? answer : yield* answerError(operation, answer, extra?.id)
  })
