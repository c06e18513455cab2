/** Forms made from JSON Schema (draft 7), as the documents of `OpenRpc` have them, with what does not fit said at its field. */
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

interface Options {
  readonly label: string
  readonly required: boolean
  readonly definitions: Definitions
  readonly depth: number
}

const maxDepth = 8
const prefix = "#/components/schemas/"

/** Follows references, and takes in what `allOf` adds. */
const resolve = (schema: Schema, definitions: Definitions): Schema => {
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

const scalar = (value: unknown): boolean => value === null || typeof value !== "object"
const wordOf = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)

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

const numberField = (schema: Schema, options: Options): Field => {
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

const textField = (schema: Schema, options: Options): Field => {
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

const jsonField = (schema: Schema, options: Options): Field => {
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

const choice = (values: ReadonlyArray<unknown>, schema: Schema, options: Options): Field => {
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

const checkbox = (schema: Schema, options: Options): Field => {
  if (!options.required) return choice([true, false], schema, options)
  const control = h("input", { type: "checkbox" })
  control.checked = schema.default === true
  const field = simple(control, options, schema, () => ({ value: control.checked }))
  field.element.classList.add("check")
  return field
}

/** A group of fields, which may be left out as a whole where it is not required. */
const group = (
  options: Options,
  schema: Schema,
  content: ReadonlyArray<HTMLElement>,
  inner: Pick<Field, "read" | "complain">
): Field => {
  const body = h("div", { class: "group" }, ...content)
  const problem = h("p", { class: "problem", role: "alert", hidden: true })
  const say = (words: string | undefined) => {
    problem.hidden = words === undefined
    problem.textContent = words ?? ""
  }
  let isIn = () => true
  const head: Array<HTMLElement> = []
  if (!options.required) {
    const box = h("input", { type: "checkbox", id: id("include") })
    box.checked = schema.default !== undefined
    body.hidden = !box.checked
    box.addEventListener("change", () => body.hidden = !box.checked)
    isIn = () => box.checked
    head.push(h("div", { class: "field check" }, h("label", { for: box.id }, `give ${options.label}`), box))
  }
  const description = schema.description === undefined ? [] : [h("p", { class: "hint" }, schema.description)]
  const legend = h(
    "legend",
    {},
    options.label,
    options.required ? false : h("span", { class: "optional" }, " (optional)")
  )
  return {
    element: h("fieldset", {}, legend, ...description, ...head, body, problem),
    read: () => {
      say(undefined)
      return isIn() ? inner.read() : { value: absent }
    },
    complain: (path, words) => {
      if (path.length > 0 && inner.complain(path, words)) return true
      say(words)
      return true
    }
  }
}

const members = (fields: ReadonlyMap<string, Field>) => {
  const read = () => {
    const value: Record<string, unknown> = Object.create(null)
    let fits = true
    for (const [name, field] of fields) {
      const got = field.read()
      if (got === undefined) fits = false
      else if (got.value !== absent) value[name] = got.value
    }
    return fits ? { value } : undefined
  }
  const complain = ([name, ...rest]: ReadonlyArray<string>, words: string) =>
    fields.get(name ?? "")?.complain(rest, words) ?? false
  return { read, complain }
}

const structField = (schema: Schema, options: Options): Field => {
  const required = new Set(schema.required)
  const preset = typeof schema.default === "object" && schema.default !== null ? schema.default : {}
  const fields = new Map<string, Field>()
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const known = Object.hasOwn(preset, name)
      ? { ...property, default: (preset as Record<string, unknown>)[name] }
      : property
    fields.set(name, make(known, { ...options, label: name, required: required.has(name), depth: options.depth + 1 }))
  }
  return group(options, schema, Array.from(fields.values(), ({ element }) => element), members(fields))
}

/** Members of any names. */
const recordField = (values: Schema, schema: Schema, options: Options): Field => {
  const rows = h("div", { class: "rows" })
  const entries = new Set<{ readonly key: HTMLInputElement; readonly field: Field }>()
  const add = () => {
    const key = h("input", { type: "text", id: id("key"), autocomplete: "off" })
    const field = make(values, { ...options, label: "value", required: true, depth: options.depth + 1 })
    const entry = { key, field }
    const row = h(
      "div",
      { class: "row", role: "group", "aria-label": `entry of ${options.label}` },
      h("div", { class: "field" }, h("label", { for: key.id }, "name"), key),
      field.element,
      h("button", {
        type: "button",
        onclick: () => {
          entries.delete(entry)
          row.remove()
          more.focus()
        }
      }, "Remove")
    )
    entries.add(entry)
    rows.append(row)
    key.focus()
  }
  const more = h("button", { type: "button", onclick: add }, `Add to ${options.label}`)
  return group(options, schema, [rows, more], {
    read: () => {
      const value: Record<string, unknown> = Object.create(null)
      let fits = true
      for (const { field, key } of entries) {
        const got = field.read()
        if (got === undefined) fits = false
        else if (got.value !== absent) value[key.value] = got.value
      }
      return fits ? { value } : undefined
    },
    complain: ([name, ...rest], words) => {
      for (const { field, key } of entries) if (key.value === name) return field.complain(rest, words)
      return false
    }
  })
}

const arrayField = (schema: Schema, options: Options): Field => {
  const { items } = schema
  const isTuple = Array.isArray(items)
  const first = isTuple ? items as ReadonlyArray<Schema> : []
  const rest = isTuple ? schema.additionalItems ?? false : items ?? true
  const rows = h("div", { class: "rows" })
  const fields: Array<Field> = []
  const add = (item: Schema, isFixed: boolean) => {
    const field = make(item, {
      ...options,
      label: `${options.label} ${fields.length + 1}`,
      required: true,
      depth: options.depth + 1
    })
    fields.push(field)
    const row = h("div", { class: "row" }, field.element)
    if (!isFixed) {
      row.append(h("button", {
        type: "button",
        "aria-label": `Remove ${options.label} ${fields.length}`,
        onclick: () => {
          fields.splice(fields.indexOf(field), 1)
          row.remove()
          more?.focus()
        }
      }, "Remove"))
    }
    rows.append(row)
    return row
  }
  for (const item of first) add(item, true)
  const schemaOfRest: Schema = typeof rest === "object" ? rest as Schema : {}
  const more = rest === false ? undefined : h("button", {
    type: "button",
    onclick: () => add(schemaOfRest, false).querySelector<HTMLElement>("input, select, textarea")?.focus()
  }, `Add to ${options.label}`)
  const preset = Array.isArray(schema.default) ? schema.default : []
  for (const value of preset.slice(first.length)) add({ ...schemaOfRest, default: value }, false)
  while (rest !== false && fields.length < (schema.minItems ?? 0)) add(schemaOfRest, false)
  const field: Field = group(options, schema, more === undefined ? [rows] : [rows, more], {
    read: () => {
      const values = fields.map((one) => one.read())
      if (values.includes(undefined)) return undefined
      if (fields.length < (schema.minItems ?? 0)) return wrong(`Give at least ${schema.minItems}.`)
      if (fields.length > (schema.maxItems ?? Infinity)) return wrong(`Give at most ${schema.maxItems}.`)
      return { value: values.map((one) => one!.value === absent ? null : one!.value) }
    },
    complain: ([index, ...below], words) => fields[Number(index)]?.complain(below, words) ?? false
  })
  const wrong = (words: string) => {
    field.complain([], words)
    return undefined
  }
  return field
}

const kindOf = (schema: Schema, definitions: Definitions, i: number): string => {
  const resolved = resolve(schema, definitions)
  if (resolved.title !== undefined) return resolved.title
  if (resolved.const !== undefined) return wordOf(resolved.const)
  const tag = resolved.properties?.["_tag"]
  const word = tag === undefined ? undefined : resolve(tag, definitions)
  if (word?.const !== undefined) return wordOf(word.const)
  if (word?.enum?.length === 1) return wordOf(word.enum[0])
  return typeof resolved.type === "string" ? resolved.type : `form ${i + 1}`
}

/** One of several. */
const unionField = (options: Options, schema: Schema, all: ReadonlyArray<Schema>): Field => {
  const kinds = all.map((one, i) => kindOf(one, options.definitions, i))
  const select = h("select", { id: id("kind") }, ...kinds.map((kind, i) => h("option", { value: String(i) }, kind)))
  const place = h("div")
  let field: Field
  const choose = () => {
    const inner = { ...all[Number(select.value)]! }
    field = make(inner, { ...options, label: "value", required: true, depth: options.depth + 1 })
    place.replaceChildren(field.element)
  }
  select.addEventListener("change", choose)
  choose()
  return group(
    options,
    schema,
    [h("div", { class: "field" }, h("label", { for: select.id }, `kind of ${options.label}`), select), place],
    { read: () => field.read(), complain: (path, words) => field.complain(path, words) }
  )
}

/** The field of a schema. */
export const make = (unresolved: Schema | boolean, options: Options): Field => {
  const schema = typeof unresolved === "boolean" ? {} : resolve(unresolved, options.definitions)
  if (options.depth > maxDepth) return jsonField(schema, options)
  if (Object.hasOwn(schema, "const")) return choice([schema.const], schema, options)
  if (schema.enum !== undefined && schema.enum.every(scalar)) return choice(schema.enum, schema, options)
  const variants = schema.anyOf ?? schema.oneOf
  if (variants !== undefined) {
    const resolved = variants.map((one) => resolve(one, options.definitions))
    const words = resolved.map((one) =>
      Object.hasOwn(one, "const") ? [one.const] : one.enum ?? (one.type === "null" ? [null] : undefined)
    )
    if (words.every((one) => one !== undefined)) return choice(words.flat(), schema, options)
    return variants.length === 1
      ? make({ ...resolved[0]!, ...(schema.default === undefined ? {} : { default: schema.default }) }, options)
      : unionField(options, schema, variants)
  }
  if (Array.isArray(schema.type)) {
    return unionField(options, schema, (schema.type as ReadonlyArray<string>).map((type) => ({ ...schema, type })))
  }
  switch (schema.type) {
    case "object": {
      if (schema.properties !== undefined && Object.keys(schema.properties).length > 0) {
        return structField(schema, options)
      }
      const values = schema.additionalProperties
      return typeof values === "object" ? recordField(values, schema, options) : jsonField(schema, options)
    }
    case "array":
      return arrayField(schema, options)
    case "number":
    case "integer":
      return numberField(schema, options)
    case "string":
      return textField(schema, options)
    case "boolean":
      return checkbox(schema, options)
    case "null":
      return choice([null], schema, options)
    default:
      return jsonField(schema, options)
  }
}
