import { join } from 'node:path';
import test from 'ava';
import { PRESENT_MS } from '../../src/limits.js';
import { SUBJECT_PREFIX } from '../../src/log/rows.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { entriesOf, eventsFrom } from '../support/stored-event.js';
import { pastStateOf } from '../support/store-state.js';
import { eventsOf, openTestStore } from '../support/test-store.js';
import { openTestLog, tamper } from '../support/test-log.js';
import { bytesOf } from '../support/text-bytes.js';
import { archivePath } from './fixture-archives.js';
import { leaveDamaged, reopened, temporaryStore } from './temporary-store.js';

const a = idNamed('a');
const b = idNamed('b');

/** A clock that the test moves. */
function clockAt(text: string): { now: () => number; set: (text: string) => void } {
  let time = Date.parse(text);
  return {
    now: () => time,
    set: (next) => {
      time = Date.parse(next);
    },
  };
}

test('a store filled from real archives is, at each moment, what it was then', async (t) => {
  const clock = clockAt('2026-11-01T09:00:00Z');
  const store = await temporaryStore(t, { now: clock.now });
  await store.load(archivePath('docker25-all.tar'));
  const afterLoad = pastStateOf(store);
  const { seq: loaded } = store.log.head;
  const tag = 'docker.io/shop/app:1.0';
  const first = store.resolve(tag);
  const second = store.resolve('shop/app:2.0');
  clock.set('2026-11-02T09:00:00Z');
  await store.tag({ source: second, target: tag }, { actor: 'ann', reason: 'hotfix' });
  const afterMove = pastStateOf(store);
  clock.set('2026-11-03T09:00:00Z');
  await store.delete(second);
  const afterDelete = pastStateOf(store);
  clock.set('2026-11-03T12:00:00Z');

  t.deepEqual(pastStateOf(await store.at('2026-11-01')), afterLoad);
  t.deepEqual(pastStateOf(await store.at(loaded)), afterLoad);
  t.deepEqual(pastStateOf(await store.at('2026-11-02T23:00:00+02:00')), afterMove);
  t.deepEqual(pastStateOf(await store.at(new Date('2026-11-03T08:59:59.999Z'))), afterMove);
  t.deepEqual(pastStateOf(await store.at('2026-11-03T09:00:00')), afterDelete);
  t.deepEqual(pastStateOf(await store.at('2026-11-03')), afterDelete, 'today ends now');
  t.is((await store.at('2026-10-31')).seq, 0);

  t.is(await store.resolve(tag, { at: '2026-11-01' }), first);
  t.is(await store.resolve(tag, { at: '2026-11-02' }), second);
  await rejection(t, 'REFERENCE_NOT_FOUND', store.resolve(tag, { at: '2026-11-03' }));
  const past = await store.at('2026-11-02');
  t.deepEqual(past.get(second).rawJSON().length > 0, true, 'an image that was deleted since');
  t.true(past.layers.map().size > store.layers.map().size, 'a layer that went with an image');
  const [chainId] = past.layers.map().keys();
  t.is(past.layers.get(chainId as never).chainId, chainId as never);
  storeError(t, 'LAYER_NOT_FOUND', () => past.layers.get(idNamed('none') as never));
  const [created, moved] = await store.referenceHistory(tag);
  t.like(created, { image: first, previous: undefined, until: moved?.from, untilSeq: moved?.seq });
  t.like(moved, { image: second, previous: first, actor: 'ann', reason: 'hotfix', removedBy: 'tester' });
});

test('a log without its index, opened for reading, gives the same past', async (t) => {
  const store = await temporaryStore(t);
  const tagged = await store.create(imageConfig('a'));
  await store.tag({ source: tagged, target: 'shop/app:prod' });
  await store.create(imageConfig('b'));
  const expected = await store.referenceHistory('shop/app:prod');
  await store.close();
  leaveDamaged(store, 'INDEX_MISSING');
  await tamper(join(store.directory, 'log'), (database) =>
    database.clear({ gte: Uint8Array.of(SUBJECT_PREFIX), lt: Uint8Array.of(SUBJECT_PREFIX + 1) }),
  );
  const reading = await reopened(t, store, { readOnly: true });
  t.is(await reading.resolve('shop/app:prod', { at: 3 }), tagged);
  await rejection(t, 'REFERENCE_NOT_FOUND', reading.resolve('shop/app:prod', { at: 1 }));
  t.deepEqual(await reading.referenceHistory('shop/app:prod'), expected);
});

