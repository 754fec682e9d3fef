import test from 'ava';
import { formatTarHeader, parseTarHeader, TAR_BLOCK_BYTES, tarPadding } from '../../src/archive/tar-header.js';

const GIB = 1024 ** 3;
const SIZES = [0, 1, 511, 512, 513, 1_000_000, 8 * GIB - 1, 8 * GIB, 5_000 * GIB + 7, Number.MAX_SAFE_INTEGER];

test('a header is parsed to what it was made of', (t) => {
  for (const size of SIZES) {
    const block = formatTarHeader({ type: 'file', name: 'x', size });
    t.is(block.length, TAR_BLOCK_BYTES);
    t.like(parseTarHeader(block), { type: '0', size, isOld: false });
  }
  t.like(parseTarHeader(formatTarHeader({ type: 'directory', name: 'x/', size: 0 })), { type: '5' });
});

test('a name that does not fit is refused', (t) => {
  for (const name of ['', 'n'.repeat(101), 'é', 'a\nb', 'a\0']) {
    t.throws(() => formatTarHeader({ type: 'file', name, size: 0 }), { instanceOf: RangeError }, JSON.stringify(name));
  }
});

test('padding fills the last block of the data', (t) => {
  for (const size of SIZES) {
    const { length } = tarPadding(size);
    t.true(length < TAR_BLOCK_BYTES);
    t.is((BigInt(size) + BigInt(length)) % BigInt(TAR_BLOCK_BYTES), 0n);
  }
});
