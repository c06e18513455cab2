import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Redaction } from "effect-wire/wiretap"

const usual = Redaction.make()

describe("Redaction", () => {
  it("hides values and leaves every other character as it was", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      [`{"a":1}`, `{"a":1}`],
      [`{ "password" : "x" , "n": 1.50e+3 }`, `{ "password" : "***" , "n": 1.50e+3 }`],
      [
        `{"deep":[{"Token":{"a":[1,"]"]}}],"z":12345678901234567890}`,
        `{"deep":[{"Token":"***"}],"z":12345678901234567890}`
      ],
      [`{"pass\\u0077ord":"x"}`, `{"pass\\u0077ord":"***"}`],
      [`{"id":1,"method":"login","params":["u","p"]}`, `{"id":1,"method":"login","params":"***"}`],
      [`{"params":{"user":"u","pass":"p"},"method":"Login"}`, `{"params":"***","method":"Login"}`],
      [
        `[{"method":"login","params":"x"},{"method":"add","params":[1]}]`,
        `[{"method":"login","params":"***"},{"method":"add","params":[1]}]`
      ],
      [
        `{"method":"add","params":{"method":"login","params":1}}`,
        `{"method":"add","params":{"method":"login","params":1}}`
      ],
      [`{"secret":null,"token":-0.0}`, `{"secret":"***","token":"***"}`],
      [`{"secret":[],"a":{}}`, `{"secret":"***","a":{}}`],
      [`{"__proto__":{"password":"x"}}`, `{"__proto__":{"password":"***"}}`],
      [`the "password" is x`, `"***"`],
      [`{"password":"x"`, `"***"`],
      [`not JSON at all`, `not JSON at all`],
      [``, ``]
    ]
    for (const [text, expected] of cases) assert.strictEqual(usual.frame(text), expected)
  })

  it("what a JSON Patch writes to a hidden place, in every generation of Juggler", () => {
    const { frame } = Redaction.make()
    const patch = (value: string) =>
      `[{"op":"replace","path":"/n","value":1},{"value": ${value} ,"op":"add","path":"/users/0/password"}]`
    for (const value of [`"s3cret"`, `{"value": ["s3cret"]}`]) {
      for (const [head, tail] of [[`{"type":"DATA","payload":`, "}"], [`0{"type":"state","diff":`, "}"]]) {
        assert.strictEqual(frame(`${head}${patch(value)}${tail}`), `${head}${patch(`"***"`)}${tail}`)
      }
    }
    assert.strictEqual(frame(`{"path":"/tokens/0","value":1}`), `{"path":"/tokens/0","value":1}`)
    // a segment is no JSON
    assert.strictEqual(frame(`1{"type":"state","diff":[{"op":"add","path":"/token","val`), `"***"`)
  })

  it("pointers hide one place, in each message of a batch", () => {
    const { frame } = Redaction.make({ fields: ["/params/0/card", "/result/*/a~1b"] })
    assert.strictEqual(frame(`{"params":[{"card":1},{"card":2}]}`), `{"params":[{"card":"***"},{"card":2}]}`)
    assert.strictEqual(frame(`[{"params":[{"card":1}]}]`), `[{"params":[{"card":"***"}]}]`)
    assert.strictEqual(frame(`{"result":{"x":{"a/b":1,"c":2}}}`), `{"result":{"x":{"a/b":"***","c":2}}}`)
    assert.strictEqual(frame(`no JSON`), `no JSON`)
  })

  it("headers and the query of the URL", () => {
    assert.deepStrictEqual(usual.headers({ Authorization: "Basic x", host: "h", none: undefined }), {
      Authorization: "***",
      host: "h"
    })
    assert.strictEqual(usual.url("/rpc?access_token=x&y=1&TOKEN=%zz"), "/rpc?access_token=***&y=1&TOKEN=***")
    assert.strictEqual(usual.url("/rpc?acc%65ss_token=x"), "/rpc?acc%65ss_token=***")
    assert.strictEqual(usual.url("/rpc"), "/rpc")
  })

  it("nothing is hidden where nobody wants it", () => {
    assert.strictEqual(Redaction.make("none").frame(`{"password":"x"}`), `{"password":"x"}`)
  })

  it("what is nested a million deep is walked without recursion", () => {
    const deep = `${"[".repeat(1e6)}{"password":"x"}${"]".repeat(1e6)}`
    assert.strictEqual(usual.frame(deep).includes("x"), false)
  })

  /** The same done to the parsed value. */
  const hide = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(hide)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [key, key.toLowerCase() === "token" ? "***" : hide(member)])
    )
  }
  const Key = Schema.Literals(["token", "Token", "a", "b\"\\", "\u2028"])
  const Value: Schema.Schema<unknown> = Schema.Union([
    Schema.String,
    Schema.Finite,
    Schema.Null,
    Schema.Array(Schema.suspend(() => Value)),
    Schema.Record(Key, Schema.suspend(() => Value))
  ])

  it.effect.prop(
    "any JSON, with any white space",
    [Value, Schema.Literals([0, 1, 4])],
    ([value, indent]) =>
      Effect.sync(() => {
        const text = JSON.stringify(value, null, indent)
        assert.deepStrictEqual(JSON.parse(usual.frame(text)), hide(JSON.parse(text)))
      })
  )
})