test('the past of each platform of a reference is told', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-multi-platform.tar'));
  const [entry] = store.referenceEntries();
  const { reference, platforms = [] } = entry ?? { reference: '' };
  t.true(platforms.length > 1);
  const { seq } = store.log.head;
  for (const { image } of platforms) await store.delete(image);
  for (const { os, architecture, variant, image } of platforms) {
    t.is(await store.resolve(reference, { at: seq, platform: { os, architecture, variant } }), image);
    t.is((await store.at(seq)).resolve(reference, { platform: { os, architecture, variant } }), image);
  }
  await rejection(t, 'PLATFORM_NOT_FOUND', store.resolve(reference, { at: seq, platform: 'plan9/mips' }));
  await rejection(t, 'PLATFORM_INVALID', store.resolve(reference, { at: seq, platform: 'x' }));
  const [first, ...rest] = await store.referenceHistory(reference);
  t.is(first?.platforms?.length, platforms.length);
  t.is(rest.length, platforms.length - 1, 'each platform that goes begins another period');
});

test('a time never cuts a transaction in half', async (t) => {
  const clock = clockAt('2026-11-01T09:00:00Z');
  const store = await openTestStore(t, { now: clock.now });
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'));
  await store.setParent(b, a);
  await store.tag({ source: a, target: 'x:1' });
  clock.set('2026-11-01T09:00:00.001Z');
  await store.delete(a);
  const { seq } = store.log.head;
  t.is((await store.at(new Date(clock.now() - 1))).seq, seq - 3);
  t.is((await store.at(new Date(clock.now()))).seq, seq);
  const inside = await store.at(seq - 2);
  t.deepEqual([inside.len(), inside.references(a), inside.get(b).parent], [2, ['docker.io/library/x:1'], '']);
});

test('a past store has every reading member, and keeps its answers while the store continues', async (t) => {
  const store = await openTestStore(t, { now: () => Date.UTC(2026, 10, 1) });
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'));
  await store.setParent(b, a);
  await store.setLastUpdated(b);
  await store.setBuiltLocally(b);
  await store.setMetadata(b, 'k', bytesOf('v'));
  await store.tag({ source: b, target: 'x:1' });
  const past = await store.at(store.log.head.seq);
  await store.delete(b);
  await store.delete(a);
  t.is(past.get(b).id(), b);
  t.is(past.search(b.slice(7, 20)), b);
  t.is(past.getParent(b), a);
  t.deepEqual(past.getLastUpdated(b), new Date(Date.UTC(2026, 10, 1)));
  t.true(past.isBuiltLocally(b));
  t.deepEqual(past.children(a), [b]);
  t.deepEqual([...past.map().keys()], [a, b]);
  t.deepEqual(
    [...past.heads().values()].map((image) => image.id()),
    [b],
  );
  t.is(past.len(), 2);
  t.deepEqual(past.getMetadata(b, 'k'), bytesOf('v'));
  t.deepEqual(past.getMetadata(b, 'parent'), bytesOf(a));
  t.is(past.resolve('x:1'), b);
  t.deepEqual(past.references(b), ['docker.io/library/x:1']);
  t.is(past.referenceEntries()[0]?.image, b);
  t.is(past.layers.map().size, 0);
  storeError(t, 'IMAGE_NOT_FOUND', () => past.get(idNamed('c')));
  storeError(t, 'METADATA_NOT_FOUND', () => past.getMetadata(a, 'k'));
  storeError(t, 'METADATA_NOT_FOUND', () => past.getParent(a));
  storeError(t, 'REFERENCE_NOT_FOUND', () => past.resolve('y:1'));
  const { map } = past.layers;
  await store.close();
  for (const read of [() => past.get(b), () => past.len(), () => past.resolve('x:1'), map])
    storeError(t, 'STORE_CLOSED', read);
});

test('what is saved of the past has the names of then, and fails once a layer is gone', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  const past = await store.at(store.log.head.seq);
  const id = store.resolve('tiny:1');
  await store.tag({ source: id, target: 'later:1' });
  await store.untag('tiny:1');
  const other = await temporaryStore(t);
  await other.load(store.save('tiny', { past }));
  t.deepEqual(other.references(id), ['docker.io/library/tiny:1']);
  storeError(t, 'IMAGE_NOT_FOUND', () => store.save('later:1', { past }));
  t.throws(() => store.save('tiny:1', { past: {} as typeof past }), { instanceOf: TypeError });
  await store.delete(id);
  storeError(t, 'BLOB_MISSING', () => store.save('tiny:1', { past }));
});

