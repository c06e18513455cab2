/**
 * Certificates of servers.
 */
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import type * as Tls from "node:tls"
import type { TlsOptions } from "./wsModel.ts"

/**
 * Reads PEM files where the options name them; throws what `node:fs` throws.
 *
 * @internal
 */
export const tlsOptions = (options: TlsOptions): Tls.TlsOptions => {
  if (!("certFile" in options)) return options
  return {
    cert: Fs.readFileSync(options.certFile),
    key: Fs.readFileSync(options.keyFile),
    ...(options.passphrase === undefined ? {} : { passphrase: Redacted.value(options.passphrase) })
  }
}
