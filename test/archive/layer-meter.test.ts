import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { isStoreError, StoreError } from '../../src/errors.js';
import { LayerMeter, type LayerMeterOptions, type Measurement, requireLayer } from '../../src/archive/layer-meter.js';
import { fixturePath } from '../support/fixtures.js';
import { buildTar, inChunks } from '../support/build-tar.js';

async function measure(bytes: Uint8Array, chunkBytes = 4096, options?: LayerMeterOptions): Promise<Measurement> {
  const meter = new LayerMeter(options);
  for await (const chunk of inChunks(bytes, chunkBytes)) {
    const lent = new Uint8Array(chunk);
    await meter.write(lent);
    // The bytes are the caller's again: what is done to them must not change the answer.
    lent.fill(0xee);
  }
  return meter.finish();
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

const plain = readFileSync(fixturePath('archives', 'docker25-untagged.tar'));
const measures = test.macro({
  async exec(t, extension: string, compression: string, mediaType: string) {
    const bytes =
      extension === '' ? plain : readFileSync(fixturePath('compressed', `docker25-untagged.tar.${extension}`));
    for (const size of [1, 5, 1000, bytes.length]) {
      const { layer, ...rest } = await measure(bytes, size);
      t.deepEqual(layer, { diffId: sha256(plain), diffSize: 12_701 } as never);
      t.deepEqual(rest as unknown, { compression, blob: { digest: sha256(bytes), size: bytes.length, mediaType } });
    }
  },
  title: (_, __, compression) => `a layer that is compressed by ${compression} is measured, however its bytes come`,
});

const TAR = 'application/vnd.oci.image.layer.v1.tar';
test(measures, '', 'none', TAR);
test(measures, 'gz', 'gzip', `${TAR}+gzip`);
test(measures, 'zst', 'zstd', `${TAR}+zstd`);
test(measures, 'bz2', 'bzip2', TAR);
test(measures, 'xz', 'xz', TAR);

test('bytes after the end of the tar belong to the diff id', async (t) => {
  const tar = Buffer.concat([await buildTar([{ name: 'a', body: 'xyz' }]), Buffer.from('tail')]);
  t.deepEqual(requireLayer(await measure(gzipSync(tar))), { diffId: sha256(tar), diffSize: 3 } as never);
});

test('a file of zero bytes is a tar without entries', async (t) => {
  const { layer } = await measure(Buffer.alloc(0));
  t.deepEqual(layer, { diffId: sha256(Buffer.alloc(0)), diffSize: 0 } as never);
});

const fails = test.macro({
  async exec(t, _: string, make: () => Promise<Uint8Array>, code: string, options?: LayerMeterOptions) {
    const bytes = await make();
    for (const size of [1, 1000, bytes.length]) {
      const measurement = await measure(bytes, size, options);
      t.true(measurement.layer instanceof StoreError && measurement.layer.code === code, String(measurement.layer));
      t.is(measurement.blob.digest as string, sha256(bytes));
      t.is(measurement.blob.size, bytes.length);
      t.true(
        isStoreError(
          t.throws(() => requireLayer(measurement)),
          code as never,
        ),
      );
    }
  },
  title: (_, what) => `${what} is not a layer, and its own digest is still told`,
});

test(fails, 'JSON', async () => Buffer.from(`{"a": "${'x'.repeat(600)}"}`), 'LAYER_INVALID');
test(fails, 'a short text', async () => Buffer.from('text'), 'LAYER_INVALID');
test(fails, 'compressed JSON', async () => gzipSync(Buffer.alloc(1000, '{}')), 'LAYER_INVALID');
test(fails, 'a truncated tar', async () => plain.subarray(0, 5000), 'LAYER_INVALID');
test(fails, 'a truncated gzip stream', async () => gzipSync(plain).subarray(0, -5), 'COMPRESSION_INVALID');
test(
  fails,
  'a gzip stream with garbage after it',
  async () => Buffer.concat([gzipSync(plain), Buffer.from('xx')]),
  'COMPRESSION_INVALID',
);
test(
  fails,
  'what only looks like xz',
  async () => Buffer.from('fd377a585a00ffffffffffff', 'hex'),
  'COMPRESSION_INVALID',
);
test(
  fails,
  'a layer that expands like a bomb',
  async () => gzipSync(Buffer.alloc(3_000_000)),
  'ARCHIVE_LIMIT_EXCEEDED',
  {
    expansion: { maxBytes: 1e9, maxRatio: 100, ratioFreeBytes: 1_000_000 },
  },
);
test(fails, 'a plain layer that is too large', async () => plain, 'ARCHIVE_LIMIT_EXCEEDED', {
  expansion: { maxBytes: plain.length - 1, maxRatio: 100, ratioFreeBytes: 0 },
});

test('a plain layer may have as many bytes as the limit says', async (t) => {
  const expansion = { maxBytes: plain.length, maxRatio: 1, ratioFreeBytes: 0 };
  t.is(requireLayer(await measure(plain, 1000, { expansion })).diffSize, 12_701);
});

test(fails, 'a layer of too many entries', () => buildTar([{ name: 'a' }, { name: 'b' }]), 'ARCHIVE_LIMIT_EXCEEDED', {
  maxEntries: 1,
});

test('the default limits refuse a bomb of gigabytes while memory stays flat', async (t) => {
  const start = gzipSync(Buffer.alloc(16 * 1024 * 1024));
  const meter = new LayerMeter({
    expansion: { maxBytes: 256 * 1024 ** 3, maxRatio: 1000, ratioFreeBytes: 64 * 1024 ** 2 },
  });
  const before = process.memoryUsage().rss;
  for (let members = 0; members < 40; members++) await meter.write(start);
  const { layer } = await meter.finish();
  t.true(isStoreError(layer, 'ARCHIVE_LIMIT_EXCEEDED'));
  t.true(process.memoryUsage().rss - before < 200 * 1024 ** 2);
});
