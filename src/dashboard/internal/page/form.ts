/** Forms made from JSON Schema (draft 7), as the documents of `OpenRpc` have them: groups of fields, of any depth. */
import { h, id } from "./dom.ts"
import {
  absent,
  checkbox,
  choice,
  type Definitions,
  type Field,
  isScalar,
  jsonField,
  numberField,
  type Options,
  resolve,
  type Schema,
  textField,
  wordOf
} from "./field.ts"

export { absent, type Definitions, type Schema } from "./field.ts"

const maxDepth = 8

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
  if (schema.enum !== undefined && schema.enum.every(isScalar)) return choice(schema.enum, schema, options)
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
