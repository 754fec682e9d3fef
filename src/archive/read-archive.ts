import type { Platform } from '../model/platform.js';
import type { ArchiveContents, Staging } from './archive.js';

/** How to read an archive. */
export interface ReadArchiveOptions {
  /** Only the images of this platform where the archive offers several. */
  readonly platform?: Platform | undefined;
  /** Refuse an archive that lacks a platform its index names; without it, those are passed over and said. */
  readonly allPlatforms?: boolean | undefined;
  /** Called with the bytes read so far from the source, as they are in the file. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export declare function readArchive(
  source: AsyncIterable<Uint8Array>,
  staging: Staging,
  options?: ReadArchiveOptions,
): Promise<ArchiveContents>;
