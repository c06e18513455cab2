import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { css } from "./pageStyle.ts"

/** Nothing is loaded from elsewhere, nothing runs that is written into the page, nobody frames it. */
const headers = {
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin"
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** The names are relative to the page, so that a proxy may put all of it below a path of its own. */
const html = ({ base, path, title }: { readonly title: string; readonly path: string; readonly base: string }) => {
  const below = path === "/" ? base.slice(1) : base.slice(base.lastIndexOf("/") + 1)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${escaped(below)}/page.css">
<script type="module" src="${escaped(below)}/page.js"></script>
</head>
<body data-base="${escaped(below)}" data-title="${escaped(title)}">
<noscript><p>This page needs JavaScript.</p></noscript>
</body>
</html>
`
}

/** The page. It is the same for everybody; what it shows comes over its connection. */
export const page = (options: { readonly title: string; readonly path: string; readonly base: string }) =>
  HttpServerResponse.text(html(options), {
    contentType: "text/html; charset=utf-8",
    headers: { ...headers, vary: "accept" }
  })

/** Its style. */
export const style = HttpServerResponse.text(css, { contentType: "text/css; charset=utf-8", headers })

/** Its script, which is loaded when somebody asks for it, and sent to who does not have it yet. */
export const script = Effect.gen(function*() {
  const { etag, script } = yield* Effect.promise(() => import("./pageScript.ts"))
  const request = yield* HttpServerRequest.HttpServerRequest
  const own = { ...headers, etag }
  return request.headers["if-none-match"] === etag
    ? HttpServerResponse.empty({ status: 304, headers: own })
    : HttpServerResponse.text(script, { contentType: "text/javascript; charset=utf-8", headers: own })
})
