import { StoreError } from '../errors.js';
import {
  MAX_ARCHIVE_JSON_BYTES,
  MAX_ARCHIVE_NAME_BYTES,
  MAX_LINK_DEPTH,
  MAX_MEMORY_BYTES,
  MAX_MEMORY_FILE_BYTES,
  MAX_PATH_LOOKUP_BYTES,
} from '../limits.js';
import { ArchiveFile, directoryOf, joinInside, normalizeEntryName, type Staging } from './archive-files.js';
import { decompress, type ExpansionLimits } from '../tar/decompress.js';
import type { LayerMeterOptions } from '../tar/layer-meter.js';
import { readTar, type TarEntry, type TarReaderOptions } from '../tar/tar-scan.js';
import { type Digest, digestHex } from '../model/digest.js';
import type { Descriptor } from '../model/digest.js';

type Node =
  | { readonly type: 'file'; readonly file: ArchiveFile }
  | { readonly type: 'directory' }
  /** `target` is a path from the archive's root. */
  | { readonly type: 'link'; readonly target: string };

/** How far links are followed; each default is in limits.ts. */
export interface LinkLimits {
  /** Length of a path, UTF-8, also of one that a link led to. */
  readonly maxNameBytes?: number | undefined;
  /** Links one after another. */
  readonly maxLinkDepth?: number | undefined;
  /** Text looked up for all paths of the archive together. */
  readonly maxPathLookupBytes?: number | undefined;
}

/** Where a path leads, and how many links there are on the way. */
interface Resolved {
  readonly path: string;
  readonly depth: number;
}

/** The names of an archive and what is behind them, in memory: nothing is ever unpacked. */
export class ArchiveTree {
  readonly #nodes = new Map<string, Node>();
  readonly #resolved = new Map<string, Resolved>();
  readonly #maxNameBytes: number;
  readonly #maxLinkDepth: number;
  readonly #maxLookupBytes: number;
  #hasLinks = false;
  #lookupBytes = 0;

  constructor(limits: LinkLimits = {}) {
    this.#maxNameBytes = limits.maxNameBytes ?? MAX_ARCHIVE_NAME_BYTES;
    this.#maxLinkDepth = limits.maxLinkDepth ?? MAX_LINK_DEPTH;
    this.#maxLookupBytes = limits.maxPathLookupBytes ?? MAX_PATH_LOOKUP_BYTES;
  }

