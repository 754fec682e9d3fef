import test from 'ava';
import fc from 'fast-check';
import { MAX_RECORD_BYTES } from '../../../src/limits.js';
import { formatEntries, parseEntries } from '../../../src/log/merkle.js';
import { storeError } from '../../support/store-error.js';
import { bytesOf } from '../../support/text-bytes.js';

test('a bundle has each record behind its length in two bytes', (t) => {
  const bundle = formatEntries([bytesOf('one'), bytesOf(''), bytesOf('two')]);
  t.deepEqual([...bundle], [0, 3, ...bytesOf('one'), 0, 0, 0, 3, ...bytesOf('two')]);
});

test('records come out of a bundle as they went in, wherever it stands in a buffer', (t) => {
  const records = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 });
  fc.assert(
    fc.property(records, fc.integer({ min: 0, max: 3 }), (entries, offset) => {
      const bytes = formatEntries(entries);
      const within = new Uint8Array(offset + bytes.length);
      within.set(bytes, offset);
      t.deepEqual(
        parseEntries(within.subarray(offset)).map((entry) => [...entry]),
        entries.map((entry) => [...entry]),
      );
    }),
    { numRuns: 50 },
  );
});

test('a record of MAX_RECORD_BYTES fits', (t) => {
  const record = new Uint8Array(MAX_RECORD_BYTES).fill(7);
  t.deepEqual(
    parseEntries(formatEntries([record, record])).map(({ length }) => length),
    [65_535, 65_535],
  );
});

test('a bundle that is cut anywhere but between two records is refused', (t) => {
  const records = ['one', 'two', 'three'].map(bytesOf);
  const bundle = formatEntries(records);
  const whole = new Set([0, 5, 10, 17]);
  for (let length = 0; length <= bundle.length; length++) {
    const cut = bundle.subarray(0, length);
    if (whole.has(length)) t.deepEqual(formatEntries(parseEntries(cut)), new Uint8Array(cut));
    else storeError(t, 'BACKUP_INVALID', () => parseEntries(cut), `${length} bytes`);
  }
});

test('any bytes are either refused or format back from what was parsed', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      try {
        t.deepEqual(formatEntries(parseEntries(bytes)), bytes);
      } catch (error) {
        storeError(t, 'BACKUP_INVALID', () => {
          throw error;
        });
      }
    }),
  );
});
