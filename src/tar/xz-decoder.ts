import xz from 'xz-decompress';
import type { PushDecoder } from './push-decoder.js';

const XZ_OK = 0;
const XZ_STREAM_END = 1;

/** Words of the decoder's context in its memory: sizes and positions, in bytes. */
const BUFFER_SIZE = 0;
const INPUT_ADDRESS = 1;
const INPUT_POSITION = 2;
const INPUT_SIZE = 3;
const OUTPUT_ADDRESS = 4;
const OUTPUT_POSITION = 5;

/** What the WebAssembly module of xz-decompress exports. */
interface XzExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  create_context(): number;
  supply_input(context: number, size: number): void;
  get_next_output(context: number): number;
}

/** The part of xz-decompress below its stream. */
interface XzModuleSource {
  _getModuleInstance(): Promise<void>;
  _moduleInstance: { readonly exports: unknown };
}

let lastInstance: Promise<unknown> = Promise.resolve();

/**
 * Returns an xz decompressor with a WebAssembly instance of its own.
 *
 * The stream of the package cannot be used: its streams share one instance
 * behind a lock, so that an xz layer inside an xz archive waits for ever, and
 * one that is cancelled early leaves the lock taken. So the module is driven here.
 */
export async function createXzDecoder(): Promise<PushDecoder> {
  // Instances are handed over through one static field, so they are made one at a time.
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
  /** Address of the decoder's state. Its memory goes with the instance, so it is never freed by hand. */
  readonly #context: number;

  constructor(xz: XzExports) {
    this.#xz = xz;
    this.#context = xz.create_context();
  }

  *push(chunk: Uint8Array): Iterable<Uint8Array> {
    const bufferBytes = this.#words()[BUFFER_SIZE] ?? 0;
    for (let at = 0; at < chunk.length; at += bufferBytes) yield* this.#decode(chunk.subarray(at, at + bufferBytes));
  }

  /** No input means the end to the decoder: it checks that the last stream and its padding are complete. */
  *end(): Iterable<Uint8Array> {
    const status = yield* this.#decode(new Uint8Array(0));
    if (status !== XZ_STREAM_END) throw new Error('the xz stream stops in the middle');
  }

  /** Gives what `input`, at most one buffer of it, decodes to, and returns the last status. */
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

  /** The memory moves when it grows, so this view is made anew each time. */
  #words(): Uint32Array {
    return new Uint32Array(this.#xz.memory.buffer, this.#context, OUTPUT_POSITION + 1);
  }
}
