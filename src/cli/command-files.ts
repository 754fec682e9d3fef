import { access, open } from 'node:fs/promises';
import { loadCode, StoreError } from '../errors.js';
import type { FileContent } from './archive-target.js';
import type { Writable } from 'node:stream';
import type { PulledContent } from '../registry-client/pull.js';
import type { Action } from '../server/access/access.js';
import type { EventStore } from '../store/event-store.js';
import type { WriteOptions } from '../store/store.js';

/** An archive named on a command line. */
interface ArchiveSource {
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

/** What a pager of a long answer is to a command: a terminal that it may leave. */
export type PagerStream = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Of a pager that has ended. */
  readonly exitCode: number | null | undefined;
  /** Ends its input and waits until it has ended. */
  leave(): Promise<void>;
};

/** What of an image to pull, and how its registry is reached. */
export interface PullRequest {
  readonly platform?: readonly string[] | undefined;
  readonly referrers?: boolean | undefined;
  readonly plainHttp?: boolean | undefined;
  readonly insecure?: boolean | undefined;
}

/** The client for whom a server runs a command. */
export interface CommandClient {
  /** The server's open store; closing it does nothing. */
  readonly store: EventStore;
  readonly files: CommandFiles;
  /**
   * Compares the options `--store` and `--host` with what the client, which parses no other option,
   * found on its command line.
   * @throws {CommandDeclined} if they differ: another server, or none, may be meant
   */
  mustBeAsked(options: { readonly store: string | undefined; readonly host: string | undefined }): void;
  /** @throws {CommandDeclined} the client then runs the command itself */
  decline(): never;
  /** @throws {StoreError} ACCESS_DENIED */
  mustBeAllowed(action: Action): void;
  /**
   * Returns what a write records of where it came from, for the actor that was typed.
   * @throws {StoreError} ACCESS_DENIED for an actor who is another than the client
   */
  originOf(actor: { readonly typed: string | undefined; readonly variable: string | undefined }): WriteOptions;
  /** Has the client reach a registry, with its own credentials, and send what it pulls. */
  pull(name: string, asked: PullRequest): Promise<PulledContent>;
  /** The command of the client's pager; undefined for none. */
  readonly pager: string | undefined;
  openPager(): PagerStream;
}
