import test from 'ava';
import fc from 'fast-check';
import { createViews, type Views } from '../../projections/views.js';
import type { Page } from '../../projections/projection.js';
import type { ChainId, Digest, ImageId } from '../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { plainViews } from '../support/plain-views.js';
import { anyCommand, outcomeOf } from '../support/store-operations.js';
import { eventsFrom } from '../support/stored-event.js';
import { eventsOf, openTestStore } from '../support/test-store.js';

function fold(pages: readonly Page[]): Views {
  const viewSet = createViews();
  for (const page of pages) viewSet.fold(page);
  return viewSet.views;
}

test('events fold to the same views on one page, on many and one by one', async (t) => {
  const store = await openTestStore(t);
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyCommand, { maxLength: 30 }),
      fc.array(fc.nat(9), { minLength: 1 }),
      async (operations, cuts) => {
        await Promise.all(operations.map((operation) => outcomeOf(store, operation)));
        const events = await eventsOf(store);
        const whole = plainViews(fold([events]));
        t.deepEqual(plainViews(fold(events.map((event) => [event]))), whole);
        t.deepEqual(plainViews(fold(cutAt(events, cuts))), whole);
      },
    ),
    { numRuns: 12 },
  );
});

function cutAt(events: readonly StoredEvent[], cuts: readonly number[]): StoredEvent[][] {
  const pages: StoredEvent[][] = [];
  for (let at = 0, turn = 0; at < events.length; turn++) {
    const size = 1 + (cuts[turn % cuts.length] ?? 0);
    pages.push(events.slice(at, at + size));
    at += size;
  }
  return pages;
}

const digest = (byte: string): never => `sha256:${byte.repeat(32)}` as never;
const blob = (byte: string): { digest: Digest; size: number; mediaType: string } => ({
  digest: digest(byte),
  size: 5,
  mediaType: 'm',
});
const layer = (chain: string, below: string | undefined, of: string): Extract<EventBody, { type: 'LayerAdded' }> => ({
  type: 'LayerAdded',
  chainId: digest(chain),
  diffId: digest(chain),
  parent: below === undefined ? undefined : digest(below),
  size: 5,
  diffSize: 5,
  blob: blob(of),
});

test('a blob is needed as long as a layer or a manifest names it', (t) => {
  const image: ImageId = digest('aa');
  const bodies: readonly EventBody[] = [
    { type: 'ImageCreated', image, size: 2, os: '', architecture: '' },
    layer('01', undefined, 'f1'),
    layer('02', '01', 'f1'),
    { type: 'ManifestAdded', image, manifest: blob('bb'), layers: [blob('f1'), blob('f2')] },
    { ...layer('02', '01', 'f1'), type: 'LayerRemoved' },
    { ...layer('01', undefined, 'f1'), type: 'LayerRemoved' },
    { type: 'ImageDeleted', image },
  ];
  const viewSet = createViews();
  const uses = bodies.map((body, at) => {
    viewSet.fold(eventsFrom(at + 1, [body]));
    const { byDigest } = viewSet.views.blobs;
    return [byDigest.get(digest('f1'))?.uses ?? 0, byDigest.get(digest('f2'))?.uses ?? 0];
  });
  t.deepEqual(uses, [
    [0, 0],
    [1, 0],
    [2, 0],
    [3, 1],
    [2, 1],
    [1, 1],
    [0, 0],
  ]);
  t.is(viewSet.views.blobs.byDigest.size, 0);
  t.is(viewSet.views.manifests.size, 0);
  t.is(viewSet.views.layers.childrenOf.size, 0);
});

test('a chain counts the images that stand on it', (t) => {
  const chainId: ChainId = digest('01');
  const created = (id: string): EventBody => ({
    type: 'ImageCreated',
    image: digest(id),
    size: 2,
    chainId,
    os: 'linux',
    architecture: 'arm',
  });
  const deleted = (id: string): EventBody => ({ type: 'ImageDeleted', image: digest(id), chainId });
  t.is(fold([eventsFrom(1, [created('aa'), created('bb')])]).images.usesOfChain(chainId), 2);
  const views = fold([eventsFrom(1, [created('aa'), created('bb'), deleted('aa')])]);
  t.is(views.images.usesOfChain(chainId), 1);
  t.is(fold([eventsFrom(1, [created('aa'), deleted('aa')])]).images.usesOfChain(chainId), 0);
});

test('a name of several platforms belongs to the images of all of them', (t) => {
  const platform = (id: string, architecture: string) => ({ image: digest(id) as ImageId, os: 'linux', architecture });
  const set: EventBody = {
    type: 'ReferenceSet',
    reference: 'r',
    image: digest('aa'),
    platforms: [platform('aa', 'amd64'), platform('bb', 'arm64')],
  };
  const moved: EventBody = { type: 'ReferenceSet', reference: 'r', image: digest('cc'), previous: digest('aa') };
  const named = (views: Views): string[] => [...views.references.byImage.keys()];
  t.deepEqual(named(fold([eventsFrom(1, [set])])), [digest('aa'), digest('bb')]);
  t.deepEqual(named(fold([eventsFrom(1, [set, moved])])), [digest('cc')]);
  t.deepEqual(
    named(fold([eventsFrom(1, [set, { type: 'ReferenceRemoved', reference: 'r', image: digest('aa') }])])),
    [],
  );
});

test('other views take the place of those that are named, and fold on', (t) => {
  const created = (id: string): EventBody => ({
    type: 'ImageCreated',
    image: digest(id),
    size: 2,
    os: '',
    architecture: '',
  });
  const other = createViews();
  other.fold(eventsFrom(1, [created('aa')]));
  const viewSet = createViews();
  const { views } = viewSet;
  viewSet.replace(other.views, ['images']);
  viewSet.fold(eventsFrom(2, [created('bb')]));
  t.is(views.images, other.views.images);
  t.deepEqual([...views.images.ids()], [digest('aa'), digest('bb')]);
  t.not(views.references, other.views.references);
});

test('pages are told when every view has them, and end with the set', (t) => {
  const viewSet = createViews();
  const seen: string[] = [];
  viewSet.folded$.subscribe({
    next: (page) => seen.push(`${page.length} events, ${viewSet.views.images.size} images`),
    complete: () => seen.push('end'),
  });
  viewSet.fold(eventsFrom(1, [{ type: 'ImageCreated', image: digest('aa'), size: 2, os: '', architecture: '' }]));
  viewSet.end();
  t.deepEqual(seen, ['1 events, 1 images', 'end']);
});
