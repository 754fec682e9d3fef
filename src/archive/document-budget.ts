import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_DOCUMENT_BYTES } from '../limits.js';
import type { ArchiveFile } from './archive-file.js';

/**
 * Reads the documents of one archive (configs, manifests, indexes) and counts their bytes together: each may be small
 * and yet all of them, which stay in memory until the store has written them, too much.
 */
export class DocumentBudget {
  readonly #maxBytes: number;
  #bytes = 0;

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
    return file.read();
  }
}
