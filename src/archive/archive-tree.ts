import { type Compression, decompress, type ExpansionLimits } from '../compression/decompress.js';
import { StoreError } from '../errors.js';
import {
  MAX_ARCHIVE_JSON_BYTES,
  MAX_ARCHIVE_NAME_BYTES,
  MAX_LINK_DEPTH,
  MAX_MEMORY_BYTES,
  MAX_MEMORY_FILE_BYTES,
  MAX_PATH_LOOKUP_BYTES,
} from '../limits.js';
import { type Descriptor, type Digest, digestHex } from '../model/digest.js';
import { ArchiveFile, directoryOf, entryPath, joinInside, normalizeEntryName, type Staging } from './archive-files.js';
import type { LayerMeterOptions } from './layer-meter.js';
import { readTar, type TarEntry, type TarFault, type TarReaderOptions } from './tar-reader.js';

type Node =
  | { readonly type: 'file'; readonly file: ArchiveFile }
  | { readonly type: 'directory' }
  /** `target` is a path from the archive root. */
  | { readonly type: 'link'; readonly target: string }
  /** An error for those who use it. */
  | { readonly type: 'unusable'; readonly problem: Problem };

type Problem = TarFault | (Omit<TarFault, 'code'> & { readonly code: 'ARCHIVE_LINK_INVALID' });

/** Limits for following links; defaults in limits.ts. */
export interface LinkLimits {
  /** Maximum UTF-8 path length, including paths reached through links. */
  readonly maxNameBytes?: number | undefined;
  /** Maximum number of consecutive links. */
  readonly maxLinkDepth?: number | undefined;
  /** Total path text looked up across the archive. */
  readonly maxPathLookupBytes?: number | undefined;
}

interface Resolved {
  readonly path: string;
  readonly depth: number;
}

/** In-memory index of an archive's entry names. Nothing is ever unpacked to disk. */
export class ArchiveTree {
  readonly #nodes = new Map<string, Node>();
  readonly #resolved = new Map<string, Resolved>();
  readonly #replaced = new Set<string>();
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