test('an image that was deleted has its config, and one that never was is unknown', async (t) => {
  const store = await temporaryStore(t);
  const id = await store.create(imageConfig('a'));
  t.is((await store.imageEver(id)).config?.labels?.name, 'a');
  await store.delete(id);
  const { parent, details } = await store.imageEver(id);
  t.is((await store.imageEver(id)).config?.labels?.name, 'a');
  t.deepEqual([parent, details], ['', undefined]);
  await rejection(t, 'SUBJECT_NOT_FOUND', store.imageEver(b));
  await store.erase(id, 'secret');
  await rejection(t, 'CONTENT_ERASED', store.imageEver(id));
});

test('the store before its first event is empty, and so is one without events', async (t) => {
  const store = await openTestStore(t);
  for (const when of [0, '2020-01-01', new Date()]) {
    const past = await store.at(when);
    t.deepEqual([past.seq, past.time, past.len()], [0, 0, 0]);
  }
  t.deepEqual(await store.diff(0, 0), {
    from: { seq: 0, time: 0 },
    to: { seq: 0, time: 0 },
    images: [],
    references: [],
    artifacts: [],
    parents: [],
    metadata: [],
    layers: [],
  });
});

test('a malformed or future point in time is refused by name', async (t) => {
  const clock = clockAt('2026-11-01T09:00:00Z');
  const store = await openTestStore(t, { now: clock.now });
  await store.create(imageConfig('a'));
  const late = await rejection(t, 'TIME_OUT_OF_RANGE', store.at(2));
  t.deepEqual(late.data, { seq: 2, head: 1 });
  const coming = await rejection(t, 'TIME_OUT_OF_RANGE', store.at('2026-11-02'));
  t.is(coming.message, '2026-11-02 is in the future: it is 2026-11-01 09:00:00 UTC');
  await rejection(t, 'TIME_OUT_OF_RANGE', store.at(new Date('2026-11-01T09:00:00.001Z')));
  await rejection(t, 'TIME_OUT_OF_RANGE', store.diff(1, 0));
  await rejection(t, 'TIME_OUT_OF_RANGE', store.resolve('x:1', { at: 2 }));
  t.deepEqual((await rejection(t, 'TIME_OUT_OF_RANGE', store.at('@7'))).data, { seq: 7, head: 1 });
  for (const when of ['', 'soon', '2026', '2026-02-30', new Date(Number.NaN)])
    await rejection(t, 'TIME_INVALID', store.at(when));
  for (const when of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
    await t.throwsAsync(store.at(when), { instanceOf: RangeError });
  for (const when of [null, undefined, {}, true])
    await t.throwsAsync(store.at(when as never), { instanceOf: TypeError });
  await t.throwsAsync(store.at(1, { signal: AbortSignal.abort() }), { code: 'ABORTED' });
  // A clock that went back is behind the events that it stamped.
  clock.set('2026-10-01T00:00:00Z');
  t.is((await store.at('2026-11-01T09:00:00Z')).seq, 1);
  await rejection(t, 'TIME_OUT_OF_RANGE', store.at('2026-11-01T09:00:01Z'));
});

test('a difference tells what was added, removed and changed, and by which event', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const before = store.log.head.seq;
  const old = store.resolve('shop/app:1.0');
  const next = store.resolve('shop/app:2.0');
  await store.tag({ source: next, target: 'shop/app:1.0' }, { actor: 'ann' });
  await store.tag({ source: next, target: 'shop/new:1' });
  await store.setMetadata(next, 'k', bytesOf('1'));
  await store.setMetadata(next, 'k', bytesOf('2'));
  await store.create(imageConfig('came-and-went'));
  await store.delete(idNamed('came-and-went'));
  const layersBefore = store.layers.map().size;
  await store.delete(store.resolve('tiny:1'));
  const diff = await store.diff(before, store.log.head.seq);
  t.is(diff.from.seq, before);
  t.deepEqual(
    diff.images.map(({ change }) => change),
    ['removed'],
  );
  t.deepEqual(
    diff.references.map(({ reference, change, before: was, after: is }) => [reference, change, was?.image, is?.image]),
    [
      ['docker.io/shop/app:1.0', 'changed', old, next],
      ['docker.io/shop/new:1', 'added', undefined, next],
      ['docker.io/library/tiny:1', 'removed', diff.images[0]?.image, undefined],
    ],
  );
  t.is(diff.references[0]?.event.actor, 'ann');
  t.deepEqual(
    diff.metadata.map(({ key, change, after }) => [key, change, after]),
    [['k', 'added', bytesOf('2')]],
  );
  t.is(diff.layers.filter(({ change }) => change === 'removed').length, layersBefore - store.layers.map().size);
  const whole = await store.diff(0, store.log.head.seq);
  t.is(whole.images.length, store.len());
  t.is(whole.layers.length, store.layers.map().size);
  t.deepEqual(
    whole.references.map(({ reference }) => reference).sort(),
    store.referenceEntries().map(({ reference }) => reference),
  );
});

