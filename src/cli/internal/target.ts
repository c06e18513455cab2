/**
 * Where a command leads: `[wire+]carrier:address`, as in `ws://host/path`, `lsp+tcp://host:port`, `mcp+stdio:node server.js`.
 */
import * as Wire from "../../jsonrpc/Wire.ts"
import { type Failure, usage } from "./failure.ts"
import { nearest } from "./nearest.ts"

/**
 * The wires by the names that people know.
 *
 * @internal
 */
export const wires: ReadonlyMap<string, Wire.Wire> = new Map([
  ["standard", Wire.standard],
  ["rockets", Wire.rockets],
  ["aiohttp", Wire.aiohttp],
  // calls in both directions, nothing beyond the specification
  ["jsonrpc-websocket", Wire.standard],
  ["lsp", Wire.lsp],
  ["mcp", Wire.mcp],
  ["cdp", Wire.cdp],
  ["v1", Wire.version1]
])

/** @internal */
export const wireNames: ReadonlyArray<string> = Array.from(wires.keys())

/** @internal */
export type Carrier =
  | { readonly _tag: "WebSocket"; readonly url: string }
  | { readonly _tag: "Http"; readonly url: string }
  | { readonly _tag: "Tcp"; readonly host: string; readonly port: number; readonly tls: boolean }
  | { readonly _tag: "Unix"; readonly path: string }
  | { readonly _tag: "Stdio"; readonly command: string; readonly args: ReadonlyArray<string> }

/** @internal */
export interface Target {
  readonly wireName: string
  readonly wire: Wire.Wire
  readonly carrier: Carrier
}

/**
 * The words of a command, as a shell would take them apart: quotes keep words together, a backslash keeps one character.
 *
 * @internal
 */
export const words = (command: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const match of command.matchAll(/(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+/g)) {
    found.push(match[0].replace(
      /\\([\s\S])|"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'/g,
      (_, escaped?: string, double?: string, single?: string) =>
        escaped ?? (double === undefined ? single ?? "" : double.replace(/\\(["\\$`])/g, "$1"))
    ))
  }
  return found
}

const schemes = ["ws:", "wss:", "http:", "https:", "tcp:", "tls:", "unix:", "stdio:"]

const tried = (address: string): ReadonlyArray<string> => [
  "an address such as ws://127.0.0.1:8080/rpc, http://…, tcp://host:port, unix:/path or 'stdio:program argument'",
  ...(/^[\w.-]+(:\d+)?(\/|$)/.test(address) ? [`ws://${address}`] : [])
]

const carrierOf = (address: string): Carrier | Failure => {
  const scheme = /^([a-z]+):/i.exec(address)?.[1]?.toLowerCase()
  const rest = scheme === undefined ? address : address.slice(scheme.length + 1)
  switch (scheme) {
    case "ws":
    case "wss":
    case "http":
    case "https": {
      if (!/^\/\/[^/]/.test(rest) || !URL.canParse(address)) return usage("this is no address", ...tried(rest))
      return { _tag: scheme.startsWith("ws") ? "WebSocket" : "Http", url: address }
    }
    case "tcp":
    case "tls": {
      const match = /^\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5})\/?$/.exec(rest)
      if (match === null || Number(match[2]) > 65_535) return usage("this is no address", `${scheme}://127.0.0.1:4000`)
      const host = match[1]!.replace(/^\[|\]$/g, "")
      return { _tag: "Tcp", host, port: Number(match[2]), tls: scheme === "tls" }
    }
    case "unix": {
      const path = rest.replace(/^\/\/(?=\/)/, "")
      return path === "" ? usage("the path is missing", "unix:/run/server.sock") : { _tag: "Unix", path }
    }
    case "stdio": {
      const [command, ...args] = words(rest)
      return command === undefined
        ? usage("the program is missing", "'stdio:node server.js --stdio'")
        : { _tag: "Stdio", command, args }
    }
    default: {
      const meant = scheme === undefined ? [] : nearest(`${scheme}:`, schemes)
      return usage(
        "this is no address: it begins with no carrier",
        ...meant.map((name) => `${name} instead of ${scheme}:`),
        ...tried(address)
      )
    }
  }
}

/**
 * Reads an address. The wire of the address goes before that of the option; the default is the standard one.
 *
 * @internal
 */
export const parse = (address: string, wireOption?: string): Target | Failure => {
  const prefix = /^([a-z][\w-]*)\+(?=[a-z]+:)/i.exec(address)
  const wireName = prefix?.[1] ?? wireOption ?? "standard"
  const wire = wires.get(wireName)
  if (wire === undefined) {
    const meant = nearest(wireName, wires.keys())
    return usage(
      `there is no wire named "${wireName}"`,
      `one of ${(meant.length > 0 ? meant : wireNames).join(", ")}`
    )
  }
  const carrier = carrierOf(prefix === null ? address : address.slice(prefix[0].length))
  return carrier instanceof Error ? carrier : { wireName, wire, carrier }
}

/**
 * Where it leads, without what may be secret.
 *
 * @internal
 */
export const nameOf = ({ carrier }: Target): string => {
  switch (carrier._tag) {
    case "WebSocket":
    case "Http": {
      const { host, pathname, protocol } = new URL(carrier.url)
      return `${protocol}//${host}${pathname}`
    }
    case "Tcp":
      return `${carrier.tls ? "tls" : "tcp"}://${carrier.host}:${carrier.port}`
    case "Unix":
      return `unix:${carrier.path}`
    case "Stdio":
      return `stdio:${carrier.command}`
  }
}
