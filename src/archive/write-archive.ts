import type { Readable } from 'node:stream';
import type { SavedArchive } from './saved-archive.js';

/** How to write an archive. */
export interface WriteArchiveOptions {
  readonly format: 'docker' | 'oci';
  /** Called with the bytes given so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An archive about to be written. */
export interface WrittenArchive {
  /** Bytes that `stream` gives. */
  readonly size: number;
  readonly stream: Readable;
}

export declare function writeArchive(saved: SavedArchive, options: WriteArchiveOptions): WrittenArchive;