test('a subject of a wrong type is refused by name, and one that is two subjects', async (t) => {
  const store = await temporaryStore(t);
  const image = await store.create(imageConfig('a'));
  const historyOf = async (...args: readonly unknown[]): Promise<void> => {
    for await (const _ of store.history(...(args as Parameters<typeof store.history>)));
  };
  for (const subject of [null, undefined, 5, {}, [image], { foo: image }, { image, actor: 'tester' }]) {
    await t.throwsAsync(historyOf(subject), { instanceOf: TypeError, message: /^subject must be / });
  }
  await t.throwsAsync(historyOf({ image: 5 }), { instanceOf: TypeError, message: 'image must be a string' });
  await t.throwsAsync(historyOf({ reference: 5 }), { instanceOf: TypeError, message: 'reference must be a string' });
  await t.throwsAsync(historyOf(image, null), { instanceOf: TypeError, message: 'options must be an object' });
  const noText = { instanceOf: TypeError, message: 'reference must be a string' };
  await t.throwsAsync(store.referenceHistory(null as never), noText);
  await t.throwsAsync(store.resolve(null as never, { at: 1 }), noText);
  await historyOf({ image, actor: undefined });
});

test('the history of each subject is what a scan of every event gives, and pages both ways', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'), { actor: 'loader' });
  const image = store.resolve('shop/app:1.0');
  await store.tag({ source: image, target: 'shop/app:prod' }, { actor: 'ann' });
  await store.delete(image, { actor: 'ann' });
  const seqsOf = async (...args: Parameters<typeof store.history>): Promise<number[]> => {
    const seqs: number[] = [];
    for await (const { seq } of store.history(...args)) seqs.push(seq);
    return seqs;
  };
  const [chainId] = store.layers.map().keys();
  for (const [subject, filter] of [
    [image, { image }],
    [{ image }, { image }],
    ['shop/app:prod', { reference: 'shop/app:prod' }],
    [{ reference: 'docker.io/shop/app:prod' }, { reference: 'shop/app:prod' }],
    [chainId as string, { chainId }],
    [{ actor: 'ann' }, { actor: 'ann' }],
  ] as const) {
    const expected = (await eventsOf(store, { filter: filter as never })).map(({ seq }) => seq);
    t.true(expected.length > 0);
    t.deepEqual(await seqsOf(subject), expected);
    t.deepEqual(await seqsOf(subject, { reverse: true }), expected.toReversed());
    t.deepEqual(await seqsOf(subject, { limit: 1 }), expected.slice(0, 1));
    t.deepEqual(await seqsOf(subject, { from: (expected[0] as number) + 1 }), expected.slice(1));
    t.deepEqual(
      await seqsOf(subject, { reverse: true, to: (expected.at(-1) as number) - 1 }),
      expected.slice(0, -1).reverse(),
    );
  }
  t.deepEqual(
    await seqsOf(image, { type: 'ImageDeleted' }),
    (await eventsOf(store, { filter: { image, type: 'ImageDeleted' } })).map(({ seq }) => seq),
  );
  t.deepEqual(await seqsOf('shop/app:prod', { to: 1 }), [], 'it was not there yet');
  for (const unknown of [idNamed('never'), 'never/seen:1', { actor: 'nobody' }, { chainId: idNamed('no') as never }]) {
    await rejection(t, 'SUBJECT_NOT_FOUND', seqsOf(unknown));
  }
  await rejection(t, 'REFERENCE_INVALID', seqsOf('Not A Reference'));
  await rejection(t, 'REFERENCE_NOT_FOUND', store.referenceHistory('never/seen:1'));
  await t.throwsAsync(seqsOf(image, { signal: AbortSignal.abort() }), { code: 'ABORTED' });
});

