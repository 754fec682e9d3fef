import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { MAX_GZIP_HEADER_BYTES } from '../../src/limits.js';
import { type Compression, decompress } from '../../src/compression/decompress.js';
import { requireLayer, LayerMeter } from '../../src/archive/layer-meter.js';
import { fixturePath } from '../support/fixtures.js';
import { collect, inChunks } from '../support/build-tar.js';

const plain = readFileSync(fixturePath('archives', 'oci-all.tar'));
const FORMATS = { gz: 'gzip', zst: 'zstd', bz2: 'bzip2', xz: 'xz' } as const;

/** A layer's gzip is read by Node, which gives such data its own names. */
const REFUSED = {
  gz: /incorrect header check|unexpected end of file/,
  zst: /other data after the end of the zstd data/,
  bz2: /other data after the end of the bzip2 data/,
  xz: /other data after the end of the xz data/,
};

const ignores = test.macro({
  async exec(t, extension: keyof typeof FORMATS, tail: Uint8Array) {
    const bytes = readFileSync(fixturePath('compressed', `oci-all.tar.${extension}`));
    const followed = Buffer.concat([bytes, tail]);
    for (const size of [7, 1000, followed.length]) {
      const told: Compression[] = [];
      const onTrailing = (compression: Compression): void => void told.push(compression);
      t.deepEqual(await collect(decompress(inChunks(followed, size), undefined, onTrailing)), plain);
      t.deepEqual(told, [FORMATS[extension]]);
      const error = await t.throwsAsync(collect(decompress(inChunks(followed, size))));
      t.true(isStoreError(error, 'COMPRESSION_INVALID'));
      t.regex(error?.message ?? '', REFUSED[extension]);
    }
  },
  title: (_, extension, tail: Uint8Array = Buffer.alloc(0)) =>
    `${tail.length} other bytes after ${extension} are told, or refused`,
});

for (const extension of ['gz', 'zst', 'bz2', 'xz'] as const) {
  test(ignores, extension, Buffer.from('rubbish\n'));
  test(ignores, extension, Buffer.alloc(200_000, 'y'));
}
for (const extension of ['gz', 'zst', 'xz'] as const) test(ignores, extension, Buffer.from('x'));

test('other data after the padding of gzip is other data', async (t) => {
  const bytes = Buffer.concat([gzipSync('hello'), Buffer.alloc(700), Buffer.from('x')]);
  const told: Compression[] = [];
  const found = await collect(decompress(inChunks(bytes, 64), undefined, (compression) => void told.push(compression)));
  t.is(String(found), 'hello');
  t.deepEqual(told, ['gzip']);
});

test('damage is not trailing data: it stays an error', async (t) => {
  for (const extension of ['gz', 'zst', 'bz2', 'xz']) {
    const bytes = readFileSync(fixturePath('compressed', `oci-all.tar.${extension}`));
    for (let length = 20; length < bytes.length; length += 301) {
      const told: Compression[] = [];
      const onTrailing = (compression: Compression): void => void told.push(compression);
      await t.throwsAsync(collect(decompress(inChunks(bytes.subarray(0, length), 999), undefined, onTrailing)));
      t.deepEqual(told, []);
    }
  }
});

test('a gzip header may have every field, and wrong ones are refused', async (t) => {
  const body = gzipSync('hello').subarray(10);
  const fixed = Buffer.from('1f8b080c0000000000ff', 'hex');
  const named = Buffer.concat([fixed, Buffer.from([3, 0, 1, 2, 3]), Buffer.from('name\0'), body]);
  const read = (bytes: Uint8Array, size: number): Promise<Uint8Array> =>
    collect(decompress(inChunks(bytes, size), undefined, () => undefined));
  for (const size of [1, 4, 1000]) t.is(String(await read(named, size)), 'hello');
  const endless = Buffer.concat([fixed, Buffer.from([3, 0, 1, 2, 3]), Buffer.alloc(MAX_GZIP_HEADER_BYTES, 'n')]);
  await t.throwsAsync(read(endless, 1000), {
    message: new RegExp(`a gzip header of more than ${MAX_GZIP_HEADER_BYTES} bytes`),
  });
  const wrong = Buffer.from(gzipSync('hello'));
  wrong[wrong.length - 8] = (wrong[wrong.length - 8] ?? 0) ^ 1;
  await t.throwsAsync(read(wrong, 1000), { message: /incorrect data check/ });
});

test('layers by xz may have a check of SHA-256 or a filter', async (t) => {
  for (const name of ['sha256', 'x86']) {
    const meter = new LayerMeter();
    await meter.write(readFileSync(fixturePath('compressed', `docker25-untagged-${name}.tar.xz`)));
    t.is(requireLayer(await meter.finish()).diffSize, 12_701);
  }
});
