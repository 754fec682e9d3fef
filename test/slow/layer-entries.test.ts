import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { MAX_LAYER_ENTRIES } from '../../src/limits.js';
import { TarScan } from '../../src/archive/tar-scan.js';
import { buildTar } from '../support/build-tar.js';

test('a layer may have MAX_LAYER_ENTRIES entries, and not one more', async (t) => {
  const header = (await buildTar([{ name: 'd/', type: 'directory' }])).subarray(0, 512);
  const many = Buffer.alloc(512 * 10_000, header);
  const scan = new TarScan();
  for (let entries = 0; entries < MAX_LAYER_ENTRIES; entries += 10_000) scan.push(many);
  t.true(
    isStoreError(
      t.throws(() => scan.push(header)),
      'ARCHIVE_LIMIT_EXCEEDED',
    ),
  );
});
