import test from 'ava';
import fc from 'fast-check';
import { childrenOf, hasChildren, headsOf, imagesProjection, parentOf, searchImage } from '../../projections/images.js';
import { ImagesView, packImages } from '../../projections/image-table.js';
import { finished } from '../../src/model/steps.js';
import { isStoreError } from '../../src/errors.js';
import { bytesToHex, type ChainId, type ImageId } from '../../src/model/digest.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { storeError } from '../support/store-error.js';
import { eventsFrom } from '../support/stored-event.js';

/** Ids as SHA-256 gives them, and made-up ones that belong into few slots of an index, or into its first or last. */
const anyId: fc.Arbitrary<ImageId> = fc
  .tuple(
    fc.constantFrom('', '', '00000000', '0000', '7abc', '7abcdef0', 'ffffffff', 'ffff'),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
  )
  .map(([start, hash]) => `sha256:${(start + bytesToHex(hash)).slice(0, 64)}` as ImageId);

/** What is done with the images of a list, by index; an index past the images that are there means those that were. */
const anyStep = fc.record({
  op: fc.constantFrom('create', 'create', 'create', 'delete', 'delete', 'link', 'link', 'unlink'),
  at: fc.nat(),
  other: fc.nat(),
});

interface PlainImage {
  readonly seq: number;
  readonly chainId: ChainId | undefined;
  readonly created: { readonly seconds: number; readonly nanoseconds: number } | undefined;
  parent: ImageId | undefined;
}

/** The events that steps make of a pool of ids, and the images after them, kept in the plainest way. */
function play(pool: readonly ImageId[], steps: readonly { op: string; at: number; other: number }[]) {
  const images = new Map<ImageId, PlainImage>();
  const bodies: EventBody[] = [];
  for (const { op, at, other } of steps) {
    const image = pool[at % pool.length] as ImageId;
    const parent = pool[other % pool.length] as ImageId;
    const chainId = other % 3 === 0 ? undefined : (pool[other % 7] as unknown as ChainId | undefined);
    const known = images.get(image);
    if (op === 'create' && known === undefined) {
      const created = other % 2 === 0 ? undefined : `${1969 + (other % 50)}-07-01T00:00:00.0${other % 10}0000001Z`;
      bodies.push({ type: 'ImageCreated', image, size: 2, chainId, os: '', architecture: '', created });
      images.set(image, { seq: bodies.length, chainId, created: plainInstant(created), parent: undefined });
    } else if (op === 'delete' && known !== undefined) {
      bodies.push({ type: 'ImageDeleted', image, chainId: known.chainId });
      images.delete(image);
      for (const child of images.values()) if (child.parent === image) child.parent = undefined;
    } else if (op === 'link' && image !== parent) {
      bodies.push({ type: 'ParentSet', image, parent });
      if (known !== undefined && images.has(parent)) known.parent = parent;
    } else if (op === 'unlink') {
      bodies.push({ type: 'ParentCleared', image, parent });
      if (known !== undefined) known.parent = undefined;
    }
  }
  return { images, events: eventsFrom(1, bodies) };
}

function plainInstant(text: string | undefined): PlainImage['created'] {
  if (text === undefined) return undefined;
  return {
    seconds: Date.parse(`${text.slice(0, 19)}Z`) / 1_000,
    nanoseconds: Number(text.slice(20, -1).padEnd(9, '0')),
  };
}

function fold(events: readonly StoredEvent[], start = imagesProjection.initial()): ImagesView {
  return events.reduce((view, event) => imagesProjection.evolve(view, event), start);
}

function found(view: ImagesView, term: string): unknown {
  try {
    return searchImage(view, term);
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return error.data['candidates'] ?? 'none';
  }
}

function plainlyFound(ids: readonly ImageId[], term: string): unknown {
  const matching = ids.filter((id) => id.startsWith(`sha256:${term}`)).sort();
  return matching.length > 1 ? matching.slice(0, 2) : (matching[0] ?? 'none');
}

const pools = fc.uniqueArray(anyId, { minLength: 20, maxLength: 400, size: 'max' });
const stepLists = fc.array(anyStep, { minLength: 100, maxLength: 1_500, size: 'max' });

