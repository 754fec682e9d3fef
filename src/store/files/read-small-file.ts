import { open } from 'node:fs/promises';
import { ioFailure, systemCode } from './durable-file.js';

/**
 * Resolves with the bytes of the file at `path`, one byte more than `limitBytes` of a larger one, so that whoever parses them
 * refuses it; undefined when there is none.
 * @throws {StoreError} STORE_NOT_WRITABLE when reading is not permitted, IO_FAILED
 */
export async function readSmallFile(path: string, limitBytes: number): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path);
    const chunks: Uint8Array[] = [];
    let left = limitBytes + 1;
    while (left > 0) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(Math.min(left, CHUNK_BYTES)));
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      left -= bytesRead;
    }
    return joined(chunks);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioFailure(`read ${path}`, error);
  }
}

const CHUNK_BYTES = 64 * 1024;

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
