/**
 * Who the caller says it is. Nothing secret has to be on the command line, where every process of the machine can read it:
 * passwords and tokens come from the environment, from a file, or from a prompt.
 */
import type * as Command from "effect/cli/Command"
import * as Prompt from "effect/cli/Prompt"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import { type Failure, usage } from "./failure.ts"
import type { identity } from "./flags.ts"
import { textOf } from "./params.ts"

/** @internal */
export interface Credentials {
  readonly headers: Readonly<Record<string, Redacted.Redacted<string>>>
  readonly basic: { readonly username: string; readonly password: Redacted.Redacted<string> } | undefined
  /** A method to log in by, with its parameters. */
  readonly login: { readonly method: string; readonly params: () => Readonly<Record<string, string>> } | undefined
  readonly token: Redacted.Redacted<string> | undefined
}

/**
 * Nobody says who calls.
 *
 * @internal
 */
export const none: Credentials = { headers: {}, basic: undefined, login: undefined, token: undefined }

/** What credentials are read from. */
type Sources = FileSystem.FileSystem | Path.Path | Stdio.Stdio | Terminal.Terminal

const secret = (name: string): Effect.Effect<Redacted.Redacted<string> | undefined> =>
  Config.option(Config.Redacted(name)).pipe(Effect.map(Option.getOrUndefined), Effect.orDie)

const headersOf = (lines: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const headers: Record<string, Redacted.Redacted<string>> = {}
    for (const given of lines) {
      for (const line of (yield* textOf(given)).split(/\r?\n/)) {
        if (line.trim() === "") continue
        const match = /^([!#$%&'*+.^_`|~\w-]+)\s*:\s*(.*?)\s*$/.exec(line)
        if (match === null) return yield* usage("a header is no \"Name: value\"", "--header 'Authorization: Bearer …'")
        headers[match[1]!] = Redacted.make(match[2]!)
      }
    }
    return headers
  })

const passwordOf = (username: string, given: string | undefined) =>
  Effect.gen(function*() {
    if (given !== undefined) return Redacted.make(given)
    const known = yield* secret("EFFECT_WIRE_PASSWORD")
    if (known !== undefined) return known
    const { stdinIsTerminal } = yield* Stdio.Stdio
    if (!(yield* stdinIsTerminal)) {
      return yield* usage(`there is no password for ${username}`, "EFFECT_WIRE_PASSWORD=… effect-wire …")
    }
    return yield* Effect.catchTag(
      Prompt.run(Prompt.Password({ message: `Password of ${username}` })),
      "QuitError",
      () => Effect.interrupt
    )
  })

/**
 * Reads what the options and the environment say: `EFFECT_WIRE_TOKEN` is sent as a bearer token unless a header says
 * otherwise, `EFFECT_WIRE_PASSWORD` is the password of `--user`.
 *
 * @internal
 */
export const read = (
  input: Command.Command.Config.Infer<typeof identity>
): Effect.Effect<Credentials, Failure, Sources> =>
  Effect.gen(function*() {
    const headers = yield* headersOf(input.header)
    const token = yield* secret("EFFECT_WIRE_TOKEN")
    const user = Option.getOrUndefined(input.user)
    const colon = user?.indexOf(":") ?? -1
    const username = user === undefined || colon < 0 ? user : user.slice(0, colon)
    const password = username === undefined
      ? undefined
      : yield* passwordOf(username, colon < 0 ? undefined : user!.slice(colon + 1))
    const method = Option.getOrUndefined(input.login)
    if (method !== undefined) {
      if (username === undefined && token === undefined) {
        return yield* usage("--login wants to know who logs in", "--user <name>, or EFFECT_WIRE_TOKEN=<token>")
      }
      const params = username === undefined
        ? () => ({ token: Redacted.value(token!) })
        : () => ({ username, password: Redacted.value(password!) })
      return { headers, basic: undefined, login: { method, params }, token }
    }
    const hasOwn = Object.keys(headers).some((name) => name.toLowerCase() === "authorization")
    return {
      headers: token === undefined || hasOwn || username !== undefined
        ? headers
        : { ...headers, Authorization: Redacted.make(`Bearer ${Redacted.value(token)}`) },
      basic: username === undefined ? undefined : { username, password: password! },
      login: undefined,
      token
    }
  })

/**
 * The headers of HTTP requests, Basic authentication among them.
 *
 * @internal
 */
export const httpHeaders = ({ basic, headers }: Credentials): Readonly<Record<string, Redacted.Redacted<string>>> =>
  basic === undefined ? headers : {
    ...headers,
    Authorization: Redacted.make(
      `Basic ${Buffer.from(`${basic.username}:${Redacted.value(basic.password)}`).toString("base64")}`
    )
  }
