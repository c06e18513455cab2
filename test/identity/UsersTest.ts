import { assert } from "@effect/vitest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { Users, UserStore } from "effect-wire/identity"
import { NodePasswordHash } from "effect-wire/node"

const secret = (text: string) => Redacted.make(text)
const somewhere = { address: "192.0.2.1" }
const login = (users: Users.Users["Service"], username: string, password: string) =>
  users.verify({ _tag: "Password", username, password: secret(password) }, somewhere)

const reason = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error instanceof Users.UserError ? error.reason : error)

/** The same users on every store. */
export const suite = <E, R>(
  name: string,
  store: Effect.Effect<Layer.Layer<UserStore.UserStore, E>, never, R>,
  run: (name: string, effect: Effect.Effect<void, unknown, Scope.Scope | R>) => void
) => {
  const test = (title: string, body: (users: Users.Users["Service"]) => Effect.Effect<void, unknown>) =>
    run(
      `${title} (${name})`,
      Effect.gen(function*() {
        const layer = Users.layer().pipe(
          Layer.provide(NodePasswordHash.layer({ logN: 4, p: 1 })),
          Layer.provide(yield* store)
        )
        yield* Effect.flatMap(Users.Users, body).pipe(Effect.provide(layer))
      })
    )

  test("a user is created, logs in, changes its password and rights, and is deleted", (users) =>
    Effect.gen(function*() {
      yield* users.create("alice", secret("wonderland"))
      yield* users.create("bob", secret("builder"), { permissions: ["reset", "ops", "reset"] })
      yield* users.create("root", secret("toor"), { superuser: true })
      assert.deepStrictEqual(yield* users.list, ["alice", "bob", "root"])
      const bob = yield* login(users, "bob", "builder")
      assert.deepStrictEqual(bob?.permissions, new Set(["reset", "ops"]))
      assert.strictEqual(bob?.superuser, false)
      assert.strictEqual((yield* login(users, "root", "toor"))?.superuser, true)
      assert.isUndefined(yield* login(users, "alice", "Wonderland"))
      assert.isUndefined(yield* login(users, "alice", ""))
      assert.isUndefined(yield* login(users, "nobody", "wonderland"))
      yield* users.setPassword("alice", secret("looking-glass"))
      assert.isUndefined(yield* login(users, "alice", "wonderland"))
      assert.strictEqual((yield* login(users, "alice", "looking-glass"))?.username, "alice")
      yield* users.setPermissions("alice", ["chess"])
      yield* users.setSuperuser("root", false)
      assert.deepStrictEqual((yield* users.find("alice"))?.permissions, new Set(["chess"]))
      assert.strictEqual((yield* users.find("root"))?.superuser, false)
      yield* users.delete("alice")
      assert.isUndefined(yield* users.find("alice"))
      assert.isUndefined(yield* login(users, "alice", "looking-glass"))
    }))

  test("what cannot be is refused by a typed error", (users) =>
    Effect.gen(function*() {
      yield* users.create("alice", secret("x"))
      assert.strictEqual(yield* reason(users.create("ALICE", secret("y"))), "AlreadyExists")
      assert.strictEqual(yield* reason(users.create("", secret("y"))), "InvalidUsername")
      assert.strictEqual(yield* reason(users.create("carol", secret(""))), "InvalidPassword")
      assert.strictEqual(yield* reason(users.create("carol", secret("a\nb"))), "InvalidPassword")
      assert.strictEqual(yield* reason(users.create("carol", secret("p".repeat(1025)))), "InvalidPassword")
      assert.strictEqual(yield* reason(users.delete("carol")), "NotFound")
      assert.strictEqual(yield* reason(users.setPassword("carol", secret("y"))), "NotFound")
      assert.strictEqual(yield* reason(users.setPermissions("carol", [])), "NotFound")
    }))

  test("names and passwords are data, not SQL", (users) =>
    Effect.gen(function*() {
      const name = "o'brien\";--"
      yield* users.create(name, secret("'; DROP TABLE effect_wire_user; --"), { permissions: ["a'b\"c"] })
      assert.isUndefined(yield* login(users, "' OR '1'='1", "x"))
      const found = yield* login(users, name, "'; DROP TABLE effect_wire_user; --")
      assert.deepStrictEqual(found?.permissions, new Set(["a'b\"c"]))
    }))

  test("two who create the same user at once: one does", (users) =>
    Effect.gen(function*() {
      const outcomes = yield* Effect.forEach(
        [1, 2, 3, 4],
        (n) => Effect.result(users.create("race", secret(`p${n}`))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(outcomes.filter((outcome) => outcome._tag === "Success").length, 1)
    }))
}
