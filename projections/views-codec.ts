import { HASH_BYTES } from '../src/model/digest.js';
import { type EncodedViews, storeProjections, type ViewName, viewNames, type Views } from './views.js';
import type { ViewEncoder } from './projection.js';
import { readList, SnapshotDamage, SnapshotReader, SnapshotTables, SnapshotWriter } from './snapshot-format.js';

/*
 * All views, the length of each, the tables of numbered values, and a footer (8 bytes) with the
 * offset of the lengths, so that one view can be read alone.
 */

const FOOTER_BYTES = 8;
const TWO_POW_32 = 2 ** 32;

/** Version of every projection in a snapshot. */
export const viewVersions: Readonly<Record<ViewName, number>> = Object.fromEntries(
  viewNames.map((name) => [name, storeProjections[name].version]),
) as Record<ViewName, number>;

/**
 * Encodes `views` lazily, in pieces of some milliseconds of work. Copies mutable state before it
 * returns, so that all views are of one moment: about 0.2 microseconds per image.
 */
export function encodeViews(views: Views): Iterable<Uint8Array> {
  return piecesOf(viewNames.map((name) => encoderOf(views, name)));
}

function encoderOf<Name extends ViewName>(views: Views, name: Name): ViewEncoder {
  return storeProjections[name].encode(views[name]);
}

function* piecesOf(encoders: readonly ViewEncoder[]): Generator<Uint8Array> {
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

/**
 * Opens the output of `encodeViews`. Keeps `bytes`, which must not change.
 * @throws {SnapshotDamage} when they are malformed
 */
export function openViews(bytes: Uint8Array): EncodedViews {
  const start = startOfLengths(bytes);
  const tail = new SnapshotReader(
    bytes.subarray(start, bytes.length - FOOTER_BYTES),
    new SnapshotTables(bytes.subarray(0, 0), []),
  );
  const lengths = viewNames.map(() => tail.uint());
  const hashes = tail.rows(tail.count(), HASH_BYTES);
  const tables = new SnapshotTables(
    hashes,
    readList(tail, () => tail.text()),
  );
  tail.end();
  const sections = new Map<ViewName, Uint8Array>();
  let at = 0;
  for (const [index, name] of viewNames.entries()) {
    const end = at + (lengths[index] as number);
    if (end > start) throw new SnapshotDamage(`its view ${name} is longer than it is`);
    sections.set(name, bytes.subarray(at, end));
    at = end;
  }
  if (at !== start) throw new SnapshotDamage(`${start - at} bytes are left over`);
  return {
    decode(name) {
      const input = new SnapshotReader(sections.get(name) as Uint8Array, tables);
      const view = storeProjections[name].decode(input);
      input.end();
      return view;
    },
  };
}

/** Decodes all views into new objects. @throws {SnapshotDamage} when `bytes` are malformed */
export function decodeViews(bytes: Uint8Array): Views {
  const encoded = openViews(bytes);
  return Object.fromEntries(viewNames.map((name) => [name, encoded.decode(name)])) as unknown as Views;
}

function startOfLengths(bytes: Uint8Array): number {
  if (bytes.length < FOOTER_BYTES) throw new SnapshotDamage('it ends before it begins');
  const footer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - FOOTER_BYTES, FOOTER_BYTES);
  const start = footer.getUint32(0) * TWO_POW_32 + footer.getUint32(4);
  if (start <= bytes.length - FOOTER_BYTES) return start;
  throw new SnapshotDamage('it ends before its tables');
}
