/** What the gateway serves, for the start line by line and for the page. */
export const served: ReadonlyArray<{ readonly path: string; readonly isWebSocket: boolean; readonly what: string }> = [
  { path: "/", isWebSocket: false, what: "the dashboard for people, the service description for programs" },
  { path: "/rpc", isWebSocket: true, what: "JSON-RPC 2.0, Rockets wire: WebSocket, and POST over HTTP" },
  { path: "/lsp", isWebSocket: true, what: "the same methods in the wire of the Language Server Protocol" },
  { path: "/aiohttp", isWebSocket: true, what: "the same methods in the wire of aiohttp-json-rpc" },
  { path: "/ws", isWebSocket: true, what: "Juggler 0.5" },
  { path: "/juggler/0.6", isWebSocket: true, what: "Juggler 0.6" },
  { path: "/juggler/0.7", isWebSocket: true, what: "Juggler 0.7" },
  {
    path: "/messageQueue",
    isWebSocket: false,
    what: "Scirocco, the message queue; also /messages and /globalDataSpace"
  },
  { path: "/openrpc.json", isWebSocket: false, what: "the methods and topics that the caller may use, as OpenRPC" },
  { path: "/health", isWebSocket: false, what: "whether all is well" },
  { path: "/metrics", isWebSocket: false, what: "Prometheus metrics" }
]
