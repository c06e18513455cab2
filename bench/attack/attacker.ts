// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/** A process that attacks: `attacker.ts <url> <seconds> <name>…`. Prints what happened to it as one line of JSON. */
import { setPriority } from "node:os"
import { attacks } from "./attacks.ts"
import { sleep, type Target } from "./peer.ts"

// attackers have processors of their own, as a rule
setPriority(15)
const [url, seconds, ...names] = process.argv.slice(2) as [string, string, ...Array<string>]
const notes = new Map<string, number>()
const end = Date.now() + Number(seconds) * 1000
const target: Target = {
  url,
  port: Number(new URL(url).port),
  running: () => Date.now() < end,
  note: (what) => void notes.set(what, (notes.get(what) ?? 0) + 1)
}
process.on("uncaughtException", () => target.note("attacker's error"))
const all = Promise.allSettled(names.map((name) => attacks[name]!(target)))
await Promise.race([all, sleep(Number(seconds) * 1000 + 2000)])
process.stdout.write(`${JSON.stringify(Object.fromEntries(notes))}\n`, () => process.exit(0))
