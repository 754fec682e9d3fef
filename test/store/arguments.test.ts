import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newFSStoreBackend } from '../../src/store/docker-backend.js';
import { MAX_TIME_MS } from '../../src/limits.js';
import { newHistory } from '../../src/model/history.js';
import { openStore } from '../../src/store/open/open-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { blobFiles, footprint, temporaryStore } from './temporary-store.js';

/** A value that the types refuse, as a caller without types passes it. */
const wrong = (value: unknown): never => value as never;

async function* streamOf(...chunks: unknown[]): AsyncGenerator<never> {
  for (const chunk of chunks) yield wrong(chunk);
}

const first = async (events: AsyncIterable<unknown>): Promise<unknown> => events[Symbol.asyncIterator]().next();

const ID = idNamed('a');

type Call = (store: EventStore) => unknown;

const refuses = test.macro({
  title: (what) => `${what} is refused by name and changes nothing`,
  exec: async (t: ExecutionContext, call: Call, message: RegExp, kind: ErrorConstructor = TypeError) => {
    const store = await temporaryStore(t);
    const before = await footprint(store);
    await t.throwsAsync(async () => call(store), { instanceOf: kind, message });
    t.deepEqual(await footprint(store), before);
    t.deepEqual(blobFiles(store.directory), []);
  },
});

for (const [name, chunk] of Object.entries({ text: 'a', null: null, undefined: undefined, number: 42, object: {} })) {
  test(
    `register of a stream with a chunk of kind ${name}`,
    refuses,
    (s) => s.layers.register(streamOf(chunk)),
    /chunk of stream /,
  );
  test(
    `register of a stream with bytes and a chunk of kind ${name}`,
    refuses,
    (s) => s.layers.register(streamOf(new Uint8Array(512), chunk)),
    /chunk of stream /,
  );
  test(`load of a stream with a chunk of kind ${name}`, refuses, (s) => s.load(streamOf(chunk)), /chunk of source /);
}
for (const value of ['text', 42, null, undefined, {}]) {
  test(`register of ${JSON.stringify(value)}`, refuses, (s) => s.layers.register(wrong(value)), /^stream must/);
}
for (const value of [42, null, undefined, {}]) {
  test(`load of ${JSON.stringify(value)}`, refuses, (s) => s.load(wrong(value)), /^source must/);
}
test('load with overwrite: "false"', refuses, (s) => s.load(streamOf(), { overwrite: wrong('false') }), /^overwrite /);
test('load with overwrite: null', refuses, (s) => s.load(streamOf(), { overwrite: wrong(null) }), /^overwrite /);
test('load with allPlatforms: 1', refuses, (s) => s.load(streamOf(), { allPlatforms: wrong(1) }), /^allPlatforms /);
test('load with tag: 42', refuses, (s) => s.load(streamOf(), { tag: wrong(42) }), /^tag /);
test('load with a signal that is not one', refuses, (s) => s.load(streamOf(), { signal: wrong({}) }), /^signal /);
test(
  'tag with overwrite: 0',
  refuses,
  (s) => s.tag({ source: 'b', target: 'a' }, { overwrite: wrong(0) }),
  /^overwrite /,
);
test('tag of 42', refuses, (s) => s.tag({ source: 'b', target: wrong(42) }), /^target must be a string/);
test('tag from 42', refuses, (s) => s.tag({ source: wrong(42), target: 'a' }), /^source must be a string/);
test('tag of nothing', refuses, (s) => s.tag(wrong(undefined)), /^tag must be an object/);
test('tag of one text', refuses, (s) => s.tag(wrong('a:1')), /write tag\({ source: '…', target: 'a:1' }\)/);
test(
  'tag in the order it once had',
  refuses,
  (s) => s.tag(wrong('a:1'), wrong(ID)),
  new RegExp(`that of docker tag, the image first: write tag\\({ source: '${ID}', target: 'a:1' }\\)$`),
);
test(
  'tag in the order of docker tag',
  refuses,
  (s) => s.tag(wrong(ID), wrong('a:1')),
  new RegExp(`^tag takes an object: write tag\\({ source: '${ID}', target: 'a:1' }\\)$`),
);
test(
  'tag with two names in a row',
  refuses,
  (s) => s.tag(wrong('a:1'), wrong('b:1')),
  /write tag\({ source: 'b:1', target: 'a:1' }\) to point a:1 at what b:1 is, .* tag\({ source: 'a:1', target: 'b:1' }\)/,
);
test('untag of null', refuses, (s) => s.untag(wrong(null)), /^reference must be a string/);
test('untag with removeArtifacts: 1', refuses, (s) => s.untag('a', { removeArtifacts: wrong(1) }), /^removeArtifacts /);
test('deleteArtifact of 42', refuses, (s) => s.deleteArtifact(wrong(42)), /^digest must be a string/);
test('deleteArtifact with force: "no"', refuses, (s) => s.deleteArtifact('a', { force: wrong('no') }), /^force /);
test('artifact of null', refuses, (s) => s.artifact(wrong(null)), /^digest must be a string/);
test('artifactManifest of 42', refuses, (s) => s.artifactManifest(wrong(42)), /^digest must be a string/);
test('find of an object', refuses, (s) => s.find(wrong({})), /^partial must be a string/);
test('referrers of 42', refuses, (s) => s.referrers(wrong(42)), /^digest must be a string/);
test('referrers with null', refuses, (s) => s.referrers('a', wrong(null)), /^options must be an object/);
test('referrers of type 7', refuses, (s) => s.referrers('a', { artifactType: wrong(7) }), /^artifactType /);
test('resolve of an object', refuses, (s) => s.resolve(wrong({})), /^reference must be a string/);
test('children of 42', refuses, (s) => s.children(wrong(42)), /^id must be a string/);
test('getParent of nothing', refuses, (s) => s.getParent(wrong(undefined)), /^id must be a string/);
test('isBuiltLocally of null', refuses, (s) => s.isBuiltLocally(wrong(null)), /^id must be a string/);
test('getLastUpdated of an object', refuses, (s) => s.getLastUpdated(wrong({})), /^id must be a string/);
test('setMetadata of 42', refuses, (s) => s.setMetadata(wrong(42), 'k', new Uint8Array(1)), /^id must be a string/);
test('a map has nothing that is not a string', async (t) => {
  const store = await temporaryStore(t);
  await store.create(imageConfig('a'));
  for (const key of [undefined, null, 42, {}]) {
    t.false(store.map().has(wrong(key)));
    t.is(store.heads().get(wrong(key)), undefined);
  }
});
test('search of 42', refuses, (s) => s.search(wrong(42)), /^partial must be a string/);
test('get of undefined', refuses, (s) => s.get(wrong(undefined)), /^id must be a string/);
test('delete of null', refuses, (s) => s.delete(wrong(null)), /^id must be a string/);
test('setParent of 1', refuses, (s) => s.setParent(wrong(1), wrong('a')), /^id must be a string/);
test('setParent to 1', refuses, (s) => s.setParent(wrong('a'), wrong(1)), /^parent must be a string/);
test(
  'setMetadata under 42',
  refuses,
  (s) => s.setMetadata(wrong('a'), wrong(42), Uint8Array.of()),
  /^key must be a string/,
);
test('getMetadata under null', refuses, (s) => s.getMetadata(wrong('a'), wrong(null)), /^key must be a string/);
test('deleteMetadata under null', refuses, (s) => s.deleteMetadata(wrong('a'), wrong(null)), /^key must be a string/);
test('save of 42', refuses, (s) => s.save(wrong(42)), /^names must be/);
test('saveTo a path', refuses, (s) => s.saveTo(wrong('a.tar'), 'x'), /^file must be an object/);
test('save of [42]', refuses, (s) => s.save([wrong(42)]), /^each of names must be a string/);

