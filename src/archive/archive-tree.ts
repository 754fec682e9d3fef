import { StoreError } from '../errors.js';
import { MAX_LINK_DEPTH } from '../limits.js';
import type { ArchiveFile } from './archive-file.js';
import { directoryOf, joinInside, normalizeEntryName } from './entry-name.js';

type Node =
  | { readonly type: 'file'; readonly file: ArchiveFile }
  | { readonly type: 'directory' }
  /** `target` is a path from the archive's root. */
  | { readonly type: 'link'; readonly target: string };

/** The names of an archive and what is behind them, in memory: nothing is ever unpacked. */
export class ArchiveTree {
  readonly #nodes = new Map<string, Node>();
  readonly #maxLinkDepth: number;

  constructor(maxLinkDepth = MAX_LINK_DEPTH) {
    this.#maxLinkDepth = maxLinkDepth;
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
  }

  /**
   * Follows every link once, so that none is left that leads nowhere by itself. A missing target is no fault.
   * @throws {StoreError} ARCHIVE_LINK_INVALID for a loop, or more links after one another than allowed
   */
  checkLinks(): void {
    for (const [name, node] of this.#nodes) if (node.type === 'link') this.#resolve(name);
  }

  /**
   * Returns the file behind a name of the archive, links followed, or undefined when there is none.
   * @throws {StoreError} ARCHIVE_NAME_UNSAFE when the name leads out of the archive
   */
  file(name: string): ArchiveFile | undefined {
    const node = this.#nodes.get(this.#resolve(normalizeEntryName(name)));
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

  /** Follows links at the end of `path` and at every directory on the way. */
  #resolve(path: string): string {
    let current = path;
    for (let depth = 0; ; depth++) {
      const next = this.#followFirstLink(current);
      if (next === undefined) return current;
      if (depth === this.#maxLinkDepth) {
        throw invalidLink(path, `at most ${this.#maxLinkDepth} links one after another`, 'more, or a loop');
      }
      current = next;
    }
  }

  #followFirstLink(path: string): string | undefined {
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = end === -1 ? path : path.slice(0, end);
      const node = this.#nodes.get(part);
      if (node?.type === 'link') return end === -1 ? node.target : `${node.target}${path.slice(end)}`;
      if (end === -1) return undefined;
    }
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
