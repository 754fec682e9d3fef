import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_JSON_BYTES, MAX_MEMORY_BYTES, MAX_MEMORY_FILE_BYTES } from '../limits.js';
import { decompress } from '../tar/decompress.js';
import type { ExpansionLimits } from '../tar/expansion-guard.js';
import type { LayerMeterOptions } from '../tar/layer-meter.js';
import { readTar, type TarEntry, type TarReaderOptions } from '../tar/tar-reader.js';
import type { Staging } from './archive.js';
import { ArchiveFile } from './archive-file.js';
import { ArchiveTree } from './archive-tree.js';
import { normalizeEntryName } from './entry-name.js';

/** Limits of reading one archive; each default is in limits.ts. */
export interface ArchiveLimits extends TarReaderOptions {
  /** Size of a file that is kept in memory rather than staged. */
  readonly maxMemoryFileBytes?: number | undefined;
  /** Size of all the files that are. */
  readonly maxMemoryBytes?: number | undefined;
  readonly maxJsonBytes?: number | undefined;
  readonly maxJsonValues?: number | undefined;
  readonly maxConfigBytes?: number | undefined;
  /** Size of all configs, manifests and indexes. */
  readonly maxDocumentBytes?: number | undefined;
  readonly maxLinkDepth?: number | undefined;
  readonly maxPathLookupBytes?: number | undefined;
  readonly maxDescriptors?: number | undefined;
  readonly maxIndexDepth?: number | undefined;
  readonly maxImages?: number | undefined;
  readonly maxReferences?: number | undefined;
  readonly maxLayersPerImage?: number | undefined;
  readonly layer?: LayerMeterOptions | undefined;
  /** How far an archive compressed as a whole may expand. */
  readonly expansion?: ExpansionLimits | undefined;
}

/** Bytes from the start of a file that a message shows when it is no archive. */
const SHOWN_START_BYTES = 24;

/**
 * Reads a tar, plain or compressed, to its end and returns what it holds, by name.
 * Files go to memory or to `staging`; nothing is unpacked and nothing decided.
 *
 * @throws {StoreError} ARCHIVE_INVALID, ARCHIVE_TRUNCATED, COMPRESSION_INVALID, ARCHIVE_NAME_UNSAFE,
 *   ARCHIVE_NAME_DUPLICATE, ARCHIVE_LINK_INVALID, ARCHIVE_LIMIT_EXCEEDED
 */
export async function scanArchive(
  source: AsyncIterable<Uint8Array>,
  staging: Staging,
  limits: ArchiveLimits = {},
): Promise<ArchiveTree> {
  const tree = new ArchiveTree(limits);
  const keep = fileKeeper(staging, limits);
  const start: number[] = [];
  let entries = 0;
  try {
    const bytes = noteStart(decompress(source, limits.expansion), start);
    for await (const entry of readTar(bytes, limits)) {
      entries += 1;
      await addEntry(tree, entry, keep);
    }
  } catch (error) {
    throw entries === 0 ? notAnArchive(error, start) : error;
  }
  tree.checkLinks();
  return tree;
}

type KeepFile = (name: string, entry: TarEntry) => Promise<ArchiveFile>;

function fileKeeper(staging: Staging, limits: ArchiveLimits): KeepFile {
  const maxFileBytes = limits.maxMemoryFileBytes ?? MAX_MEMORY_FILE_BYTES;
  let memoryLeft = limits.maxMemoryBytes ?? MAX_MEMORY_BYTES;
  return async (name, entry) => {
    if (entry.size > Math.min(maxFileBytes, memoryLeft)) {
      refuseLargeJson(name, entry.size, limits.maxJsonBytes ?? MAX_ARCHIVE_JSON_BYTES);
      return ArchiveFile.stage(name, entry.body, staging, limits.layer);
    }
    memoryLeft -= entry.size;
    return ArchiveFile.inMemory(name, await readAll(entry), staging, limits.layer);
  };
}

/** The files that every reader looks for are known by name, so a large one is refused before it is staged. */
function refuseLargeJson(name: string, size: number, limit: number): void {
  if (size <= limit || !['manifest.json', 'index.json', 'repositories', 'oci-layout'].includes(name)) return;
  throw new StoreError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `cannot read ${name}: expected at most ${limit} bytes, found ${size}`,
    {
      data: { name, limit, found: size },
    },
  );
}

async function addEntry(tree: ArchiveTree, entry: TarEntry, keep: KeepFile): Promise<void> {
  const name = normalizeEntryName(entry.name);
  switch (entry.type) {
    case 'file':
      if (name === '')
        throw new StoreError('ARCHIVE_NAME_UNSAFE', 'cannot read the archive: found a file without a name');
      return tree.addFile(await keep(name, entry));
    case 'directory':
      return tree.addDirectory(name);
    case 'symlink':
    case 'link':
      return tree.addLink(name, entry.target, entry.type);
    case 'other':
    // Devices and pipes hold nothing that an image is made of.
  }
}

async function readAll(entry: TarEntry): Promise<Uint8Array> {
  const bytes = new Uint8Array(entry.size);
  let at = 0;
  for await (const chunk of entry.body) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function* noteStart(source: AsyncIterable<Uint8Array>, start: number[]): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    for (const byte of chunk.subarray(0, SHOWN_START_BYTES - start.length)) start.push(byte);
    yield chunk;
  }
}

/** Says what was found instead of a tar when not even its first entry could be read. */
function notAnArchive(error: unknown, start: readonly number[]): unknown {
  if (!(error instanceof StoreError) || error.code !== 'ARCHIVE_INVALID') return error;
  return new StoreError(
    'ARCHIVE_INVALID',
    `cannot read the archive: expected a tar written by docker save or in the OCI image layout, found ${describe(start)}`,
    { cause: error },
  );
}

function describe(start: readonly number[]): string {
  if (start.length === 0) return 'an empty file';
  const isText = start.every(
    (byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 0x09,
  );
  if (isText) return `text that starts with ${JSON.stringify(Buffer.from(start).toString('latin1'))}`;
  return `a file that starts with the bytes ${Buffer.from(start).toString('hex')}`;
}
