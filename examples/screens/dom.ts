/** The board without a library: what is subscribed to is drawn again when it has changed. */
import { start } from "./board.ts"

const element = (name: string, properties: Record<string, unknown>, ...children: ReadonlyArray<Node>): HTMLElement => {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

start((board) => {
  const status = element("p", { id: "status" })
  const list = element("ul", { id: "todos" })
  const title = element("input", { id: "title" }) as HTMLInputElement
  const error = element("output", { id: "error" })
  const form = element("form", {}, title, error)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    board.add(title.value, (text) => {
      error.textContent = text
    })
    title.value = ""
  })
  document.getElementById("page")!.append(status, list, form)
  const draw = () => {
    const todos = board.todos.getSnapshot()
    status.textContent = todos === undefined ? "connecting …" : `${Object.keys(todos).length} to do`
    list.replaceChildren(
      ...Object.entries(todos ?? {}).map(([id, { done, title }]) => {
        const button = element("button", { textContent: done ? `✓ ${title}` : title })
        button.addEventListener("click", () => board.toggle(id))
        return element("li", {}, button)
      })
    )
  }
  board.todos.subscribe(draw)
  draw()
})
