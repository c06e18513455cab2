/**
 * The disk of a node: what is there, and what would be there after a crash.
 */
import type { Disk } from "../World.ts"
import type { Life } from "./loop.ts"
import type { Prng } from "./prng.ts"

type Write = { readonly kind: "write" | "append"; readonly bytes: Uint8Array } | { readonly kind: "remove" }

interface File {
  content: Uint8Array | undefined
  synced: Uint8Array | undefined
  pending: Array<Write>
}

const join = (a: Uint8Array | undefined, b: Uint8Array): Uint8Array => {
  if (a === undefined || a.length === 0) return b.slice()
  const all = new Uint8Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all
}

const apply = (content: Uint8Array | undefined, write: Write): Uint8Array | undefined =>
  write.kind === "remove" ? undefined : write.kind === "write" ? write.bytes : join(content, write.bytes)

export class WorldDisk implements Disk {
  private readonly files = new Map<string, File>()
  private readonly random: Prng

  constructor(random: Prng) {
    this.random = random
  }

  private file(path: string): File {
    let file = this.files.get(path)
    if (file === undefined) this.files.set(path, file = { content: undefined, synced: undefined, pending: [] })
    return file
  }

  private change(path: string, write: Write): void {
    const file = this.file(path)
    file.content = apply(file.content, write)
    file.pending.push(write)
  }

  read(path: string): Uint8Array | undefined {
    return this.files.get(path)?.content?.slice()
  }

  write(path: string, bytes: Uint8Array): void {
    this.change(path, { kind: "write", bytes: bytes.slice() })
  }

  append(path: string, bytes: Uint8Array): void {
    this.change(path, { kind: "append", bytes: bytes.slice() })
  }

  remove(path: string): void {
    this.change(path, { kind: "remove" })
  }

  sync(path: string): void {
    const file = this.file(path)
    file.synced = file.content
    file.pending = []
  }

  /** As one life of the node sees it: each change is a step, before which it may crash. */
  of(life: Life): Disk {
    const step = <A extends ReadonlyArray<unknown>>(change: (...args: A) => void) => (...args: A): void => {
      life.step()
      change(...args)
    }
    return {
      read: (path) => this.read(path),
      list: () => this.list(),
      write: step((path: string, bytes: Uint8Array) => this.write(path, bytes)),
      append: step((path: string, bytes: Uint8Array) => this.append(path, bytes)),
      remove: step((path: string) => this.remove(path)),
      sync: step((path: string) => this.sync(path))
    }
  }

  list(): ReadonlyArray<string> {
    return [...this.files].flatMap(([path, file]) => file.content === undefined ? [] : [path]).sort()
  }

  /**
   * The writes that were not synced: all there, some of the first ones there and the next one torn, or all gone. A crash
   * of the process alone (no power failure) loses nothing that was written.
   */
  crash(power: boolean): void {
    for (const file of this.files.values()) {
      if (power) {
        const kept = this.random.int(0, file.pending.length)
        let content = file.synced
        for (const write of file.pending.slice(0, kept)) content = apply(content, write)
        const torn = file.pending[kept]
        if (torn !== undefined && torn.kind !== "remove" && this.random.chance(0.5)) {
          content = apply(content, { ...torn, bytes: torn.bytes.subarray(0, this.random.int(0, torn.bytes.length)) })
        }
        file.content = content
      }
      file.synced = file.content
      file.pending = []
    }
  }
}
