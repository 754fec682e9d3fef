import { ByteReader } from './byte-reader.js';
import { EVENT_KEY_BYTES, EVENT_PREFIX, seqOfKey } from '../keys.js';

/** What is in a batch that LevelDB wrote to its log (db/write_batch.cc). */
export interface WriteBatch {
  /** LevelDB's own number of its first entry; the next batch continues after its last. */
  readonly sequence: number;
  readonly count: number;
  /** The first and the last event that it puts; undefined when it puts none. */
  readonly events: { readonly first: number; readonly last: number } | undefined;
}

const HEADER_BYTES = 12;
const TWO_POW_32 = 2 ** 32;
const DELETION = 0;
const PUT = 1;

/** One entry of a batch. */
export interface BatchEntry {
  readonly key: Uint8Array;
  /** LevelDB's own number of it. */
  readonly sequence: number;
  /** Undefined for a deletion. */
  readonly value: Uint8Array | undefined;
}

/** Returns what a batch holds, or undefined when the bytes are none. */
export function parseWriteBatch(bytes: Uint8Array): WriteBatch | undefined {
  let first: number | undefined;
  let last = 0;
  const header = readWriteBatch(bytes, ({ key, value }) => {
    if (value === undefined || key.length !== EVENT_KEY_BYTES || key[0] !== EVENT_PREFIX) return;
    last = seqOfKey(key);
    first ??= last;
  });
  return header === undefined ? undefined : { ...header, events: first === undefined ? undefined : { first, last } };
}

/** Gives `take` each entry of a batch in order, and returns its head; undefined when the bytes are no batch, some of which may be given before. */
export function readWriteBatch(
  bytes: Uint8Array,
  take: (entry: BatchEntry) => void,
): { readonly sequence: number; readonly count: number } | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const sequence = view.getUint32(0, true) + view.getUint32(4, true) * TWO_POW_32;
  const count = view.getUint32(8, true);
  const reader = new ByteReader(bytes, HEADER_BYTES);
  let entries = 0;
  for (; !reader.isAtEnd; entries++) {
    const kind = reader.byte();
    const key = reader.string();
    if (key === undefined || (kind !== DELETION && kind !== PUT)) return undefined;
    const value = kind === PUT ? reader.string() : undefined;
    if (kind === PUT && value === undefined) return undefined;
    take({ key, sequence: sequence + entries, value });
  }
  return entries === count ? { sequence, count } : undefined;
}
