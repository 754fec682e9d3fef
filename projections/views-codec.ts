import {
  type EncodedChanges,
  type EncodedViews,
  storeProjections,
  type ViewName,
  viewNames,
  type Views,
} from './views.js';
import {
  encodeSections,
  openSections,
  type Sections,
  SnapshotDamage,
  type SnapshotReader,
  type SnapshotWriter,
  type ViewEncoder,
  writeRows,
} from './snapshot-format.js';
import { isStoreError } from '../src/errors.js';
import type { LogEntry } from '../src/log/log.js';
import { decodeRecord } from '../src/log/record.js';
import { HASH_BYTES, type ImageId } from '../src/model/digest.js';
import { eventFacts, factsOf } from '../src/model/event-table.js';
import type { EventType, StoredEvent } from '../src/model/events.js';
import type { Instant } from '../src/model/timestamp.js';
import type { ErasuresView } from './content.js';
import { NO_ROW } from './digest-index.js';
import type { ImagesView } from './image-table.js';
import { compacted, createdIn } from './images.js';

/** Version of every projection in a snapshot. */
export const viewVersions: Readonly<Record<ViewName, number>> = Object.fromEntries(
  viewNames.map((name) => [name, storeProjections[name].version]),
) as Record<ViewName, number>;

/**
 * Encodes `views` lazily, in pieces of some milliseconds of work. Copies mutable state before it
 * returns, so that all views are of one moment: about 0.2 microseconds per image.
 */
export function encodeViews(views: Views): Iterable<Uint8Array> {
  return encodeSections(viewNames.map((name) => encoderOf(views, name)));
}

function encoderOf<Name extends ViewName>(views: Views, name: Name): ViewEncoder {
  return storeProjections[name].encode(views[name]);
}

/**
 * Opens the output of `encodeViews`, to fold `more` events in. Keeps `bytes`, which must not change.
 * @throws {SnapshotDamage} when they are malformed
 */
export function openViews(bytes: Uint8Array, more = 0): EncodedViews {
  const sections = openSections(bytes, viewNames);
  return {
    decode(name) {
      const input = sections.read(name);
      const view = storeProjections[name].decode(input, more);
      input.end();
      return view;
    },
  };
}

/**
 * Decodes all views into new objects, to fold `more` events in.
 * @throws {SnapshotDamage} when `bytes` are malformed
 */
export function decodeViews(bytes: Uint8Array, more = 0): Views {
  const encoded = openViews(bytes, more);
  const views = Object.fromEntries(viewNames.map((name) => [name, encoded.decode(name)])) as unknown as Views;
  // All that is malformed is found now.
  views.images.indexChains();
  return views;
}

/*
 * The events of a stretch that change the images, with nothing but what the fold takes from them:
 * a tenth of the time to read and fold. Each is a row: a number for its type, and its digests.
 */

const CREATED = 1;
const DELETED = 2;
const LINKED = 3;
const UNLINKED = 4;

/** In the place of a row that was not sought yet. */
const NOT_SOUGHT = -2;

const NO_INSTANT = 0;
const SINCE_EPOCH = 1;
const BEFORE_EPOCH = 2;

/** Writes the events of a stretch that change the images. */
function* writeImageChanges(out: SnapshotWriter, entries: readonly LogEntry[]): Generator<void> {
  const events = entries.map(({ event }) => event).filter(changesImages);
  let seq = 0;
  yield* writeRows(out, events, (event) => {
    switch (event.type) {
      case 'ImageCreated':
        out.uint(CREATED);
        out.digest(event.image);
        out.uint(event.seq - seq);
        seq = event.seq;
        out.optionalDigest(event.chainId);
        writeInstant(out, createdIn(event));
        break;
      case 'ImageDeleted':
        out.uint(DELETED);
        out.digest(event.image);
        break;
      case 'ParentSet':
        out.uint(LINKED);
        out.digest(event.image);
        out.digest(event.parent);
        break;
      default:
        out.uint(UNLINKED);
        out.digest(event.image);
    }
  });
}

type ImageEvent = Extract<StoredEvent, { type: 'ImageCreated' | 'ImageDeleted' | 'ParentSet' | 'ParentCleared' }>;

function changesImages(event: StoredEvent): event is ImageEvent {
  const { type } = event;
  return type === 'ImageCreated' || type === 'ImageDeleted' || type === 'ParentSet' || type === 'ParentCleared';
}

/**
 * Does to `view`, which the caller owns, what the fold of the written events does; returns the view
 * that has it.
 * @throws {SnapshotDamage} when malformed; `view` is then of no moment
 */
function foldImageChanges(view: ImagesView, input: SnapshotReader): ImagesView {
  const { hashes, count } = input.tables;
  // By number of digest: most are named twice.
  const rows = new Int32Array(count + 1).fill(NOT_SOUGHT);
  rows[0] = NO_ROW;
  const rowOf = (number: number): number => {
    const known = rows[number] as number;
    if (known !== NOT_SOUGHT) return known;
    const row = view.index.findHash(hashes, (number - 1) * HASH_BYTES);
    rows[number] = row;
    return row;
  };
  let seq = 0;
  for (let left = input.count(); left > 0; left--) {
    const kind = input.uint();
    const image = input.digestNumber();
    if (image === 0) throw new SnapshotDamage('it has a change of no image');
    if (kind === CREATED) {
      seq += input.uint();
      const chain = input.digestNumber();
      rows[image] = view.addHash(hashes, {
        image: (image - 1) * HASH_BYTES,
        chain: chain === 0 ? undefined : (chain - 1) * HASH_BYTES,
        seq,
        created: readInstant(input),
      });
    } else if (kind === LINKED) {
      const [row, parent] = [rowOf(image), rowOf(input.digestNumber())];
      if (row !== NO_ROW && parent !== NO_ROW) view.tree.attach(row, parent);
    } else if (kind === UNLINKED) {
      const row = rowOf(image);
      if (row !== NO_ROW) view.tree.detach(row);
    } else if (kind === DELETED) {
      view.removeRow(rowOf(image));
      rows[image] = NO_ROW;
    } else {
      throw new SnapshotDamage(`it has a change of kind ${kind}`);
    }
  }
  input.end();
  return compacted(view);
}

