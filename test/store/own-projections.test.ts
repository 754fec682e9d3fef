import test from 'ava';
import { config, Subject } from 'rxjs';
import type { Page } from '../../projections/projection.js';
import { MAX_PROJECTION_NAME_LENGTH } from '../../src/limits.js';
import type { Log, PageOptions } from '../../src/log/log.js';
import type { EventType, StoredEvent } from '../../src/model/events.js';
import { defineProjection, type LiveProjection, OwnProjectionSet } from '../../src/store/own-projections.js';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { oneTo, seqsProjection } from '../support/own-projections.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';
import { eventsOf, openTestStore } from '../support/test-store.js';

const countByType = defineProjection({
  name: 'count-by-type',
  version: 1,
  initial: () => new Map<EventType, number>(),
  evolve: (counts, { type }) => counts.set(type, (counts.get(type) ?? 0) + 1),
});

/** Writes `count` events, each its own command, waiting for each. */
async function write(store: EventStore, writer: string, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await store.create(imageConfig(`${writer} ${at}`));
}

/** `true` where the two types are the same, else a type that `true` is not of. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;

test('the type of the view is that of what initial returns', async (t) => {
  const store = await openTestStore(t);
  const live = await store.project(countByType);
  const ofCurrent: Same<typeof live.current, Map<EventType, number>> = true;
  const ofLive: Same<typeof live, LiveProjection<Map<EventType, number>>> = true;
  t.true(ofCurrent && ofLive);
  // @ts-expect-error: the view is a number, and evolve returns a text
  defineProjection({ name: 'a', version: 1, initial: () => 0, evolve: (view: number) => `${view}` });
  // @ts-expect-error: an event has no such type
  defineProjection({ name: 'a', version: 1, initial: () => 0, evolve: (n, { type }) => (type === 'No' ? n : n + 1) });
});

test('a projection has what was before and what comes, as soon as the write that made it resolves', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  await store.tag({ source: idNamed('a'), target: 'x:1' });
  const live = await store.project(countByType);
  t.deepEqual(
    [...live.current],
    [
      ['ImageCreated', 1],
      ['ReferenceSet', 1],
    ],
  );
  t.is(live.seq, 2);
  await store.delete(idNamed('a'));
  t.is(live.current.get('ImageDeleted'), 1);
  t.deepEqual([live.name, live.version, live.seq, live.failure], ['count-by-type', 1, 4, undefined]);
});

test('the view equals a plain reduce over all events, whenever it began and however many write', async (t) => {
  const store = await openTestStore(t);
  // More than a page, so that a part is read while others write.
  await Promise.all(oneTo(1_500).map((at) => store.create(imageConfig(`before ${at}`))));
  const begun = [store.project(seqsProjection('at-0')), store.project(seqsProjection('at-0-too'))];
  const writers = ['a', 'b', 'c', 'd'].map((writer) => write(store, writer, 250));
  const beginners = oneTo(20).map(async (at) => {
    await write(store, `beginner ${at}`, at);
    begun.push(store.project(seqsProjection(`at-${at}`)));
  });
  await Promise.all([...writers, ...beginners]);
  const events = await eventsOf(store);
  t.is(events.length, 1_500 + 1_000 + 210);
  for (const live of await Promise.all(begun)) t.deepEqual(live.current, oneTo(events.length), live.name);
  const reduced = events.reduce<Map<EventType, number>>((view, event) => countByType.evolve(view, event), new Map());
  t.deepEqual((await store.project(countByType)).current, reduced);
});

/** A log of one event a page whose writer writes again whenever a page is read, `writes` times. */
function busyLog(writes: number): { log: Log; folded$: Subject<Page>; head: () => { seq: number; time: number } } {
  const folded$ = new Subject<Page>();
  const events: StoredEvent[] = eventsFrom(
    1,
    oneTo(5).map((at) => creationOf(`${at}`)),
  );
  const pages = async function* ({ from = 1, to = events.length }: PageOptions = {}): AsyncGenerator<Page> {
    for (let seq = from; seq <= to; seq++) {
      yield events.slice(seq - 1, seq);
      if (events.length >= 5 + writes) continue;
      const page = eventsFrom(events.length + 1, [creationOf(`${events.length + 1}`)]);
      events.push(...page);
      folded$.next(page);
    }
  };
  return { log: { pages } as unknown as Log, folded$, head: () => ({ seq: events.length, time: 0 }) };
}

test('a projection catches up with a writer that never rests', async (t) => {
  const { log, folded$, head } = busyLog(100_000);
  const context = {
    log,
    viewSet: { folded$ },
    reader: {
      get head() {
        return head();
      },
    },
    snapshots: { readProjectionState: async () => undefined },
    snapshotter: { alsoWrite: () => undefined },
    readOnly: true,
    onNotice: (notice: string) => t.fail(notice),
    checkOpen: () => undefined,
  };
  const set = new OwnProjectionSet(context as never);
  const live = await set.project(seqsProjection('a'));
  t.deepEqual(live.current, oneTo(head().seq));
  t.is(head().seq, 10);
  folded$.next(eventsFrom(11, [creationOf('next')]));
  t.deepEqual(live.current, oneTo(11));
});

test('view$ gives the current view, then one after each group, and ends with the projection', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const live = await store.project(seqsProjection('a'));
  const seen: (number[] | string)[] = [];
  live.view$.subscribe({ next: (view) => seen.push(view), complete: () => seen.push('end') });
  await Promise.all([store.create(imageConfig('b')), store.create(imageConfig('c'))]);
  live.close();
  await store.create(imageConfig('d'));
  t.deepEqual(seen, [[1], [1, 2, 3], 'end']);
  t.deepEqual([live.current, live.seq], [[1, 2, 3], 3]);
});

