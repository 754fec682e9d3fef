import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { LayerMeter, requireLayer } from '../../src/archive/layer-meter.js';
import { decompress } from '../../src/compression/decompress.js';
import { buildTar, collect, inChunks } from '../support/build-tar.js';
import { numberedBytes } from '../support/numbered-bytes.js';

/** More than the output buffers of Node's decoders hold, and no multiple of them. */
const LARGE_BYTES = 3 * 1024 * 1024 + 17;
const CHUNK_SIZES = [9_999, 70_000, 1024 * 1024];
const RAW_BLOCK_BYTES = 128 * 1024;

/** Returns a zstd frame of blocks that are not compressed (RFC 8878, section 3.1.1). */
function zstdFrame(bytes: Buffer): Buffer {
  const header = Buffer.from('28b52ffda000000000', 'hex');
  header.writeUInt32LE(bytes.length, 5);
  const parts: Uint8Array[] = [header];
  for (let at = 0; at < bytes.length; at += RAW_BLOCK_BYTES) {
    const block = bytes.subarray(at, at + RAW_BLOCK_BYTES);
    const isLast = at + block.length === bytes.length;
    const start = Buffer.alloc(3);
    start.writeUIntLE((block.length << 3) | (isLast ? 1 : 0), 0, 3);
    parts.push(start, block);
  }
  return Buffer.concat(parts);
}

const COMPRESSIONS = { gzip: (bytes: Buffer): Buffer => gzipSync(bytes, { level: 1 }), zstd: zstdFrame };

const measures = test.macro({
  async exec(t, compression: keyof typeof COMPRESSIONS) {
    const tar = await buildTar([{ name: 'a', body: numberedBytes(LARGE_BYTES) }]);
    const bytes = COMPRESSIONS[compression](tar);
    for (const size of CHUNK_SIZES) {
      const meter = new LayerMeter();
      for await (const chunk of inChunks(bytes, size)) await meter.write(chunk);
      const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
      t.deepEqual(requireLayer(await meter.finish()), { diffId, diffSize: LARGE_BYTES } as never);
    }
  },
  title: (_, compression) => `a layer of many pieces by ${compression} is measured, each piece freed after that`,
});

const lends = test.macro({
  async exec(t, compression: keyof typeof COMPRESSIONS) {
    const plain = numberedBytes(LARGE_BYTES);
    const twice = Buffer.concat([plain, plain]);
    const bytes = COMPRESSIONS[compression](plain);
    for (const size of CHUNK_SIZES) {
      const pieces: Uint8Array[] = [];
      const copies: Uint8Array[] = [];
      const source = inChunks(Buffer.concat([bytes, bytes]), size);
      for await (const piece of decompress(source, undefined, () => t.fail(), true)) {
        pieces.push(piece);
        copies.push(new Uint8Array(piece));
      }
      t.true(twice.equals(Buffer.concat(copies)), 'each is whole until the next is pulled');
      // Without a decoder of Node, which some versions lack for zstd, the pieces are smaller.
      const isFreed = pieces.some((piece) => piece.length === 0);
      if (compression === 'gzip') t.is(isFreed, 'transfer' in ArrayBuffer.prototype, 'and freed where Node can');
    }
  },
  title: (_, compression) => `pieces by ${compression} are lent to a reader that asks for it`,
});

const gives = test.macro({
  async exec(t, compression: keyof typeof COMPRESSIONS) {
    const plain = numberedBytes(LARGE_BYTES);
    for (const size of CHUNK_SIZES) {
      t.true(plain.equals(await collect(decompress(inChunks(COMPRESSIONS[compression](plain), size)))));
    }
  },
  title: (_, compression) => `pieces by ${compression} are the reader's own otherwise`,
});

for (const compression of ['gzip', 'zstd'] as const) {
  test(measures, compression);
  test(lends, compression);
  test(gives, compression);
}