/** An image that was created, and by which event. */
interface Creation {
  readonly seq: number;
  readonly image: ImageId;
}

/** Returns the creations among the written events. @throws {SnapshotDamage} when malformed */
function readCreations(input: SnapshotReader): Creation[] {
  const creations: Creation[] = [];
  let seq = 0;
  for (let left = input.count(); left > 0; left--) {
    const kind = input.uint();
    const image = input.digest<ImageId>();
    if (kind === LINKED) input.digest();
    if (kind !== CREATED) continue;
    seq += input.uint();
    input.optionalDigest();
    readInstant(input);
    creations.push({ seq, image });
  }
  input.end();
  return creations;
}

function writeInstant(out: SnapshotWriter, instant: Instant | undefined): void {
  if (instant === undefined) {
    out.uint(NO_INSTANT);
    return;
  }
  const { seconds, nanoseconds } = instant;
  out.uint(seconds < 0 ? BEFORE_EPOCH : SINCE_EPOCH);
  out.uint(Math.abs(seconds));
  out.uint(nanoseconds);
}

function readInstant(input: SnapshotReader): Instant | undefined {
  const kind = input.uint();
  if (kind === NO_INSTANT) return undefined;
  if (kind > BEFORE_EPOCH) throw new SnapshotDamage(`it has a time of kind ${kind}`);
  const seconds = input.uint();
  const nanoseconds = input.uint();
  if (nanoseconds >= 1e9) throw new SnapshotDamage(`it has a time with ${nanoseconds} ns`);
  return { seconds: kind === BEFORE_EPOCH ? -seconds : seconds, nanoseconds };
}

/*
 * Changes: the events of a stretch of the log as the views fold them. Those of images, most of a
 * large log, are reduced to what their fold takes; the records of the others follow, so that a view
 * takes only its own.
 */

/** Version of the encoding, and of every projection that folds it. */
export const changesVersions: Readonly<Record<string, number>> = { changes: 1, ...viewVersions };

const sectionNames = ['images', 'events'] as const;

/** Types whose events are kept as records: not those that only images fold, and no creations. */
const recordTypes = new Set<EventType>(
  viewNames
    .filter((name) => name !== 'images')
    .flatMap((name) => storeProjections[name].folds)
    .filter((type) => type !== 'ImageCreated'),
);

/** Returns the changes by consecutive events. */
export function encodeChanges(entries: readonly LogEntry[]): Uint8Array[] {
  const recorded = entries.filter(({ event }) => recordTypes.has(event.type));
  const pieces = encodeSections([
    (out) => writeImageChanges(out, entries),
    (out) =>
      writeRows(out, recorded, ({ event, record }) => {
        out.uint(factsOf(event).code);
        out.bytes(record);
      }),
  ]);
  return [...pieces];
}

/** Opens the output of `encodeChanges`. Keeps `bytes`. @throws {SnapshotDamage} when malformed */
export function openChanges(bytes: Uint8Array): EncodedChanges {
  const sections = openSections(bytes, sectionNames);
  const folds: { readonly [Name in ViewName]?: (view: Views[Name]) => Views[Name] } = {
    images: (view) => foldImageChanges(view, sections.read('images')),
    erasures: (view) => foldErasures(view, sections),
  };
  return {
    fold(name, view) {
      const fold = folds[name];
      if (fold !== undefined) return fold(view);
      const projection = storeProjections[name];
      let folded = view;
      for (const event of recordedEvents(sections.read('events'), projection.folds)) {
        folded = projection.evolve(folded, event);
      }
      return folded;
    },
  };
}

/** Creations have no record here, and bring erased content back. */
function foldErasures(view: ErasuresView, sections: Sections<(typeof sectionNames)[number]>): ErasuresView {
  const { folds, evolve } = storeProjections.erasures;
  const events = recordedEvents(sections.read('events'), folds);
  if (view.size === 0 && !events.some(({ type }) => type === 'ContentErased')) return view;
  const creations = readCreations(sections.read('images'));
  let next = 0;
  const bringBack = (before: number): void => {
    for (; (creations[next]?.seq ?? before) < before; next++) view.delete((creations[next] as Creation).image);
  };
  let folded = view;
  for (const event of events) {
    bringBack(event.seq);
    folded = evolve(folded, event);
  }
  bringBack(Number.POSITIVE_INFINITY);
  return folded;
}

/** Returns the kept events of these types, in order. */
function recordedEvents(input: SnapshotReader, types: readonly EventType[]): StoredEvent[] {
  const codes = new Set(types.map((type) => eventFacts[type].code));
  const events: StoredEvent[] = [];
  for (let left = input.count(); left > 0; left--) {
    const code = input.uint();
    const record = input.rows(1, input.uint());
    if (codes.has(code)) events.push(eventIn(record));
  }
  input.end();
  return events;
}

function eventIn(record: Uint8Array): StoredEvent {
  try {
    return decodeRecord(record);
  } catch (error) {
    if (isStoreError(error)) throw new SnapshotDamage(`one of its events is damaged: ${error.message}`);
    throw error;
  }
}
