import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { changesVersions, encodeViews } from '../../../projections/views-codec.js';
import { createViews, type Views } from '../../../projections/views.js';
import {
  CHANGES_STEP_EVENTS,
  MAX_CHANGES_AT_CLOSE,
  MAX_CHANGES_EVENTS,
  MAX_KEPT_CHANGES_BYTES,
} from '../../../src/limits.js';
import type { LevelLog } from '../../../src/log/leveldb/level-log.js';
import { treeRoot } from '../../../src/log/merkle.js';
import { bytesToHex } from '../../../src/model/digest.js';
import type { EventBody } from '../../../src/model/events.js';
import { ChangesBuilder, type Stretch } from '../../../src/store/snapshots/changes-file.js';
import { formatSnapshot, SnapshotFolder } from '../../../src/store/snapshots/snapshot-folder.js';
import { Snapshotter } from '../../../src/store/snapshots/snapshotter.js';
import { pastViewsAt, viewsAt } from '../../../src/store/snapshots/views-at.js';
import { eventStreams } from '../../support/event-streams.js';
import { idNamed } from '../../support/image-configs.js';
import { plainViews } from '../../support/plain-views.js';
import { storeError } from '../../support/store-error.js';
import { creationOf, entriesOf, eventsFrom } from '../../support/stored-event.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendBodies, openTestLog } from '../../support/test-log.js';

interface World {
  readonly directory: string;
  readonly log: LevelLog;
  readonly snapshots: SnapshotFolder;
  readonly notices: string[];
}

async function worldOf(t: ExecutionContext, directory: string): Promise<World> {
  const log = await openTestLog(t, join(directory, 'log'));
  const notices: string[] = [];
  return { directory, log, notices, snapshots: folder(directory, log, notices) };
}

function folder(directory: string, log: LevelLog, notices: string[], readOnly = false): SnapshotFolder {
  return new SnapshotFolder({
    directory,
    storeId: 's',
    log,
    readOnly,
    onNotice: (notice) => void notices.push(notice),
  });
}

async function foldedTo({ log }: Pick<World, 'log'>, seq: number): Promise<Views> {
  const viewSet = createViews();
  for await (const page of log.pages({ to: seq })) viewSet.fold(page);
  return viewSet.views;
}

async function changesOf({ log }: World, { from, to }: Stretch, stepEvents: number): Promise<Uint8Array[]> {
  const builder = new ChangesBuilder(() => stepEvents);
  for await (const page of log.entryPages({ from: from + 1, to })) for (const entry of page) builder.add(entry);
  return builder.finish();
}

async function writeChanges(world: World, from: number, to: number, stepEvents = 3): Promise<void> {
  await world.snapshots.writeChanges({ from, to }, await changesOf(world, { from, to }, stepEvents));
}

const nameOf = (from: number, to: number): string =>
  `${[from, to].map((seq) => `${seq}`.padStart(16, '0')).join('-')}.changes`;

test('with snapshots and changes of any stretches, the views at any event are those of a fold', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const stretches = fc.array(fc.tuple(fc.nat(80), fc.nat(80), fc.integer({ min: 1, max: 20 })), { maxLength: 4 });
  const property = fc.asyncProperty(
    eventStreams,
    stretches,
    fc.array(fc.nat(80), { maxLength: 2 }),
    fc.array(fc.nat(80), { minLength: 4, maxLength: 4 }),
    async (events, files, views, moments) => {
      const world = await worldOf(t, join(root, `${run++}`));
      const { log, snapshots } = world;
      await log.append({ expectedHead: 0, entries: entriesOf(events), content: new Map() });
      const within = (seq: number): number => Math.min(seq, log.head.seq);
      for (const [one, other, step] of files) {
        const [from, to] = [within(Math.min(one, other)), within(Math.max(one, other))];
        if (from < to) await writeChanges(world, from, to, step);
      }
      for (const seq of views.map(within)) {
        if (seq > 0) await snapshots.writeViews(seq, encodeViews(await foldedTo(world, seq)));
      }
      for (const seq of moments.map(within)) {
        const expected = plainViews(await foldedTo(world, seq));
        t.deepEqual(plainViews((await viewsAt(world, seq)).views), expected);
        t.deepEqual(plainViews(await pastViewsAt(world, seq)), expected);
      }
      t.deepEqual(world.notices, []);
      await log.close();
    },
  );
  await fc.assert(property, { numRuns: 25 });
});

test('events that changes stand for are not read', async (t) => {
  const world = await worldOf(t, await temporaryDirectory(t));
  await appendBodies(
    world.log,
    Array.from({ length: 20 }, (_, at) => creationOf(`${at}`)),
  );
  await writeChanges(world, 0, 12, 5);
  const read: unknown[] = [];
  const log = new Proxy(world.log, {
    get: (target, name) => {
      if (name !== 'pages') return Reflect.get(target, name, target) as unknown;
      return (options: { from: number; to: number }) => {
        read.push([options.from, options.to]);
        return target.pages(options);
      };
    },
  });
  t.is((await pastViewsAt({ ...world, log }, 14)).images.size, 14);
  t.is((await pastViewsAt({ ...world, log }, 11)).images.size, 11);
  t.deepEqual(read, [
    [13, 14],
    [11, 11],
  ]);
});

