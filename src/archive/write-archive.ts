import { Readable } from 'node:stream';
import type { Pack } from 'tar-stream';
import { StoreError } from '../errors.js';
import type { Digest } from '../model/digest.js';
import { drained } from '../tar/drained.js';
import { abortable, type Watch } from './abortable.js';
import { entrySize, type PlannedEntry } from './archive-plan.js';
import { type ArchiveFormat, planArchive } from './plan-archive.js';
import type { SavedArchive } from './saved-archive.js';
import { loadCode } from '../load-code.js';

/** Bytes that are read ahead while others are written: without them, a save to a write stream waits for each by turns. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** How to write an archive. */
export interface WriteArchiveOptions extends Watch {
  /** `docker` is what Docker 25 writes and every version reads; `oci` is a pure OCI image layout. */
  readonly format: ArchiveFormat;
}

/** An archive about to be written. */
export interface WrittenArchive {
  /** Bytes that `stream` gives, exactly. */
  readonly size: number;
  /** The tar. Layer files are opened one at a time, as they are read. Destroy it to stop early. */
  readonly stream: Readable;
}

/**
 * Returns an archive of `saved` as a stream, its size known beforehand. The same images and names give the same
 * bytes: sorted, times at the epoch, owner 0.
 *
 * Layers are written as they were received, compressed or not, and manifests as they came where their layers are all
 * there, so that manifest digests survive; both formats carry index.json. A name of several platforms is written as its
 * index; manifest.json of the docker format lists it at one image. References by digest are in index.json only.
 *
 * @throws {StoreError} BLOB_MISSING at once when a layer is not there; the stream fails with BLOB_CORRUPT when one is
 *   not as long as it must be, with ABORTED, and with what `openBlob` throws
 */
export function writeArchive(saved: SavedArchive, options: WriteArchiveOptions): WrittenArchive {
  const plan = planArchive(saved, options.format);
  const bytes = abortable(packed(plan.entries(), saved), options);
  return { size: plan.size(), stream: Readable.from(bytes, { objectMode: false, highWaterMark: READ_AHEAD_BYTES }) };
}

async function* packed(entries: readonly PlannedEntry[], saved: SavedArchive): AsyncGenerator<Uint8Array> {
  const { pack } = await loadCode('that writes tar', import('tar-stream'));
  const tar = pack();
  // Every failure reaches the loop below through the pack.
  writeEntries(tar, entries, saved).catch((error: unknown) => tar.destroy(error as Error));
  try {
    yield* tar as unknown as AsyncIterable<Uint8Array>;
  } finally {
    tar.destroy(null);
  }
}

async function writeEntries(tar: Pack, entries: readonly PlannedEntry[], saved: SavedArchive): Promise<void> {
  for (const entry of entries) {
    if (tar.destroyed) return;
    await writeEntry(tar, entry, saved);
  }
  tar.finalize();
}

async function writeEntry(tar: Pack, entry: PlannedEntry, saved: SavedArchive): Promise<void> {
  const isDirectory = entry.type === 'directory';
  const header = {
    name: entry.name,
    type: isDirectory ? ('directory' as const) : ('file' as const),
    mode: isDirectory ? 0o755 : 0o644,
    mtime: new Date(0),
    size: entrySize(entry),
  };
  if (entry.type !== 'blob') {
    await settled((done) => tar.entry(header, entry.type === 'bytes' ? entry.bytes : new Uint8Array(0), done));
    return;
  }
  await settled((done) => {
    const sink = tar.entry(header, done);
    // `done` is given the same error; without a listener the sink would throw it at the process.
    sink.on('error', () => undefined);
    const copied = copy(checkedBlob(saved, entry.blob.digest, entry.blob.size), sink);
    copied.catch((error: unknown) => sink.destroy(error as Error));
  });
}

type Sink = ReturnType<Pack['entry']>;

async function copy(source: AsyncIterable<Uint8Array>, sink: Sink): Promise<void> {
  for await (const chunk of source) {
    if (sink.destroyed) return;
    if (!sink.write(chunk)) await drained(sink);
  }
  sink.end(null);
}

/** Gives the bytes of a layer file, never more or fewer than the tar's header says. */
async function* checkedBlob(saved: SavedArchive, digest: Digest, size: number): AsyncGenerator<Uint8Array> {
  let found = 0;
  for await (const chunk of saved.openBlob(digest)) {
    found += chunk.length;
    if (found > size) break;
    yield chunk;
  }
  if (found === size) return;
  const shown = found > size ? 'more' : `${found}`;
  throw new StoreError('BLOB_CORRUPT', `cannot save the layer file ${digest}: expected ${size} bytes, found ${shown}`, {
    data: { blob: digest, expected: size },
  });
}

/** Waits for `start` to call back with or without an error. */
function settled(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}
