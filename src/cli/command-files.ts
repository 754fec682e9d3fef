import { access, open } from 'node:fs/promises';
import { loadCode, StoreError } from '../errors.js';
import type { FileContent } from './archive-target.js';

/** An archive named on a command line. */
export interface ArchiveSource {
  /** Its path, where this process reads it itself. */
  readonly source: string | AsyncIterable<Uint8Array>;
  /** Its size in bytes, once the first of them was read; undefined if the reader of `source` knows. */
  readonly total: () => number | undefined;
}

/** The files that a command line names: of this process, or of the client that a server works for. */
export interface CommandFiles {
  /**
   * Reads a file or a pipe; stops past `limitBytes`, for the parser to reject.
   * @throws {StoreError} FILE_NOT_FOUND, IO_FAILED
   */
  read(path: string, limitBytes: number): Promise<Uint8Array>;
  /**
   * Returns the verifier key in a file; of a private key its public half.
   * @throws {StoreError} FILE_NOT_FOUND, KEY_INVALID, KEY_EXPOSED, IO_FAILED
   */
  verifierKey(path: string): Promise<string>;
  /** @throws {StoreError} FILE_NOT_FOUND; any other failure is reported by the read */
  mustBeThere(path: string): Promise<void>;
  /** Returns a file or directory as an archive, opened when it is read. */
  archive(path: string): ArchiveSource;
  /** Writes `content` to `path`, as `writeArchiveFile`. */
  write(content: FileContent, path: string, signal: AbortSignal): Promise<void>;
}

/** The files of this process. */
export const localFiles: CommandFiles = {
  async read(path, limitBytes) {
    const { ioFailure, readAtMost, systemCode } = await loadCode('of files', import('../store/files/files.js'));
    try {
      // Possibly a pipe, such as a shell's `<(…)`.
      await using file = await open(path);
      return await readAtMost(file, limitBytes + 1);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw ioFailure(`read ${path}`, error);
      throw new StoreError('FILE_NOT_FOUND', `cannot read ${path}: there is no such file`, { data: { path } });
    }
  },
  async verifierKey(path) {
    const { readKeyText } = await loadCode('of keys', import('../store/keys.js'));
    const text = await readKeyText(path, 'any');
    if (!text.startsWith('PRIVATE')) return text;
    const { parsePrivateKey } = await loadCode('of signed notes', import('../log/note.js'));
    return (await parsePrivateKey(text)).verifierKey;
  },
  async mustBeThere(path) {
    await access(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') return;
      const data = { path, systemCode: cause.code };
      throw new StoreError('FILE_NOT_FOUND', `cannot read ${path}: no such file`, { cause, data });
    });
  },
  archive: (path) => ({ source: path, total: () => undefined }),
  async write(content, path, signal) {
    const { writeArchiveFile } = await loadCode('that writes files', import('./archive-target.js'));
    await writeArchiveFile(content, path, signal);
  },
};
