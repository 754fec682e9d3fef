import { loadCode } from '../load-code.js';
import { TAR_BLOCK_BYTES } from './tar-header.js';

/** What a header says of an entry; the rest is the same for all, so that the same entries give the same bytes. */
export interface FormattedEntry {
  readonly type: 'directory' | 'file';
  /** ASCII, at most 100 bytes; of a directory with a slash at its end. */
  readonly name: string;
  /** Bytes of its data. */
  readonly size: number;
}

const MODES = { directory: 0o755, file: 0o644 } as const;
const NAME = /^[\x20-\x7e]{1,100}$/;

/**
 * Resolves with the header block of an entry with its time at the epoch and owner 0: readable by all, and directories by whoever searches them.
 * @throws {RangeError} when the name does not fit
 */
export async function formatTarHeader({ type, name, size }: FormattedEntry): Promise<Uint8Array> {
  // A longer name would have a block before.
  if (!NAME.test(name)) throw new RangeError(`name must be ASCII, at most 100 bytes: ${JSON.stringify(name)}`);
  const { pack } = await loadCode('that writes tar', import('tar-stream'));
  const tar = pack();
  // Its data never comes: of all that tar-stream packs, the header alone is taken.
  tar.entry({ name, type, size, mode: MODES[type], mtime: new Date(0) }).on('error', () => undefined);
  for await (const block of tar as unknown as AsyncIterable<Uint8Array>) return block;
  throw new RangeError(`no header was packed for ${name}`);
}

/** Returns the zero bytes between data of `size` bytes and the next header. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}