test('a reference set to what differs in the label of a platform alone begins a period, and is a difference', async (t) => {
  const written = await temporaryStore(t);
  await written.create(imageConfig('a'));
  await written.close();
  const reference = 'docker.io/library/x:1';
  const labels = [
    { os: 'linux', architecture: 'arm', variant: 'v6' },
    { os: 'linux', architecture: 'arm', variant: 'v7' },
    { os: 'linux', architecture: 'arm', variant: 'v7' },
    { os: 'linux', architecture: 'arm' },
    { os: '', architecture: 'arm' },
    { os: 'unknown', architecture: 'arm' },
  ];
  const targets = labels.map((label) => [{ image: a, ...label }]);
  const events = targets.flatMap((platforms, at) => {
    const before = targets[at - 1];
    const previous = before === undefined ? {} : { previous: a, previousPlatforms: before };
    return eventsFrom(at + 2, [{ type: 'ReferenceSet', reference, image: a, platforms, ...previous }], Date.now());
  });
  const log = await openTestLog(t, join(written.directory, 'log'));
  await log.append({ expectedHead: 1, entries: entriesOf(events), content: new Map() });
  await log.close();
  const store = await reopened(t, written);
  const intervals = await store.referenceHistory('x:1');
  t.deepEqual(
    intervals.map(({ seq, untilSeq, platforms }) => [seq, untilSeq, platforms?.[0]?.variant]),
    [
      [2, 3, 'v6'],
      [3, 5, 'v7'],
      [5, 6, undefined],
      [6, 7, undefined],
      [7, undefined, undefined],
    ],
  );
  t.like(await store.diff(2, 3), { references: [{ reference, change: 'changed', event: { seq: 3 } }] });
  t.deepEqual((await store.diff(3, 4)).references, []);
  t.deepEqual(await store.verify(), []);
});

test('what was just written is there now, also when the clock ran ahead once and was set right', async (t) => {
  const clock = clockAt('2026-11-01T10:00:00Z');
  const store = await temporaryStore(t, { now: clock.now });
  await store.create(imageConfig('a'));
  clock.set('2026-11-01T13:00:00Z');
  await store.create(imageConfig('b'));
  clock.set('2026-11-01T12:00:00Z');
  await store.delete(b);
  const ahead = '2026-11-01T13:00:00.000Z';
  t.is(new Date(store.log.head.time).toISOString(), ahead, 'times never go back');
  const justNow = new Date(clock.now() - PRESENT_MS);
  for (const now of [new Date(clock.now()), justNow, '2026-11-01T12:00:00Z', '2026-11-01', 'now'] as const) {
    t.is((await store.at(now)).seq, 3, String(now));
    t.like(await store.diff(1, now), { to: { seq: 3 }, images: [] });
    t.is((await store.diff(now, now)).from.seq, 3);
    t.deepEqual(
      (await store.prune({ before: now, dryRun: true })).contents.map(({ digest }) => digest),
      [b],
    );
  }
  await rejection(t, 'REFERENCE_NOT_FOUND', store.resolve('x:1', { at: 'now' }));
  // What was before the present is told by the times of the events, as is what the clock has yet to reach.
  t.is((await store.at(new Date(justNow.getTime() - 1))).seq, 1);
  t.is((await store.at('2026-11-01T12:30:00Z')).seq, 1);
  t.is((await store.at(ahead)).seq, 3);
  await rejection(t, 'TIME_OUT_OF_RANGE', store.at('2026-11-01T13:00:01Z'));
});

test('a moment just before now does not have what came after it, when the clock goes right', async (t) => {
  const clock = clockAt('2026-11-01T10:00:00.000Z');
  const store = await temporaryStore(t, { now: clock.now });
  await store.create(imageConfig('a'));
  clock.set('2026-11-01T10:00:00.500Z');
  await store.create(imageConfig('b'));
  t.is((await store.at(new Date('2026-11-01T10:00:00.499Z'))).seq, 1);
  t.is((await store.at('now')).seq, 2);
  const empty = await temporaryStore(t, { now: clock.now });
  t.is((await empty.at('now')).seq, 0);
});