for (const way of ['read', 'follow'] as const) {
  const row = (what: string, options: unknown, message: RegExp, kind?: ErrorConstructor): void =>
    test(`${way} with ${what}`, refuses, (s) => first(s.log[way](wrong(options))), message, kind);
  row('options null', null, /^options /);
  row('options that are a text', 'x', /^options /);
  row('a filter null', { filter: null }, /^filter /);
  row('an unknown type', { filter: { type: 'ImageMade' } }, /^type .*"ImageMade"/, RangeError);
  row('an unknown type beside a known one', { filter: { type: ['ImageCreated', 'x'] } }, /^type .*"x"/, RangeError);
  row('a type 42', { filter: { type: 42 } }, /^type /);
  row('an actor 42', { filter: { actor: [42] } }, /^actor must be a string/);
  row('since of another type', { filter: { since: true } }, /^since /);
  row('until NaN', { filter: { until: Number.NaN } }, /^until /);
  row('a signal of another type', { signal: {} }, /^signal /);
}
test('read with reverse: 1', refuses, (s) => first(s.log.read({ reverse: wrong(1) })), /^reverse /);

const refusesToOpen = test.macro({
  title: (_, option: string, value: unknown) => `openStore with ${option}: ${JSON.stringify(value)} makes nothing`,
  exec: async (t: ExecutionContext, option: string, value: unknown) => {
    const directory = join(await temporaryDirectory(t), 'store');
    const message = new RegExp(`^${option} must be `);
    await t.throwsAsync(openStore(directory, wrong({ [option]: value })), { instanceOf: TypeError, message });
    t.false(existsSync(directory));
  },
});

