/**
 * What a recording does not keep: values of headers, of fields by name or path, of the parameters of methods that log
 * somebody in. Each is replaced by `"***"` where it stands; the rest of a frame stays as it was sent, digit for digit.
 *
 * @since 0.2.0
 */
import { redactJson } from "./internal/redactJson.ts"

/**
 * What is hidden. Names are compared without regard to case.
 *
 * @category models
 * @since 0.2.0
 */
export interface Rules {
  /** Names of headers of the handshake. */
  readonly headers?: ReadonlyArray<string> | undefined
  /**
   * Members of JSON objects: a name hides it at any depth (and as a parameter of the URL's query), a JSON Pointer
   * (RFC 6901; `*` stands for any one token) only there, e.g. `/params/0/card`. A batch is looked at message by message.
   */
  readonly fields?: ReadonlyArray<string> | undefined
  /** Methods whose `params` are hidden as a whole, whatever they are. */
  readonly methods?: ReadonlyArray<string> | undefined
}

/**
 * Hides the parts of what goes over one wire.
 *
 * @category models
 * @since 0.2.0
 */
export interface Redaction {
  /**
   * A frame that is no JSON and holds a hidden name is hidden as a whole; other frames that are no JSON are kept.
   */
  readonly frame: (text: string) => string
  /** The headers of a handshake, hidden values as `"***"`. */
  readonly headers: (headers: { readonly [name: string]: string | undefined }) => Record<string, string>
  /** The address, hidden values of its query as `***`. */
  readonly url: (url: string) => string
}

/**
 * What stands in place of a hidden value, as JSON.
 *
 * @category constants
 * @since 0.2.0
 */
export const mark = "***"

/**
 * What is hidden unless somebody says otherwise: credentials in headers, fields with the usual names of passwords, tokens
 * and keys, and the parameters of `login` and `authenticate`.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaults = {
  headers: ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"],
  fields: [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "client_secret",
    "clientSecret",
    "token",
    "access_token",
    "accessToken",
    "refresh_token",
    "refreshToken",
    "id_token",
    "idToken",
    "session_token",
    "sessionToken",
    "authorization",
    "api_key",
    "apiKey",
    "private_key",
    "privateKey",
    "cookie"
  ],
  methods: ["login", "authenticate"]
} satisfies Rules

/**
 * Makes a redaction: of {@link defaults} and of `rules` together. `"none"` hides nothing.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (rules?: Rules | "none"): Redaction => {
  if (rules === "none") return none
  const lower = (names: ReadonlyArray<string> | undefined, own: ReadonlyArray<string>) =>
    [...own, ...names ?? []].map((name) => name.toLowerCase())
  const hiddenHeaders = new Set(lower(rules?.headers, defaults.headers))
  const fields = [...defaults.fields, ...rules?.fields ?? []]
  const names = new Set(fields.filter((field) => !field.startsWith("/")).map((name) => name.toLowerCase()))
  const pointers = fields.filter((field) => field.startsWith("/")).map(tokensOf)
  const methods = new Set(lower(rules?.methods, defaults.methods))
  const words = [...names, ...methods].map(escapeRegExp)
  // what cannot hold anything hidden is not looked at closely: a name may be spelled with escapes
  const suspect = new RegExp(`["/](?:${words.join("|")})["/\\\\]|\\\\u`, "i")
  return {
    frame: (text) => {
      if (pointers.length === 0 && !suspect.test(text)) return text
      // a message of Juggler 0.7 in one segment has a character in front of its JSON
      const head = /^0\s*\{/.test(text) ? "0" : ""
      const shown = redactJson(text.slice(head.length), { names, pointers, methods })
      return shown === undefined ? suspect.test(text) ? JSON.stringify(mark) : text : head + shown
    },
    headers: (headers) => {
      const shown: Record<string, string> = {}
      for (const [name, value] of Object.entries(headers)) {
        if (value === undefined) continue
        Object.defineProperty(shown, name, {
          value: hiddenHeaders.has(name.toLowerCase()) ? mark : value,
          enumerable: true
        })
      }
      return shown
    },
    url: (url) => {
      const at = url.indexOf("?")
      if (at < 0) return url
      const parts = url.slice(at + 1).split("&").map((part) => {
        const [name = ""] = part.split("=", 1)
        return names.has(decode(name).toLowerCase()) ? `${name}=${mark}` : part
      })
      return `${url.slice(0, at)}?${parts.join("&")}`
    }
  }
}

const none: Redaction = {
  frame: (text) => text,
  headers: (headers) =>
    Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  url: (url) => url
}

const escapeRegExp = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

const tokensOf = (pointer: string): ReadonlyArray<string> =>
  pointer.slice(1).split("/").map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"))

/** What is no valid percent-encoding is compared as it is. */
const decode = (name: string): string => {
  const text = name.replaceAll("+", " ")
  return /^(?:[^%]|%[0-7][0-9a-f])*$/i.test(text) ? decodeURIComponent(text) : text
}
