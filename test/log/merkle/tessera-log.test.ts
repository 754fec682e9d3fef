import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import {
  checkConsistency,
  checkInclusion,
  entriesPath,
  formatEntries,
  Frontier,
  leafHash,
  parseEntries,
  parseTilePath,
  proveConsistency,
  proveInclusion,
  tilePath,
  type TileReader,
  tilesOfTree,
  treeRoot,
} from '../../../src/log/merkle.js';
import { fixturePath } from '../../support/fixtures.js';

/* A log of 15 entries that another implementation of tlog-tiles wrote, Tessera: all it holds is made again from the entries. */

const SIZE = 15;
const file = (path: string): Uint8Array => new Uint8Array(readFileSync(fixturePath('merkle', 'tessera-log', path)));
const entries = parseEntries(file(entriesPath(0, SIZE)));
const leaves = entries.map((entry) => leafHash(entry));
/** The log's own tiles, as files. */
const reader: TileReader = { readTile: async (tile) => file(tilePath(tile)) };

/** The root that a checkpoint of the log commits to, by size. */
function rootAt(size: number): Uint8Array {
  const [origin, count, root = ''] = new TextDecoder().decode(file(`checkpoint.${size}`)).split('\n');
  if (origin !== 'example.com/log/testdata' || count !== `${size}`) throw new Error(`no checkpoint of ${size} entries`);
  return Uint8Array.from(Buffer.from(root, 'base64'));
}

const roots = Array.from({ length: SIZE + 1 }, (_, size) => rootAt(size));

test('it has fifteen entries, and the names of its files are those of its tiles', (t) => {
  t.is(entries.length, SIZE);
  for (const folder of ['tile/0/000.p', 'tile/entries/000.p']) {
    const found = readdirSync(fixturePath('merkle', 'tessera-log', folder));
    for (const name of found) t.is(parseTilePath(`${folder}/${name}`)?.width, Number(name));
    t.is(found.length, SIZE);
  }
});

test('every root from 0 to 15 is that of its checkpoint', async (t) => {
  const frontier = new Frontier();
  for (const [size, root] of roots.entries()) {
    t.deepEqual(frontier.root(), root);
    if (size > 0) t.deepEqual(await treeRoot(reader, size), root);
    const leaf = leaves[size];
    if (leaf !== undefined) frontier.append(leaf);
  }
});

test('every tile and every bundle is made from the entries, byte for byte', (t) => {
  for (let size = 1; size <= SIZE; size++) {
    const tiles = [...tilesOfTree(size)];
    t.deepEqual(tiles.map(tilePath), [`tile/0/000.p/${size}`]);
    t.deepEqual(file(`tile/0/000.p/${size}`), new Uint8Array(leaves.slice(0, size).flatMap((leaf) => [...leaf])));
    t.deepEqual(file(entriesPath(0, size)), formatEntries(entries.slice(0, size)));
  }
  t.false(existsSync(fixturePath('merkle', 'tessera-log', 'tile', '1')), 'no subtree of 256 is whole');
});

test('every entry and every size is proved from its tiles, to the roots of its checkpoints', async (t) => {
  for (let size = 1; size <= SIZE; size++) {
    const tree = { size, root: roots[size] as Uint8Array };
    for (let index = 0; index < size; index++) {
      const proof = await proveInclusion(reader, index, size);
      t.notThrows(() => checkInclusion({ index, leafHash: leaves[index] as Uint8Array, tree }, proof));
    }
    for (let from = 1; from <= size; from++) {
      const proof = await proveConsistency(reader, from, size);
      t.notThrows(() => checkConsistency({ from: { size: from, root: roots[from] as Uint8Array }, to: tree }, proof));
    }
  }
});
