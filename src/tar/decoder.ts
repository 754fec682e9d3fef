import type { Duplex } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Compression } from './compression.js';
import { PushDecoderStream } from './push-decoder.js';
import { loadCode } from '../load-code.js';

/** Output pieces of zlib: larger ones mean fewer trips to its threads. */
const ZLIB_CHUNK_BYTES = 256 * 1024;

/**
 * Returns a stream that takes compressed bytes and gives the decompressed
 * ones, with backpressure both ways. It fails on corrupt and on truncated
 * input, with whatever error the decoder has. Destroy it when done early.
 */
export async function createDecoder(compression: Exclude<Compression, 'none'>): Promise<Duplex> {
  switch (compression) {
    case 'gzip':
      return createGunzip({ chunkSize: ZLIB_CHUNK_BYTES });
    case 'zstd':
      return new PushDecoderStream((await loadCode('of zstd', import('./zstd-decoder.js'))).createZstdDecoder());
    case 'bzip2':
      return new PushDecoderStream((await loadCode('of bzip2', import('./bzip2-decoder.js'))).createBzip2Decoder());
    case 'xz':
      return new PushDecoderStream(await (await loadCode('of xz', import('./xz-decoder.js'))).createXzDecoder());
  }
}
