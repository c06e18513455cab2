import { assert, it } from "@effect/vitest"
import { TrustedProxies } from "effect-wire/socket"
import { Headers } from "effect/http"

const trusted = TrustedProxies.fromList([
  "10.0.0.0/8",
  "2001:db8::7/32",
  "192.168.1.9",
  "loopback",
  "nonsense",
  "10/8",
  ""
])

const behind = (headers: Record<string, string>, remoteAddress = "10.0.0.1") =>
  TrustedProxies.remoteAddress({ remoteAddress, headers: Headers.fromInput(headers) }, trusted)

it.each<[string, boolean]>([
  ["10.255.0.1", true],
  ["11.0.0.1", false],
  ["::ffff:10.1.2.3", true],
  ["2001:db8:ffff::1", true],
  ["2001:db9::1", false],
  ["fe80::1%eth0", false],
  ["::1", true],
  ["127.9.9.9", true],
  ["192.168.1.9", true],
  ["192.168.1.8", false],
  ["010.0.0.1", false],
  ["10.0.0", false],
  ["unknown", false]
])("%s is a proxy of ours: %s", (address, expected) => {
  assert.strictEqual(trusted(address), expected)
})

it.each<[string, Record<string, string>, string | undefined]>([
  ["the address that the proxy appended", { "x-forwarded-for": "6.6.6.6, 203.0.113.9" }, "203.0.113.9"],
  ["proxies one behind the other", { "x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.3" }, "203.0.113.9"],
  ["nobody but proxies", { "x-forwarded-for": "10.0.0.2" }, "10.0.0.2"],
  ["an address that is none", { "x-forwarded-for": "6.6.6.6, unknown" }, undefined],
  ["an empty element", { "x-forwarded-for": "6.6.6.6," }, undefined],
  ["an empty header", { "x-forwarded-for": "" }, undefined],
  ["Forwarded before X-Forwarded-For", { forwarded: "for=203.0.113.9", "x-forwarded-for": "6.6.6.6" }, "203.0.113.9"],
  ["IPv6 with a port", { forwarded: "for=6.6.6.6, proto=https;For=\"[2001:db9::9]:4711\"" }, "2001:db9::9"],
  ["an element without for", { forwarded: "for=6.6.6.6, proto=https" }, undefined],
  ["a header of 9,000 characters", { "x-forwarded-for": `${"6.6.6.6, ".repeat(1000)}203.0.113.9` }, "203.0.113.9"],
  ["a header made long by spaces", { "x-forwarded-for": `${" ".repeat(8185)}6.6.6.6, 203.0.113.9` }, "203.0.113.9"],
  ["a long Forwarded", { forwarded: `${" ".repeat(8181)}for=6.6.6.6, for=203.0.113.9` }, "203.0.113.9"]
])("of a trusted proxy: %s", (_title, headers, expected) => {
  assert.strictEqual(behind(headers), expected)
})

it("who is no proxy is not believed", () => {
  assert.strictEqual(behind({ "x-forwarded-for": "6.6.6.6" }, "203.0.113.9"), "203.0.113.9")
})
