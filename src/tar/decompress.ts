import type { Duplex } from 'node:stream';
import { StoreError } from '../errors.js';
import { COMPRESSION_MAGIC_BYTES, type Compression, detectCompression } from './compression.js';
import { createDecoder } from './decoder.js';
import { drained } from './drained.js';
import { ARCHIVE_EXPANSION, ExpansionGuard, type ExpansionLimits } from './expansion-guard.js';

/**
 * Gives the decompressed bytes of `source`, whatever its first bytes say it
 * is; a plain source is passed through as it is. Memory stays at a few chunks.
 * The source is closed when the reader stops early or anything fails.
 *
 * @throws {StoreError} COMPRESSION_INVALID when the data is corrupt or stops early
 * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when it expands beyond `limits`; a plain source has their size too
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  limits: ExpansionLimits = ARCHIVE_EXPANSION,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const start = await readStart(iterator);
    const compression = detectCompression(start);
    const whole = joined(start, iterator);
    const guard = new ExpansionGuard(limits);
    yield* compression === 'none' ? passOn(whole, guard) : decode(whole, compression, guard);
  } finally {
    await iterator.return?.();
  }
}

/** Returns `error` as the StoreError of a decoder that failed; a StoreError stays itself. */
export function compressionError(compression: Compression, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const found = error instanceof Error ? error.message : String(error);
  return new StoreError(
    'COMPRESSION_INVALID',
    `cannot decompress: expected intact ${compression} data, found: ${found}`,
    {
      cause: error,
      data: { compression },
    },
  );
}

async function* passOn(source: AsyncIterable<Uint8Array>, guard: ExpansionGuard): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    guard.fed(chunk.length);
    guard.produced(chunk.length);
    yield chunk;
  }
}

async function* decode(
  source: AsyncIterable<Uint8Array>,
  compression: Exclude<Compression, 'none'>,
  guard: ExpansionGuard,
): AsyncGenerator<Uint8Array> {
  const decoder = await createDecoder(compression);
  // Not awaited: it may be waiting for a source that gives nothing more, and all it has to tell reaches the decoder.
  const feeding = feed(source, decoder, guard);
  feeding.catch((error: unknown) => decoder.destroy(new SourceFailure(error)));
  try {
    for await (const piece of decoder as AsyncIterable<Uint8Array>) {
      guard.produced(piece.length);
      yield piece;
    }
  } catch (error) {
    throw error instanceof SourceFailure ? error.cause : compressionError(compression, error);
  } finally {
    decoder.destroy();
  }
}

/** Tells an error of the source from one of the decoder. */
class SourceFailure extends Error {
  constructor(cause: unknown) {
    super('the source failed', { cause });
  }
}

/** Writes `source` into `decoder` as fast as it takes it. Rejects with the source's own error only. */
async function feed(source: AsyncIterable<Uint8Array>, decoder: Duplex, guard: ExpansionGuard): Promise<void> {
  for await (const chunk of source) {
    if (decoder.destroyed) return;
    guard.fed(chunk.length);
    if (!decoder.write(chunk)) await drained(decoder);
  }
  decoder.end();
}

async function readStart(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let start: Uint8Array = new Uint8Array(0);
  while (start.length < COMPRESSION_MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done) break;
    start = start.length === 0 ? next.value : Buffer.concat([start, next.value]);
  }
  return start;
}

async function* joined(start: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (start.length > 0) yield start;
  for (;;) {
    const next = await rest.next();
    if (next.done) return;
    yield next.value;
  }
}
