import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { COMPRESSION_RATIO_FREE_BYTES, MAX_COMPRESSION_RATIO, MAX_LAYER_BYTES } from '../../src/limits.js';
import { ARCHIVE_EXPANSION, ExpansionGuard } from '../../src/compression/decompress.js';

const allows = test.macro({
  exec(t, fed: number, produced: number, guard: () => ExpansionGuard) {
    const within = guard();
    within.fed(fed);
    t.notThrows(() => within.produced(produced));
    t.true(
      isStoreError(
        t.throws(() => within.produced(1)),
        'ARCHIVE_LIMIT_EXCEEDED',
      ),
    );
  },
  title: (_, fed, produced) => `${fed} bytes may expand to ${produced}, and not to one more`,
});

const layer = (): ExpansionGuard => new ExpansionGuard();
const archive = (): ExpansionGuard => new ExpansionGuard(ARCHIVE_EXPANSION);
const LARGE = 100_000_000;

test(allows, 0, COMPRESSION_RATIO_FREE_BYTES, layer);
test(allows, LARGE, LARGE * MAX_COMPRESSION_RATIO, layer);
test(allows, MAX_LAYER_BYTES, MAX_LAYER_BYTES, layer);
test(allows, 10, COMPRESSION_RATIO_FREE_BYTES, archive);
test(allows, MAX_LAYER_BYTES, MAX_LAYER_BYTES * MAX_COMPRESSION_RATIO, archive);
