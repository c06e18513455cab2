import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { Authenticator, LoginLimiter, PasswordHash, Users, UserStore } from "effect-wire/identity"
import { NodePasswordHash, NodeSqliteClient } from "effect-wire/node"
import { TestClock } from "effect/testing"
import { suite } from "./UsersTest.ts"

const test = (name: string, effect: Effect.Effect<void, unknown, Scope.Scope>) => it.effect(name, () => effect)
suite("memory", Effect.succeed(UserStore.layerMemory), test)
suite(
  "SQLite",
  Effect.succeed(
    UserStore.layerSql().pipe(Layer.provide(Layer.fresh(NodeSqliteClient.layer({ filename: ":memory:" }))))
  ),
  test
)

const cheap = NodePasswordHash.layer({ logN: 4, p: 1 })
const usersOf = (options?: LoginLimiter.Options) =>
  Users.make(options).pipe(Effect.provide(Layer.merge(Layer.fresh(UserStore.layerMemory), cheap)))
const password = (username: string, text: string) => ({
  _tag: "Password" as const,
  username,
  password: Redacted.make(text)
})

it.effect("ways to write the same name are the same user", () =>
  Effect.gen(function*() {
    const users = yield* usersOf()
    yield* users.create("zoë", Redacted.make("x"))
    for (const same of ["zoe\u0308", "ZOË", "ＺＯＥ\u0308", "Zoë"]) {
      assert.strictEqual((yield* users.find(same))?.username, "zoë", same)
    }
  }))

it.effect("names that deceive are refused, and look for nobody", () =>
  Effect.gen(function*() {
    const users = yield* usersOf({ perUser: 1000 })
    const traps = {
      "zero width space": "ali\u200bce",
      "zero width joiner": "ali\u200dce",
      "soft hyphen": "ali\u00adce",
      "byte order mark": "\ufeffalice",
      "right-to-left override": "\u202eecila",
      "both directions": "aliceא",
      "Cyrillic а in Latin": "\u0430lice",
      "Greek ο in Latin": "r\u03bf\u03bft",
      "space": "al ice",
      "leading space": " alice",
      "no-break space": "al\u00a0ice",
      "ideographic space": "al\u3000ice",
      "tab": "al\tice",
      "NUL": "alice\0",
      "newline": "alice\nroot",
      "lone surrogate": "alice\ud800",
      "leading combining mark": "\u0301alice",
      "ligature": "ﬁona",
      "roman numeral": "user\u2163",
      "circled letter": "\u24d0lice",
      "emoji": "alice🦉",
      "tag characters": "alice\u{E0041}",
      "variation selector": "alice\ufe0f",
      "unassigned": "alice\u0378",
      "private use": "alice\ue000",
      "superscript": "alice²",
      "Hangul filler": "alice\u3164",
      "too long": "a".repeat(129)
    }
    for (const [trap, name] of Object.entries(traps)) {
      const error = yield* Effect.flip(users.create(name, Redacted.make("x")))
      assert.strictEqual(error instanceof Users.UserError && error.reason, "InvalidUsername", trap)
      assert.isUndefined(yield* users.verify(password(name, "x"), { address: undefined }), trap)
      assert.isUndefined(yield* users.find(name), trap)
    }
    for (const name of ["иван", "王小明", "محمد", "שרה", "josé", "user.name@example.org", "__proto__", "constructor"]) {
      yield* users.create(name, Redacted.make("x"))
      assert.strictEqual((yield* users.find(name))?.username, name)
    }
  }))

it.effect("a password is the same however its spaces and accents are encoded, and nothing else is", () =>
  Effect.gen(function*() {
    const users = yield* usersOf()
    yield* users.create("alice", Redacted.make("é \u00a0Ａ"))
    assert.isDefined(yield* users.verify(password("alice", "e\u0301\u2003\u3000Ａ"), { address: undefined }))
    assert.isUndefined(yield* users.verify(password("alice", "é  A"), { address: undefined }))
    assert.isUndefined(yield* users.verify(password("alice", "É  Ａ"), { address: undefined }))
  }))

it.effect("a password of 1 MB is refused without being hashed", () =>
  Effect.gen(function*() {
    let hashed = 0
    const users = yield* Users.make().pipe(
      Effect.provide(UserStore.layerMemory),
      Effect.provideService(PasswordHash.PasswordHash, {
        hash: () => Effect.succeed("x"),
        verify: () => Effect.sync(() => ++hashed > 0)
      })
    )
    yield* users.create("alice", Redacted.make("x"))
    assert.isUndefined(yield* users.verify(password("alice", "p".repeat(1_000_000)), { address: undefined }))
    assert.strictEqual(hashed, 0)
    assert.isDefined(yield* users.verify(password("alice", "x"), { address: undefined }))
  }))

