import test from 'ava';
import fc from 'fast-check';
import {
  entriesPath,
  MAX_TILE_LEVEL,
  parseTilePath,
  type Tile,
  TILE_WIDTH,
  tileOfTree,
  tilePath,
  tilesOfTree,
} from '../../../src/log/merkle.js';

const names = test.macro({
  exec(t, path: string, tile: ReturnType<typeof parseTilePath>) {
    t.deepEqual(parseTilePath(path), tile);
    if (tile === undefined) return;
    const { level, index, width } = tile;
    t.is(level === 'entries' ? entriesPath(index, width) : tilePath({ level, index, width }), path);
  },
  title: (_, path, tile) => `${path} names ${tile === undefined ? 'nothing' : JSON.stringify(tile)}`,
});

// The examples of C2SP tlog-tiles, and of Go's sumdb for three groups.
test(names, 'tile/0/x001/x234/067', { level: 0, index: 1_234_067, width: 256 });
test(names, 'tile/0/x001/067', { level: 0, index: 1_067, width: 256 });
test(names, 'tile/1/000.p/16', { level: 1, index: 0, width: 16 });
test(names, 'tile/0/000', { level: 0, index: 0, width: 256 });
test(names, 'tile/2/000.p/1', { level: 2, index: 0, width: 1 });
test(names, 'tile/0/x273/112.p/255', { level: 0, index: 273_112, width: 255 });
test(names, 'tile/entries/x067/890', { level: 'entries', index: 67_890, width: 256 });
test(names, 'tile/entries/000.p/7', { level: 'entries', index: 0, width: 7 });
test(names, `tile/${MAX_TILE_LEVEL}/000`, { level: MAX_TILE_LEVEL, index: 0, width: 256 });

for (const path of [
  '',
  'checkpoint',
  '/tile/0/000',
  'tile/0/000/',
  'tile/0',
  'tile/0/0',
  'tile/0/00',
  'tile/0/0000',
  'tile/0/x000/000',
  'tile/0/x000/001',
  'tile/0/001/067',
  'tile/0/x001/x067',
  'tile/0/X001/067',
  'tile/0/000.p/0',
  'tile/0/000.p/256',
  'tile/0/000.p/01',
  'tile/0/000.p/',
  'tile/0/000.p',
  'tile/0/x001.p/5/067',
  `tile/${MAX_TILE_LEVEL + 1}/000`,
  'tile/00/000',
  'tile/10/000',
  'tile/-1/000',
  'tile/data/000',
  'tile/entries/000.p/256',
  'tile/0/000\n',
  'tile/0/x999/x999/x999/x999/x999/999',
  'tile/0/../0/000',
]) {
  test(names, path, undefined);
}

test('a tile is named by its path alone, and nothing else has that name', (t) => {
  const anyTile = fc.record({
    level: fc.integer({ min: 0, max: MAX_TILE_LEVEL }),
    index: fc.oneof(fc.integer({ min: 0, max: 2_000_000 }), fc.maxSafeNat()),
    width: fc.integer({ min: 1, max: TILE_WIDTH }),
  });
  fc.assert(
    fc.property(anyTile, (tile) => {
      t.deepEqual(parseTilePath(tilePath(tile)), tile);
      t.deepEqual(parseTilePath(entriesPath(tile.index, tile.width)), { ...tile, level: 'entries' });
    }),
  );
});

test('any text is either refused or the path of what was parsed', (t) => {
  const part = fc.constantFrom('tile', 'entries', '0', '1', '6', '7', 'x001', 'x000', '067', '000', '.p', '1', '256');
  const text = fc.oneof(
    fc.array(part, { maxLength: 7 }).map((parts) => parts.join('/').replace('/.p', '.p')),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (path) => {
      const tile = parseTilePath(path);
      if (tile === undefined) return;
      const { level, index, width } = tile;
      t.is(level === 'entries' ? entriesPath(index, width) : tilePath({ level, index, width }), path);
    }),
    // Few texts are a path, and in some runs none is: these always are.
    { numRuns: 2_000, examples: [['tile/0/x001/067'], ['tile/entries/x001/067.p/8']] },
  );
});

const edges: readonly (readonly [size: number, paths: readonly string[]])[] = [
  [0, []],
  [1, ['tile/0/000.p/1']],
  [255, ['tile/0/000.p/255']],
  [256, ['tile/0/000', 'tile/1/000.p/1']],
  [257, ['tile/0/000', 'tile/0/001.p/1', 'tile/1/000.p/1']],
  [512, ['tile/0/000', 'tile/0/001', 'tile/1/000.p/2']],
];
for (const [size, paths] of edges) {
  test(`the tiles of ${size} leaves are ${paths.join(', ') || 'none'}`, (t) => {
    t.deepEqual([...tilesOfTree(size)].map(tilePath), paths);
  });
}

const lastOnes: readonly (readonly [size: number, count: number, last: readonly string[]])[] = [
  [65_535, 257, ['tile/0/255.p/255', 'tile/1/000.p/255']],
  [65_536, 258, ['tile/0/255', 'tile/1/000', 'tile/2/000.p/1']],
  [65_537, 259, ['tile/0/256.p/1', 'tile/1/000', 'tile/2/000.p/1']],
  [70_000, 277, ['tile/0/273.p/112', 'tile/1/000', 'tile/1/001.p/17', 'tile/2/000.p/1']],
];
for (const [size, count, last] of lastOnes) {
  test(`the ${count} tiles of ${size} leaves end with ${last.join(', ')}`, (t) => {
    const paths = [...tilesOfTree(size)].map(tilePath);
    t.is(paths.length, count);
    t.deepEqual(paths.slice(-last.length), last);
  });
}

test('a tile beyond the tree has no width', (t) => {
  t.is(tileOfTree(0, 2, 512).width, 0);
  t.is(tileOfTree(1, 0, 255).width, 0);
  t.deepEqual(tileOfTree(0, 1, 300), { level: 0, index: 1, width: 44 } satisfies Tile);
});
