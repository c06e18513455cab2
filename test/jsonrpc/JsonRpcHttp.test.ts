import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcHttpClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { HttpBody, HttpClient, HttpRouter } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"

class Group extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("note")
) {}
const Handlers = Group.toLayer({ add: ({ a, b }) => Effect.succeed(a + b), note: () => Effect.void })
const Routes = JsonRpcServer.layerHttp(Group, { path: "/rpc", wire: Wire.rockets }).pipe(Layer.provide(Handlers))
const Server = HttpRouter.serve(Routes, { disableLogger: true }).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

it.live("serves POST", () =>
  Effect.gen(function*() {
    const http = yield* HttpClient.HttpClient
    const post = (body: string, contentType = "application/json") =>
      http.post("/rpc", { body: HttpBody.text(body, contentType) })
    const text = (body: string) => Effect.flatMap(post(body), (response) => response.text)
    assert.strictEqual(
      yield* text(`{"jsonrpc":"2.0","method":"add","params":[1,2],"id":12345678901234567890}`),
      `{"jsonrpc":"2.0","result":3,"id":12345678901234567890}`
    )
    assert.strictEqual((yield* post(`{"jsonrpc":"2.0","method":"note"}`)).status, 204)
    assert.strictEqual((yield* post(`x`, "text/plain")).status, 415)
    assert.strictEqual((yield* post(`"${"x".repeat(2_000_000)}"`)).status, 413)
    assert.strictEqual((yield* http.get("/rpc")).status, 405)
    assert.strictEqual((yield* http.put("/rpc")).status, 405)
    const client = yield* JsonRpcClient.make(Group)
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    assert.deepStrictEqual(yield* JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client.note()]), [3, undefined])
  }).pipe(Effect.provide(JsonRpcHttpClient.layer({ url: "/rpc" }).pipe(Layer.provideMerge(Server)))))
