import type { StagedFile, Staging } from '../../src/archive/archive-files.js';

/** A staging area in memory that counts what is left in it, and catches wrong use. */
export class MemoryStaging implements Staging {
  readonly #live = new Set<MemoryFile>();
  created = 0;

  /** Files that were neither kept nor discarded. */
  get left(): number {
    return this.#live.size;
  }

  /** Bytes in those files. */
  get leftBytes(): number {
    return [...this.#live].reduce((sum, file) => sum + file.bytes().length, 0);
  }

  create(): Promise<StagedFile> {
    this.created += 1;
    const file = new MemoryFile(() => void this.#live.delete(file));
    this.#live.add(file);
    return Promise.resolve(file);
  }
}

class MemoryFile implements StagedFile {
  readonly #chunks: Uint8Array[] = [];
  readonly #onDiscard: () => void;
  #state: 'writing' | 'finished' | 'discarded' = 'writing';

  constructor(onDiscard: () => void) {
    this.#onDiscard = onDiscard;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#state !== 'writing') throw new Error(`written to while ${this.#state}`);
    this.#chunks.push(new Uint8Array(chunk));
  }

  async finish(): Promise<void> {
    if (this.#state !== 'writing') throw new Error(`finished while ${this.#state}`);
    this.#state = 'finished';
  }

  async *read(): AsyncIterable<Uint8Array> {
    if (this.#state !== 'finished') throw new Error(`read while ${this.#state}`);
    yield* this.#chunks;
  }

  async discard(): Promise<void> {
    this.#state = 'discarded';
    this.#onDiscard();
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }
}

/** All bytes of a staged file. */
export async function stagedBytes(file: StagedFile): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of file.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
