import test from 'ava';
import fc from 'fast-check';
import { ImagesView } from '../../projections/image-table.js';
import { searchImage } from '../../projections/images.js';
import { isStoreError } from '../../src/errors.js';
import { bytesToHex, type ImageId } from '../../src/model/digest.js';
import { storeError } from '../support/store-error.js';

const ENTRY = { seq: 1, chainId: undefined };

/** Ids that begin alike often: few first digits, and random ones after. */
const anyId: fc.Arbitrary<ImageId> = fc
  .tuple(fc.constantFrom('', '0', '00', 'ab', 'abc', 'abcd', 'ffff'), fc.uint8Array({ minLength: 32, maxLength: 32 }))
  .map(([start, hash]) => `sha256:${(start + bytesToHex(hash)).slice(0, 64)}` as ImageId);

/** What Docker's digest set answers, said in the plainest way. */
function plainAnswer(ids: ReadonlySet<ImageId>, term: string): string {
  const digits = term.startsWith('sha256:') ? term.slice('sha256:'.length) : term;
  const found = digits === '' ? [] : [...ids].filter((id) => id.slice('sha256:'.length).startsWith(digits));
  if (found.length > 1) return 'ID_AMBIGUOUS';
  return found[0] ?? 'IMAGE_NOT_FOUND';
}

function answer(view: ImagesView, term: string): string {
  try {
    return searchImage(view, term);
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return error.code;
  }
}

test('a search answers as a scan of every id does', (t) => {
  const change = fc.record({ id: anyId, removes: fc.boolean() });
  const others = fc.oneof(
    fc.string({ maxLength: 6 }),
    fc.constantFrom('', 'sha256:', 'sha256', 'sha512:ab', 'ABC', 'abg', ' ab'),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.array(others), fc.nat(64), (changes, terms, length) => {
      const view = new ImagesView();
      const ids = new Set<ImageId>();
      for (const { id, removes } of changes) {
        view.add(id, ENTRY);
        view.add(id, ENTRY);
        ids.add(id);
        if (!removes) continue;
        view.remove(id);
        view.remove(id);
        ids.delete(id);
      }
      const digits = changes.map(({ id }) => id.slice('sha256:'.length, 'sha256:'.length + length));
      const asked = [...terms, ...digits, ...digits.map((text) => `sha256:${text}`), ...changes.map(({ id }) => id)];
      const more = [
        ...digits.map((text) => text.toUpperCase()),
        ...changes.map(({ id }) => `${id}0`),
        '0',
        'a',
        'ab',
        'abc',
        'abcd',
      ];
      for (const term of [...asked, ...more]) t.is(answer(view, term), plainAnswer(ids, term), term);
    }),
    { numRuns: 60 },
  );
});

test('an ambiguous term names two of its candidates', (t) => {
  const view = new ImagesView();
  const ids = ['a', 'b', 'c'].map((end) => `sha256:${'1'.repeat(63)}${end}` as ImageId);
  for (const id of ids) view.add(id, ENTRY);
  const error = storeError(t, 'ID_AMBIGUOUS', () => searchImage(view, '11'));
  t.deepEqual(error.data, { term: '11', candidates: ids.slice(0, 2) });
  t.deepEqual([searchImage(view, ids[2] as string)], ids.slice(2));
});
