import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { headsOf, parentOf } from '../../../projections/images.js';
import { createViews, type Views } from '../../../projections/views.js';
import { isStoreError } from '../../../src/errors.js';
import type { StoredEvent } from '../../../src/model/events.js';
import type { ImageId } from '../../../src/model/digest.js';
import type { Image } from '../../../src/model/image.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { wrongFiles } from '../../store/temporary-store.js';
import { wrongAnswers, wrongLog } from './check-log.js';
import { Journal, type Recorded } from './journal.js';

/** The consumer whose acknowledgements the journal has. */
export const CONSUMER = 'crash';

/** A store that a process was using when it ended, and what that process told. */
export interface CrashedStore {
  readonly directory: string;
  readonly journal: string;
  readonly recorded: Recorded;
}

/** What the check of a crashed store found. */
export interface CheckedStore {
  /** Everything that is not as it must be; empty when all is well. */
  readonly wrong: readonly string[];
  /** The events, from the first on. */
  readonly events: readonly StoredEvent[];
}

/**
 * Checks the whole of a store that a crash or a fault left, after reading the journal; afterwards it is closed in order. All
 * that was acknowledged or seen is there bit for bit and at its place, nothing is there that nobody asked for,
 * transactions are whole, files are those of the log, views are those of a fresh fold, and the store can be
 * written to and closed.
 */
export async function checkStore(crashed: CrashedStore): Promise<CheckedStore> {
  crashed.recorded.read();
  try {
    return await checkOpened(crashed);
  } catch (error) {
    const what = isStoreError(error) ? `${error.code}: ${error.message}` : String(error);
    return { wrong: [`the store cannot be read: ${what}`], events: [] };
  }
}

async function checkOpened({ directory, journal, recorded }: CrashedStore): Promise<CheckedStore> {
  // A crash before the store was made leaves what the next open takes up; nobody can have used it.
  const isMade = existsSync(join(directory, 'imagelog.json'));
  if (!isMade && recorded.seen.size > 0) return { wrong: ['imagelog.json is lost'], events: [] };
  // Before the sweep of an open that writes: an event without its blob is a bug then, a blob without its event is not.
  const wrong = isMade ? (await wrongFiles(directory)).filter((what) => !what.endsWith('belongs to nothing')) : [];
  const onNotice = (notice: string): void => void wrong.push(notice);
  const store = await openStore(directory, { create: !isMade, actor: 'checker', onNotice });
  const events: StoredEvent[] = [];
  try {
    for await (const event of store.log.read()) events.push(event);
    wrong.push(...wrongLog(events, recorded), ...wrongAnswers(events, recorded));
    wrong.push(...wrongViews(store, events), ...(await wrongPosition(store, recorded)), ...leftFiles(directory));
    // A log without any event may have lost them: its open leaves blobs alone.
    if (events.length > 0) wrong.push(...leftBlobs(store));
    wrong.push(...(await writeOnce(store, journal, recorded)));
  } finally {
    await store.close();
  }
  const violations = await verifyStore(directory);
  wrong.push(...violations.map(({ code, place, message }) => `${code} ${place}: ${message}`));
  return { wrong, events };
}

function wrongViews(store: EventStore, events: readonly StoredEvent[]): string[] {
  const fresh = createViews();
  fresh.fold(events);
  const [expected, found] = [folded(fresh.views), shown(store)];
  return Object.keys(expected)
    .filter((name) => JSON.stringify(expected[name]) !== JSON.stringify(found[name]))
    .map((name) => `the view of ${name} is not that of a fresh fold`);
}

function folded({ images, references, layers, metadata }: Views): Record<string, unknown> {
  const ids = [...images.ids()];
  return {
    images: ids,
    heads: [...headsOf(images)].sort(),
    parents: ids.map((id) => parentOf(images, id) ?? ''),
    references: [...references.byName.values()].sort((a, b) => (a.reference < b.reference ? -1 : 1)),
    layers: [...layers.byChain.keys()].sort(),
    metadata: ids.map((id) => sortedValues([...(metadata.get(id) ?? [])])),
  };
}

/** What the store answers, of the same things; every config is read and checked on the way. */
function shown(store: EventStore): Record<string, unknown> {
  const images = [...store.map()];
  return {
    images: images.map(([id]) => id),
    heads: [...store.heads().keys()].sort(),
    parents: images.map(([, image]) => image.parent),
    references: store.referenceEntries(),
    layers: [...store.layers.map().keys()].sort(),
    metadata: images.map(([id, image]) => sortedValues(metadataOf(store, id, image))),
  };
}

function metadataOf(store: EventStore, id: ImageId, image: Image): [string, Uint8Array][] {
  const keys = Object.keys(image.details?.metadata ?? {});
  return keys.map((key) => [key, store.getMetadata(id, key)]);
}

function sortedValues(values: [string, Uint8Array][]): unknown {
  return values.map(([key, value]) => [key, Buffer.from(value).toString('hex')]).sort();
}

async function wrongPosition(store: EventStore, { consumed }: Recorded): Promise<string[]> {
  const found = (await store.consumers()).find(({ name }) => name === CONSUMER)?.position ?? 0;
  if (found < consumed) return [`the consumer stands at ${found}, it acknowledged ${consumed}`];
  return found > store.log.head.seq ? [`the consumer stands at ${found}, after the head`] : [];
}

/** Temporary and staged files that are there after an open. */
function leftFiles(directory: string): string[] {
  const folders = ['.', 'snapshots', join('blobs', 'staging'), join('blobs', 'sha256')];
  return folders
    .filter((folder) => existsSync(join(directory, folder)))
    .flatMap((folder) => readdirSync(join(directory, folder)).map((name) => join(folder, name)))
    .filter((path) => path.includes('.tmp-') || path.startsWith(join('blobs', 'staging')))
    .map((path) => `${path} was left`);
}

/** Blobs that no event needs, after the sweep of an open. */
function leftBlobs(store: EventStore): string[] {
  const { blobs } = store.stats();
  const found = readdirSync(join(store.directory, 'blobs', 'sha256')).length;
  return found === blobs ? [] : [`there are ${found} blobs, the events name ${blobs}`];
}

/** Writes to the store; what that gives is in the journal too, so that the next check expects it. */
async function writeOnce(store: EventStore, path: string, recorded: Recorded): Promise<string[]> {
  const journal = new Journal(path);
  journal.watch(store);
  const requestId = `check.0.${store.log.head.seq}`;
  await journal.request(requestId, (options) => store.create(imageConfig(requestId), options));
  recorded.read();
  return recorded.done.get(requestId) === 1 ? [] : ['the store cannot be written to'];
}
