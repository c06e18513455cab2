/** The fields of single values of JSON Schema (draft 7), with what does not fit said at the field. */
import { h, id, pretty } from "./dom.ts"

export interface Schema {
  readonly $ref?: string
  readonly type?: string | ReadonlyArray<string>
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: ReadonlyArray<unknown>
  readonly anyOf?: ReadonlyArray<Schema>
  readonly oneOf?: ReadonlyArray<Schema>
  readonly allOf?: ReadonlyArray<Schema>
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: ReadonlyArray<string>
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema | boolean | ReadonlyArray<Schema>
  readonly additionalItems?: Schema | boolean
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
}

export type Definitions = Readonly<Record<string, Schema>>

/** What is given for a value that was left out. */
export const absent: unique symbol = Symbol("absent")

export interface Field {
  readonly element: HTMLElement
  /** The value, {@link absent} where it is left out; `undefined` where it does not fit, which is then said at the field. */
  readonly read: () => { readonly value: unknown } | undefined
  /** Says at the field, or at the one below it that the path leads to, what somebody else found wrong. */
  readonly complain: (path: ReadonlyArray<string>, words: string) => boolean
}

export interface Options {
  readonly label: string
  readonly required: boolean
  readonly definitions: Definitions
  readonly depth: number
}

const prefix = "#/components/schemas/"

/** Follows references, and takes in what `allOf` adds. */
export const resolve = (schema: Schema, definitions: Definitions): Schema => {
  let current = schema
  for (let i = 0; i < 16 && current.$ref !== undefined; i++) {
    const name = current.$ref.startsWith(prefix) ? current.$ref.slice(prefix.length) : ""
    if (!Object.hasOwn(definitions, name)) return {}
    const { $ref: _, ...rest } = current
    current = { ...definitions[name]!, ...rest }
  }
  if (current.allOf !== undefined) {
    const { allOf, ...rest } = current
    current = allOf.reduce<Schema>((sum, one) => ({ ...resolve(one, definitions), ...sum }), rest)
  }
  return current
}

export const isScalar = (value: unknown): boolean => value === null || typeof value !== "object"
export const wordOf = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)

/** What stands under a field, and the hint over it. */
const notes = (control: HTMLElement, description: string | undefined) => {
  const problem = h("p", { class: "problem", id: id("problem"), hidden: true })
  const hint = description === undefined || description === ""
    ? undefined
    : h("p", { class: "hint", id: id("hint") }, description)
  const describe = (isWrong: boolean) => {
    const by = [...(hint === undefined ? [] : [hint.id]), ...(isWrong ? [problem.id] : [])].join(" ")
    if (by === "") control.removeAttribute("aria-describedby")
    else control.setAttribute("aria-describedby", by)
  }
  describe(false)
  return {
    hint,
    problem,
    say: (words: string | undefined) => {
      problem.hidden = words === undefined
      problem.textContent = words ?? ""
      if (words === undefined) control.removeAttribute("aria-invalid")
      else control.setAttribute("aria-invalid", "true")
      describe(words !== undefined)
    }
  }
}

/** One control with a label; `read` gives a value, or what is wrong. */
const simple = (
  control: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement,
  options: Options,
  schema: Schema,
  read: () => { readonly value: unknown } | string
): Field => {
  control.id = id("input")
  const { hint, problem, say } = notes(control, schema.description)
  control.addEventListener("input", () => say(undefined))
  if (options.required) control.setAttribute("aria-required", "true")
  const label = h(
    "label",
    { for: control.id },
    options.label,
    options.required ? false : h("span", { class: "optional" }, " (optional)")
  )
  return {
    element: h("div", { class: "field" }, label, control, hint, problem),
    read: () => {
      const got = read()
      say(typeof got === "string" ? got : undefined)
      return typeof got === "string" ? undefined : got
    },
    complain: (_, words) => {
      say(words)
      return true
    }
  }
}