test('a view of images answers as plain maps do, after any creations and deletions, for real and for made-up ids', (t) => {
  fc.assert(
    fc.property(pools, stepLists, (pool, steps) => {
      const { images, events } = play(pool, steps);
      const view = fold(events);
      const ids = [...images.keys()];
      t.is(view.size, images.size);
      t.deepEqual([...view.ids()], ids);
      t.deepEqual(
        [...view],
        [...images].map(([id, { seq, chainId, created }]) => [id, { seq, chainId, created }]),
      );
      const parents = new Set([...images.values()].map(({ parent }) => parent));
      t.deepEqual(
        [...headsOf(view)],
        ids.filter((id) => !parents.has(id)),
      );
      for (const id of pool) {
        const image = images.get(id);
        t.is(view.has(id), image !== undefined);
        t.is(parentOf(view, id), image?.parent);
        t.deepEqual(childrenOf(view, id), ids.filter((child) => images.get(child)?.parent === id).sort());
        t.is(hasChildren(view, id), parents.has(id));
        for (const digits of [1, 4, 5, 8, 9, 64]) {
          const term = id.slice('sha256:'.length, 'sha256:'.length + digits);
          t.deepEqual(found(view, term), plainlyFound(ids, term), term);
        }
        const chainId = id as unknown as ChainId;
        t.is(view.usesOfChain(chainId), [...images.values()].filter((other) => other.chainId === chainId).length);
      }
    }),
    { numRuns: 25 },
  );
});

test('views of the same content have the same columns, however they were built', (t) => {
  fc.assert(
    fc.property(pools, stepLists, (pool, steps) => {
      const { images, events } = play(pool, steps);
      const packed = finished(packImages(fold(events).copy()));
      const straight = new ImagesView();
      for (const [id, entry] of images) straight.add(id, entry);
      for (const [id, { parent }] of [...images].reverse()) if (parent !== undefined) straight.link(id, parent);
      t.deepEqual(packed, finished(packImages(straight.copy())));
      t.deepEqual(finished(packImages(new ImagesView(packed).copy())), packed);
    }),
    { numRuns: 25 },
  );
});

test('ids of a moment stay what they were after later creations and deletions', (t) => {
  fc.assert(
    fc.property(pools, stepLists, fc.nat(1_500), (pool, steps, cut) => {
      const { events } = play(pool, steps);
      const view = fold(events.slice(0, cut));
      const [ids, heads] = [view.ids(), headsOf(view)];
      const [plainIds, plainHeads] = [[...ids], [...heads]];
      fold(events.slice(cut), view);
      t.deepEqual([[...ids], [...heads]], [plainIds, plainHeads]);
      t.deepEqual(
        pool.filter((id) => ids.has(id)),
        pool.filter((id) => plainIds.includes(id)),
      );
      t.is(ids.size, plainIds.length);
    }),
    { numRuns: 25 },
  );
});

test('deleted images leave no rows for ever', (t) => {
  let view = imagesProjection.initial();
  for (let at = 0; at < 5_000; at++) {
    const image = `sha256:${at.toString(16).padStart(64, '0')}` as ImageId;
    const chainId = image as unknown as ChainId;
    const bodies: EventBody[] = [{ type: 'ImageCreated', image, size: 2, chainId, os: '', architecture: '' }];
    if (at % 50 > 0) bodies.push({ type: 'ImageDeleted', image, chainId });
    view = fold(eventsFrom(2 * at + 1, bodies), view);
  }
  t.is(view.size, 100);
  t.true(view.digests.length < 500, `${view.digests.length} rows`);
  t.is([...view.ids()].length, 100);
});

test('what is not a digest is refused, and never found', (t) => {
  const view = new ImagesView();
  const texts = [
    '',
    'x',
    'sha256:',
    `sha256:${'g'.repeat(64)}`,
    `sha256:${'A'.repeat(64)}`,
    `SHA256:${'a'.repeat(64)}`,
  ];
  for (const text of [...texts, `sha256:${'a'.repeat(63)}\u0161`, `sha256:${'a'.repeat(65)}`]) {
    t.false(view.has(text as ImageId));
    storeError(t, 'DIGEST_INVALID', () => view.add(text as ImageId, { seq: 1, chainId: undefined }));
  }
  t.is(view.size, 0);
});