for (const value of ['no', null, 0]) {
  test(refusesToOpen, 'create', value);
  test(refusesToOpen, 'readOnly', value);
}
for (const value of ['', 1, null]) {
  test(refusesToOpen, 'os', value);
  test(refusesToOpen, 'origin', value);
}
for (const value of ['all', null, {}, { get: true, release: true }, 1]) test(refusesToOpen, 'layers', value);
test(refusesToOpen, 'signal', {});
test(refusesToOpen, 'now', 1);
for (const value of [-1, 0.5, '100', null]) test(refusesToOpen, 'snapshotEvery', value);
for (const value of ['print', null, {}]) test(refusesToOpen, 'onNotice', value);
test(refusesToOpen, 'actor', 1);

test('a directory is a string that is not empty', async (t) => {
  for (const value of ['', undefined, null, 42]) {
    await t.throwsAsync(openStore(wrong(value)), { instanceOf: TypeError, message: /^directory must be a string/ });
    await t.throwsAsync(newFSStoreBackend(wrong(value)), { instanceOf: TypeError, message: /^root must be a string/ });
  }
});

test('a source that hangs is told that its load was aborted', async (t) => {
  const store = await temporaryStore(t);
  const abort = new AbortController();
  let isClosed = false;
  const next = (): Promise<never> => {
    setImmediate(() => abort.abort());
    return new Promise(() => undefined);
  };
  const close = async (): Promise<IteratorReturnResult<undefined>> => {
    isClosed = true;
    return { done: true, value: undefined };
  };
  const source = { [Symbol.asyncIterator]: () => ({ next, return: close }) };
  await rejection(t, 'ABORTED', store.load(source, { signal: abort.signal }));
  t.true(isClosed);
});

test('a stream with a chunk that is refused is closed', async (t) => {
  const store = await temporaryStore(t);
  let isClosed = false;
  async function* stream(): AsyncGenerator<never> {
    try {
      yield wrong('text');
    } finally {
      isClosed = true;
    }
  }
  await t.throwsAsync(store.layers.register(stream()), { instanceOf: TypeError });
  t.true(isClosed);
});

for (const [given, message, kind] of [
  [Number.NaN, /^now must give milliseconds since the epoch, from 0 to \d+: NaN$/, RangeError],
  [Number.POSITIVE_INFINITY, /^now must give milliseconds .*: Infinity$/, RangeError],
  [-1, /^now must give milliseconds .*: -1$/, RangeError],
  [MAX_TIME_MS + 1, /^now must give milliseconds .*: 253402300800000$/, RangeError],
  ['5', /^now must give a number, and gave a value of type string$/, TypeError],
  [5n, /^now must give a number, and gave a value of type bigint$/, TypeError],
  [new Date(5), /^now must give a number, and gave a value of type object$/, TypeError],
  [undefined, /^now must give a number, and gave a value of type undefined$/, TypeError],
] as const) {
  test(`a clock that gives ${typeof given} ${String(given)} is named by every call that needs the time`, async (t) => {
    const kept = await temporaryStore(t);
    await kept.create(imageConfig('a'));
    await kept.close();
    const expected = { instanceOf: kind as ErrorConstructor, message };
    await t.throwsAsync(openStore(join(await temporaryDirectory(t), 's'), { now: () => wrong(given) }), expected);
    const store = await openStore(kept.directory, { now: () => wrong(given), onNotice: () => undefined });
    t.teardown(() => store.close());
    const [id] = store.map().keys();
    const consumer = store.consumer('reader', { from: 1 });
    for (const call of [
      () => store.create(imageConfig('b')),
      () => store.setLastUpdated(id as never),
      () => store.at('2026-01-31'),
      () => store.at(new Date()),
      () => store.diff('2026-01-30', '2026-01-31'),
      () => store.prune({ before: new Date() }),
      () => store.resolve('a:1', { at: new Date() }),
    ]) {
      await t.throwsAsync(async () => call(), expected);
    }
    await t.throwsAsync(consumer.close(), expected);
    t.is(store.log.head.seq, 1);
    t.throws(() => newHistory('', '', '', true, () => wrong(given)), expected);
  });
}

test('a clock at the last moment that RFC 3339 can write is taken', async (t) => {
  const store = await temporaryStore(t, { now: () => MAX_TIME_MS });
  await store.create(imageConfig('a'));
  t.is((await store.at('9999-12-31')).seq, 1);
});

test('now must be a function', async (t) => {
  const directory = join(await temporaryDirectory(t), 's');
  const expected = { instanceOf: TypeError, message: /^now must be a function$/ };
  await t.throwsAsync(openStore(directory, { now: wrong(5) }), expected);
  t.false(existsSync(directory));
  t.throws(() => newHistory('', '', '', true, wrong(5)), expected);
});
