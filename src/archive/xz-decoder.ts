import xz from 'xz-decompress';
import type { PushDecoder } from './push-decoder.js';

const XZ_OK = 0;
const XZ_STREAM_END = 1;

/** Word offsets in the decoder context (WebAssembly memory); sizes and positions are in bytes. */
const BUFFER_SIZE = 0;
const INPUT_ADDRESS = 1;
const INPUT_POSITION = 2;
const INPUT_SIZE = 3;
const OUTPUT_ADDRESS = 4;
const OUTPUT_POSITION = 5;

interface XzExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  create_context(): number;
  supply_input(context: number, size: number): void;
  get_next_output(context: number): number;
}

/** The internals of xz-decompress below its stream. */
interface XzModuleSource {
  _getModuleInstance(): Promise<void>;
  _moduleInstance: { readonly exports: unknown };
}

let lastInstance: Promise<unknown> = Promise.resolve();

/**
 * Creates an xz decompressor with its own WebAssembly instance.
 *
 * Drives the module directly because the package's streams share one instance behind a lock: an xz
 * layer inside an xz archive would deadlock, and an early cancel leaves the lock taken.
 */
export async function createXzDecoder(): Promise<PushDecoder> {
  // Instances pass through one static field, so create them one at a time.
  const source = xz.XzReadableStream as unknown as XzModuleSource;
  const instance = lastInstance.then(async () => {
    await source._getModuleInstance();
    return source._moduleInstance.exports as XzExports;
  });
  lastInstance = instance.catch(() => undefined);
  return new XzDecoder(await instance);
}

class XzDecoder implements PushDecoder {
  readonly #xz: XzExports;
  /** Address of the decoder state; released together with the instance's memory. */
  readonly #context: number;

  constructor(xz: XzExports) {
    this.#xz = xz;
    this.#context = xz.create_context();
  }

  *push(chunk: Uint8Array): Iterable<Uint8Array> {
    const bufferBytes = this.#words()[BUFFER_SIZE] ?? 0;
    for (let at = 0; at < chunk.length; at += bufferBytes) yield* this.#decode(chunk.subarray(at, at + bufferBytes));
  }

  /** Empty input signals the end; the decoder checks the last stream and its padding. */
  *end(): Iterable<Uint8Array> {
    const status = yield* this.#decode(new Uint8Array(0));
    if (status !== XZ_STREAM_END) throw new Error('the xz stream stops in the middle');
  }

  /** Decodes `input` (at most one buffer) and returns the last status. */
  *#decode(input: Uint8Array): Generator<Uint8Array, number> {
    new Uint8Array(this.#xz.memory.buffer).set(input, this.#words()[INPUT_ADDRESS]);
    this.#xz.supply_input(this.#context, input.length);
    for (;;) {
      const status = this.#xz.get_next_output(this.#context);
      if (status !== XZ_OK && status !== XZ_STREAM_END) throw new Error(`the xz decoder failed with code ${status}`);
      const output = this.#takeOutput();
      const words = this.#words();
      if (output.length > 0) yield output;
      const isUsed = words[INPUT_POSITION] === words[INPUT_SIZE];
      if (status === XZ_STREAM_END || (isUsed && output.length < (words[BUFFER_SIZE] ?? 0))) return status;
    }
  }

  #takeOutput(): Uint8Array {
    const words = this.#words();
    const address = words[OUTPUT_ADDRESS] ?? 0;
    const output = new Uint8Array(this.#xz.memory.buffer).slice(address, address + (words[OUTPUT_POSITION] ?? 0));
    words[OUTPUT_POSITION] = 0;
    return output;
  }

  /** Recreates the view, since memory moves when it grows. */
  #words(): Uint32Array {
    return new Uint32Array(this.#xz.memory.buffer, this.#context, OUTPUT_POSITION + 1);
  }
}
