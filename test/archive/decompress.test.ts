import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../src/errors.js';
import { MAX_ZSTD_WINDOW_BYTES } from '../../src/limits.js';
import { decompress } from '../../src/compression/decompress.js';
import { fixturePath } from '../support/fixtures.js';
import { collect, inChunks } from '../support/build-tar.js';

const plain = readFileSync(fixturePath('archives', 'oci-all.tar'));
const EXTENSIONS = ['gz', 'zst', 'bz2', 'xz'] as const;
type Extension = (typeof EXTENSIONS)[number];

function compressed(extension: Extension): Buffer {
  return readFileSync(fixturePath('compressed', `oci-all.tar.${extension}`));
}

const gives = test.macro({
  async exec(t, extension: Extension, chunkBytes: number) {
    t.deepEqual(await collect(decompress(inChunks(compressed(extension), chunkBytes))), plain);
  },
  title: (_, extension, chunkBytes) => `${extension} fed ${chunkBytes} bytes at a time gives the plain bytes`,
});

const joins = test.macro({
  async exec(t, extension: Extension) {
    const twice = Buffer.concat([compressed(extension), compressed(extension)]);
    for (const size of [7, twice.length]) {
      t.deepEqual(await collect(decompress(inChunks(twice, size))), Buffer.concat([plain, plain]));
    }
  },
  title: (_, extension) => `${extension} streams one after another are decompressed as one file`,
});

const refusesTruncated = test.macro({
  async exec(t, extension: Extension) {
    const bytes = compressed(extension);
    for (let length = 6; length < bytes.length; length += Math.ceil(bytes.length / 60)) {
      const error = await t.throwsAsync(collect(decompress(inChunks(bytes.subarray(0, length), 1000))));
      t.true(isStoreError(error, 'COMPRESSION_INVALID'), `${length} of ${bytes.length}: ${String(error)}`);
    }
  },
  title: (_, extension) => `${extension} that stops anywhere is refused`,
});

const survivesDamage = test.macro({
  async exec(t, extension: Extension) {
    const bytes = compressed(extension);
    const flip = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }));
    const property = fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 3 }), async (flips) => {
      const damaged = Buffer.from(bytes);
      for (const [at, mask] of flips) damaged[at] = (damaged[at] ?? 0) ^ mask;
      try {
        await collect(decompress(inChunks(damaged, 999)));
      } catch (error) {
        if (!isStoreError(error, 'COMPRESSION_INVALID') && !isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED')) throw error;
      }
    });
    await fc.assert(property, { numRuns: 60 });
    t.pass();
  },
  title: (_, extension) => `${extension} with any bytes changed ends with bytes or with a named error`,
});

for (const extension of EXTENSIONS) {
  test(gives, extension, 1);
  test(gives, extension, 1000);
  test(gives, extension, 1_000_000);
  test(joins, extension);
  test(refusesTruncated, extension);
  test(survivesDamage, extension);
}

test('a plain file passes through, also when it is shorter than the magic bytes', async (t) => {
  for (const bytes of [plain, Buffer.from('abc'), Buffer.alloc(0)]) {
    t.deepEqual(await collect(decompress(inChunks(bytes, 2))), bytes);
  }
});

test('zero bytes after a gzip stream are padding', async (t) => {
  const padded = Buffer.concat([gzipSync('hello'), Buffer.alloc(700)]);
  t.is((await collect(decompress(inChunks(padded, 64)))).toString(), 'hello');
});

test('what expands beyond the ratio is refused as soon as it does', async (t) => {
  const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
  const limits = { maxBytes: Number.MAX_SAFE_INTEGER, maxRatio: 10, ratioFreeBytes: 1024 * 1024 };
  let given = 0;
  const error = await t.throwsAsync(async () => {
    for await (const piece of decompress(inChunks(bomb), limits)) given += piece.length;
  });
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'));
  t.true(given <= limits.ratioFreeBytes);
});

test('what expands beyond the size is refused at any ratio', async (t) => {
  const limits = { maxBytes: 1000, maxRatio: 10_000, ratioFreeBytes: 10_000 };
  t.is((await collect(decompress(inChunks(gzipSync(Buffer.alloc(1000))), limits))).length, 1000);
  const error = await t.throwsAsync(collect(decompress(inChunks(gzipSync(Buffer.alloc(1001))), limits)));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'));
});

test('a plain source has the same size limit', async (t) => {
  const limits = { maxBytes: 1000, maxRatio: 1, ratioFreeBytes: 0 };
  t.is((await collect(decompress(inChunks(Buffer.alloc(1000)), limits))).length, 1000);
  const error = await t.throwsAsync(collect(decompress(inChunks(Buffer.alloc(1001)), limits)));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'));
});

test('an error of the source comes out as it is', async (t) => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield compressed('gz').subarray(0, 1000);
    throw new RangeError('disk on fire');
  }
  await t.throwsAsync(collect(decompress(failing())), { instanceOf: RangeError, message: 'disk on fire' });
});

test('a reader that stops early closes the source', async (t) => {
  for (const bytes of [plain, ...EXTENSIONS.map(compressed)]) {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield bytes;
      } finally {
        isClosed = true;
      }
    }
    for await (const piece of decompress(source())) {
      t.true(piece.length > 0);
      break;
    }
    t.true(isClosed);
  }
});

test('an xz stream inside an xz stream can be read while the outer one is', async (t) => {
  const outer = decompress(inChunks(compressed('xz'), 100));
  t.false((await outer.next()).done);
  t.deepEqual(await collect(decompress(inChunks(compressed('xz')))), plain);
  await outer.return(undefined);
});

const refusesWindow = test.macro({
  async exec(t, header: string) {
    const frame = Buffer.concat([Buffer.from(header, 'hex'), Buffer.alloc(100)]);
    const error = await t.throwsAsync(collect(decompress(inChunks(Buffer.concat([compressed('zst'), frame]), 100))));
    t.true(isStoreError(error, 'COMPRESSION_INVALID'));
    t.regex(error?.message ?? '', new RegExp(`expected a window of at most ${MAX_ZSTD_WINDOW_BYTES}`));
  },
  title: (_, header) => `a zstd frame that asks for more memory than any tool gives is refused: ${header}`,
});

test(refusesWindow, '28b52ffd0089');
test(refusesWindow, '28b52ffda001000008');
test(refusesWindow, '28b52ffde00100000000000001');

test('skippable zstd frames are skipped', async (t) => {
  const skippable = Buffer.from('5a2a4d1803000000616263', 'hex');
  const bytes = Buffer.concat([skippable, compressed('zst'), skippable, compressed('zst'), skippable]);
  for (const size of [1, 50, bytes.length]) {
    t.deepEqual(await collect(decompress(inChunks(bytes, size))), Buffer.concat([plain, plain]));
  }
});
