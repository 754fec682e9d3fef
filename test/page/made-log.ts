import { formatCheckpoint } from '../../src/log/checkpoint.js';
import { formatEntries, Frontier, leafHash, parseTilePath, TILE_WIDTH } from '../../src/log/merkle.js';
import { encodeRecord } from '../../src/log/record.js';
import { digestOf, type ImageId } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';

/** A log in memory, for sizes that a store takes minutes to write: the parts of a store that the page reads. */
export interface MadeLog {
  readonly size: number;
  readonly checkpoint: string;
  readonly readTile: (path: string) => Promise<Uint8Array>;
  readonly readContent: () => undefined;
}

const BEGIN = Date.UTC(2026, 0, 1);
const NAMES = 2_000;
const EVERY_MS = 20_000;

/** Makes an event of the facts that every event has. */
export type MakeEvent = (envelope: Pick<StoredEvent, 'seq' | 'time' | 'transaction' | 'actor'>) => StoredEvent;

/** Makes a log of `size` events; by default one in ten an image, the others moves of 2,000 names by 20 actors. */
export function madeLog(size: number, make?: MakeEvent): MadeLog {
  const tree = new Frontier();
  const bundles: Uint8Array[] = [];
  const images: ImageId[] = [];
  const current = new Map<string, ImageId>();
  let records: Uint8Array[] = [];
  for (let seq = 1; seq <= size; seq++) {
    const event = make?.({ seq, time: BEGIN + seq, transaction: { first: seq, count: 1 }, actor: 'ci' });
    const record = encodeRecord(event ?? eventAt(seq, images, current));
    tree.append(leafHash(record));
    records.push(record);
    if (records.length === TILE_WIDTH || seq === size) {
      bundles.push(formatEntries(records));
      records = [];
    }
  }
  const checkpoint = formatCheckpoint({ origin: 'example.com/made', size, root: tree.root(), extensions: [] });
  return {
    size,
    checkpoint,
    readTile: async (path) => {
      const tile = parseTilePath(path);
      const bundle = tile?.level === 'entries' ? bundles[tile.index] : undefined;
      if (bundle === undefined) throw new Error(`the made log has no ${path}`);
      return bundle;
    },
    readContent: () => undefined,
  };
}

function eventAt(seq: number, images: ImageId[], current: Map<string, ImageId>): StoredEvent {
  const envelope = {
    seq,
    time: BEGIN + seq * EVERY_MS,
    transaction: { first: seq, count: 1 },
    actor: `ci-${seq % 20}`,
    reason: `release ${seq}`,
    requestId: `CR-${seq}`,
  };
  if (seq % 10 === 1) {
    const image = digestOf(new TextEncoder().encode(`image ${seq}`)) as ImageId;
    images.push(image);
    return { ...envelope, type: 'ImageCreated', image, size: 1_000, os: 'linux', architecture: 'amd64' };
  }
  const number = mixed(seq) % NAMES;
  const reference = `docker.io/team-${number % 40}/app-${number}:prod`;
  const image = images[mixed(seq + 1) % images.length] as ImageId;
  const previous = current.get(reference);
  current.set(reference, image);
  return { ...envelope, type: 'ReferenceSet', reference, image, previous };
}

/** A number without a pattern, the same each time. */
function mixed(seed: number): number {
  const first = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d);
  return (first ^ (first >>> 12)) >>> 0;
}
