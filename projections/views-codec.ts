import { HASH_BYTES } from '../src/model/digest.js';
import { type EncodedViews, storeProjections, type ViewName, viewNames, type Views } from './views.js';
import type { ViewEncoder } from './projection.js';
import { readList, SnapshotDamage, SnapshotReader, SnapshotTables, SnapshotWriter } from './snapshot-format.js';

/*
 * The views one after another, then the length of each, the tables of what they number, and in the last eight bytes
 * where the lengths begin: so that one view can be read without the others.
 */

/** Bytes at the end that say where the lengths begin. */
const FOOTER_BYTES = 8;
const TWO_POW_32 = 2 ** 32;

/** The version of every projection whose view a snapshot has. */
export const viewVersions: Readonly<Record<ViewName, number>> = Object.fromEntries(
  viewNames.map((name) => [name, storeProjections[name].version]),
) as Record<ViewName, number>;

/**
 * Gives `views` as they are now, in pieces, each made when it is asked for: some milliseconds of work. What may change is
 * copied before this returns, so that all are of one moment: about 0.2 microseconds an image.
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
 * Returns the views that `encodeViews` gave. `bytes` are kept, and must not be changed.
 * @throws {SnapshotDamage} when they are not that
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

/**
 * Returns all views that `encodeViews` gave, in new objects.
 * @throws {SnapshotDamage} when `bytes` are not that
 */
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
