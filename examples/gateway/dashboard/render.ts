/** A long job: started by a button, its progress as it comes, stopped by another button. */
import { Effect, Fiber } from "effect"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { Progress } from "effect-wire/rpc"
import { Methods } from "../contract.ts"
import { byId, onClick, onSubmit, setText, valueOf } from "./dom.ts"

export const render = (rpc: JsonRpcClient.Client) =>
  Effect.gen(function*() {
    const methods = yield* JsonRpcClient.fromRemote(Methods, rpc)
    const bar = byId<HTMLProgressElement>("render-progress")
    const start = byId<HTMLButtonElement>("render-start")
    const cancel = byId<HTMLButtonElement>("render-cancel")
    let job: Fiber.Fiber<unknown, unknown> | undefined

    const running = (isRunning: boolean) =>
      Effect.sync(() => {
        start.disabled = isRunning
        cancel.disabled = !isRunning
        ;(isRunning ? cancel : start).focus()
      })
    const show = (amount: number, text: string) =>
      Effect.andThen(setText("render-messages", text), Effect.sync(() => bar.value = amount))

    const work = Effect.suspend(() =>
      methods.render({ steps: Number(valueOf("render-steps")), delay: Number(valueOf("render-delay")) })
    ).pipe(
      Progress.tap(({ amount, operation }) => show(amount, operation)),
      Effect.flatMap(({ steps }) => show(1, `done: ${steps} steps`)),
      Effect.onInterrupt(() => setText("render-messages", "cancelled"))
    )

    yield* onSubmit(
      "render-form",
      "render-messages",
      Effect.gen(function*() {
        yield* show(0, "started")
        yield* running(true)
        job = yield* Effect.forkChild(work)
        const exit = yield* Fiber.await(job)
        yield* running(false)
        if (exit._tag === "Failure" && job.pollUnsafe() !== undefined) yield* Fiber.join(job)
      })
    )
    yield* onClick(
      cancel,
      "render-messages",
      Effect.suspend(() => job === undefined ? Effect.void : Fiber.interrupt(job))
    )
    return yield* Effect.never
  })
