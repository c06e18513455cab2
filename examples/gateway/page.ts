/** `GET /`: a page for people, the service description of Scirocco for programs. */
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Settings } from "./config.ts"
import * as Queue from "./queue.ts"
import { served } from "./served.ts"

const escape = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>effect-wire gateway</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}dt{font-family:monospace}</style>
</head>
<body>
<h1>effect-wire gateway</h1>
<dl>
${served.map(({ path, what }) => `<dt>${escape(path)}</dt><dd>${escape(what)}</dd>`).join("\n")}
</dl>
</body>
</html>
`

const page = HttpServerResponse.text(html, {
  contentType: "text/html; charset=utf-8",
  headers: {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    vary: "accept"
  }
})

export const layer = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const { masterToken } = yield* Settings
    const description = yield* Queue.description(masterToken)
    yield* router.add(
      "GET",
      "/",
      Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        (request) => (request.headers.accept ?? "").includes("text/html") ? Effect.succeed(page) : description
      )
    )
  })
)
