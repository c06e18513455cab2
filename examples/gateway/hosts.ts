/**
 * Which names the gateway answers to while only this machine can reach it. A page of the web may give its own name the
 * address 127.0.0.1 (DNS rebinding), and would then be of the same origin as the gateway: to such a `Host` the answer is 421.
 */
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { isLoopback, Settings } from "./config.ts"

const nameOf = (host: string): string | undefined =>
  URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname.replace(/^\[(.*)\]$/, "$1") : undefined

const misdirected = HttpServerResponse.text("The gateway has no such name: see ALLOWED_HOSTS.\n", { status: 421 })

export const layer = HttpRouter.middleware(
  Effect.map(Settings, (settings) => {
    const origins = settings.allowedOrigins === "same" ? [] : settings.allowedOrigins
    const known = new Set([
      ...origins.filter((origin) => URL.canParse(origin)).map((origin) => new URL(origin).hostname),
      ...settings.allowedHosts.map((host) => nameOf(host))
    ])
    const isKnown = (host: string | undefined): boolean => {
      const name = host === undefined ? undefined : nameOf(host)
      return name !== undefined && (isLoopback(name) || known.has(name))
    }
    return (response) =>
      settings.isLoopback
        ? Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          (request) => isKnown(request.headers.host) ? response : Effect.succeed(misdirected)
        )
        : response
  }),
  { global: true }
)
