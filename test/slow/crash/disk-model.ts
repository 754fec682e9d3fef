import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DiskCall } from './disk-trace.js';

/**
 * What is left of what was not synced when the power goes. `nothing`: no byte and no name, as POSIX permits. `names`: every
 * name and no byte, as a file system does that writes names first. `half`: every name, and half of the bytes. `zeros`: every
 * name and size, with zeros for the bytes. `all`: every name and byte, as after a kill.
 */
export const LEFT_OVERS = ['nothing', 'names', 'half', 'zeros', 'all'] as const;
export type LeftOver = (typeof LEFT_OVERS)[number];

interface File {
  bytes: Buffer;
  synced: Buffer;
  /** Where the next write goes. */
  offset: number;
}

interface Directory {
  readonly names: Map<string, File | Directory>;
  synced: Map<string, File | Directory>;
}

/** A disk that knows what of it was synced: the calls of a process are done to it one after another. */
export class DiskModel {
  readonly #root: Directory = newDirectory();

  /** Puts files on the disk that were there, and synced, before the first call. */
  add(files: ReadonlyMap<string, Uint8Array>): void {
    for (const [path, bytes] of files) {
      this.#makeAbove(path);
      this.#parent(path).names.set(nameOf(path), { bytes: Buffer.from(bytes), synced: Buffer.from(bytes), offset: 0 });
    }
    syncBelow(this.#root);
  }

  /** Does a call; paths are below the root. */
  apply(call: DiskCall): void {
    switch (call.call) {
      case 'open':
        this.#open(call);
        return;
      case 'write':
        this.#write(call);
        return;
      case 'truncate': {
        const file = this.#file(call.path);
        file.bytes = Buffer.concat([file.bytes, Buffer.alloc(call.size)]).subarray(0, call.size);
        return;
      }
      case 'sync':
        sync(this.#at(call.path));
        return;
      case 'make':
        this.#parent(call.path).names.set(nameOf(call.path), newDirectory());
        return;
      case 'remove':
        this.#parent(call.path).names.delete(nameOf(call.path));
        return;
      case 'link':
        this.#parent(call.to).names.set(nameOf(call.to), this.#at(call.path));
        return;
      case 'copy': {
        const start = this.#file(call.to).bytes.length;
        const bytes = this.#file(call.path).bytes.subarray(start, start + call.size);
        this.#write({ call: 'write', path: call.to, bytes, at: start });
        return;
      }
      case 'rename': {
        const moved = this.#at(call.path);
        this.#parent(call.path).names.delete(nameOf(call.path));
        this.#parent(call.to).names.set(nameOf(call.to), moved);
        return;
      }
    }
  }

  /** Writes what the disk has after the power went now into `directory`, which must be empty or missing. */
  writeTo(directory: string, leftOver: LeftOver): void {
    mkdirSync(directory, { recursive: true });
    writeDirectory(directory, this.#root, leftOver);
  }

  /** Writes the file at `path` as it is before the power goes to `target`. */
  writeFile(path: string, target: string): void {
    writeFileSync(target, this.#file(path).bytes);
  }

  #open({ path, creates, truncates, appends }: Extract<DiskCall, { call: 'open' }>): void {
    const { names } = this.#parent(path);
    let found = names.get(nameOf(path));
    if (found === undefined && !creates) return;
    found ??= { bytes: Buffer.alloc(0), synced: Buffer.alloc(0), offset: 0 };
    names.set(nameOf(path), found);
    if (isDirectory(found)) return;
    if (truncates) found.bytes = Buffer.alloc(0);
    found.offset = appends ? found.bytes.length : 0;
  }

  #write({ path, bytes, at }: Extract<DiskCall, { call: 'write' }>): void {
    const file = this.#file(path);
    const start = at ?? file.offset;
    const end = start + bytes.length;
    if (end > file.bytes.length) file.bytes = Buffer.concat([file.bytes], end);
    else file.bytes = Buffer.from(file.bytes);
    file.bytes.set(bytes, start);
    if (at === undefined) file.offset = end;
  }

  #makeAbove(path: string): void {
    const above = dirname(path);
    if (above === '.') return;
    this.#makeAbove(above);
    const { names } = this.#parent(above);
    if (!names.has(nameOf(above))) names.set(nameOf(above), newDirectory());
  }

  #at(path: string): File | Directory {
    if (path === '.') return this.#root;
    const found = this.#parent(path).names.get(nameOf(path));
    if (found === undefined) throw new Error(`the model of the disk has no ${path}`);
    return found;
  }

  #file(path: string): File {
    const found = this.#at(path);
    if (isDirectory(found)) throw new Error(`${path} is a directory`);
    return found;
  }

  #parent(path: string): Directory {
    const end = path.lastIndexOf('/');
    const found = this.#at(end < 0 ? '.' : path.slice(0, end));
    if (!isDirectory(found)) throw new Error(`${path} is below a file`);
    return found;
  }
}

function sync(entry: File | Directory): void {
  if (isDirectory(entry)) entry.synced = new Map(entry.names);
  else entry.synced = entry.bytes;
}

function syncBelow(directory: Directory): void {
  sync(directory);
  for (const entry of directory.names.values()) if (isDirectory(entry)) syncBelow(entry);
}

function writeDirectory(path: string, { names, synced }: Directory, leftOver: LeftOver): void {
  for (const [name, entry] of leftOver === 'nothing' ? synced : names) {
    const below = join(path, name);
    if (isDirectory(entry)) {
      mkdirSync(below);
      writeDirectory(below, entry, leftOver);
    } else writeFileSync(below, bytesLeft(entry, leftOver));
  }
}

function bytesLeft({ bytes, synced }: File, leftOver: LeftOver): Buffer {
  if (leftOver === 'all') return bytes;
  if (leftOver === 'nothing' || leftOver === 'names') return synced;
  if (bytes.length <= synced.length) return bytes;
  const [from, length] = [synced.length, bytes.length - synced.length];
  if (leftOver === 'half') return bytes.subarray(0, from + Math.floor(length / 2));
  return Buffer.concat([bytes.subarray(0, from), Buffer.alloc(length)]);
}

function newDirectory(): Directory {
  return { names: new Map(), synced: new Map() };
}

function isDirectory(entry: File | Directory): entry is Directory {
  return 'names' in entry;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
