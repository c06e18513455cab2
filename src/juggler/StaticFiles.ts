/**
 * The files of a GUI, served by Effect's own static server (ranges, etags, no listing), behind the checks that it lacks:
 * the real path of what is asked for has to lie inside the real path of the root, so a symbolic link does not lead out, and
 * files whose names begin with a dot are not served, but those of `/.well-known`.
 *
 * **Gotchas**
 *
 * The check comes before the file is opened: whoever can change links inside the root while it is served can still lead
 * out. Serve directories that only you write.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpStaticServer from "effect/http/HttpStaticServer"
import type * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The directory whose files are served. */
  readonly root: string
  /** `/` redirects there; default `/index.html`. `null`: it does not. */
  readonly indexPath?: string | null | undefined
  /** Whether browsers may keep files; default `true`, with the file's etag. `false` sends `Cache-Control: no-cache`. */
  readonly cache?: boolean | undefined
  /** Types of further file extensions, without dot. */
  readonly mimeTypes?: Record<string, string> | undefined
}

/** Files and directories whose names begin with a dot, `.git` and `.env` among them; `.well-known` is meant to be seen (RFC 8615). */
const hidden = /\/\.(?!well-known(?:\/|$))/

const notFound = HttpServerResponse.empty({ status: 404 })

/**
 * Makes a handler that answers 404 to everything that is no file inside the root.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<
  Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    HttpServerError.HttpServerError,
    HttpServerRequest.HttpServerRequest
  >,
  PlatformError,
  FileSystem.FileSystem | Path.Path | HttpPlatform.HttpPlatform
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = yield* fs.realPath(options.root)
    const indexPath = options.indexPath === undefined ? "/index.html" : options.indexPath
    const handler = yield* HttpStaticServer.make({
      root,
      index: undefined,
      ...(options.cache === false ? { cacheControl: "no-cache" } : {}),
      ...(options.mimeTypes === undefined ? {} : { mimeTypes: options.mimeTypes })
    })
    /** What the URL names, if it is a file whose real path is inside the root. */
    const isInside = (url: string): Effect.Effect<boolean> => {
      const pathname = url.split(/[?#]/)[0]!
      const decoded = decode(pathname)
      if (decoded === undefined || decoded.endsWith("/") || hidden.test(decoded)) return Effect.succeed(false)
      return fs.realPath(path.join(root, decoded)).pipe(
        Effect.map((real) => real.startsWith(root.endsWith(path.sep) ? root : root + path.sep)),
        Effect.orElseSucceed(() => false)
      )
    }
    return HttpServerRequest.HttpServerRequest.use((request) => {
      if (indexPath !== null && request.url.split("?")[0] === "/") {
        return Effect.succeed(HttpServerResponse.redirect(indexPath, { status: 302 }))
      }
      return Effect.flatMap(isInside(request.url), (inside) =>
        inside
          ? Effect.catchReason(handler, "HttpServerError", "RouteNotFound", () => Effect.succeed(notFound))
          : Effect.succeed(notFound))
    })
  })

const decode = (text: string): string | undefined => {
  try {
    const decoded = decodeURIComponent(text)
    return decoded.includes("\0") || decoded.includes("\\") ? undefined : decoded
  } catch {
    return undefined
  }
}

/**
 * Serves the files on every path of the router that no other route has.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<
  never,
  PlatformError,
  | HttpRouter.HttpRouter
  | FileSystem.FileSystem
  | Path.Path
  | HttpPlatform.HttpPlatform
  | HttpRouter.Request<"Error", HttpServerError.HttpServerError>
> => HttpRouter.use((router) => Effect.flatMap(make(options), (handler) => router.add("GET", "/*", handler)))
