import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { TarScan, type TarScanOptions } from '../../src/archive/tar-scan.js';
import { buildTar, withChecksum } from '../support/build-tar.js';

function scan(bytes: Uint8Array, options?: TarScanOptions, chunkBytes = bytes.length || 1): TarScan {
  const tar = new TarScan(options);
  for (let at = 0; at < bytes.length; at += chunkBytes) tar.push(bytes.subarray(at, at + chunkBytes));
  tar.end();
  return tar;
}

/** Writes `text` into a header and puts its sum right. */
function patchHeader(tar: Buffer, at: number, offset: number, text: string | Uint8Array): Buffer {
  const patched = Buffer.from(tar);
  patched.set(typeof text === 'string' ? Buffer.from(text, 'latin1') : text, at + offset);
  withChecksum(patched.subarray(at));
  return patched;
}

const longName = `${'directory/'.repeat(20)}ümlaut`;

test('the sizes of regular files are added up, however the bytes come', async (t) => {
  const tar = await buildTar([
    { name: 'a', body: Buffer.alloc(700) },
    { name: 'd/', type: 'directory' },
    { name: 'l', type: 'symlink', target: 'a' },
    { name: longName, body: 'xyz' },
    { name: 'empty' },
  ]);
  for (const size of [1, 511, 512, 513, tar.length]) {
    const result = scan(tar, {}, size);
    t.is(result.fileBytes, 703);
    t.true(result.ended);
  }
});

test('what comes after the end is not read, and push returns where the end was', async (t) => {
  const tar = await buildTar([{ name: 'a', body: 'x' }]);
  const tail = Buffer.from('anything');
  const result = new TarScan();
  t.is(result.push(Buffer.concat([tar, tail])), tar.length);
  t.is(result.push(tail), 0);
});

test('a tar without its zero blocks ends with its last entry, and an empty file is a tar', async (t) => {
  const tar = await buildTar([{ name: 'a', body: 'x' }]);
  t.false(scan(tar.subarray(0, 1024)).ended);
  t.is(scan(tar.subarray(0, 513)).fileBytes, 1);
  t.is(scan(Buffer.alloc(0)).fileBytes, 0);
});

test('a size in base 256 counts', async (t) => {
  const tar = patchHeader(
    await buildTar([{ name: 'a', body: 'x' }]),
    0,
    124,
    Buffer.from('800000000000000000000001', 'hex'),
  );
  t.is(scan(tar).fileBytes, 1);
});

test('a size in a PAX header goes before the one in the header', async (t) => {
  const tar = await buildTar([{ name: 'a', body: 'xyz', pax: { size: '3' } }]);
  t.is(scan(patchHeader(tar, 1024, 124, '00000000000\0')).fileBytes, 3);
});

test('a sparse file counts with its holes', async (t) => {
  const base = patchHeader(await buildTar([{ name: 'a', body: 'xyz' }]), 0, 156, 'S');
  t.is(scan(patchHeader(base, 0, 483, '00000100000\0')).fileBytes, 0o100000);
  const pax = await buildTar([{ name: 'a', body: 'xyz', pax: { 'GNU.sparse.realsize': '5000' } }]);
  t.is(scan(pax).fileBytes, 5000);
});

test('the map of a sparse file may continue in more blocks', async (t) => {
  const plain = patchHeader(
    await buildTar([
      { name: 'a', body: 'xyz' },
      { name: 'b', body: 'x' },
    ]),
    0,
    156,
    'S',
  );
  const header = patchHeader(patchHeader(plain, 0, 483, '00000000012\0'), 0, 482, '\x01');
  const more = Buffer.alloc(512);
  more[504] = 1;
  const tar = Buffer.concat([header.subarray(0, 512), more, Buffer.alloc(512), header.subarray(512)]);
  t.is(scan(tar).fileBytes, 11);
});

const refuses = test.macro({
  async exec(t, _: string, make: () => Promise<Uint8Array>, code: string, options?: TarScanOptions) {
    const bytes = await make();
    for (const size of [1, bytes.length]) {
      const error = t.throws(() => scan(bytes, options, size));
      t.true(isStoreError(error) && error.code === code, String(error));
    }
  },
  title: (_, what) => `a scan refuses ${what}`,
});

const oneFile = (): Promise<Buffer> => buildTar([{ name: 'a', body: 'xyz' }]);

test(refuses, 'what is not a tar', async () => Buffer.alloc(600, 'text '), 'ARCHIVE_INVALID');
test(refuses, 'a tar that stops in a header', async () => (await oneFile()).subarray(0, 300), 'ARCHIVE_TRUNCATED');
test(refuses, 'a tar that stops in the data', async () => (await oneFile()).subarray(0, 514), 'ARCHIVE_TRUNCATED');
test(
  refuses,
  'a tar that stops after an extended header',
  async () => (await buildTar([{ name: longName, body: 'x' }])).subarray(0, 1024),
  'ARCHIVE_TRUNCATED',
);
test(
  refuses,
  'a size that is not a number',
  async () => patchHeader(await oneFile(), 0, 124, 'abc'),
  'ARCHIVE_INVALID',
);
test(
  refuses,
  'a negative size',
  async () => patchHeader(await oneFile(), 0, 124, Buffer.alloc(12, 0xff)),
  'ARCHIVE_INVALID',
);
test(
  refuses,
  'a size beyond what a number can hold',
  async () => patchHeader(await oneFile(), 0, 124, Buffer.from('80ffffffffffffffffffffff', 'hex')),
  'ARCHIVE_INVALID',
);
test(
  refuses,
  'a wrong checksum',
  async () => Buffer.concat([Buffer.from('b'), (await oneFile()).subarray(1)]),
  'ARCHIVE_INVALID',
);
test(
  refuses,
  'one zero block in the middle',
  async () => Buffer.concat([Buffer.alloc(512), await oneFile()]),
  'ARCHIVE_INVALID',
);
test(
  refuses,
  'a PAX size that is not a number',
  () => buildTar([{ name: 'a', body: 'x', pax: { size: '-3' } }]),
  'ARCHIVE_INVALID',
);
test(
  refuses,
  'more entries than the limit',
  () => buildTar([{ name: 'a' }, { name: 'b' }, { name: 'c' }]),
  'ARCHIVE_LIMIT_EXCEEDED',
  { maxEntries: 2 },
);
test(
  refuses,
  'an extended header over the limit',
  () => buildTar([{ name: 'a', pax: { comment: 'x'.repeat(2000) } }]),
  'ARCHIVE_LIMIT_EXCEEDED',
  { maxExtendedBytes: 2000 },
);
test(
  refuses,
  'an extended header over the real limit before its bytes come',
  async () => {
    const header = patchHeader(await oneFile(), 0, 156, 'x');
    return patchHeader(header, 0, 124, '77777777777\0').subarray(0, 512);
  },
  'ARCHIVE_LIMIT_EXCEEDED',
);
test(
  refuses,
  'data after a link where a scan is strict',
  async () => patchHeader(await oneFile(), 0, 156, '2'),
  'ARCHIVE_INVALID',
  { strict: true },
);