it.effect("an unknown user costs one hash like a known one", () =>
  Effect.gen(function*() {
    const seen: Array<string | undefined> = []
    const users = yield* Users.make().pipe(
      Effect.provide(UserStore.layerMemory),
      Effect.provideService(PasswordHash.PasswordHash, {
        hash: () => Effect.succeed("hash of alice"),
        verify: (_, hash) =>
          Effect.sync(() => {
            seen.push(hash)
            return false
          })
      })
    )
    yield* users.create("alice", Redacted.make("x"))
    yield* users.verify(password("alice", "y"), { address: undefined })
    yield* users.verify(password("nobody", "y"), { address: undefined })
    yield* users.verify(password("not a name", "y"), { address: undefined })
    assert.deepStrictEqual(seen, ["hash of alice", undefined, undefined])
  }))

it.effect("failed attempts are limited for each user, whatever its spelling, and forgotten after the window", () =>
  Effect.gen(function*() {
    const users = yield* usersOf({ perUser: 3, window: "1 minute" })
    yield* users.create("alice", Redacted.make("right"))
    const attempt = (name: string, text: string) => users.verify(password(name, text), { address: undefined })
    assert.isUndefined(yield* attempt("alice", "1"))
    yield* TestClock.adjust("20 seconds")
    assert.isUndefined(yield* attempt("ALICE", "2"))
    assert.isUndefined(yield* attempt("ａlice", "3"))
    const error = yield* Effect.flip(attempt("alice", "right"))
    assert.deepStrictEqual({ ...error }, { ...new Authenticator.TooManyAttempts({ retryAfter: 40_000 }) })
    yield* TestClock.adjust("40 seconds")
    assert.isDefined(yield* attempt("alice", "right"))
  }))

it.effect("failed attempts are limited for each address, across users", () =>
  Effect.gen(function*() {
    const users = yield* usersOf({ perAddress: 3 })
    yield* users.create("alice", Redacted.make("right"))
    for (const name of ["a", "b", "c"]) yield* users.verify(password(name, "x"), { address: "192.0.2.1" })
    const error = yield* Effect.flip(users.verify(password("alice", "right"), { address: "192.0.2.1" }))
    assert.strictEqual(error._tag, "TooManyAttempts")
    assert.isDefined(yield* users.verify(password("alice", "right"), { address: "192.0.2.2" }))
  }))

it.effect("attempts that run at once count at once", () =>
  Effect.gen(function*() {
    const limiter = LoginLimiter.make({ perUser: 3 })
    const outcomes = yield* Effect.forEach(
      Array.from({ length: 20 }),
      () => Effect.result(limiter.attempt("alice", undefined, Effect.delay(Effect.succeed(undefined), 100))),
      { concurrency: "unbounded" }
    ).pipe(Effect.zipWith(TestClock.adjust(100), (a) => a, { concurrent: true }))
    assert.strictEqual(outcomes.filter((outcome) => outcome._tag === "Success").length, 3)
  }))

it.effect("right attempts clear the count of the user, and the limiter forgets the oldest beyond its capacity", () =>
  Effect.gen(function*() {
    const limiter = LoginLimiter.make({ perUser: 2, capacity: 100 })
    const wrong = (user: string) => limiter.attempt(user, undefined, Effect.succeed(undefined))
    yield* wrong("alice")
    yield* limiter.attempt("alice", undefined, Effect.succeed("yes"))
    yield* wrong("alice")
    yield* wrong("alice")
    assert.strictEqual((yield* Effect.flip(wrong("alice")))._tag, "TooManyAttempts")
    for (let i = 0; i < 100; i++) yield* wrong(`user${i}`)
    assert.isUndefined(yield* wrong("alice"))
  }))

it.effect("hashes carry salt and cost, old costs stay valid, and what is no hash is never right", () =>
  Effect.gen(function*() {
    const old = yield* PasswordHash.PasswordHash.pipe(
      Effect.provide(NodePasswordHash.layer({ logN: 4, r: 2, p: 1 }))
    )
    const now = yield* PasswordHash.PasswordHash.pipe(Effect.provide(NodePasswordHash.layer({ logN: 5, p: 1 })))
    const right = Redacted.make("right")
    const hash = yield* old.hash(right)
    assert.match(hash, /^\$scrypt\$ln=4,r=2,p=1\$/)
    assert.notStrictEqual(hash, yield* old.hash(right))
    assert.isTrue(yield* now.verify(right, hash))
    assert.isFalse(yield* now.verify(Redacted.make("wrong"), hash))
    for (const bad of ["", "right", "$scrypt$", hash.slice(0, -1), `${hash}x`]) {
      assert.isFalse(yield* now.verify(right, bad), bad)
    }
    assert.isFalse(yield* now.verify(right, undefined))
  }))
