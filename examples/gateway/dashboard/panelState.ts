/** The Juggler state, the same in every tab: what one changes the others see. */
import { Effect, type Schema, Stream } from "effect"
import type { JugglerClient } from "effect-wire/juggler"
import type { RpcGroup } from "effect/rpc"
import type { Panel, Requests } from "../panel.ts"
import { byId, element, onClick, onSubmit, setText, valueOf } from "./dom.ts"
import { statusText } from "./overview.ts"

type Client = JugglerClient.JugglerClient<typeof Panel.Type, RpcGroup.Rpcs<typeof Requests>, any>

const parse = (text: string): Schema.Json => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export const panelState = (juggler: Client) =>
  Effect.gen(function*() {
    yield* onClick(byId("increment"), "panel-messages", juggler.requests.increment({ by: 1 }))
    yield* onClick(byId("decrement"), "panel-messages", juggler.requests.increment({ by: -1 }))
    yield* onSubmit(
      "item-form",
      "panel-messages",
      Effect.suspend(() => juggler.requests.set({ path: [valueOf("item-name")], value: parse(valueOf("item-value")) }))
    )
    const show = ({ counter, items }: typeof Panel.Type) =>
      Effect.sync(() => {
        byId("counter").textContent = String(counter)
        const entries = Object.entries(items)
        byId("items").replaceChildren(...entries.flatMap(([name, value]) => [
          element("dt", name),
          element("dd", JSON.stringify(value))
        ]))
      })
    yield* Effect.all([
      Stream.runForEach(juggler.state.changes, show),
      Stream.runForEach(juggler.status, ({ _tag }) => setText("panel-status", statusText[_tag]))
    ], { concurrency: "unbounded" })
  })
