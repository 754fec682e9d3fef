import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_NAME_BYTES, MAX_LINK_DEPTH, MAX_PATH_LOOKUP_BYTES } from '../limits.js';
import type { ArchiveFile } from './archive-file.js';
import { directoryOf, joinInside, normalizeEntryName } from './entry-name.js';

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
