/** The board by React: a selection is what `useSyncExternalStore` takes. */
import { type FormEvent, useState, useSyncExternalStore } from "react"
import { createRoot } from "react-dom/client"
import { type BoardClient, start } from "./board.ts"

const Board = ({ board }: { readonly board: BoardClient }) => {
  const todos = useSyncExternalStore(board.todos.subscribe, board.todos.getSnapshot)
  const [title, setTitle] = useState("")
  const [error, setError] = useState("")
  const submit = (event: FormEvent) => {
    event.preventDefault()
    board.add(title, setError)
    setTitle("")
  }
  if (todos === undefined) return <p id="status">connecting …</p>
  return (
    <>
      <p id="status">{Object.keys(todos).length} to do</p>
      <ul id="todos">
        {Object.entries(todos).map(([id, { done, title }]) => (
          <li key={id}>
            <button onClick={() => board.toggle(id)}>{done ? `✓ ${title}` : title}</button>
          </li>
        ))}
      </ul>
      <form onSubmit={submit}>
        <input id="title" value={title} onChange={(event) => setTitle(event.target.value)} />
        <output id="error">{error}</output>
      </form>
    </>
  )
}

start((board) => createRoot(document.getElementById("page")!).render(<Board board={board} />))
