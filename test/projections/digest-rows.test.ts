import test from 'ava';
import { DigestIndex, DigestRows } from '../../projections/digest-index.js';
import { MAX_KEPT_DIGESTS } from '../../src/limits.js';
import { digestFromHash, digestOf, HASH_BYTES } from '../../src/model/digest.js';

/** Hashes that differ in their first four bytes. */
function hashesOf(count: number): Uint8Array<ArrayBuffer> {
  const hashes = new Uint8Array(count * HASH_BYTES).fill(0xab);
  const view = new DataView(hashes.buffer);
  for (let row = 0; row < count; row++) view.setUint32(row * HASH_BYTES, Math.imul(row, 0x9e3779b1));
  return hashes;
}

test('more digests than are kept as strings are given and found alike, again and after more are added', (t) => {
  const count = MAX_KEPT_DIGESTS + 100;
  const hashes = hashesOf(count);
  const rows = new DigestRows(hashes.slice());
  const index = new DigestIndex(rows, count);
  for (let row = 0; row < count; row++) index.add(row);
  let wrong = 0;
  for (let time = 0; time < 2; time++) {
    for (let row = 0; row < count; row++) {
      const digest = digestFromHash(hashes, row * HASH_BYTES);
      if (rows.digest(row) !== digest || index.find(digest) !== row || index.find(`${digest.slice(0, -1)}0`) === row)
        wrong++;
    }
  }
  t.is(wrong, 0);
  const added = digestOf(Uint8Array.of(1));
  const row = rows.push(added);
  index.add(row);
  t.is(rows.digest(row), added);
  t.is(index.find(added), row);
  t.is(rows.digest(0), digestFromHash(hashes));
});
