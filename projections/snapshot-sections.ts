import { HASH_BYTES } from '../src/model/digest.js';
import type { ViewEncoder } from './projection.js';
import { readList, SnapshotDamage, SnapshotReader, SnapshotTables, SnapshotWriter } from './snapshot-format.js';

/*
 * Sections, the length of each, the tables of values that they number, and a footer (8 bytes) with
 * the offset of the lengths, so that one section can be read alone.
 */

const FOOTER_BYTES = 8;
const TWO_POW_32 = 2 ** 32;

/** Yields what the encoders write as sections, in pieces. */
export function* encodeSections(encoders: readonly ViewEncoder[]): Generator<Uint8Array> {
  const out = new SnapshotWriter();
  const ends: number[] = [];
  for (const encode of encoders) {
    for (const _ of encode(out)) yield out.take();
    ends.push(out.total);
  }
  const start = out.total;
  for (const [at, end] of ends.entries()) out.uint(end - (ends[at - 1] ?? 0));
  for (const _ of out.tables()) yield out.take();
  out.fixed(start);
  yield out.take();
}

/** Sections that were read, by name. */
export interface Sections<Name extends string> {
  /** Returns a new reader of a section. */
  read(name: Name): SnapshotReader;
}

/**
 * Opens the output of `encodeSections`, whose encoders had these names. Keeps `bytes`, which must
 * not change.
 * @throws {SnapshotDamage} when they are malformed
 */
export function openSections<Name extends string>(bytes: Uint8Array, names: readonly Name[]): Sections<Name> {
  const start = startOfLengths(bytes);
  const tail = new SnapshotReader(
    bytes.subarray(start, bytes.length - FOOTER_BYTES),
    new SnapshotTables(bytes.subarray(0, 0), []),
  );
  const lengths = names.map(() => tail.uint());
  const hashes = tail.rows(tail.count(), HASH_BYTES);
  const tables = new SnapshotTables(
    hashes,
    readList(tail, () => tail.text()),
  );
  tail.end();
  const sections = new Map<Name, Uint8Array>();
  let at = 0;
  for (const [index, name] of names.entries()) {
    const end = at + (lengths[index] as number);
    if (end > start) throw new SnapshotDamage(`its view ${name} is longer than it is`);
    sections.set(name, bytes.subarray(at, end));
    at = end;
  }
  if (at !== start) throw new SnapshotDamage(`${start - at} bytes are left over`);
  return { read: (name) => new SnapshotReader(sections.get(name) as Uint8Array, tables) };
}

function startOfLengths(bytes: Uint8Array): number {
  if (bytes.length < FOOTER_BYTES) throw new SnapshotDamage('it ends before it begins');
  const footer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - FOOTER_BYTES, FOOTER_BYTES);
  const start = footer.getUint32(0) * TWO_POW_32 + footer.getUint32(4);
  if (start <= bytes.length - FOOTER_BYTES) return start;
  throw new SnapshotDamage('it ends before its tables');
}
