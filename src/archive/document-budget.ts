import { setImmediate } from 'node:timers/promises';
import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_DOCUMENT_BYTES } from '../limits.js';
import { type Codec, decodeJsonSteps } from '../model/json/codec.js';
import type { JsonLimits } from '../model/json/parse-json.js';
import type { ArchiveFile } from './archive-file.js';
import { parsedDocument } from './documents.js';

/** Work after which timers and sockets have a turn, counted in steps of about a microsecond. */
const STEPS_PER_TURN = 10_000;
/** Bytes of a document that take a step to parse, where they are many small values. */
const BYTES_PER_STEP = 16;
/** What a document costs however short it is: a lookup, a digest to compare. */
const STEPS_PER_DOCUMENT = 20;
/** What happens between two pauses of a parser or decoder. */
const STEPS_PER_PAUSE = 100;

/**
 * Reads the documents of one archive (configs, manifests, indexes) and counts their bytes together: each may be small
 * and yet all of them, which stay in memory until the store has written them, too much. It counts the work on them too:
 * an archive in memory never waits for anything, and ten thousand images would stop the process.
 */
export class DocumentBudget {
  readonly #maxBytes: number;
  #bytes = 0;
  #steps = 0;

  constructor(maxBytes = MAX_ARCHIVE_DOCUMENT_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Returns the bytes of `file`, which count from now on. Whoever reads a file twice keeps its bytes instead.
   * @throws {StoreError} `code` when the file has more than `maxBytes`
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when all documents so far have more than the archive may
   */
  async read(
    file: ArchiveFile,
    maxBytes: number,
    code: 'ARCHIVE_LIMIT_EXCEEDED' | 'CONFIG_TOO_LARGE',
  ): Promise<Uint8Array> {
    file.checkSize(maxBytes, code);
    const found = this.#bytes + file.size;
    if (found > this.#maxBytes) {
      throw new StoreError(
        'ARCHIVE_LIMIT_EXCEEDED',
        `cannot read ${file.name}: expected configs, manifests and indexes of at most ${this.#maxBytes} bytes together, found ${found}`,
        { data: { name: file.name, limit: this.#maxBytes, found } },
      );
    }
    this.#bytes = found;
    await this.spend(STEPS_PER_DOCUMENT + file.size / BYTES_PER_STEP);
    return file.read();
  }

  /**
   * Returns the document in `bytes`; `where` names it in messages. Others have turns meanwhile.
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID when it is no JSON, or a field has the wrong type
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when it exceeds `limits`
   */
  async parse<T>(bytes: Uint8Array, codec: Codec<T>, where: string, limits: JsonLimits = {}): Promise<T> {
    const steps = decodeJsonSteps(bytes, codec, limits);
    for (;;) {
      const { done, value } = parsedDocument(where, () => steps.next());
      if (done) return value;
      await this.spend(STEPS_PER_PAUSE);
    }
  }

  /** Counts `steps` of work, done or about to be; lets timers and sockets have a turn when it was much. */
  async spend(steps: number): Promise<void> {
    this.#steps += steps;
    if (this.#steps < STEPS_PER_TURN) return;
    this.#steps = 0;
    await setImmediate();
  }
}
