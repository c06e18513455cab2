import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdirSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { examples } from "../../src/cli/internal/examples.ts"
import { Gateway } from "../gateway/support/Gateway.ts"
import { Program } from "./support/Program.ts"

/** `queue push` of the examples' `queuePush`. */
const commands = Object.keys(examples).map((key) => key.replace(/[A-Z]/, (letter) => ` ${letter.toLowerCase()}`))

/** The lines of the section with the examples that are commands. */
const examplesOf = (help: string): ReadonlyArray<string> => {
  const [, section = ""] = help.split("\nEXAMPLES\n")
  return section.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
}

const subcommandsOf = (help: string): ReadonlyArray<string> => {
  const [, section = ""] = help.split("\nSUBCOMMANDS\n")
  return section.split("\n").flatMap((line) => /^ {2}(\w+)/.exec(line)?.[1] ?? [])
}

layer(Layer.merge(Program.layer, Gateway.layer), { excludeTestServices: true, timeout: "60 seconds" })("help", (it) => {
  it.effect("every command is in the help and has examples, which are in its own", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const helpOf = (...args: ReadonlyArray<string>) => Effect.map(run([...args, "--help"]), ({ stdout }) => stdout)
      const found: Array<string> = []
      for (const first of subcommandsOf(yield* helpOf())) {
        if (commands.includes(first)) found.push(first)
        else found.push(...subcommandsOf(yield* helpOf(first)).map((name) => `${first} ${name}`))
      }
      assert.sameMembers(found, commands)
      for (const name of ["call", "queue pull"]) {
        const help = yield* helpOf(...name.split(" "))
        assert.match(help, /DESCRIPTION\n {2}[A-Z]/)
        const key = name.replace(/ (.)/, (_, letter: string) => letter.toUpperCase()) as keyof typeof examples
        assert.deepStrictEqual(examplesOf(help), examples[key].map(({ command }) => command))
      }
    }), 240_000)

  it.effect("every example runs as it stands against the gateway", () =>
    Effect.gen(function*() {
      const { directory, run, shell, startShell } = yield* Program
      const address = yield* Gateway
      const cwd = join(directory, "examples")
      mkdirSync(cwd)
      for (const { command } of Object.values(examples).flat()) {
        const line = command.replaceAll("127.0.0.1:8080", address)
        if (line.includes("tap proxy")) {
          // runs until Ctrl-C
          const proxy = yield* startShell(`exec ${line}`, { cwd })
          yield* proxy.printed(/listening on \S+,/)
          const [, url] = /listening on (\S+),/.exec(proxy.stderr())!
          assert.strictEqual((yield* run(["call", url!, "add", "1", "2"])).stdout, "3\n")
          proxy.signal("SIGINT")
          assert.strictEqual((yield* proxy.ran).code, 130)
          continue
        }
        const { code, stderr } = yield* shell(line, { cwd })
        assert.strictEqual(code, 0, `${command}\n${stderr}`)
      }
    }), 480_000)

  it.effect("each shell gets a script that completes commands and options", () =>
    Effect.gen(function*() {
      const { run, shell } = yield* Program
      for (const name of ["bash", "zsh", "fish", "powershell"]) {
        const { code, stdout } = yield* run(["--completions", name])
        assert.strictEqual(code, 0)
        for (const word of ["contract", "discover", "generation", "in-flight"]) assert.include(stdout, word, name)
      }
      const completed = (line: string) => {
        const words = line.split(" ")
        return shell(
          `bash -c '${
            [
              "eval \"$(effect-wire --completions bash)\"",
              `COMP_LINE="${line}"`,
              `COMP_POINT=${line.length}`,
              `COMP_WORDS=(${words.map((word) => `"${word}"`).join(" ")})`,
              `COMP_CWORD=${words.length - 1}`,
              "$(complete -p effect-wire | sed \"s/.*-F \\([^ ]*\\) .*/\\1/\")",
              "printf \"%s\\n\" \"${COMPREPLY[@]}\""
            ].join("\n")
          }'`
        )
      }
      assert.include((yield* completed("effect-wire dis")).stdout, "discover")
      assert.include((yield* completed("effect-wire queue re")).stdout, "redrive")
      assert.include((yield* completed("effect-wire bench --conn")).stdout, "--connections")
    }), 120_000)

  it.effect(
    "help is for those who ask: a wrong command line gets one line and where to look",
    () =>
      Effect.gen(function*() {
        const { run } = yield* Program
        const wrong = yield* run(["queue", "count", "jobs.sqlite"])
        assert.strictEqual(wrong.code, 2)
        assert.strictEqual(wrong.stdout, "")
        assert.match(wrong.stderr, /counts[\s\S]*try: effect-wire queue --help/)
        const version = yield* run(["--version"])
        assert.match(version.stdout, /^effect-wire v\d+\.\d+\.\d+\n$/)
        assert.strictEqual((yield* run([])).code, 0)
      }),
    60_000
  )

  it.effect("a server that speaks something else is told apart", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const server = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((socket) => {
            socket.on("error", () => {})
            socket.write("220 mail.example.org ESMTP\r\n")
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const ran = yield* run([
        "call",
        `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
        "add",
        "--timeout",
        "500ms"
      ])
      assert.include([3, 4, 5], ran.code, ran.stderr)
      assert.match(ran.stderr, /--wire/)
      const juggler = yield* run(["call", `ws://${yield* Gateway}/juggler/0.7`, "add", "--timeout", "500ms"])
      assert.include([4, 5], juggler.code, juggler.stderr)
      assert.match(juggler.stderr, /--wire|--generation/)
    }), 60_000)
})
