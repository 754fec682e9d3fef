import type { LogEntry } from '../src/log/log.js';
import { decodeRecord } from '../src/log/record.js';
import { eventFacts, factsOf } from '../src/model/event-table.js';
import { isStoreError } from '../src/errors.js';
import type { EventType, StoredEvent } from '../src/model/events.js';
import type { ErasuresView } from './content.js';
import { type Creation, foldImageChanges, readCreations, writeImageChanges } from './image-changes.js';
import { SnapshotDamage, type SnapshotReader, writeRows } from './snapshot-format.js';
import { encodeSections, openSections, type Sections } from './snapshot-sections.js';
import { type EncodedChanges, storeProjections, type ViewName, viewNames, type Views } from './views.js';
import { viewVersions } from './views-codec.js';

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
