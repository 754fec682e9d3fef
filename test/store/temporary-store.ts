import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { StoredEvent } from '../../src/model/events.js';
import { openStore } from '../../src/store/open/open-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { OpenOptions } from '../../src/store/store.js';
import type { ViolationCode } from '../../src/store/verify/verify-source.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** A store that is closed and removed when the test ends, after a check that its files are those its log names. */
export async function temporaryStore(t: ExecutionContext, options: OpenOptions = {}): Promise<EventStore> {
  const store = await openStore(join(await temporaryDirectory(t), 'store'), { actor: 'tester', ...options });
  closeAfter(t, store);
  return store;
}

/** Closes a store and opens it again, as a process that starts would. */
export async function reopened(t: ExecutionContext, store: EventStore, options: OpenOptions = {}): Promise<EventStore> {
  await store.close();
  const again = await openStore(store.directory, { actor: 'tester', ...options });
  closeAfter(t, again);
  return again;
}

/** Directories of stores that a test damages, with the violation that it leaves in them. */
const damaged = new Map<string, ViolationCode>();

/** Says that a store is damaged on purpose, and is left so. */
export function leaveDamaged({ directory }: EventStore, code: ViolationCode): void {
  damaged.set(directory, code);
}

/** Directories that are verified when their test ends, once however often they are opened. */
const verified = new Set<string>();

function closeAfter(t: ExecutionContext, store: EventStore): void {
  const { directory } = store;
  const isFirst = !verified.has(directory);
  verified.add(directory);
  // The last that was opened is closed first.
  t.teardown(async () => {
    await store.close();
    if (!isFirst) return;
    const violations = (await verifyStore(directory)).filter(({ code }) => code !== damaged.get(directory));
    if (violations.length > 0) throw new Error(`the store does not verify: ${JSON.stringify(violations)}`);
    const staged = stagedFiles(directory);
    if (staged.length > 0) throw new Error(`staged files were left behind: ${staged.join('; ')}`);
  });
}

/** Files that a load has not kept and not discarded, which is not a violation: the next writer removes them. */
function stagedFiles(directory: string): string[] {
  const staging = join(directory, 'blobs', 'staging');
  return existsSync(staging) ? readdirSync(staging) : [];
}

/** A file of a store's `blobs/`, with the digest of what is in it. */
export interface BlobFile {
  readonly path: string;
  readonly size: number;
  readonly digest: string;
}

/** Every file below `blobs/` of a store: kept blobs and what is staged. */
export function blobFiles(directory: string): BlobFile[] {
  // A store whose first open did not finish has none.
  if (!existsSync(join(directory, 'blobs'))) return [];
  return readdirSync(join(directory, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      return { path: join(entry.parentPath, entry.name).slice(directory.length + 1), size: bytes.length, digest };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * What is wrong with the files of a store that no process has open: blobs that the log needs and that are missing or
 * damaged, blobs that it does not need, and staged files. Empty when all is well.
 */
export async function wrongFiles(directory: string): Promise<string[]> {
  const found = new Map(blobFiles(directory).map((file) => [file.path, file]));
  const wrong: string[] = [];
  for (const [digest, size] of await neededBlobs(directory)) {
    const path = join('blobs', 'sha256', digest.slice('sha256:'.length));
    const file = found.get(path);
    if (file === undefined) wrong.push(`${digest} is missing`);
    else if (file.size !== size || file.digest !== digest) wrong.push(`${digest} is damaged`);
    found.delete(path);
  }
  return [...wrong, ...[...found.keys()].map((path) => `${path} belongs to nothing`)];
}

/** The blobs that the log says a store has, folded here and not by the store. */
async function neededBlobs(directory: string): Promise<Map<string, number>> {
  await using store = await openStore(directory, { create: false, readOnly: true });
  const owners = new Map<string, Map<string, number>>();
  for await (const event of store.log.read()) {
    if (event.type === 'LayerAdded') owners.set(event.chainId, new Map([[event.blob.digest, event.blob.size]]));
    else if (event.type === 'LayerRemoved') owners.delete(event.chainId);
    else if (event.type === 'ImageDeleted') owners.delete(event.image);
    else if (event.type === 'ArtifactRemoved') owners.delete(event.artifact.digest);
    else if (event.type === 'ArtifactAdded') {
      owners.set(event.artifact.digest, new Map(event.blobs.map(({ digest, size }) => [digest, size])));
    } else if (event.type === 'ManifestAdded') {
      const blobs = owners.get(event.image) ?? new Map<string, number>();
      for (const { digest, size } of event.layers) blobs.set(digest, size);
      owners.set(event.image, blobs);
    }
  }
  return new Map([...owners.values()].flatMap((blobs) => [...blobs]));
}

/** All that can be seen of a store: every event, view and blob file. Equal before and after what changed nothing. */
export async function footprint(store: EventStore): Promise<unknown> {
  const events: StoredEvent[] = [];
  for await (const event of store.log.read()) events.push(event);
  return {
    events,
    head: store.log.head,
    images: [...store.map().keys()].sort(),
    heads: [...store.heads().keys()].sort(),
    references: store.referenceEntries(),
    artifacts: store.artifacts(),
    layers: [...store.layers.map().keys()].sort(),
    stats: store.stats(),
    files: blobFiles(store.directory),
  };
}
