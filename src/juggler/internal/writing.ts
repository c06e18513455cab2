/**
 * Messages of Juggler to text, and text to frames.
 */
import type { Message, Stamp } from "./message.ts"

export const writeSymmetric = (message: Message): string => {
  switch (message._tag) {
    case "State":
      return `{"type":"DATA","payload":${JSON.stringify(message.patch)}}`
    case "Message":
      return `{"type":"MESSAGE","payload":${JSON.stringify(message.payload)}}`
    case "Request":
      return `{"type":"MESSAGE","payload":{"type":"rpc","id":${message.id},"direction":"request","action":${
        JSON.stringify(message.name)
      },"args":${JSON.stringify(Array.isArray(message.data) ? message.data : [message.data])}}}`
    case "Response":
      return `{"type":"MESSAGE","payload":{"type":"rpc","id":${message.id},"direction":"response","success":${message.success},"result":${
        JSON.stringify(message.data)
      }}}`
    case "Notify":
      return `{"type":"MESSAGE","payload":${
        JSON.stringify({ type: "notify", name: message.name, data: message.data })
      }}`
    case "Ping":
      return `{"type":"PING","payload":{}}`
    case "Pong":
      return `{"type":"PONG","payload":{}}`
  }
}

export const writeAsymmetric = (message: Message): string => {
  switch (message._tag) {
    case "State":
      return `{"type":"state","diff":${JSON.stringify(message.patch)}}`
    case "Request":
      return `{"type":"request","id":${message.id},"name":${JSON.stringify(message.name)},"data":${
        JSON.stringify(message.data)
      }}`
    case "Response":
      return `{"type":"response","id":${message.id},"success":${message.success},"data":${
        JSON.stringify(message.data)
      }}`
    case "Notify":
      return `{"type":"notify","name":${JSON.stringify(message.name)},"data":${JSON.stringify(message.data)}}`
    default:
      return ""
  }
}

export const writeStamp = ({ base, epoch, more, version }: Stamp): string =>
  `,"epoch":${JSON.stringify(epoch)},"version":${version}${base === undefined ? "" : `,"base":${base}`}${
    more === true ? `,"more":true` : ""
  }`

export const writeResuming = (message: Message): string => {
  const text = writeAsymmetric(message)
  if (message._tag === "State" && message.stamp !== undefined) {
    return `${text.slice(0, -1)}${writeStamp(message.stamp)}}`
  }
  return message._tag === "Response" && message.version !== undefined
    ? `${text.slice(0, -1)},"version":${message.version}}`
    : text
}

/** Cuts a text, never between the halves of a surrogate pair, since each frame is UTF-8 by itself. */
export const segments = (text: string, size: number): ReadonlyArray<string> => {
  if (text.length <= size) return ["0" + text]
  const frames: Array<string> = []
  let at = 0
  while (at < text.length) {
    let end = Math.min(at + size, text.length)
    if (end < text.length && size > 1) {
      const last = text.charCodeAt(end - 1)
      if (last >= 0xd800 && last < 0xdc00) end--
    }
    frames.push((end < text.length ? "1" : "0") + text.slice(at, end))
    at = end
  }
  return frames
}
