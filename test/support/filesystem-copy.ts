import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { Digest, ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { StoreBackend } from '../../src/store/store.js';

/** Copies every image of `store`, with its parent and metadata, into `backend`. */
export async function copyImages(store: EventStore, backend: StoreBackend): Promise<void> {
  const ids: Digest[] = [];
  store.backend.walk((digest) => ids.push(digest));
  for (const id of ids) {
    await backend.set(store.backend.get(id));
    const keys = Object.keys(store.get(id as ImageId).details?.metadata ?? {});
    for (const key of keys) await backend.setMetadata(id, key, store.backend.getMetadata(id, key));
  }
  for (const id of ids) {
    const parent = store.get(id as ImageId).parent;
    if (parent !== '') await backend.setMetadata(id, 'parent', new TextEncoder().encode(parent));
  }
}

/** Every file below `root`: path with `/`, and bytes. */
export async function filesBelow(root: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(root, path).split(sep).join('/'), await readFile(path));
  }
  return files;
}

/** Every file and folder below a directory, with what changes when it is written to. */
export async function statesBelow(directory: string): Promise<string[]> {
  const names = (await readdir(directory, { recursive: true })).sort();
  const states = ['.', ...names].map(async (name) => {
    const { ino, nlink, size, mtimeNs, ctimeNs } = await stat(join(directory, name), { bigint: true });
    return [name, ino, nlink, size, mtimeNs, ctimeNs].join(' ');
  });
  return Promise.all(states);
}