  /** Returns all names as paths from the archive root, in archive order. */
  names(): string[] {
    return [...this.#nodes.keys()];
  }

  /** Yields the files by name, in archive order; links and what cannot be used are no files. */
  *files(): Generator<readonly [name: string, file: ArchiveFile]> {
    for (const [name, node] of this.#nodes) if (node.type === 'file') yield [name, node.file];
  }

  /** Returns the names that came more than once and not the same each time. */
  replacedNames(): string[] {
    return [...this.#replaced];
  }

  /** Adds `file` under its own name. As with all that is added, the last of a name counts. */
  addFile(file: ArchiveFile): void {
    this.#set(file.name, { type: 'file', file });
  }

  /** Adds a directory. */
  addDirectory(name: string): void {
    this.#set(name, { type: 'directory' });
  }

  /**
   * Adds a link. Symbolic links resolve from their directory, hard links and absolute targets from
   * the archive root. A target outside the archive or too long is an error when the link is used.
   */
  addLink(name: string, target: string, kind: 'symlink' | 'link'): void {
    const base = kind === 'symlink' && !target.startsWith('/') ? directoryOf(name) : '';
    const length = Buffer.byteLength(target);
    if (length > this.#maxNameBytes) {
      this.#addUnusableLink(name, `a target of at most ${this.#maxNameBytes} bytes`, `one of ${length}`);
      return;
    }
    const path = target.includes('\0') ? undefined : joinInside(base, target);
    if (path === undefined) {
      this.#addUnusableLink(name, 'a target inside the archive', JSON.stringify(target.slice(0, 200)));
      return;
    }
    this.#hasLinks = true;
    const linked = kind === 'link' ? this.#nodes.get(path) : undefined;
    // A hard link is to what the name stands for now, not to a later one.
    this.#set(name, linked?.type === 'file' ? linked : { type: 'link', target: path });
  }

  /** Adds an entry that is an error when it is used. */
  addUnusable(name: string, problem: Problem): void {
    this.#hasLinks = true;
    this.#set(name, { type: 'unusable', problem });
  }

  #addUnusableLink(name: string, expected: string, found: string): void {
    this.addUnusable(name, { code: 'ARCHIVE_LINK_INVALID', expected, found });
  }

  /**
   * Finds a file by name, following links; undefined if absent. Call after all names are added:
   * resolutions are cached.
   * @throws {StoreError} ARCHIVE_NAME_UNSAFE if the name escapes the archive
   * @throws {StoreError} ARCHIVE_LINK_INVALID for a link out of the archive, a loop, too many links
   *   or an overlong path
   * @throws {StoreError} ARCHIVE_INVALID, ARCHIVE_LIMIT_EXCEEDED for an entry that cannot be read
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if resolving exceeds the lookup budget
   */
  file(name: string): ArchiveFile | undefined {
    const path = normalizeEntryName(name);
    // No entry has a name this long, and lookup cost grows with length.
    if (Buffer.byteLength(path) > this.#maxNameBytes) return undefined;
    const node = this.#nodes.get(this.#resolve(path));
    return node?.type === 'file' ? node.file : undefined;
  }

  #set(name: string, node: Node): void {
    const known = this.#nodes.get(name);
    if (known !== undefined && !isSame(known, node)) this.#replaced.add(name);
    this.#nodes.set(name, node);
  }

  /** Follows links at the end of `path` and in every directory on the way; cached per path. */
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
      if (node?.type === 'unusable') throw unusable(part, node.problem);
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

function isSame(a: Node, b: Node): boolean {
  if (a.type === 'file' && b.type === 'file') return a.file.digest === b.file.digest;
  if (a.type === 'link' && b.type === 'link') return a.target === b.target;
  return a.type === 'directory' && b.type === 'directory';
}

function unusable(name: string, { code, expected, found }: Problem): StoreError {
  if (code === 'ARCHIVE_LINK_INVALID') return invalidLink(name, expected, found);
  const shown = JSON.stringify(name.slice(0, 200));
  return new StoreError(code, `cannot read ${shown} of the archive: expected ${expected}, found ${found}`, {
    data: { name },
  });
}

function invalidLink(name: string, expected: string, found: string): StoreError {
  const shown = JSON.stringify(name.slice(0, 200));
  return new StoreError(
    'ARCHIVE_LINK_INVALID',
    `cannot follow the link ${shown} in the archive: expected ${expected}, found ${found}`,
    { data: { name } },
  );
}

/** Limits for reading one archive; defaults in limits.ts. */
export interface ArchiveLimits extends TarReaderOptions {
  /** Largest file kept in memory instead of staged. */
  readonly maxMemoryFileBytes?: number | undefined;
  /** Total size of files kept in memory. */
  readonly maxMemoryBytes?: number | undefined;
  readonly maxJsonBytes?: number | undefined;
  readonly maxJsonValues?: number | undefined;
  readonly maxConfigBytes?: number | undefined;
  /** Total size of configs, manifests and indexes. */
  readonly maxDocumentBytes?: number | undefined;
  readonly maxLinkDepth?: number | undefined;
  readonly maxPathLookupBytes?: number | undefined;
  readonly maxDescriptors?: number | undefined;
  readonly maxIndexDepth?: number | undefined;
  readonly maxImages?: number | undefined;
  readonly maxReferences?: number | undefined;
  readonly maxLayersPerImage?: number | undefined;
  readonly layer?: LayerMeterOptions | undefined;
  /** Expansion limits for an archive compressed as a whole. */
  readonly expansion?: ExpansionLimits | undefined;
}

/** Leading bytes shown in the error for a file that is not an archive. */
const SHOWN_START_BYTES = 24;

/** A tar that was read to its end. */
export interface ScannedArchive {
  readonly tree: ArchiveTree;
  /** Whether the tar has its end blocks. Without, it may have lost entries. */
  readonly isEnded: boolean;
}

/**
 * Reads a plain or compressed tar to the end and indexes it by name. Files go to memory or
 * `staging`; nothing is unpacked or interpreted. An entry that nothing uses does no harm with any
 * name, type or link target.
 * @throws {StoreError} ARCHIVE_INVALID, ARCHIVE_TRUNCATED, COMPRESSION_INVALID,
 *   ARCHIVE_LIMIT_EXCEEDED
 */
export async function scanArchive(
  source: AsyncIterable<Uint8Array>,
  staging: Staging,
  limits: ArchiveLimits = {},
  notice: (text: string) => void = () => undefined,
): Promise<ScannedArchive> {
  const onTrailing = (compression: Compression): void =>
    notice(`other data after the end of the ${compression} data was ignored`);
  const tree = new ArchiveTree(limits);
  const keep = fileKeeper(staging, limits);
  const start: number[] = [];
  let isEnded = true;
  const onUnended = (): void => {
    isEnded = false;
    notice('the tar ends without its end blocks');
  };
  try {
    const bytes = noteStart(decompress(source, limits.expansion, onTrailing, true), start);
    for await (const entry of readTar(bytes, limits, onUnended)) await addEntry(tree, entry, keep);
  } catch (error) {
    throw notAnArchive(error, start);
  }
  noticeReplaced(tree.replacedNames(), notice);
  return { tree, isEnded };
}

/** Names shown of those that came more than once. */
const SHOWN_NAMES = 5;

function noticeReplaced(names: readonly string[], notice: (text: string) => void): void {
  if (names.length === 0) return;
  const shown = names.slice(0, SHOWN_NAMES).map((name) => JSON.stringify(name.slice(0, 80)));
  const more = names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : '';
  notice(`the last entry counts of names that differ when they come again: ${shown.join(', ')}${more}`);
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

/** Rejects oversized well-known JSON files before staging them. */
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
  const name = entryPath(entry.name);
  // Nothing can refer to what lies outside, nor to the root as a file.
  if (name === undefined || name === '') return;
  if (entry.type === 'file') tree.addFile(await keep(name, entry));
  else if (entry.type === 'directory') tree.addDirectory(name);
  else if (entry.type !== 'other') tree.addLink(name, entry.target, entry.type);
  else if (entry.fault !== undefined) tree.addUnusable(name, entry.fault);
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

function notAnArchive(error: unknown, start: readonly number[]): unknown {
  if (!(error instanceof StoreError) || error.code !== 'ARCHIVE_INVALID' || error.data['isTar'] !== false) return error;
  return new StoreError(
    'ARCHIVE_INVALID',
    `cannot read the archive: expected a tar written by docker save or in the OCI image layout, found ${describe(start)}`,
    { cause: error },
  );
}

function describe(start: readonly number[]): string {
  if (start.length === 0) return 'an empty file';
  const foreign = nameForeign(Uint8Array.from(start));
  if (foreign !== undefined) return foreign;
  const isText = start.every(
    (byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 0x09,
  );
  if (isText) return `text that starts with ${JSON.stringify(Buffer.from(start).toString('latin1'))}`;
  return `a file that starts with the bytes ${Buffer.from(start).toString('hex')}`;
}

const BLOB_NAME = /^blobs\/sha256\/([0-9a-f]{64})$/;

/** Returns the path of a blob in an OCI image layout (image-layout.md, blobs). */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

/** Whether `name` is the path of a blob. */
export function isBlobName(name: string): boolean {
  return BLOB_NAME.test(name);
}

/** Where files are found by their names in an archive. */
export type NamedFiles = Pick<ArchiveTree, 'file'>;

/** Finds the blob for `descriptor`. @throws {StoreError} BLOB_MISMATCH if digest or size differ */
export function findBlob(tree: NamedFiles, descriptor: Descriptor): ArchiveFile | undefined {
  const file = findFile(tree, blobName(descriptor.digest));
  if (file === undefined || file.size === descriptor.size) return file;
  throw mismatch(file.name, `${descriptor.size} bytes as its descriptor says`, `${file.size}`);
}

/**
 * Finds the file at `name`, following links. A digest in the name is verified.
 * @throws {StoreError} BLOB_MISMATCH, ARCHIVE_NAME_UNSAFE
 */
export function findFile(tree: NamedFiles, name: string): ArchiveFile | undefined {
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

const UTF16 = "UTF-16 text, as PowerShell's > writes: write the archive with docker save -o";

/** Bytes at the start of a file that is not a tar, what they stand for, and what to do about it. */
const MAGICS: readonly (readonly [hex: string, name: string])[] = [
  ['04224d18', 'an lz4 file: decompress it first (lz4 -d)'],
  ['4c5a4950', 'an lzip file: decompress it first (lzip -d)'],
  ['5d0000', 'an lzma file: decompress it first (xz --format=lzma -d)'],
  ['1f9d', 'a file of compress: decompress it first (gzip -d)'],
  ['1f8b', 'gzip inside gzip: decompress it once first (gzip -d)'],
  ['28b52ffd', 'zstd inside another compression: decompress it once first'],
  ['fd377a585a00', 'xz inside another compression: decompress it once first'],
  ['425a68', 'bzip2 inside another compression: decompress it once first'],
  ['377abcaf271c', 'a 7z file: unpack it first (7z x)'],
  ['504b0304', 'a zip file: unpack it first (unzip)'],
  ['504b0506', 'an empty zip file'],
  ['526172211a07', 'a rar file: unpack it first'],
  ['fffe', UTF16],
  ['feff', UTF16],
];

/**
 * Names the format of a file that is not a tar by its first bytes, which are those after one
 * decompression; undefined if unknown.
 */
export function nameForeign(start: Uint8Array): string | undefined {
  const hex = Buffer.from(start).toString('hex');
  const found = MAGICS.find(([magic]) => hex.startsWith(magic))?.[1];
  if (found !== undefined) return found;
  const text = Buffer.from(start).toString('latin1').trimStart().toLowerCase();
  return text.startsWith('<!doctype html') || text.startsWith('<html')
    ? 'an HTML page: was it a download that failed?'
    : undefined;
}
