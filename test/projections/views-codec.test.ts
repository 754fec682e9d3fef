import test from 'ava';
import fc from 'fast-check';
import { SnapshotDamage } from '../../projections/snapshot-format.js';
import { createViews, type ViewName, viewNames, type Views } from '../../projections/views.js';
import { decodeViews, encodeViews, openViews, viewVersions } from '../../projections/views-codec.js';
import type { ImageId } from '../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { eventStreams } from '../support/event-streams.js';
import { idNamed } from '../support/image-configs.js';
import { plainViews } from '../support/plain-views.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';

function fold(events: readonly StoredEvent[], start?: Views): Views {
  const viewSet = createViews(start);
  viewSet.fold(events);
  return viewSet.views;
}

const encoded = (views: Views): Uint8Array => Buffer.concat([...encodeViews(views)]);

test('views that were written and read are those of a fold, and fold on as it does', (t) => {
  fc.assert(
    fc.property(eventStreams, fc.nat(80), (events, cut) => {
      const first = fold(events.slice(0, cut));
      const read = decodeViews(encoded(first));
      t.deepEqual(plainViews(read), plainViews(first));
      t.deepEqual(plainViews(fold(events.slice(cut), read)), plainViews(fold(events)));
    }),
    { numRuns: 80 },
  );
});

test('the same views are written in the same bytes, also when they were read', (t) => {
  fc.assert(
    fc.property(eventStreams, (events) => {
      const bytes = encoded(fold(events));
      t.deepEqual(encoded(decodeViews(bytes)), bytes);
    }),
    { numRuns: 40 },
  );
});

test('views are written as they were when it began, while events are folded', (t) => {
  fc.assert(
    fc.property(eventStreams, fc.nat(80), (events, cut) => {
      const viewSet = createViews();
      viewSet.fold(events.slice(0, cut));
      const pieces = encodeViews(viewSet.views);
      viewSet.fold(events.slice(cut));
      t.deepEqual(plainViews(decodeViews(Buffer.concat([...pieces]))), plainViews(fold(events.slice(0, cut))));
    }),
    { numRuns: 40 },
  );
});

test('many images are written in pieces, and each id stands there once', (t) => {
  const events = eventsFrom(
    1,
    Array.from({ length: 10_000 }, (_, at) => creationOf(`${at}`)),
  );
  const views = fold(events);
  const pieces = [...encodeViews(views)];
  t.true(pieces.length > 5);
  const bytes = Buffer.concat(pieces);
  t.true(bytes.length < 10_000 * 66, `${bytes.length} bytes`);
  const hash = Buffer.from(idNamed('77').slice('sha256:'.length), 'hex');
  const at = bytes.indexOf(hash);
  t.not(at, -1);
  t.is(bytes.indexOf(hash, at + 1), -1);
  t.deepEqual(
    [...decodeViews(bytes).images.ids()],
    events.map((event) => (event as { image: ImageId }).image),
  );
});

test('bytes that are cut, longer or changed are damage or other views, and nothing else is thrown', (t) => {
  const [events] = fc.sample(eventStreams, { numRuns: 1, seed: 7 }) as [StoredEvent[]];
  const bytes = encoded(fold(events));
  for (let length = 0; length < bytes.length; length += length < 1_000 ? 1 : 13) {
    t.throws(() => decodeViews(bytes.subarray(0, length)), { instanceOf: SnapshotDamage });
  }
  t.throws(() => decodeViews(Buffer.concat([bytes, Uint8Array.of(0)])), { instanceOf: SnapshotDamage });
  const readable = (changed: Uint8Array): boolean => {
    try {
      plainViews(decodeViews(changed));
      return true;
    } catch (error) {
      if (error instanceof SnapshotDamage) return false;
      throw error;
    }
  };
  let damaged = 0;
  for (const [at, byte] of bytes.entries()) {
    for (const other of [byte ^ 1, byte ^ 0x80, 0xff]) if (!readable(bytes.with(at, other))) damaged++;
  }
  t.true(damaged > 0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => void readable(garbage)),
    { numRuns: 300 },
  );
});

