import test from 'ava';
import { crc32c, maskedCrc32c } from '../../../src/log/leveldb/coding.js';
import { bytesOf } from '../../support/text-bytes.js';

test('the checksums are those of RFC 3720, appendix B.4', (t) => {
  t.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
  t.is(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  t.is(crc32c(Uint8Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e);
  t.is(crc32c(Uint8Array.from({ length: 32 }, (_, at) => 31 - at)), 0x113fdb5c);
});

test('a masked checksum is another than its own, as in util/crc32c_test.cc', (t) => {
  const bytes = bytesOf('foo');
  t.not(maskedCrc32c(bytes), crc32c(bytes));
  t.is(maskedCrc32c(bytes), ((((crc32c(bytes) >>> 15) | (crc32c(bytes) << 17)) >>> 0) + 0xa282ead8) % 2 ** 32);
});
