import test from 'ava';
import fc from 'fast-check';
import { encodeChanges, encodeViews, openChanges, openViews } from '../../projections/views-codec.js';
import { SnapshotDamage } from '../../projections/snapshot-format.js';
import {
  createViews,
  pastViews,
  storeProjections,
  type ViewName,
  viewNames,
  type Views,
} from '../../projections/views.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { eventStreams } from '../support/event-streams.js';
import { idNamed } from '../support/image-configs.js';
import { plainViews } from '../support/plain-views.js';
import { creationOf, entriesOf, eventsFrom } from '../support/stored-event.js';

function fold(events: readonly StoredEvent[]): Views {
  const viewSet = createViews();
  viewSet.fold(events);
  return viewSet.views;
}

const encoded = (events: readonly StoredEvent[]): Uint8Array => Buffer.concat(encodeChanges(entriesOf(events)));

test('views that changes are folded into are those of a fold of the events, from any moment on', (t) => {
  fc.assert(
    fc.property(eventStreams, fc.nat(80), fc.nat(80), (events, one, other) => {
      const [first, second] = [Math.min(one, other), Math.max(one, other)];
      const snapshot = openViews(Buffer.concat([...encodeViews(fold(events.slice(0, first)))]));
      const steps = [
        openChanges(encoded(events.slice(first, second))),
        events.slice(second, second + 2),
        openChanges(encoded(events.slice(second + 2))),
      ];
      t.deepEqual(plainViews(pastViews(snapshot, steps)), plainViews(fold(events)));
      t.deepEqual(plainViews(pastViews(undefined, [openChanges(encoded(events))])), plainViews(fold(events)));
    }),
    { numRuns: 120 },
  );
});

test('views that changes were folded into are written as those of a fold, and fold on as they do', (t) => {
  fc.assert(
    fc.property(eventStreams, fc.nat(80), (events, cut) => {
      const viewSet = createViews();
      const changes = openChanges(encoded(events.slice(0, cut)));
      const folded = viewNames.map((name) => [name, changes.fold(name, viewSet.views[name])] as const);
      viewSet.replace(Object.fromEntries(folded) as Views, viewNames);
      viewSet.fold(events.slice(cut));
      t.deepEqual(Buffer.concat([...encodeViews(viewSet.views)]), Buffer.concat([...encodeViews(fold(events))]));
    }),
    { numRuns: 60 },
  );
});

test('a projection folds the types of events that it names, and no other', (t) => {
  const folds = <Name extends ViewName>(name: Name, events: readonly StoredEvent[]): Views[Name] => {
    const { initial, evolve } = storeProjections[name];
    return events.reduce((view: Views[Name], event) => evolve(view, event), initial());
  };
  fc.assert(
    fc.property(eventStreams, fc.constantFrom(...viewNames), (events, name) => {
      const own = events.filter(({ type }) => storeProjections[name].folds.includes(type));
      const [all, some] = [folds(name, events), folds(name, own)];
      t.deepEqual(plainViews({ ...fold([]), [name]: some }), plainViews({ ...fold([]), [name]: all }));
    }),
    { numRuns: 150 },
  );
});

test('an image that comes back brings its erased config back, in the order of the events', (t) => {
  const image = idNamed('a');
  const created = creationOf('a');
  const deleted: EventBody = { type: 'ImageDeleted', image, parent: undefined, chainId: undefined };
  const erased: EventBody = { type: 'ContentErased', digest: image, size: 10 };
  const cases: readonly [EventBody[], number][] = [
    [[created, deleted, erased], 1],
    [[created, deleted, erased, created], 0],
    [[created, deleted, erased, created, deleted, erased], 1],
  ];
  for (const [bodies, erasures] of cases) {
    const events = eventsFrom(1, bodies);
    for (let cut = 0; cut <= events.length; cut++) {
      const steps = [openChanges(encoded(events.slice(0, cut))), openChanges(encoded(events.slice(cut)))];
      t.is(pastViews(undefined, steps).erasures.size, erasures);
    }
  }
});

test('times of creation are kept to the nanosecond, before 1970 too', (t) => {
  const times = ['1969-12-31T23:59:59.999999999Z', '1970-01-01T00:00:00Z', '2026-01-31T10:00:00.000000001Z', 'soon'];
  const events = eventsFrom(
    1,
    times.map((created, at) => ({ ...creationOf(`${at}`), created }) as EventBody),
  );
  const { images } = pastViews(undefined, [openChanges(encoded(events))]);
  t.deepEqual([...images], [...fold(events).images]);
});

test('changes that are cut, longer or changed are damage or other changes, and nothing else is thrown', (t) => {
  const [events] = fc.sample(eventStreams, { numRuns: 1, seed: 11 }) as [StoredEvent[]];
  const bytes = encoded(events);
  const foldAll = (changed: Uint8Array): void => {
    const changes = openChanges(changed);
    for (const name of viewNames) changes.fold(name, storeProjections[name].initial());
  };
  t.notThrows(() => foldAll(bytes));
  for (let length = 0; length < bytes.length; length += 7) {
    t.throws(() => foldAll(bytes.subarray(0, length)), { instanceOf: SnapshotDamage });
  }
  t.throws(() => foldAll(Buffer.concat([bytes, Uint8Array.of(0)])), { instanceOf: SnapshotDamage });
  let damaged = 0;
  for (const [at, byte] of bytes.entries()) {
    for (const other of [byte ^ 1, byte ^ 0x80]) {
      try {
        foldAll(bytes.with(at, other));
      } catch (error) {
        if (!(error instanceof SnapshotDamage)) throw error;
        damaged++;
      }
    }
  }
  t.true(damaged > 100);
});
