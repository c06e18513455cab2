/**
 * The examples of `--help`. They run as they stand, in this order, against the gateway of this repository (`npm start`); a
 * test does so.
 */

interface Example {
  readonly command: string
  readonly description: string
}

/** @internal */
export const examples = {
  call: [
    { command: "effect-wire call ws://127.0.0.1:8080/rpc add a=1 b=2", description: "Parameters by name" },
    { command: "effect-wire call http://127.0.0.1:8080/rpc sum 1 2 3", description: "By position, over HTTP" },
    {
      command: "effect-wire call rockets+ws://127.0.0.1:8080/rpc render '{\"steps\": 5, \"delay\": 10}'",
      description: "With a progress bar; Ctrl-C cancels the work"
    },
    {
      command:
        "EFFECT_WIRE_PASSWORD=wonderland effect-wire call ws://127.0.0.1:8080/rpc secret --user alice --login login",
      description: "Log in first"
    }
  ],
  notify: [
    { command: "effect-wire notify ws://127.0.0.1:8080/rpc notify_sum 1 2 3", description: "A notification" }
  ],
  batch: [
    {
      command: "effect-wire batch ws://127.0.0.1:8080/rpc 'add a=1 b=2' 'sum 1 2 3' '!notify_hello you'",
      description: "Two calls and a notification in one frame"
    }
  ],
  listen: [
    {
      command: "effect-wire listen ws://127.0.0.1:8080/rpc --topic clock --count 1",
      description: "One value of a topic"
    }
  ],
  discover: [
    { command: "effect-wire discover ws://127.0.0.1:8080/rpc", description: "All methods and topics" },
    { command: "effect-wire discover ws://127.0.0.1:8080/rpc render", description: "One method" },
    { command: "effect-wire discover ws://127.0.0.1:8080/rpc --json > openrpc.json", description: "The document" }
  ],
  repl: [
    {
      command: "echo 'add a=1 b=2' | effect-wire repl ws://127.0.0.1:8080/rpc",
      description: "Lines of a script; try it without"
    }
  ],
  bench: [
    {
      command: "effect-wire bench ws://127.0.0.1:8080/rpc add a=1 b=2 --duration 500ms --connections 4",
      description: "As many calls as it takes, 16 at once on each of four connections"
    },
    {
      command: "effect-wire bench ws://127.0.0.1:8080/rpc ping --rate 200 --duration 500ms --warmup 100ms",
      description: "200 calls a second, whether they are answered or not"
    }
  ],
  stateGet: [
    { command: "effect-wire state get ws://127.0.0.1:8080/juggler/0.7", description: "The whole" },
    { command: "effect-wire state get ws://127.0.0.1:8080/ws /counter", description: "A part, of generation 0.5" }
  ],
  stateFollow: [
    {
      command: "effect-wire state follow ws://127.0.0.1:8080/juggler/0.6 --patches --count 1",
      description: "As patches; the first is the whole"
    }
  ],
  stateSet: [
    {
      command: "effect-wire state set ws://127.0.0.1:8080/juggler/0.7 /kitchen '{\"celsius\": 21}'",
      description: "By the request set of the server"
    },
    {
      command: "effect-wire state set ws://127.0.0.1:8080/ws /name Ann --follow --count 1",
      description: "Of generation 0.5: data of this end, which the server sees while it is connected"
    }
  ],
  stateCall: [
    { command: "effect-wire state call ws://127.0.0.1:8080/juggler/0.7 add a=1 b=2", description: "A request" },
    { command: "effect-wire state call ws://127.0.0.1:8080/ws add 1 2", description: "An action of generation 0.5" }
  ],
  queuePush: [
    { command: "effect-wire queue push jobs.sqlite af '{\"report\": 7}' --create", description: "Into a new file" },
    {
      command: "EFFECT_WIRE_TOKEN=DEFAULT_TOKEN effect-wire queue push http://127.0.0.1:8080 af hello --node b1",
      description: "To a Scirocco server"
    }
  ],
  queueCounts: [
    { command: "effect-wire queue counts jobs.sqlite", description: "Of a file" },
    {
      command: "EFFECT_WIRE_TOKEN=DEFAULT_TOKEN effect-wire queue counts http://127.0.0.1:8080 --node af --json",
      description: "Of one node of a Scirocco server"
    }
  ],
  queueList: [
    { command: "effect-wire queue list jobs.sqlite --status pending --limit 10", description: "What waits" }
  ],
  queueShow: [
    {
      command: "effect-wire queue show jobs.sqlite $(effect-wire queue push jobs.sqlite af hello)",
      description: "A message by its id"
    }
  ],
  queuePull: [
    { command: "effect-wire queue pull jobs.sqlite af --ack", description: "Take one and be done with it" },
    {
      command: "effect-wire queue pull jobs.sqlite af --lease 1m --json > held.json",
      description: "Hold one for a minute"
    }
  ],
  queueAck: [
    { command: "effect-wire queue ack jobs.sqlite @held.json", description: "Acknowledge what pull --json printed" }
  ],
  queueRedrive: [
    { command: "effect-wire queue redrive jobs.sqlite", description: "All dead messages" }
  ],
  queueClear: [
    { command: "effect-wire queue clear jobs.sqlite --waiting --yes", description: "What waits, without a question" }
  ],
  queueWatch: [
    { command: "effect-wire queue watch jobs.sqlite --interval 500ms --count 1", description: "Twice a second" }
  ],
  contractCheck: [
    { command: "effect-wire contract check openrpc.json ws://127.0.0.1:8080/rpc", description: "A file and a server" },
    {
      command: "effect-wire contract check openrpc.json http://127.0.0.1:8080/openrpc.json --fail-on both",
      description: "A file and a published document"
    }
  ],
  contractGenerate: [
    { command: "effect-wire contract generate ws://127.0.0.1:8080/rpc --name Gateway", description: "Of a server" }
  ],
  tapProxy: [
    {
      command: "effect-wire tap proxy ws://127.0.0.1:8080/rpc --out calls.ndjson",
      description: "Until Ctrl-C; clients connect to the address that it prints instead of the server's"
    }
  ],
  tapReplay: [
    { command: "effect-wire tap replay calls.ndjson ws://127.0.0.1:8080/rpc", description: "Does it still answer so?" }
  ],
  tapDiff: [
    {
      command: "effect-wire tap diff calls.ndjson ws://127.0.0.1:8080/rpc ws://127.0.0.1:8080/rpc",
      description: "Two versions of a server"
    }
  ]
} satisfies Record<string, ReadonlyArray<Example>>