test('a bad file of changes is reported once, its events are read, and it goes with the next snapshot', async (t) => {
  const world = await worldOf(t, await temporaryDirectory(t));
  const { log, directory, notices } = world;
  await appendBodies(
    log,
    Array.from({ length: 12 }, (_, at) => creationOf(`${at}`)),
  );
  const path = join(directory, 'snapshots');
  await mkdir(path);
  const [store, kind, versions, seq] = ['s', 'changes', changesVersions, 8] as const;
  const header = { store, kind, from: 4, versions, seq, root: bytesToHex(await treeRoot(log, 8)) };
  const good = await changesOf(world, { from: 4, to: 8 }, 3);
  const cases: readonly [Uint8Array, string, string?][] = [
    [Buffer.from('cut'), 'it is not a snapshot'],
    [Buffer.concat([...formatSnapshot({ ...header, store: 'b' }, good)]), 'it is of another store'],
    [Buffer.concat([...formatSnapshot({ ...header, versions: {} }, good)]), 'its views are of other versions'],
    [Buffer.concat([...formatSnapshot({ ...header, root: '00'.repeat(32) }, good)]), 'the log up to event 8 is not'],
    [Buffer.concat([...formatSnapshot({ ...header, from: 3 }, good)]), 'it is of events after 3 to 8'],
    [Buffer.concat([...formatSnapshot(header, [Uint8Array.of(1)])]), 'it ends before it begins'],
    [Buffer.concat([...formatSnapshot(header, good)]), 'it is of event 30, and the log ends at 12', nameOf(4, 30)],
  ];
  for (const [bytes, why, name = nameOf(4, 8)] of cases) {
    await writeFile(join(path, name), bytes);
    notices.length = 0;
    const sources = { log, snapshots: folder(directory, log, notices) };
    for (let time = 0; time < 2; time++) {
      t.is((await viewsAt(sources, 10)).views.images.size, 10);
      t.is((await pastViewsAt(sources, 10)).images.size, 10);
    }
    t.is(notices.length, 1, `${notices}`);
    t.true(notices[0]?.startsWith(`the snapshot ${name} is skipped: ${why}`), notices[0]);
    await sources.snapshots.writeChanges({ from: 0, to: 2 }, await changesOf(world, { from: 0, to: 2 }, 3));
    t.deepEqual(await readdir(path), [nameOf(0, 2)]);
  }
  // A writer may have more events than a reader that was opened before.
  await writeFile(join(path, nameOf(4, 30)), 'of a later event');
  notices.length = 0;
  const reader = folder(directory, log, notices, true);
  t.is((await pastViewsAt({ log, snapshots: reader }, 10)).images.size, 10);
  t.deepEqual(notices, []);
});

test('changes that cannot be folded, though the checksum is right, are done without, or reported', async (t) => {
  const world = await worldOf(t, await temporaryDirectory(t));
  const { log, directory, notices, snapshots } = world;
  await appendBodies(
    log,
    Array.from({ length: 9 }, (_, at) => creationOf(`${at}`)),
  );
  const payload = Buffer.concat(await changesOf(world, { from: 0, to: 9 }, 9));
  // The first change of the images is of an unknown kind.
  await snapshots.writeChanges({ from: 0, to: 9 }, [payload.with(1, 9)]);
  const past = await pastViewsAt(world, 9);
  t.regex(storeError(t, 'CONTENT_CORRUPT', () => past.images).message, /a change of kind 9/);
  t.is((await viewsAt(world, 9)).views.images.size, 9);
  t.deepEqual(notices, [`the snapshot ${nameOf(0, 9)} is skipped: it has a change of kind 9`]);
  t.is((await pastViewsAt(world, 9)).images.size, 9);
  t.is((await viewsAt({ log, snapshots: folder(directory, log, []) }, 9)).views.images.size, 9);
});