/** A snapshot of which one view has these bytes; the others are empty, and so are the tables. */
function withView(name: ViewName, ...view: readonly number[]): Uint8Array {
  const lengths = viewNames.map((other) => (other === name ? view.length : 0));
  return Uint8Array.of(...view, ...lengths, 0, 0, ...[0, 0, 0, 0, 0, 0, 0, view.length]);
}

test('a snapshot that says it has more rows than it has bytes is damage before anything is made for them', (t) => {
  const most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
  const rows = openViews(withView('layers', ...most));
  t.throws(() => rows.decode('layers'), { instanceOf: SnapshotDamage, message: /rows/ });
  t.throws(() => decodeViews(withView('images', ...most, 0)), { instanceOf: SnapshotDamage, message: /in the middle/ });
  t.throws(() => decodeViews(withView('images', 0, ...most)), { instanceOf: SnapshotDamage, message: /in the middle/ });
  const number = withView('images', ...new Uint8Array(20).fill(0xff));
  t.throws(() => decodeViews(number), { instanceOf: SnapshotDamage, message: /too large/ });
  t.throws(() => decodeViews(new Uint8Array(20).fill(0xff)), {
    instanceOf: SnapshotDamage,
    message: /before its tables/,
  });
  t.throws(() => openViews(withView('images', 1, 2).with(2, 9)), {
    instanceOf: SnapshotDamage,
    message: /longer than it is/,
  });
  t.throws(() => openViews(withView('images', 1, 2).with(2, 1)), { instanceOf: SnapshotDamage, message: /left over/ });
});

test('a view is read without the others, and is damage only by itself', (t) => {
  fc.assert(
    fc.property(eventStreams, fc.constantFrom(...viewNames), (events, name) => {
      const views = fold(events);
      const alone = { ...fold([]), [name]: openViews(encoded(views)).decode(name) } as Views;
      t.deepEqual(plainViews(alone), plainViews({ ...fold([]), [name]: views[name] } as Views));
    }),
    { numRuns: 60 },
  );
  const broken = openViews(withView('images', 1, 1));
  t.throws(() => broken.decode('images'), { instanceOf: SnapshotDamage });
});

/** The images of three creations, two with a parent and a chain, as a snapshot has them. */
function threeImages(): Uint8Array {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => creationOf(name)) as [EventBody, EventBody, EventBody];
  const chainId = idNamed('chain') as never;
  const created = [a, { ...b, chainId }, { ...c, chainId }] as EventBody[];
  const [first, ...others] = created.map((body) => (body as { image: ImageId }).image) as [ImageId];
  const linked = others.map((image): EventBody => ({ type: 'ParentSet', image, parent: first }));
  return encoded(fold(eventsFrom(1, [...created, ...linked])));
}

const damagedColumn = test.macro({
  exec(t, at: number, value: number, message: RegExp) {
    const bytes = threeImages();
    t.notThrows(() => decodeViews(bytes));
    t.throws(() => decodeViews(bytes.with(at, value)), { instanceOf: SnapshotDamage, message });
  },
  title: (what) => `a snapshot of images is damage when ${what}`,
});

// Two counts, then 32 bytes an image, and for each its place in the order, seq, chain and parent; then the chains.
test('the order names an image that is not there', damagedColumn, 2 + 96, 3, /no digest 3/);
test('the order names an image twice', damagedColumn, 2 + 96 + 4, threeImages()[2 + 96] as number, /not in order/);
test(
  'a digest is another than its place in the order says',
  damagedColumn,
  2 + 32 * (threeImages()[2 + 96] as number),
  0xff,
  /order/,
);
test('an image is of no event', damagedColumn, 2 + 96 + 12 + 7, 0xff, /of event/);
test('a chain has no such number', damagedColumn, 2 + 96 + 12 + 24, 2, /no row 2/);
test('a parent has no such number', damagedColumn, 2 + 96 + 12 + 24 + 12, 4, /no row 4/);

test('every view of the store has a version', (t) => {
  t.deepEqual(Object.keys(viewVersions), [...viewNames]);
  for (const version of Object.values(viewVersions)) t.true(Number.isSafeInteger(version) && version >= 1);
});
