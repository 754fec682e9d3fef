import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { MAX_XZ_DICTIONARY_BYTES } from '../../src/limits.js';
import { createXzDecoder } from '../../src/compression/xz-decoder.js';
import { fixturePath } from '../support/fixtures.js';

const code = readFileSync(fixturePath('compressed', 'xz', 'code.bin'));

function fixture(name: string): Buffer {
  return readFileSync(fixturePath('compressed', 'xz', `${name}.xz`));
}

function decoded(bytes: Uint8Array, chunkBytes = bytes.length): Buffer {
  const decoder = createXzDecoder();
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const lent = new Uint8Array(bytes.subarray(at, at + chunkBytes));
    pieces.push(...decoder.push(lent));
    // The bytes are the caller's again.
    lent.fill(0xee);
  }
  return Buffer.concat([...pieces, ...decoder.end()]);
}

const FILTERS = ['x86', 'arm', 'armthumb', 'arm64', 'ia64', 'powerpc', 'sparc', 'chain'];
for (const name of [...FILTERS, 'sha256', 'preset9', 'streams']) {
  test(`${name} of xz is decoded, however its bytes come`, (t) => {
    for (const size of [1, 13, 4096, 100_000]) t.deepEqual(decoded(fixture(name), size), code);
  });
}

test('each branch filter changes the fixture: without it, the answer would be another', (t) => {
  const files = FILTERS.map((name) => fixture(name).toString('hex'));
  t.is(new Set(files).size, FILTERS.length);
  t.true(FILTERS.every((name) => !fixture(name).includes(code.subarray(100, 160))));
});

test('a dictionary above the limit is refused before any of it is allocated', (t) => {
  const message = `a dictionary of ${192 * 1024 ** 2} bytes: expected at most ${MAX_XZ_DICTIONARY_BYTES}`;
  t.throws(() => decoded(fixture('dictionary192')), { message });
});

/** `sha256.xz` with its block header changed and its CRC32 made right. */
function withBlockHeader(change: (header: Buffer) => void): Buffer {
  const bytes = Buffer.from(fixture('sha256'));
  const header = bytes.subarray(12, 12 + ((bytes[12] ?? 0) + 1) * 4);
  change(header);
  header.writeUInt32LE(crc32(header.subarray(0, -4)), header.length - 4);
  return bytes;
}

test('what the format does not have, or is not undone here, is refused by its name', (t) => {
  const filter = (id: number): Buffer => withBlockHeader((header) => header.set([1, id, 0, 0x21, 1, 0x16], 1));
  t.throws(() => decoded(filter(11)), { message: /the RISC-V filter, which cannot be undone here/ });
  t.throws(() => decoded(filter(0x40)), { message: /the filter 0x40/ });
  t.throws(() => decoded(withBlockHeader((header) => header.set([0, 4, 0], 1))), { message: /instead of LZMA2/ });
  const reserved = Buffer.from(fixture('sha256'));
  reserved[7] = 5;
  reserved.writeUInt32LE(crc32(reserved.subarray(6, 8)), 8);
  t.throws(() => decoded(reserved), { message: /an xz check of kind 5/ });
});

test('every changed byte is noticed where there is a check', (t) => {
  for (const name of ['sha256', 'arm64', 'streams']) {
    const bytes = fixture(name);
    // The first stream of streams.xz has no check.
    const start = name === 'streams' ? 1200 : 0;
    const anywhere = fc.tuple(fc.integer({ min: start, max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }));
    const property = fc.property(anywhere, ([at, mask]) => {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ mask;
      t.throws(() => decoded(damaged, 999));
    });
    fc.assert(property, { numRuns: 200 });
  }
});

test('a stream that stops anywhere is refused', (t) => {
  const bytes = fixture('arm64');
  for (let length = 0; length < bytes.length; length += 7) {
    t.throws(() => decoded(bytes.subarray(0, length), 100), { message: /stops in the middle/ });
  }
});

test('padding is a multiple of four bytes', (t) => {
  t.deepEqual(decoded(Buffer.concat([fixture('x86'), Buffer.alloc(8)])), code);
  t.throws(() => decoded(Buffer.concat([fixture('x86'), Buffer.alloc(7)])), { message: /other data after the end/ });
});