test('a large store writes changes, whole steps of them, and its views when the changes are many', async (t) => {
  const directory = await temporaryDirectory(t);
  const world = await worldOf(t, directory);
  const { log, snapshots, notices } = world;
  const viewSet = createViews();
  const onNotice = (notice: string): void => void notices.push(notice);
  const snapshotter = new Snapshotter({ log, snapshots, viewSet, seq: 0, every: 10_000, largeEntries: 100, onNotice });
  const add = async (bodies: EventBody[]): Promise<void> => viewSet.fold(await appendBodies(log, bodies));
  const images = (from: number, count: number): EventBody[] =>
    Array.from({ length: count }, (_, at) => creationOf(`${from + at}`));
  const names = async (): Promise<string[]> => (await readdir(join(directory, 'snapshots'))).sort();
  await add(images(0, 10_000));
  await snapshotter.settled();
  const views = `${'10000'.padStart(16, '0')}.views`;
  t.deepEqual(await names(), [nameOf(0, 10_000), views]);
  // Few for the size of the store, and fewer than a step.
  await add(images(10_000, 100));
  await snapshotter.writeLast();
  t.deepEqual(await names(), [nameOf(0, 10_000), views]);
  for (let at = 0; at < 40; at++) {
    await add(Array.from({ length: 250 }, (_, key) => metadataOf(`${key}`, `${at}`)));
    if (at === 20) await snapshotter.writeLast();
  }
  await snapshotter.settled();
  const all = await names();
  t.is(all[1], nameOf(10_000, 15_350));
  const encoded = (views: Views): Buffer => Buffer.concat([...encodeViews(views)]);
  for (const seq of [1, 5_000, 9_999, 10_001, 14_000, 15_000, 15_351, log.head.seq]) {
    const expected = encoded(await foldedTo(world, seq));
    t.true(encoded(await pastViewsAt(world, seq)).equals(expected), `${seq}`);
    t.true(encoded((await viewsAt(world, seq)).views).equals(expected), `${seq}`);
  }
  await snapshotter.renew();
  t.deepEqual(await names(), [nameOf(0, log.head.seq), `${`${log.head.seq}`.padStart(16, '0')}.views`]);
  t.deepEqual(notices, []);
  t.true((await readFile(join(directory, 'snapshots', nameOf(0, log.head.seq)))).length > 0);
});

/** A snapshotter of a large store without snapshots at event `seq`, and the stretches that it writes. */
function bareSnapshotter(seq: number): { readonly snapshotter: Snapshotter; readonly written: Stretch[] } {
  const written: Stretch[] = [];
  const snapshots = {
    newest: seq,
    stretches: async () => [],
    writeChanges: async (stretch: Stretch) => void written.push(stretch),
  } as unknown as SnapshotFolder;
  const log = { entryPages: () => [] } as unknown as LevelLog;
  const viewSet = createViews();
  viewSet.fold(eventsFrom(1, [creationOf('a')]));
  const options = { log, snapshots, viewSet, seq, every: 0, largeEntries: 1, onNotice: (notice: string) => notice };
  return { snapshotter: new Snapshotter(options), written };
}

test('changes are in files of MAX_CHANGES_EVENTS, of a step at least, and of MAX_CHANGES_AT_CLOSE in all at close', async (t) => {
  const ends = async (seq: number): Promise<number[]> => {
    const { snapshotter, written } = bareSnapshotter(seq);
    await snapshotter.writeLast();
    return written.map(({ to }) => to);
  };
  t.deepEqual(await ends(CHANGES_STEP_EVENTS - 1), []);
  t.deepEqual(await ends(CHANGES_STEP_EVENTS), [CHANGES_STEP_EVENTS]);
  t.deepEqual(await ends(MAX_CHANGES_EVENTS + 1), [MAX_CHANGES_EVENTS]);
  t.deepEqual(await ends(MAX_CHANGES_AT_CLOSE), [MAX_CHANGES_EVENTS, MAX_CHANGES_AT_CLOSE]);
  t.deepEqual(await ends(MAX_CHANGES_AT_CLOSE + CHANGES_STEP_EVENTS), [MAX_CHANGES_EVENTS, MAX_CHANGES_AT_CLOSE]);
});

test('changes of more than MAX_KEPT_CHANGES_BYTES are not kept until a view is asked for', async (t) => {
  const world = await worldOf(t, await temporaryDirectory(t));
  const { log, snapshots } = world;
  await appendBodies(
    log,
    Array.from({ length: 4 }, (_, at) => creationOf(`${at}`)),
  );
  await writeChanges(world, 0, 4, 2);
  const readsWith = async (bytes: number): Promise<number> => {
    let reads = 0;
    const large = new SnapshotFolder({ directory: world.directory, storeId: 's', log, onNotice: t.fail });
    large.readChanges = async (stretch) => {
      reads++;
      return (await snapshots.readChanges(stretch)).map((step) => ({ ...step, bytes }));
    };
    const views = await pastViewsAt({ log, snapshots: large }, 4);
    t.is(views.images.size, 4);
    return reads;
  };
  t.is(await readsWith(MAX_KEPT_CHANGES_BYTES / 2), 1);
  t.is(await readsWith(MAX_KEPT_CHANGES_BYTES / 2 + 1), 2);
});

function metadataOf(name: string, value: string): EventBody {
  return { type: 'MetadataSet', image: idNamed(name), key: 'k', value: new TextEncoder().encode(value) };
}
