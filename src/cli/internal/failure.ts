/**
 * Why a command failed, in words for people and for programs: what happened, what to try, and the exit code.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import { inWords } from "../../socket/internal/describe.ts"

/**
 * The exit codes, by kind. They are promised in `docs/cli.md`.
 *
 * @internal
 */
export const exitCodes = {
  /** The peer answered with an error; a check said no. */
  Refused: 1,
  /** The command line, or a file that it names, is wrong. */
  Usage: 2,
  /** There is no connection, or it was lost. */
  Unreachable: 3,
  /** No answer came in time. */
  Timeout: 4,
  /** The peer speaks something else. */
  Protocol: 5,
  /** The peer wants to know who calls, or does not let them. */
  Denied: 6,
  /** There is no such method, topic or message. */
  NotFound: 7,
  /** The parameters are not those of the method. */
  InvalidParams: 8
} as const

/** @internal */
export type Kind = keyof typeof exitCodes

/**
 * The failure of a command.
 *
 * @internal
 */
export class Failure extends Data.TaggedError("effect-wire/cli/internal/failure")<{
  readonly kind: Kind
  readonly message: string
  /** What people are told besides; programs have it in the details. */
  readonly more?: ReadonlyArray<string> | undefined
  /** What may help, each a sentence. */
  readonly tries?: ReadonlyArray<string> | undefined
  /** What the peer said besides: code, data. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
}> {}

/** @internal */
export const usage = (message: string, ...tries: ReadonlyArray<string>): Failure =>
  new Failure({ kind: "Usage", message, tries })

/**
 * The failure as text of several lines, or as one line of JSON.
 *
 * @internal
 */
export const render = (failure: Failure, isJson: boolean): string => {
  const { details, kind, message, more = [], tries = [] } = failure
  if (isJson) {
    return JSON.stringify({
      error: { kind, message, ...details, ...(tries.length === 0 ? undefined : { tries }) }
    })
  }
  return [`error: ${message}`, ...more.map((text) => `  ${text}`), ...tries.map((text) => `  try: ${text}`)].join("\n")
}

/**
 * What ended a command, as a failure; `undefined` for an interruption. What is no failure of ours is a mistake of this
 * program, and is shown whole.
 *
 * @internal
 */
export const ofCause = (cause: Cause.Cause<unknown>): Failure | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  return error instanceof Failure ? error : undefined
}

const hints: ReadonlyArray<readonly [RegExp, Kind, string]> = [
  [/ECONNREFUSED/, "Unreachable", "is the server running, and on this port?"],
  [/ENOTFOUND|EAI_AGAIN|no such host/, "Unreachable", "check the name of the host"],
  [/ENOENT|no such path/, "Unreachable", "check the path: no socket, file or program has this name"],
  [/EACCES|permission denied/, "Denied", "check the rights of the file or the socket"],
  [/altnames|ALTNAME/, "Unreachable", "the name that the certificate is for, as the host of the address"],
  [
    /certificate|CERT|SELF_SIGNED/,
    "Unreachable",
    "--ca <file.pem>, the certificate of who signed it; --insecure where nobody is on the way"
  ],
  [/wrong version number|EPROTO/, "Protocol", "ws://, http:// or tcp://: the server speaks no TLS"],
  [/hang up|ECONNRESET/, "Unreachable", "wss://, https:// or tls://, where the server speaks TLS"],
  [/subprotocol/i, "Protocol", "another --wire, or --protocol <name> to offer another (--protocol '' for none)"],
  [
    /HTTP 40[13]/,
    "Denied",
    "--user <name>, EFFECT_WIRE_TOKEN=<token> or --header 'Authorization: …' to say who you are"
  ],
  [/HTTP 404/, "Unreachable", "check the path of the address, such as /rpc or /ws"],
  [/HTTP 405/, "Protocol", "ws:// instead of http://, or the other way round"],
  [/HTTP 429|1013|overloaded/, "Unreachable", "again later: the server has too much to do"],
  [/HTTP \d+/, "Protocol", "ws:// instead of http://, or the other way round; check the path"],
  [/1008|refused by policy/, "Denied", "--user <name>, or another login: the server closed the connection by policy"],
  [/100[237]/, "Protocol", "another --wire or --generation: the server did not understand"],
  [/1009|too large/, "Protocol", "smaller parameters: a message was over the limit of the server"],
  [
    /no answer in time|ETIMEDOUT|not made in time/,
    "Unreachable",
    "--connect-timeout <duration>, or another host or port"
  ]
]

/**
 * What kind of failure of a connection words tell of, and what to try then.
 *
 * @internal
 */
export const ofWords = (words: string): { readonly kind: Kind; readonly tries: ReadonlyArray<string> } => {
  for (const [pattern, kind, text] of hints) if (pattern.test(words)) return { kind, tries: [text] }
  return { kind: "Unreachable", tries: [] }
}

/**
 * Any error of a connection as a failure.
 *
 * @internal
 */
export const unreachable = (what: string, cause: unknown): Failure => {
  const words = inWords(cause)
  const { kind, tries } = ofWords(words)
  return new Failure({ kind, message: `${what}: ${words}`, tries })
}
