/**
 * Addresses of WebSocket servers as people write them: `host`, `host:port`, `ws://…`, `wss://…`, and `http://…` and
 * `https://…`, which mean `ws` and `wss`.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * A text that is no address of a WebSocket server. Its message never holds credentials.
 *
 * @category errors
 * @since 0.1.0
 */
export class AddressError extends Schema.TaggedError<AddressError>("effect-wire/socket/Address/AddressError")(
  "AddressError",
  { message: Schema.String }
) {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Address {
  /** `ws:` or `wss:` URL, without user and password and without fragment. */
  readonly url: string
  /** User and password, where the address had them. */
  readonly credentials: { readonly username: string; readonly password: Redacted.Redacted<string> } | undefined
}

const schemes = new Map([["ws", "ws"], ["wss", "wss"], ["http", "ws"], ["https", "wss"]])

/**
 * Reads an address. `secure` says what an address without a scheme means: `ws` (default) or `wss`.
 *
 * **Example**
 *
 * ```ts
 * Address.parse("localhost:8080")            // ws://localhost:8080/
 * Address.parse("https://example.com/rpc")   // wss://example.com/rpc
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (
  address: string,
  options?: { readonly secure?: boolean | undefined }
): Result.Result<Address, AddressError> => {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(address.trim())
  const scheme = match === null ? (options?.secure === true ? "wss" : "ws") : schemes.get(match[1]!.toLowerCase())
  if (scheme === undefined) {
    return Result.fail(new AddressError({ message: `"${match![1]}:" is not ws, wss, http or https` }))
  }
  if (match === null && /^(wss?|https?)?\/\//i.test(address.trim())) {
    return Result.fail(new AddressError({ message: "not an address: a scheme ends in a colon, as in ws://host/path" }))
  }
  const text = `${scheme}://${match === null ? address.trim() : match[2]}`
  if (!URL.canParse(text)) return Result.fail(new AddressError({ message: "not an address: host:port or a URL is" }))
  const url = new URL(text)
  if (url.hostname === "") return Result.fail(new AddressError({ message: "the address has no host" }))
  const username = decode(url.username)
  const password = decode(url.password)
  url.username = ""
  url.password = ""
  url.hash = ""
  return Result.succeed({
    url: url.href,
    credentials: username === "" && password === "" ? undefined : { username, password: Redacted.make(password) }
  })
}

const decode = (text: string): string => {
  const result = Result.try(() => decodeURIComponent(text))
  return Result.isSuccess(result) ? result.success : text
}
