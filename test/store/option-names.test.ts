import { join } from 'node:path';
import test from 'ava';
import { checkProof } from '../../src/log/checkpoint.js';
import { type ChildConfig, newChildImage, newImage } from '../../src/model/image.js';
import { refuseUnknown } from '../../src/model/option-names.js';
import {
  newFSStoreBackend,
  newImageStore,
  openStore,
  rebuildStore,
  restoreStore,
  verifyStore,
} from '../../src/store/on-demand.js';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestStore } from '../support/test-store.js';

/** Options that a caller without types passes. */
const OPTIONS = { sginal: 1 } as never;
const id = idNamed('a');
const projection = { name: 'p', version: 1, initial: () => 0, evolve: (view: number) => view };

async function first(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events) return;
}

/** Each public member that takes options, called with one that it does not have. */
const calls: Readonly<Record<string, (store: EventStore) => unknown>> = {
  create: (s) => s.create(imageConfig('b'), OPTIONS),
  delete: (s) => s.delete(id, OPTIONS),
  setParent: (s) => s.setParent(id, id, OPTIONS),
  setLastUpdated: (s) => s.setLastUpdated(id, OPTIONS),
  setBuiltLocally: (s) => s.setBuiltLocally(id, OPTIONS),
  setMetadata: (s) => s.setMetadata(id, 'k', new Uint8Array(1), OPTIONS),
  deleteMetadata: (s) => s.deleteMetadata(id, 'k', OPTIONS),
  tag: (s) => s.tag({ source: id, target: 'x:1' }, OPTIONS),
  untag: (s) => s.untag('x:1', OPTIONS),
  deleteArtifact: (s) => s.deleteArtifact(id, OPTIONS),
  resolve: (s) => s.resolve('x:1', OPTIONS),
  search: (s) => s.search('a', OPTIONS),
  'search of the past': (s) => s.search('a', { past: true, ...(OPTIONS as object) }),
  searchAll: (s) => s.searchAll('a', OPTIONS),
  removal: (s) => s.removal('x:1', OPTIONS),
  pointAt: (s) => s.pointAt(1, OPTIONS),
  referrers: (s) => s.referrers(id, OPTIONS),
  load: (s) => s.load('x.tar', OPTIONS),
  save: (s) => s.save(id, OPTIONS),
  saveTo: (s) => s.saveTo({} as never, id, OPTIONS),
  'layers.register': (s) => s.layers.register(null as never, undefined, OPTIONS),
  'layers.release': (s) => s.layers.release({} as never, OPTIONS),
  'log.read': (s) => s.log.read(OPTIONS),
  'log.follow': (s) => s.log.follow(OPTIONS),
  'log.read, its filter': (s) => s.log.read({ filter: OPTIONS }),
  history: (s) => first(s.history(id, OPTIONS)),
  at: (s) => s.at(0, OPTIONS),
  'at, its resolve': async (s) => (await s.at(0)).resolve('x:1', OPTIONS),
  diff: (s) => s.diff(0, 0, OPTIONS),
  consumer: (s) => s.consumer('c', OPTIONS),
  project: (s) => s.project(projection, OPTIONS),
  prove: (s) => s.prove(1, OPTIONS),
  verify: (s) => s.verify(OPTIONS),
  rebuild: (s) => s.rebuild(OPTIONS),
  backup: (s) => s.backup('/nowhere', OPTIONS),
  erase: (s) => s.erase(id, 'why', OPTIONS),
  prune: (s) => s.prune(OPTIONS),
  verifyStore: (s) => verifyStore(s.directory, OPTIONS),
  rebuildStore: (s) => rebuildStore(s.directory, OPTIONS),
  restoreStore: (s) => restoreStore(join(s.directory, 'a'), join(s.directory, 'b'), OPTIONS),
  newImageStore: async (s) => newImageStore(await newFSStoreBackend(join(s.directory, 'b')), s.layers, OPTIONS),
  checkProof: () => checkProof('', OPTIONS),
  newChildImage: () => newChildImage(newImage(id), {} as ChildConfig, 'linux', OPTIONS),
};