export const numberField = (schema: Schema, options: Options): Field => {
  const isInteger = schema.type === "integer"
  const control = h("input", { type: "text", inputmode: isInteger ? "numeric" : "decimal", autocomplete: "off" })
  if (typeof schema.default === "number") control.value = String(schema.default)
  // the bounds of every whole number are nothing to tell
  const bounds = [
    ...(schema.minimum === undefined || schema.minimum === Number.MIN_SAFE_INTEGER
      ? []
      : [`at least ${schema.minimum}`]),
    ...(schema.exclusiveMinimum === undefined ? [] : [`more than ${schema.exclusiveMinimum}`]),
    ...(schema.maximum === undefined || schema.maximum === Number.MAX_SAFE_INTEGER
      ? []
      : [`at most ${schema.maximum}`]),
    ...(schema.exclusiveMaximum === undefined ? [] : [`less than ${schema.exclusiveMaximum}`])
  ].join(", ")
  const kind = isInteger ? "a whole number" : "a number"
  const description = [schema.description, bounds === "" ? undefined : `${kind}, ${bounds}`].filter((one) =>
    one !== undefined
  )
  return simple(control, options, { description: description.join("; ") }, () => {
    const text = control.value.trim()
    if (text === "") return options.required ? `Give ${kind}.` : { value: absent }
    const value = Number(text)
    if (!Number.isFinite(value)) return `“${text}” is not ${kind}.`
    if (isInteger && !Number.isInteger(value)) return `Give a whole number.`
    const isOut = value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity) ||
      value <= (schema.exclusiveMinimum ?? -Infinity) || value >= (schema.exclusiveMaximum ?? Infinity)
    if (isOut) return `Give ${kind}, ${bounds}.`
    if (schema.multipleOf !== undefined && Math.abs(value / schema.multipleOf % 1) > 1e-9) {
      return `Give a multiple of ${schema.multipleOf}.`
    }
    return { value }
  })
}

const secret = /pass(word|wd)|secret|token/i

const matches = (pattern: string, text: string): boolean => {
  try {
    return new RegExp(pattern, "u").test(text)
  } catch {
    // not a pattern of this language: the server will say
    return true
  }
}

export const textField = (schema: Schema, options: Options): Field => {
  const isSecret = secret.test(options.label)
  const control = h("input", {
    type: isSecret ? "password" : "text",
    autocomplete: isSecret ? "new-password" : "off",
    spellcheck: "false"
  })
  if (typeof schema.default === "string") control.value = schema.default
  return simple(control, options, schema, () => {
    const { value } = control
    if (value === "" && !options.required) return { value: absent }
    const length = Array.from(value).length
    if (length < (schema.minLength ?? 0)) {
      return length === 0 ? "Give a text." : `Give at least ${schema.minLength} characters.`
    }
    if (length > (schema.maxLength ?? Infinity)) return `Give at most ${schema.maxLength} characters.`
    if (schema.pattern !== undefined && !matches(schema.pattern, value)) return `This must match ${schema.pattern}`
    return { value }
  })
}

export const jsonField = (schema: Schema, options: Options): Field => {
  const control = h("textarea", { rows: 3, spellcheck: "false" })
  if (schema.default !== undefined) control.value = pretty(schema.default)
  const description = schema.description ?? "JSON; what is no JSON is taken as a text"
  const isAny = schema.type === undefined
  return simple(control, options, { description }, () => {
    const text = control.value.trim()
    if (text === "") return options.required ? "Give a value, for example null." : { value: absent }
    try {
      return { value: JSON.parse(text) }
    } catch (error) {
      return isAny && !/^[[{"]/.test(text) ? { value: text } : `This is no JSON: ${(error as Error).message}`
    }
  })
}

export const choice = (values: ReadonlyArray<unknown>, schema: Schema, options: Options): Field => {
  const none = !options.required || schema.default === undefined && values.length > 1
  const control = h(
    "select",
    {},
    none && h("option", { value: "" }, options.required ? "choose …" : "–"),
    ...values.map((value, i) => h("option", { value: String(i) }, wordOf(value)))
  )
  const preset = values.findIndex((value) => JSON.stringify(value) === JSON.stringify(schema.default))
  control.value = preset >= 0 ? String(preset) : none ? "" : "0"
  return simple(control, options, schema, () =>
    control.value === ""
      ? options.required ? "Choose one." : { value: absent }
      : { value: values[Number(control.value)] })
}

export const checkbox = (schema: Schema, options: Options): Field => {
  if (!options.required) return choice([true, false], schema, options)
  const control = h("input", { type: "checkbox" })
  control.checked = schema.default === true
  const field = simple(control, options, schema, () => ({ value: control.checked }))
  field.element.classList.add("check")
  return field
}