test('view$ ends with the store', async (t) => {
  const store = await openTestStore(t);
  const live = await store.project(seqsProjection('a'));
  let hasEnded = false;
  live.view$.subscribe({ complete: () => (hasEnded = true) });
  await store.create(imageConfig('a'));
  t.false(hasEnded);
  await store.close();
  t.true(hasEnded);
  t.deepEqual(live.current, [1]);
  live.close();
});

test('a subscriber that throws hurts neither the others nor the writer', async (t) => {
  const reported: unknown[] = [];
  t.teardown(() => (config.onUnhandledError = null));
  // RxJS reports what a subscriber throws in its own turn.
  const reports = new Promise<void>((resolve) => {
    config.onUnhandledError = (error) => {
      if (reported.push(error) === 2) resolve();
    };
  });
  const store = await openTestStore(t);
  const live = await store.project(seqsProjection('a'));
  const broken = new Error('a subscriber that is broken');
  live.view$.subscribe(() => {
    throw broken;
  });
  const seen: number[] = [];
  live.view$.subscribe((view) => seen.push(view.length));
  await store.create(imageConfig('a'));
  await reports;
  t.deepEqual(seen, [0, 1]);
  t.deepEqual(reported, [broken, broken]);
});

test('a name is taken until its projection is closed', async (t) => {
  const store = await openTestStore(t);
  const beginning = store.project(seqsProjection('a'));
  await rejection(t, 'PROJECTION_TAKEN', store.project(seqsProjection('a', 2)));
  const live = await beginning;
  const error = await rejection(t, 'PROJECTION_TAKEN', store.project(seqsProjection('a')));
  t.deepEqual(error.data, { name: 'a' });
  await t.notThrowsAsync(store.project(seqsProjection('A')));
  live.close();
  {
    using again = await store.project(seqsProjection('a', 2));
    t.is(again.version, 2);
    // The first one no longer has the name.
    live.close();
    await rejection(t, 'PROJECTION_TAKEN', store.project(seqsProjection('a')));
  }
  await t.notThrowsAsync(store.project(seqsProjection('a')));
});

test('a projection that is aborted while it catches up, or whose store is closed, frees its name', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  await rejection(t, 'ABORTED', store.project(seqsProjection('a'), { signal: AbortSignal.abort() }));
  const controller = new AbortController();
  const beginning = rejection(t, 'ABORTED', store.project(seqsProjection('a'), { signal: controller.signal }));
  controller.abort();
  await beginning;
  await store.project(seqsProjection('a'));
  const late = rejection(t, 'STORE_CLOSED', store.project(seqsProjection('b')));
  await store.close();
  await late;
  await rejection(t, 'STORE_CLOSED', store.project(seqsProjection('c')));
});

test('a store for reading only has projections', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  await store.close();
  const reader = await openTestStore(t, { directory: store.directory, readOnly: true });
  t.deepEqual((await reader.project(seqsProjection('a'))).current, [1]);
});

test('a definition is frozen', (t) => {
  t.true(Object.isFrozen(countByType));
  t.true(
    Object.isFrozen(defineProjection({ ...countByType, encode: () => new Uint8Array(), decode: () => new Map() })),
  );
});

test('names and versions that are not allowed are refused', async (t) => {
  const store = await openTestStore(t);
  const long = 'a'.repeat(MAX_PROJECTION_NAME_LENGTH);
  t.is(defineProjection({ ...countByType, name: long }).name, long);
  for (const name of ['', `${long}a`, '.', '..', '.a', '-a', '_a', 'a/b', 'a\\b', 'a b', 'ä', 'a\n', 'a@1', 'a\0']) {
    const error = storeError(t, 'PROJECTION_INVALID', () => defineProjection({ ...countByType, name }), name);
    t.deepEqual(error.data, { name });
    await rejection(t, 'PROJECTION_INVALID', store.project({ ...countByType, name }), name);
  }
  for (const version of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    storeError(t, 'PROJECTION_INVALID', () => defineProjection({ ...countByType, version }), `${version}`);
  }
});

test('members of a wrong type are refused by name', async (t) => {
  const store = await openTestStore(t);
  const wrongs: readonly [Record<string, unknown>, RegExp][] = [
    [{ name: 1 }, /^name must be a string$/],
    [{ version: '1' }, /^version must be a number$/],
    [{ initial: new Map() }, /^initial must be a function$/],
    [{ evolve: undefined }, /^evolve must be a function$/],
    [{ encode: 'json', decode: () => new Map() }, /^encode must be a function$/],
    [{ encode: () => new Uint8Array(), decode: null }, /^decode must be a function$/],
    [{ encode: () => new Uint8Array() }, /^encode and decode must come together$/],
    [{ decode: () => new Map() }, /^encode and decode must come together$/],
  ];
  for (const [wrong, message] of wrongs) {
    const projection = { ...countByType, ...wrong } as typeof countByType;
    t.throws(() => defineProjection(projection), { instanceOf: TypeError, message });
    await t.throwsAsync(store.project(projection), { instanceOf: TypeError, message });
  }
  t.throws(() => defineProjection(undefined as never), { instanceOf: TypeError });
  await t.throwsAsync(store.project(countByType, null as never), { instanceOf: TypeError });
  await t.throwsAsync(store.project(countByType, { signal: true as never }), { instanceOf: TypeError });
});
