/**
 * Juggler on the wire, for a replay: messages out of frames, and what is about neither state nor requests told apart. How
 * often an end asks whether the other lives, and how changes were gathered into patches, depends on the moment.
 */
import * as Result from "effect/Result"
import type * as Recording from "../Recording.ts"
import type { Item } from "./messages.ts"

/** How messages stand in frames: one in each, or in segments with a character in front (0.7). */
export type Form = "whole" | "segmented"

const whole = /^\s*\{\s*"type"\s*:\s*"(?:DATA|MESSAGE|PING|PONG|request|response|state|notify)"/
const segment = /^[01]\s*\{\s*"type"\s*:\s*"(?:request|response|state|notify)"/

/** Whether a connection of a recording speaks Juggler, and in which form. */
export const formOf = (recording: Recording.Recording, connection: number): Form | undefined => {
  for (const event of recording.events) {
    if (event.connection !== connection || event.type !== "frame" || !("text" in event)) continue
    if (segment.test(event.text)) return "segmented"
    if (whole.test(event.text)) return "whole"
  }
  return undefined
}

type Member = { readonly [name: string]: unknown }

const isMember = (value: unknown): value is Member =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const own = (member: Member, name: string): unknown => Object.hasOwn(member, name) ? member[name] : undefined

/** What a frame brings: a change of the state, something to compare, or what is to be answered at once. */
export type Said =
  | { readonly _tag: "Patch"; readonly patch: unknown; readonly position: string | undefined }
  | { readonly _tag: "Item"; readonly item: Item }
  | { readonly _tag: "Ping"; readonly answer: string }
  | { readonly _tag: "Nothing" }

const nothing: Said = { _tag: "Nothing" }
const item = (item: Item): Said => ({ _tag: "Item", item })

/** A call of generation 0.5, which travels in a message, or a message. */
const ofMessage = (payload: unknown): Item => {
  if (!isMember(payload) || own(payload, "type") !== "rpc") return { key: "message", value: payload }
  const { id, ...rest } = payload
  return own(payload, "direction") === "request"
    ? { key: `request ${String(own(payload, "action"))}`, value: rest, asks: JSON.stringify(id) }
    : { key: `answer ${JSON.stringify(id)}`, value: rest }
}

const ofText = (text: string): Said => {
  const parsed = Result.try(() => JSON.parse(text) as unknown)
  if (Result.isFailure(parsed) || !isMember(parsed.success)) return item({ key: "text", value: text })
  const message = parsed.success
  const { id, ...rest } = message
  switch (own(message, "type")) {
    case "DATA":
      return { _tag: "Patch", patch: own(message, "payload"), position: undefined }
    case "state":
      return {
        _tag: "Patch",
        patch: own(message, "diff"),
        position: own(message, "epoch") === undefined
          ? undefined
          : `${String(own(message, "epoch"))} ${String(own(message, "version"))}`
      }
    case "PING":
      return { _tag: "Ping", answer: `{"type":"PONG","payload":{}}` }
    case "PONG":
      return nothing
    case "MESSAGE":
      return item(ofMessage(own(message, "payload")))
    case "request":
      return item({ key: `request ${String(own(message, "name"))}`, value: rest, asks: JSON.stringify(id) })
    case "response": {
      // how many commits there were is for who resumes
      const { version: _, ...answer } = rest
      return item({ key: `answer ${JSON.stringify(id)}`, value: answer })
    }
    case "notify":
      return item({ key: `notification ${String(own(message, "name"))}`, value: message })
    default:
      return item({ key: "message", value: message })
  }
}

/** Reads the frames that one end sends. */
export class Reader {
  private begun = ""
  private readonly form: Form

  constructor(form: Form) {
    this.form = form
  }

  read(frame: string): Said {
    if (this.form === "whole") return ofText(frame)
    const rest = frame.slice(1)
    switch (frame[0]) {
      case "1":
        this.begun += rest
        return nothing
      case "0": {
        const text = this.begun + rest
        this.begun = ""
        return ofText(text)
      }
      case "2":
        return { _tag: "Ping", answer: `3${rest}` }
      case "3":
        return nothing
      default:
        return item({ key: "text", value: frame })
    }
  }
}

/** An answer of one's own, with the id that its request has in this run. One that travels in several segments stays as it is. */
export const withIds = (form: Form, frame: string, ids: ReadonlyMap<string, string>): string => {
  const head = form === "segmented" ? frame.slice(0, 1) : ""
  const parsed = Result.try(() => JSON.parse(frame.slice(head.length)) as unknown)
  if (Result.isFailure(parsed) || !isMember(parsed.success)) return frame
  const message = parsed.success
  const renewed = (answer: Member): Member => {
    const id = ids.get(JSON.stringify(own(answer, "id")) ?? "")
    return id === undefined ? answer : { ...answer, id: JSON.parse(id) }
  }
  const payload = own(message, "payload")
  const result = own(message, "type") === "response"
    ? renewed(message)
    : isMember(payload) && own(payload, "type") === "rpc" && own(payload, "direction") === "response"
    ? { ...message, payload: renewed(payload) }
    : message
  return result === message ? frame : head + JSON.stringify(result)
}

/** A ping by which ends of ours agree where a state goes on (PROTOCOLS.md, "Juggler: resume"). */
const resume = "2effect-wire/resume"

/** Where a client wants to go on, as `position` of a patch; `undefined` where it does not. */
export const positionOf = (frame: string): string | undefined =>
  frame.startsWith(`${resume} `) ? frame.slice(resume.length + 1) : undefined

/** Whether a frame asks whether the other end lives, or answers that. */
export const isLiveness = (form: Form, frame: string): boolean =>
  form === "segmented"
    ? /^[23]/.test(frame) && !frame.startsWith(resume)
    : /^\s*\{\s*"type"\s*:\s*"P[IO]NG"/.test(frame)
