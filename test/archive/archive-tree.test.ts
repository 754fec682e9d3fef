import test from 'ava';
import { ArchiveFile } from '../../src/archive/archive-files.js';
import { ArchiveTree, type LinkLimits } from '../../src/archive/archive-tree.js';
import { isStoreError } from '../../src/errors.js';
import { MAX_ARCHIVE_NAME_BYTES, MAX_LINK_DEPTH, MAX_PATH_LOOKUP_BYTES } from '../../src/limits.js';
import { MemoryStaging } from './memory-staging.js';

function treeOf(links: readonly (readonly [string, string])[], limits?: LinkLimits): ArchiveTree {
  const tree = new ArchiveTree(limits);
  tree.addFile(ArchiveFile.inMemory('file', new Uint8Array([1]), new MemoryStaging()));
  for (const [name, target] of links) tree.addLink(name, target, 'symlink');
  return tree;
}

/** Follows every link. */
function follow(links: readonly (readonly [string, string])[], limits?: LinkLimits): void {
  const tree = treeOf(links, limits);
  for (const [name] of links) tree.file(name);
}

/** A target of `bytes` bytes whose first part is the link `next`. */
function targetOf(next: string, bytes: number): string {
  return `${next}${'/a'.repeat((bytes - next.length) / 2)}`.padEnd(bytes, 'a');
}

test('a path that grows beyond the length of a name from link to link is refused at once', (t) => {
  const long = targetOf('b', MAX_ARCHIVE_NAME_BYTES);
  const grows = t.throws(() =>
    follow([
      ['a', long],
      ['b', 'cc'],
    ]),
  );
  t.true(isStoreError(grows, 'ARCHIVE_LINK_INVALID'), String(grows));
  t.regex(
    String(grows),
    new RegExp(`at most ${MAX_ARCHIVE_NAME_BYTES} bytes, found one of ${MAX_ARCHIVE_NAME_BYTES + 1}`),
  );
  t.notThrows(() =>
    follow([
      ['a', long],
      ['b', 'c'],
    ]),
  );
});

test('links of long targets one after another are refused before the work grows with the square', (t) => {
  const links = Array.from({ length: MAX_LINK_DEPTH }, (_, at) => [`l${at}`, targetOf(`l${at + 1}`, 4_000)] as const);
  const error = t.throws(() => follow(links));
  t.true(isStoreError(error, 'ARCHIVE_LINK_INVALID'), String(error));
});

test('the text that is looked up is counted over all links', (t) => {
  // The link is looked up itself, then both directories and the whole of its target.
  const links = [
    ['x', 'a/b/c'],
    ['y', 'a/b/d'],
  ] as const;
  const bytes = 2 * ('x'.length + 'a'.length + 'a/b'.length + 'a/b/c'.length);
  t.notThrows(() => follow(links, { maxPathLookupBytes: bytes }));
  const error = t.throws(() => follow(links, { maxPathLookupBytes: bytes - 1 }));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
});

test('many links to paths of many parts are refused beyond MAX_PATH_LOOKUP_BYTES', (t) => {
  const target = targetOf('d', MAX_ARCHIVE_NAME_BYTES);
  const each = (MAX_ARCHIVE_NAME_BYTES * MAX_ARCHIVE_NAME_BYTES) / 4;
  const links = (count: number) =>
    Array.from({ length: count }, (_, at) => [`l${at}`, `${target.slice(0, -4)}${1000 + at}`] as const);
  const enough = Math.floor(MAX_PATH_LOOKUP_BYTES / each);
  t.notThrows(() => follow(links(enough - 1)));
  const error = t.throws(() => follow(links(enough + 1)));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
});

test('a path that was followed once is not followed again', (t) => {
  const chain = Array.from(
    { length: MAX_LINK_DEPTH },
    (_, at) => [`l${at}`, at === 0 ? 'file' : `l${at - 1}`] as const,
  );
  const names = chain.reduce((sum, [name]) => sum + name.length, 'file'.length);
  const tree = treeOf(chain, { maxPathLookupBytes: names });
  for (const [name] of chain) tree.file(name);
  for (const [name] of chain) t.is(tree.file(name)?.name, 'file');
});

test('links count as one after another also where the way of the later ones is known', (t) => {
  const chain = Array.from(
    { length: MAX_LINK_DEPTH + 1 },
    (_, at) => [`l${at}`, at === 0 ? 'file' : `l${at - 1}`] as const,
  );
  t.notThrows(() => follow(chain.slice(0, -1)));
  for (const links of [chain, [...chain].reverse()]) {
    const error = t.throws(() => follow(links));
    t.true(isStoreError(error, 'ARCHIVE_LINK_INVALID'), String(error));
  }
});

test('a name longer than any entry has leads to nothing, with links and without', (t) => {
  const name = 'a/'.repeat(10_000_000);
  t.is(treeOf([]).file(name), undefined);
  t.is(treeOf([['a', '.']]).file(name), undefined);
});