test('a point in time may be words, by the clock of the store, in UTC or in a zone', async (t) => {
  const clock = clockAt('2026-11-27T02:00:00Z');
  const store = await temporaryStore(t, { now: clock.now });
  await store.create(imageConfig('a'));
  await store.tag({ source: a, target: 'x:1' });
  clock.set('2026-11-28T14:00:17.500Z');
  await store.create(imageConfig('b'));
  await store.tag({ source: b, target: 'x:1' });
  clock.set('2026-11-29T10:00:00Z');
  const first = { seq: 2, time: Date.parse('2026-11-27T02:00:00Z') };
  const second = { seq: 4, time: Date.parse('2026-11-28T14:00:17.500Z') };
  for (const [when, point] of [
    ['2h', second],
    ['now', second],
    ['today', second],
    ['yesterday', second],
    ['2026-11-28T14:00', second],
    ['2026-11-28 14:00:17', second],
    ['@4', second],
    ['4', second],
    ['1 day ago', first],
    ['yesterday 13:59', first],
    ['2026-11-28T14:00:17.499Z', first],
    ['last friday', first],
    ['2026-11-27', first],
    ['#2', first],
    ['3 days ago', { seq: 0, time: 0 }],
    ['thursday', { seq: 0, time: 0 }],
  ] as const) {
    t.deepEqual(await store.pointAt(when), point, when);
    t.is((await store.at(when)).seq, point.seq, when);
    t.is((await store.diff(0, when)).to.seq, point.seq, when);
    t.is((await store.prune({ before: when, dryRun: true })).before.seq, point.seq, when);
    if (point.seq > 0) t.is(await store.resolve('x:1', { at: when }), point === first ? a : b, when);
  }
  const timeZone = 'America/New_York';
  t.deepEqual(await store.pointAt('2026-11-26', { timeZone }), first);
  t.is((await store.at('thursday 21:00', { timeZone })).seq, 2);
  t.is((await store.diff('thursday', '2026-11-28 09:00', { timeZone })).to.seq, 4);
  t.is(await store.resolve('x:1', { at: '2026-11-28 08:59', timeZone }), a);
  t.is((await store.prune({ before: '2026-11-28 08:59 EST', timeZone, dryRun: true })).before.seq, 2);
  const { message } = await rejection(t, 'TIME_OUT_OF_RANGE', store.at('2026-11-29 05:01', { timeZone }));
  t.is(message, '2026-11-29 05:01 is in the future: it is 2026-11-29 05:00:00 EST');
});

test('a year is no event: as a text it is refused, as a number it is a seq', async (t) => {
  const store = await openTestStore(t);
  for (const ask of [
    () => store.at('2026'),
    () => store.pointAt('2026'),
    () => store.diff('2026', 'now'),
    () => store.resolve('x:1', { at: '2026' }),
    () => store.prune({ before: '2026', dryRun: true }),
  ]) {
    const { message } = await rejection(t, 'TIME_INVALID', ask());
    t.is(message, '2026 alone has two readings: event 2026 is @2026, the year begins at 2026-01-01');
  }
  const late = await rejection(t, 'TIME_OUT_OF_RANGE', store.at(2026));
  t.deepEqual(late.data, { seq: 2026, head: 0 });
});

test('a time zone is one that is known', async (t) => {
  const store = await openTestStore(t);
  for (const timeZone of ['EST5', 'Mars/Olympus', ''])
    await t.throwsAsync(store.at('now', { timeZone }), {
      instanceOf: RangeError,
      message: /^timeZone must be an IANA/,
    });
  await t.throwsAsync(store.pointAt('now', { timeZone: 1 as never }), { instanceOf: TypeError });
  await store.close();
  await rejection(t, 'STORE_CLOSED', store.pointAt('now'));
});

