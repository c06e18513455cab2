/**
 * What a line of the `repl` may go on with.
 */
import type { Known, Method } from "./discovery.ts"

/** @internal */
export const commands: ReadonlyMap<string, string> = new Map([
  [".help", "what can be typed"],
  [".methods", "all methods, or those whose name has a part: .methods user"],
  [".describe", "one method, with all that is known about it"],
  [".notify", "send a notification: .notify method name=value"],
  [".listen", "print notifications of the server as they come, or no longer"],
  [".exit", "end; Ctrl-D does so too"]
])

/** Methods whose parameter is a topic. */
const ofTopics = /^(un)?subscribe$/

const params = (known: Known, method: Method, given: ReadonlyArray<string>, last: string): ReadonlyArray<string> => {
  const equals = last.indexOf("=")
  if (equals > 0) {
    const name = last.slice(0, equals)
    const param = method.params.find((candidate) => candidate.name === name)
    return (param?.words ?? []).map((word) => `${name}=${word} `)
  }
  const topics = ofTopics.test(method.name) ? known.topics.map(({ name }) => `${name} `) : []
  const used = new Set(given.map((argument) => argument.split("=", 1)[0]))
  return [...topics, ...method.params.filter(({ name }) => !used.has(name)).map(({ name }) => `${name}=`)]
}

/**
 * The ways in which a line may go on: words that begin with its last one, and that last one.
 *
 * @internal
 */
export const complete = (known: Known | undefined, line: string): readonly [Array<string>, string] => {
  const parts = line.trimStart().split(/\s+/)
  const last = parts[parts.length - 1]!
  const names = known?.methods.map(({ name }) => `${name} `) ?? []
  const takesMethod = parts.length === 2 && (parts[0] === ".describe" || parts[0] === ".notify")
  const offset = parts[0] === ".notify" ? 1 : 0
  let found: ReadonlyArray<string>
  if (parts.length === 1) found = last.startsWith(".") ? Array.from(commands.keys(), (name) => `${name} `) : names
  else if (takesMethod) found = names
  else {
    const method = known?.methods.find(({ name }) => name === parts[offset])
    found = method === undefined ? [] : params(known!, method, parts.slice(offset + 1, -1), last)
  }
  return [found.filter((word) => word.startsWith(last)), last]
}

const secretive = /log_?in|auth|passw|token|secret|credential/i

/**
 * Whether a line is kept in the history: not when it begins with a space, or names something secret.
 *
 * @internal
 */
export const isKept = (line: string): boolean => line !== "" && !/^\s/.test(line) && !secretive.test(line)
