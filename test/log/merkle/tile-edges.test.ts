import test from 'ava';
import {
  checkConsistency,
  checkInclusion,
  Frontier,
  leafHash,
  proveConsistency,
  proveInclusion,
  TILE_WIDTH,
  tileHash,
  treeRoot,
} from '../../../src/log/merkle.js';
import { memoryTree } from './memory-tiles.js';
import { referenceConsistency, referencePath, referenceRoot } from './reference-tree.js';

/* Around the ends of full tiles, and of a full tile of the level above. */

const LARGEST = 65_537;
const { leaves, reader } = memoryTree(LARGEST);
const edges = [1, 2, 254, 255, 256, 257, 511, 512, 513, 65_279, 65_280, 65_281, 65_535, 65_536, 65_537];
const tree = (size: number) => ({ size, root: referenceRoot(leaves, 0, size) });
const bytes = (hash: Uint8Array) => new Uint8Array(hash);

for (const size of edges) {
  test(`the root of ${size} leaves is that of RFC 6962, from tiles and from the right edge alone`, async (t) => {
    t.deepEqual(bytes(await treeRoot(reader, size)), tree(size).root);
    const frontier = await Frontier.read(reader, size);
    t.is(frontier.size, size);
    t.deepEqual(bytes(frontier.root()), tree(size).root);
  });

  test(`proofs of a tree of ${size} leaves are those of RFC 6962, and hold`, async (t) => {
    for (const from of edges.filter((edge) => edge <= size)) {
      const index = from - 1;
      const inclusion = await proveInclusion(reader, index, size);
      t.deepEqual(inclusion.map(bytes), referencePath(index, leaves, size));
      t.notThrows(() => checkInclusion({ index, leafHash: leaves[index] as Uint8Array, tree: tree(size) }, inclusion));
      const consistency = await proveConsistency(reader, from, size);
      t.deepEqual(consistency.map(bytes), referenceConsistency(from, leaves, size));
      t.notThrows(() => checkConsistency({ from: tree(from), to: tree(size) }, consistency));
    }
  });
}

test('a right edge that was read grows on as the one that it is of', async (t) => {
  for (const [size, complete] of [
    [255, 1],
    [256, 0],
    [65_279, 1],
    [65_535, 2],
  ] as const) {
    const frontier = await Frontier.read(reader, size);
    const completed = leaves.slice(size, size + 2).flatMap((leaf) => frontier.append(leaf));
    t.deepEqual(bytes(frontier.root()), tree(size + 2).root);
    for (const { level, index, hash } of completed) {
      const under = 256 ** level;
      t.deepEqual(bytes(hash), referenceRoot(leaves, index * under, (index + 1) * under));
    }
    t.is(completed.length, complete);
  }
});

test('a copy of a right edge goes its own way', (t) => {
  const frontier = new Frontier();
  for (const leaf of leaves.slice(0, 300)) frontier.append(leaf);
  const copy = frontier.copy();
  copy.append(leaves[300] as Uint8Array);
  t.deepEqual([frontier.size, copy.size], [300, 301]);
  t.deepEqual([frontier.root(), copy.root()].map(bytes), [tree(300).root, tree(301).root]);
});

test('a full tile has the hash that its leaves complete one by one', (t) => {
  const ofTile = Array.from({ length: TILE_WIDTH }, (_, at) => leafHash(Uint8Array.of(at)));
  const frontier = new Frontier();
  const completed = ofTile.flatMap((leaf) => frontier.append(leaf));
  t.deepEqual(completed, [{ level: 1, index: 0, hash: tileHash(ofTile) }]);
});
