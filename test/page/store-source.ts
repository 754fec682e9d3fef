import { entriesPath, hashInTile, parseEntries, TILE_WIDTH, tileOfTree, tilePath } from '../../src/log/merkle.js';
import { HASH_BYTES } from '../../src/model/digest.js';
import { Reading } from '../../src/page/reading.js';
import type { LogSource } from '../../src/page/source.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { MadeLog } from './made-log.js';

/** What a test changes of a log before the page has it. */
export interface Tampering {
  readonly record?: (record: Uint8Array, seq: number) => Uint8Array | undefined;
  readonly checkpoint?: (text: string) => string;
  /** Called before each tile of records: for a source that fails. */
  readonly onRead?: () => void;
}

/** The log of a store, or a made one, as the server gives it. */
export function sourceOf(store: EventStore | MadeLog, { record, checkpoint, onRead }: Tampering = {}): LogSource {
  const widthOf = (index: number, size: number): number => Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
  return {
    kind: 'server',
    first: 1,
    key: 'log' in store ? store.verifierKey : undefined,
    leftOut: undefined,
    checkpoint: async () => {
      const text = typeof store.checkpoint === 'string' ? store.checkpoint : await store.checkpoint();
      return checkpoint?.(text) ?? text;
    },
    records: async (index, size) => {
      onRead?.();
      const records = parseEntries(await store.readTile(entriesPath(index, widthOf(index, size))));
      if (record === undefined) return records;
      return records.flatMap((each, at) => record(each, index * TILE_WIDTH + at + 1) ?? []);
    },
    witnesses: async (index, size) => {
      const bytes = await store.readTile(tilePath(tileOfTree(0, index, size)));
      return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) => hashInTile(bytes, at));
    },
    tileHash: () => undefined,
    content: async (digest) => store.readContent(digest),
  };
}

/** Reads the whole log of a store as the page does. */
export async function readingOf(store: EventStore, tampering?: Tampering): Promise<Reading> {
  const reading = await Reading.begin(sourceOf(store, tampering));
  await reading.read();
  return reading;
}
