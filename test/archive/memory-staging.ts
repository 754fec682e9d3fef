import type { StagedFile, Staging, WritableStagedFile } from '../../src/archive/archive-files.js';

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

  create(): Promise<WritableStagedFile> {
    return Promise.resolve(this.#add(new MemoryFile(this.#live)));
  }

  hold(bytes: Uint8Array): StagedFile {
    return this.#add(new MemoryFile(this.#live, bytes));
  }

  #add(file: MemoryFile): MemoryFile {
    this.created += 1;
    this.#live.add(file);
    return file;
  }
}

class MemoryFile implements WritableStagedFile {
  readonly #chunks: Uint8Array[] = [];
  readonly #live: Set<MemoryFile>;
  #state: 'writing' | 'finished' | 'discarded' = 'writing';

  constructor(live: Set<MemoryFile>, held?: Uint8Array) {
    this.#live = live;
    if (held === undefined) return;
    this.#chunks.push(held);
    this.#state = 'finished';
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
    this.#live.delete(this);
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