for (const [member, call] of Object.entries(calls)) {
  test(`${member} refuses an option that it does not have`, async (t) => {
    const store = await openTestStore(t);
    await store.create(imageConfig('a'));
    const message = /^unknown (?:option|field of a filter) sginal: (?:did you mean signal\?|known are [a-zA-Z, ]+)$/;
    await t.throwsAsync(async () => call(store), { instanceOf: TypeError, message });
    t.is(store.log.head.seq, 1);
  });
}

test('openStore refuses an option that it does not have, and makes nothing', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const refused = { instanceOf: TypeError, message: 'unknown option readonly: did you mean readOnly?' };
  await t.throwsAsync(openStore(directory, { readonly: true } as never), refused);
  await t.throwsAsync(openStore(directory, { create: false }), { code: 'STORE_NOT_FOUND' });
});

test('options that a copy would lose are refused, and what holds no options by name', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const reading = class {
    get readOnly(): boolean {
      return true;
    }
  };
  const hidden = Object.defineProperty({}, 'readOnly', { value: true, enumerable: false });
  for (const lost of [new reading(), Object.create({ readOnly: true }), hidden]) {
    await t.throwsAsync(openStore(directory, lost as object), {
      instanceOf: TypeError,
      message: 'the option readOnly is inherited or not enumerable: pass an object that has it itself',
    });
  }
  const misspelt = Object.create({ readonly: true }) as object;
  await t.throwsAsync(openStore(directory, misspelt), { message: 'unknown option readonly: did you mean readOnly?' });
  for (const other of [Promise.resolve({ create: false }), new Map([['create', false]]), [], new Set()]) {
    await t.throwsAsync(openStore(directory, other as object), {
      instanceOf: TypeError,
      message: /^options must be an object/,
    });
  }
  await t.throwsAsync(openStore(directory, { create: false }), { code: 'STORE_NOT_FOUND' });
  // The fields of an instance, and an object without a prototype, are read as those of a literal.
  const fields = class {
    create = false;
  };
  await t.throwsAsync(openStore(directory, new fields()), { code: 'STORE_NOT_FOUND' });
  const bare = Object.assign(Object.create(null), { create: false }) as object;
  await t.throwsAsync(openStore(directory, bare), { code: 'STORE_NOT_FOUND' });
});

test('what a program added to every object is no option', async (t) => {
  const store = await openTestStore(t);
  Object.assign(Object.prototype, { addedByALibrary: true });
  try {
    await store.create(imageConfig('a'), {});
  } finally {
    Reflect.deleteProperty(Object.prototype, 'addedByALibrary');
  }
  t.is(store.len(), 1);
});

test('a search of the present takes none of the options of the past', async (t) => {
  const store = await openTestStore(t);
  const id = await store.create(imageConfig('a'));
  for (const options of [{ at: 1 }, { timeZone: 'UTC' }, { past: false, signal: new AbortController().signal }]) {
    t.throws(() => store.search(id, options as never), { instanceOf: TypeError, message: / needs past: true$/ });
  }
  const present = { past: false } as object;
  t.is(await Promise.resolve(store.search(id, present as never)), id);
  t.is(await store.search(id, { past: true, at: 1 }), id);
});

test('the advice is the nearest name, or all of them', (t) => {
  const known = { actor: true, reason: true, requestId: true } as const;
  const said = (name: string): string =>
    t.throws(() => refuseUnknown<Partial<Record<keyof typeof known, unknown>>>({ [name]: 1 }, known), {
      instanceOf: TypeError,
    }).message;
  t.is(said('Reason'), 'unknown option Reason: did you mean reason?');
  t.is(said('requestID'), 'unknown option requestID: did you mean requestId?');
  t.is(said('request_id'), 'unknown option request_id: did you mean requestId?');
  t.is(said('actors'), 'unknown option actors: did you mean actor?');
  t.is(said('author'), 'unknown option author: known are actor, reason, requestId');
  t.is(said('toString'), 'unknown option toString: known are actor, reason, requestId');
  t.notThrows(() => refuseUnknown<Partial<Record<keyof typeof known, unknown>>>({ actor: undefined }, known));
});
