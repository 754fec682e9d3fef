import test from 'ava';
import { type Compression, detectCompression } from '../../src/compression/decompress.js';

const detects = test.macro({
  exec(t, hex: string, expected: Compression) {
    t.is(detectCompression(Buffer.from(hex, 'hex')), expected);
  },
  title: (_, hex, expected) => `a file that starts with ${hex || 'nothing'} is ${expected}`,
});

test(detects, '1f8b08000000', 'gzip');
test(detects, '28b52ffd0400', 'zstd');
test(detects, '502a4d180000', 'zstd');
test(detects, '5f2a4d180000', 'zstd');
test(detects, '602a4d180000', 'none');
test(detects, '425a68393141', 'bzip2');
test(detects, 'fd377a585a00', 'xz');
test(detects, 'fd377a585a01', 'none');
test(detects, '1f', 'none');
test(detects, '28b52f', 'none');
test(detects, '', 'none');
test(detects, '626c6f62732f', 'none');
