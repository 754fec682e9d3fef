import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import { digestHex, digestOf, type ImageId } from '../../../src/model/digest.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { imageConfig } from './image-configs.js';

/** Concurrent commands while filling a store. */
const COMMANDS_AT_ONCE = 4_096;
/** Children of each parent. */
const CHILDREN = 3;

/** The same images in two stores; all but the first have a parent. */
export interface Population {
  readonly store: string;
  /** Directory in Docker's layout. */
  readonly peer: string;
  /** In creation order. */
  readonly ids: readonly ImageId[];
}

/** Writes `count` images below `directory`, as an event store and in Docker's layout. */
export async function populate(directory: string, count: number): Promise<Population> {
  const paths = { store: join(directory, 'store'), peer: join(directory, 'peer') };
  const ids = Array.from({ length: count }, (_, index) => digestOf(imageConfig(index)) as ImageId);
  await fillStore(paths.store, ids);
  fillPeer(paths.peer, ids);
  return { ...paths, ids };
}

function parentOf(ids: readonly ImageId[], index: number): ImageId | undefined {
  return index === 0 ? undefined : ids[Math.floor((index - 1) / CHILDREN)];
}

async function fillStore(directory: string, ids: readonly ImageId[]): Promise<void> {
  const store = await openStore(directory, { layers: 'none', actor: 'bench' });
  await inBatches(ids.length, (index) => store.create(imageConfig(index)));
  await inBatches(ids.length, (index) => setParent(store, ids, index));
  await store.close();
}

async function setParent(store: EventStore, ids: readonly ImageId[], index: number): Promise<void> {
  const parent = parentOf(ids, index);
  if (parent !== undefined) await store.setParent(ids[index] as ImageId, parent);
}

async function inBatches(count: number, command: (index: number) => Promise<unknown>): Promise<void> {
  for (let first = 0; first < count; first += COMMANDS_AT_ONCE) {
    const length = Math.min(COMMANDS_AT_ONCE, count - first);
    await Promise.all(Array.from({ length }, (_, offset) => command(first + offset)));
  }
}

/** Writes Docker's files without syncing each. */
function fillPeer(directory: string, ids: readonly ImageId[]): void {
  const content = join(directory, 'content', 'sha256');
  const metadata = join(directory, 'metadata', 'sha256');
  for (const path of [content, metadata]) mkdirSync(path, { recursive: true });
  for (const [index, id] of ids.entries()) {
    writeFileSync(join(content, digestHex(id)), imageConfig(index));
    const parent = parentOf(ids, index);
    if (parent === undefined) continue;
    mkdirSync(join(metadata, digestHex(id)));
    writeFileSync(join(metadata, digestHex(id), 'parent'), parent);
  }
}