test('a filter takes words by the clock of the store, and a consumer keeps the times that they meant', async (t) => {
  const clock = clockAt('2026-11-28T09:00:00Z');
  const store = await temporaryStore(t, { now: clock.now });
  await store.create(imageConfig('a'));
  clock.set('2026-11-29T09:00:00Z');
  await store.create(imageConfig('b'));
  const seqs = async (filter: object): Promise<number[]> => {
    const found: number[] = [];
    for await (const { seq } of store.log.read({ filter })) found.push(seq);
    return found;
  };
  t.deepEqual(await seqs({ since: '2h' }), [2]);
  t.deepEqual(await seqs({ until: 'yesterday' }), [1]);
  t.deepEqual(await seqs({ since: new Date('2026-11-28T09:00:00Z'), until: '2026-11-28T09:00' }), [1]);
  const consumer = store.consumer('c', { filter: { since: '2h' } });
  for await (const event of consumer) {
    await consumer.ack(event);
    break;
  }
  await consumer.close();
  clock.set('2026-12-29T09:00:00Z');
  await store.create(imageConfig('c'));
  t.like(await store.consumers(), [{ name: 'c', position: 2, behind: 1 }]);
});

test('the history of a pattern has the periods of every reference that ever matched', async (t) => {
  const store = await temporaryStore(t);
  for (const name of ['a', 'b']) await store.create(imageConfig(name));
  await store.tag({ source: a, target: 'shop/web:prod' });
  await store.tag({ source: a, target: 'shop/api:prod' });
  await store.tag({ source: b, target: 'other:prod' });
  await store.tag({ source: b, target: 'shop/api:prod' }, { requestId: 'T-1' });
  await store.tag({ source: b, target: 'shop/api:dev' }, { via: 'registry', address: '192.0.2.7' });
  await store.untag('shop/web:prod', { reason: 'gone', requestId: 'T-2', via: 'http', agent: 'curl/8' });
  await store.tag({ source: a, target: 'shop/web:prod' });
  const periods = async (reference: string): Promise<unknown[]> =>
    (await store.referenceHistory(reference)).map(({ reference: name, seq, untilSeq }) => [name, seq, untilSeq]);
  const [api, web] = ['docker.io/shop/api:prod', 'docker.io/shop/web:prod'];
  const expected = [
    [api, 4, 6],
    [api, 6, undefined],
    [web, 3, 8],
    [web, 9, undefined],
  ];
  t.deepEqual(await periods('shop/*:prod'), expected);
  t.deepEqual(await periods('*:prod'), [['docker.io/library/other:prod', 5, undefined], ...expected]);
  t.like(await store.referenceHistory('shop/w*'), [{ removedReason: 'gone', removedRequestId: 'T-2' }, { seq: 9 }]);
  const route = { agent: undefined, traceparent: undefined };
  t.like(await store.referenceHistory('shop/api:dev'), [{ via: 'registry', address: '192.0.2.7', ...route }]);
  t.like(await store.referenceHistory('shop/w*'), [{ removedVia: 'http', removedAgent: 'curl/8' }, { seq: 9 }]);
  for (const name of ['via', 'address', 'removedVia'])
    t.false(name in ((await store.referenceHistory('shop/api:prod'))[1] ?? {}), name);
  const error = await rejection(t, 'REFERENCE_NOT_FOUND', store.referenceHistory('*:none'));
  t.is(error.message, 'no reference ever matched *:none');
  await rejection(t, 'FILTER_INVALID', store.referenceHistory('*['));
  await rejection(t, 'REFERENCE_INVALID', store.referenceHistory('X:1'));
});

test('the history of a subject may be of one request, or of reasons with a text', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  await store.tag({ source: a, target: 'x:1' }, { requestId: 'T-1', reason: 'First' });
  await store.tag({ source: a, target: 'x:2' }, { requestId: 'T-1', reason: 'second' });
  await store.tag({ source: a, target: 'x:3' }, { reason: 'first again', via: 'registry' });
  const seqsOf = async (...args: Parameters<typeof store.history>): Promise<number[]> => {
    const seqs: number[] = [];
    for await (const { seq } of store.history(...args)) seqs.push(seq);
    return seqs;
  };
  t.deepEqual(await seqsOf('x:2', { requestId: 'T-1' }), [3]);
  t.deepEqual(await seqsOf(a, { requestId: 'T-1' }), [2, 3]);
  t.deepEqual(await seqsOf(a, { reasonIncludes: 'FIRST' }), [2, 4]);
  t.deepEqual(await seqsOf(a, { via: ['registry', 'mirror'] }), [4]);
  t.deepEqual(await seqsOf(a, { via: 'regist' }), []);
  t.deepEqual(await seqsOf(a, { reasonIncludes: 'first', requestId: ['T-1', 'T-2'] }), [2]);
});
