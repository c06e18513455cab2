/**
 * The options and arguments that several commands have, with what they say in `--help`.
 */
import * as Argument from "effect/cli/Argument"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { wireNames } from "./target.ts"

const units = new Map([["", 1000], ["ms", 1], ["s", 1000], ["m", 60_000], ["h", 3_600_000]])

/**
 * Milliseconds of `500ms`, `5s`, `2m`, `1h`, of seconds without a unit, or of `infinity`.
 *
 * @internal
 */
export const millisOf = (text: string): Option.Option<number> => {
  if (/^inf(inity)?$/i.test(text)) return Option.some(Infinity)
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text)
  return match === null ? Option.none() : Option.some(Number(match[1]) * units.get(match[2]!)!)
}

const time = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("duration"),
    Flag.withDescription(description),
    Flag.filterMap(millisOf, (text) => `${text} is no time: 500ms, 5s, 2m, 1h or infinity is`)
  )

/**
 * An option whose value is a time, in milliseconds.
 *
 * @internal
 */
export const duration = (name: string, fallback: string, description: string): Flag.Flag<number> =>
  time(name, `${description} (default ${fallback})`).pipe(
    Flag.withDefault(Option.getOrElse(millisOf(fallback), () => Infinity))
  )

/**
 * The same without a default.
 *
 * @internal
 */
export const optionalDuration = (name: string, description: string): Flag.Flag<Option.Option<number>> =>
  Flag.optional(time(name, description))

/** @internal */
export const many = (name: string, metavar: string, description: string): Flag.Flag<ReadonlyArray<string>> =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.atLeast(0))

/** @internal */
export const text = (name: string, metavar: string, description: string): Flag.Flag<Option.Option<string>> =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

/** @internal */
export const count = (name: string, description: string): Flag.Flag<Option.Option<number>> =>
  Flag.Int(name).pipe(
    Flag.filter((n) => n > 0, () => "at least 1 is wanted"),
    Flag.withMetavar("n"),
    Flag.withDescription(description),
    Flag.optional
  )

/** @internal */
export const whole = (name: string, fallback: number, description: string): Flag.Flag<number> =>
  Flag.Int(name).pipe(
    Flag.filter((n) => n > 0, () => "at least 1 is wanted"),
    Flag.withMetavar("n"),
    Flag.withDescription(`${description} (default ${fallback})`),
    Flag.withDefault(fallback)
  )

/** @internal */
export const yes = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false), Flag.withoutNegation)

/** @internal */
export const json = yes("json", "Print JSON, one value a line; errors too, on standard error")

/** @internal */
export const url = Argument.String("url").pipe(
  Argument.withDescription("ws://, wss://, http://, https://, tcp://, tls://, unix:/path, 'stdio:program args'")
)

/** @internal */
export const method = Argument.String("method").pipe(Argument.withDescription("Name of the method"))

/** @internal */
export const params = Argument.String("params").pipe(
  Argument.withDescription("name=value, values by position, one JSON object or array, @file or -"),
  Argument.variadic({ min: 0 })
)

/**
 * Whom a TLS connection is believed.
 *
 * @internal
 */
export const trust = {
  ca: text("ca", "file", "Believe the authority whose certificate this is (PEM), besides those that are known"),
  insecure: yes("insecure", "Believe any certificate: whoever is on the way can read and change everything")
} satisfies Command.Command.Config

/** @internal */
export type Trust = Command.Command.Config.Infer<typeof trust>

/**
 * How a connection says who it is, and whom it believes.
 *
 * @internal
 */
export const identity = {
  ...trust,
  header: many("header", "name:value", "A header of the handshake or the request; @file reads them, a line each"),
  user: text("user", "name", "Basic authentication; the password is asked for, or in EFFECT_WIRE_PASSWORD"),
  login: text("login", "method", "Log in by this method (username and password, or token) instead of headers")
} satisfies Command.Command.Config

/**
 * How a command connects to a JSON-RPC server.
 *
 * @internal
 */
export const connection = {
  wire: Flag.Literals("wire", wireNames).pipe(
    Flag.withAlias("w"),
    Flag.withDescription("What the server speaks (default standard); also as <wire>+<url>"),
    Flag.optional
  ),
  framing: Flag.Literals("framing", ["lines", "content-length"]).pipe(
    Flag.withDescription("How messages are told apart on tcp, tls, unix and stdio (default: that of the wire)"),
    Flag.optional
  ),
  protocol: text("protocol", "name", "WebSocket subprotocol to offer (default: that of the wire; '' for none)"),
  ...identity,
  connectTimeout: duration("connect-timeout", "10s", "How long a connection may take to open"),
  timeout: duration("timeout", "60s", "How long an answer may take; progress extends it"),
  json
} satisfies Command.Command.Config

/** @internal */
export type Connection = Command.Command.Config.Infer<typeof connection>
