import { assert, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import { Address } from "effect-wire/socket"

it("addresses are read in every form that people write", () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["localhost:8080", "ws://localhost:8080/"],
    ["example.com", "ws://example.com/"],
    ["127.0.0.1:1/rpc?x=1", "ws://127.0.0.1:1/rpc?x=1"],
    ["[::1]:9090", "ws://[::1]:9090/"],
    ["ws://a:1/b", "ws://a:1/b"],
    ["wss://a/b", "wss://a/b"],
    ["http://a:80/b", "ws://a/b"],
    ["https://a:443/b#c", "wss://a/b"],
    ["  HTTPS://A/b ", "wss://a/b"]
  ]
  for (const [text, url] of cases) {
    assert.strictEqual(Result.getOrThrow(Address.parse(text)).url, url, text)
  }
  assert.strictEqual(Result.getOrThrow(Address.parse("a:1", { secure: true })).url, "wss://a:1/")
})

it("user and password leave the address, the password redacted", () => {
  const { credentials, url } = Result.getOrThrow(Address.parse("wss://bob:p%40ss@a/b"))
  assert.strictEqual(url, "wss://a/b")
  assert.strictEqual(credentials?.username, "bob")
  assert.strictEqual(Redacted.value(credentials!.password), "p@ss")
  assert.notInclude(JSON.stringify(credentials), "p@ss")
})

it("what is no address is a typed error without the text in it", () => {
  for (const text of ["", "ftp://a", "a:99999", "http://", "ws://user:secret@", "a b", ":8080"]) {
    const result = Address.parse(text)
    assert.isTrue(Result.isFailure(result), text)
    if (Result.isFailure(result)) assert.notInclude(result.failure.message, "secret")
  }
})