  /** Every name, as a path from the archive's root, in the archive's order. */
  names(): string[] {
    return [...this.#nodes.keys()];
  }

  /**
   * Adds the file `file` under its own name.
   * @throws {StoreError} ARCHIVE_NAME_DUPLICATE
   */
  addFile(file: ArchiveFile): void {
    this.#add(file.name, { type: 'file', file });
  }

  /**
   * Adds a directory; it may be there already.
   * @throws {StoreError} ARCHIVE_NAME_DUPLICATE when the name is something else
   */
  addDirectory(name: string): void {
    if (name !== '' && this.#nodes.get(name)?.type !== 'directory') this.#add(name, { type: 'directory' });
  }

  /**
   * Adds a link. A symbolic one is relative to its directory, a hard one to the root of the archive.
   * @throws {StoreError} ARCHIVE_LINK_INVALID when it leads out of the archive, ARCHIVE_NAME_DUPLICATE
   */
  addLink(name: string, target: string, kind: 'symlink' | 'link'): void {
    const base = kind === 'symlink' ? directoryOf(name) : '';
    const path = target.startsWith('/') || target.includes('\0') ? undefined : joinInside(base, target);
    if (path === undefined)
      throw invalidLink(name, 'a target inside the archive', JSON.stringify(target.slice(0, 200)));
    this.#add(name, { type: 'link', target: path });
    this.#hasLinks = true;
  }

  /**
   * Follows every link once, so that none is left that leads nowhere by itself. A missing target is no fault.
   * Call it when all names are added: from then on it is known where they lead.
   * @throws {StoreError} ARCHIVE_LINK_INVALID for a loop, more links after one another than allowed, or a path that
   *   grows longer than a name may be
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when it takes more work than allowed
   */
  checkLinks(): void {
    for (const [name, node] of this.#nodes) if (node.type === 'link') this.#resolve(name);
  }

  /**
   * Returns the file behind a name of the archive, links followed, or undefined when there is none.
   * @throws {StoreError} ARCHIVE_NAME_UNSAFE when the name leads out of the archive, and as `checkLinks`
   */
  file(name: string): ArchiveFile | undefined {
    const path = normalizeEntryName(name);
    // No entry has such a name, and to look for one on its way would cost more the longer it is.
    if (Buffer.byteLength(path) > this.#maxNameBytes) return undefined;
    const node = this.#nodes.get(this.#resolve(path));
    return node?.type === 'file' ? node.file : undefined;
  }

  #add(name: string, node: Node): void {
    if (!this.#nodes.has(name)) {
      this.#nodes.set(name, node);
      return;
    }
    throw new StoreError(
      'ARCHIVE_NAME_DUPLICATE',
      `cannot read the archive: expected each name once, found ${JSON.stringify(name.slice(0, 200))} again`,
      { data: { name } },
    );
  }

  /** Follows links at the end of `path` and at every directory on the way; each path only once. */
  #resolve(path: string): string {
    if (!this.#hasLinks) return path;
    const resolved = this.#followLinks(path);
    this.#resolved.set(path, resolved);
    return resolved.path;
  }

  #followLinks(path: string): Resolved {
    let current = path;
    for (let depth = 0; ; depth++) {
      const known = this.#resolved.get(current);
      const total = depth + (known?.depth ?? 0);
      if (total > this.#maxLinkDepth) {
        throw invalidLink(path, `at most ${this.#maxLinkDepth} links one after another`, 'more, or a loop');
      }
      if (known !== undefined) return { path: known.path, depth: total };
      const next = this.#followFirstLink(current);
      if (next === undefined) return { path: current, depth };
      const length = Buffer.byteLength(next);
      if (length > this.#maxNameBytes) {
        throw invalidLink(path, `a path of at most ${this.#maxNameBytes} bytes`, `one of ${length}`);
      }
      current = next;
    }
  }

  #followFirstLink(path: string): string | undefined {
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = end === -1 ? path : path.slice(0, end);
      this.#countLookup(part);
      const node = this.#nodes.get(part);
      if (node?.type === 'link') return end === -1 ? node.target : `${node.target}${path.slice(end)}`;
      if (end === -1) return undefined;
    }
  }

  #countLookup(part: string): void {
    this.#lookupBytes += part.length;
    if (this.#lookupBytes <= this.#maxLookupBytes) return;
    throw new StoreError(
      'ARCHIVE_LIMIT_EXCEEDED',
      `cannot follow the links of the archive: expected to compare at most ${this.#maxLookupBytes} bytes of paths, found more`,
      { data: { limit: this.#maxLookupBytes } },
    );
  }
}

function invalidLink(name: string, expected: string, found: string): StoreError {
  const shown = JSON.stringify(name.slice(0, 200));
  return new StoreError(
    'ARCHIVE_LINK_INVALID',
    `cannot follow the link ${shown} in the archive: expected ${expected}, found ${found}`,
    { data: { name } },
  );
}

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

const BLOB_NAME = /^blobs\/sha256\/([0-9a-f]{64})$/;

/** Returns the name of a blob in an OCI image layout (image-layout.md, blobs). */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

/**
 * Returns the blob that `descriptor` names, or undefined when the archive does not hold it.
 * @throws {StoreError} BLOB_MISMATCH when the file has another digest or size
 */
export function findBlob(tree: ArchiveTree, descriptor: Descriptor): ArchiveFile | undefined {
  const file = findFile(tree, blobName(descriptor.digest));
  if (file === undefined || file.size === descriptor.size) return file;
  throw mismatch(file.name, `${descriptor.size} bytes as its descriptor says`, `${file.size}`);
}

/**
 * Returns the file under `name`, links followed, or undefined; one whose name says its digest is checked against it.
 * @throws {StoreError} BLOB_MISMATCH, ARCHIVE_NAME_UNSAFE
 */
export function findFile(tree: ArchiveTree, name: string): ArchiveFile | undefined {
  const file = tree.file(name);
  const hex = BLOB_NAME.exec(normalizeEntryName(name))?.[1];
  if (file === undefined || hex === undefined || digestHex(file.digest) === hex) return file;
  throw mismatch(name, `the digest sha256:${hex}`, file.digest);
}

function mismatch(name: string, expected: string, found: string): StoreError {
  return new StoreError('BLOB_MISMATCH', `cannot use ${name} of the archive: expected ${expected}, found ${found}`, {
    data: { name, expected, found },
  });
}
