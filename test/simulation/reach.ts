/**
 * Which functions of the sources no history reached: V8 counts, and the sources' maps say where they stand.
 */
import { Session } from "node:inspector"
import { SourceMap } from "node:module"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../src/", import.meta.url))

interface Counted {
  readonly functionName: string
  readonly ranges: ReadonlyArray<{ readonly startOffset: number; readonly count: number }>
}

interface Script {
  readonly scriptId: string
  readonly url: string
  readonly functions: ReadonlyArray<Counted>
}

/** Counts from now on; the returned function gives those of some files that were never called, as `file:line name`. */
const watch = (): (isMeant: (file: string) => boolean) => ReadonlyArray<string> => {
  const session = new Session()
  session.connect()
  const ask = (method: string, params: object = {}): any => {
    let answer: unknown
    session.post(method, params, (error, result) => {
      if (error !== null) throw new Error(JSON.stringify(error))
      answer = result
    })
    return answer
  }
  ask("Profiler.enable")
  ask("Debugger.enable")
  ask("Profiler.startPreciseCoverage", { callCount: true, detailed: false })
  const mapOf = (scriptId: string): { readonly map: SourceMap; readonly text: string } | undefined => {
    const { scriptSource } = ask("Debugger.getScriptSource", { scriptId })
    const at = scriptSource.lastIndexOf("//# sourceMappingURL=data:")
    if (at < 0) return undefined
    const json = Buffer.from(scriptSource.slice(scriptSource.indexOf(",", at) + 1), "base64").toString()
    return { map: new SourceMap(JSON.parse(json)), text: scriptSource }
  }
  return (isMeant) => {
    const { result } = ask("Profiler.takePreciseCoverage") as { readonly result: ReadonlyArray<Script> }
    const missed: Array<string> = []
    for (const { functions, scriptId, url } of result) {
      if (!url.startsWith("file:")) continue
      const path = fileURLToPath(url.split("?")[0]!)
      if (!path.startsWith(root) || !isMeant(path.slice(root.length))) continue
      const source = mapOf(scriptId)
      for (const { functionName, ranges } of functions) {
        const [range] = ranges
        if (range === undefined || range.count > 0) continue
        let line = "?"
        if (source !== undefined) {
          const before = source.text.slice(0, range.startOffset)
          const generated = before.split("\n").length - 1
          const entry = source.map.findEntry(generated, range.startOffset - before.lastIndexOf("\n") - 1)
          if ("originalLine" in entry) line = String(entry.originalLine + 1)
        }
        missed.push(`${path.slice(root.length)}:${line} ${functionName}`)
      }
    }
    return missed
  }
}

/** Begins before what is counted is loaded, so this module comes first; nothing without `--reach`. */
export const missed = process.argv.includes("--reach") ? watch() : undefined
