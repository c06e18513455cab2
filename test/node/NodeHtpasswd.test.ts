import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Identity } from "effect-wire/identity"
import { NodeHtpasswd } from "effect-wire/node"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

// Hashes made by `openssl passwd -apr1`, by `openssl dgst -sha1`, and a test vector of jBCrypt: not by our code.
const file = `# users
alice:$apr1$abcdefgh$C/Mapo3bUQv16oc8u4h../
zoë:$apr1$12$MWRb1QR2glqjvvCe690iz/
bob:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i
carol:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=
plain:password
crypt:rqXexS6ZhobKA
slow:$2y$31$abcdefghijklmnopqrstuuHN5Sa1IRcg7zhkrDJt3wvi0lEYhUYAC
nothing
:empty
alice:{SHA}ignored
`

const make = (options?: NodeHtpasswd.Options) =>
  Effect.gen(function*() {
    const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "htpasswd-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => Fs.rmSync(directory, { recursive: true })))
    const path = Path.join(directory, "htpasswd")
    Fs.writeFileSync(path, file)
    const verify = NodeHtpasswd.fromFile(path, options)
    return {
      path,
      login: (username: string, password: string) =>
        verify({ _tag: "Password", username, password: Redacted.make(password) }, { address: undefined })
    }
  })

it.effect("passwords hashed by MD5, bcrypt and SHA-1 are right, others are not", () =>
  Effect.gen(function*() {
    const { login } = yield* make()
    assert.strictEqual((yield* login("alice", "myPass"))?.username, "alice")
    assert.strictEqual((yield* login("zoë", "pä ss"))?.username, "zoë")
    assert.strictEqual((yield* login("carol", "password"))?.username, "carol")
    assert.strictEqual((yield* login("bob", "abc"))?.username, "bob")
    for (
      const [username, password] of [
        ["alice", "mypass"],
        ["alice", ""],
        ["bob", "password"],
        ["carol", "Password"],
        ["plain", "password"],
        ["crypt", "password"],
        ["slow", "builder"],
        ["nobody", "myPass"],
        ["", "empty"],
        ["alice", "x".repeat(1_000_000)]
      ] as const
    ) assert.isUndefined(yield* login(username, password), `${username} ${password.slice(0, 20)}`)
  }))

it.effect("a changed file is read anew, and a missing one is no wrong password", () =>
  Effect.gen(function*() {
    const { login, path } = yield* make({ identity: (name) => Identity.make(name, { permissions: ["file"] }) })
    assert.deepStrictEqual((yield* login("alice", "myPass"))?.permissions, new Set(["file"]))
    Fs.writeFileSync(path, "dora:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
    assert.isUndefined(yield* login("alice", "myPass"))
    assert.isDefined(yield* login("dora", "password"))
    Fs.rmSync(path)
    assert.strictEqual((yield* Effect.flip(login("dora", "password")))._tag, "AuthenticationUnavailable")
    assert.strictEqual((yield* Effect.flip(login("nobody", "password")))._tag, "AuthenticationUnavailable")
  }))

it.effect("failed attempts are limited", () =>
  Effect.gen(function*() {
    const { login } = yield* make({ attempts: { perUser: 2 } })
    yield* login("alice", "1")
    yield* login("alice", "2")
    assert.strictEqual((yield* Effect.flip(login("alice", "myPass")))._tag, "TooManyAttempts")
  }))
