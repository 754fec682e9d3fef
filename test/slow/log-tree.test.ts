import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { forgetDerivedRows } from '../../src/log/tree-rows.js';
import { TREE_PREFIX, treeKey } from '../../src/log/rows.js';
import { hashInTile, leafHash, TILE_WIDTH, tilesOfTree, treeRoot } from '../../src/log/merkle.js';
import type { LevelLog } from '../../src/log/leveldb/level-log.js';
import { encodeRecord } from '../../src/log/record.js';
import { readFailure } from '../../src/log/leveldb/open-level.js';
import { FailingDatabases, type WriteFate } from '../support/failing-database.js';
import { rejection } from '../support/rejection.js';
import { creationOf, entriesOf, eventsFrom } from '../support/stored-event.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestLog, tamper } from '../support/test-log.js';
import { referenceRoot } from '../log/merkle/reference-tree.js';

/** Appends `count` events as one batch, and returns their leaf hashes, by the portable hash. */
async function appendGroup(log: LevelLog, count: number): Promise<Uint8Array[]> {
  const expectedHead = log.head.seq;
  const bodies = Array.from({ length: count }, (_, at) => creationOf(`${expectedHead + at}`));
  const entries = entriesOf(eventsFrom(expectedHead + 1, bodies));
  await log.append({ expectedHead, entries, content: new Map() });
  return entries.map(({ record }) => leafHash(record));
}

/** Holds the root and every tile of a log against the definition of RFC 6962 over `leaves`. */
async function holdsTree(t: ExecutionContext, log: LevelLog, leaves: readonly Uint8Array[]): Promise<void> {
  const root = referenceRoot(leaves);
  t.is(log.head.seq, leaves.length);
  t.deepEqual(log.head.root, root);
  t.deepEqual(new Uint8Array(await treeRoot(log, leaves.length)), root);
  for (const tile of tilesOfTree(leaves.length)) {
    const bytes = await log.readTile(tile);
    t.is(bytes.length, 32 * tile.width);
    const under = TILE_WIDTH ** tile.level;
    for (let at = 0; at < tile.width; at++) {
      const first = (tile.index * TILE_WIDTH + at) * under;
      t.deepEqual(hashInTile(bytes, at), referenceRoot(leaves, first, first + under));
    }
  }
}

/** A closed log of `size` events, with its leaf hashes. */
async function logOf(t: ExecutionContext, size: number): Promise<{ location: string; leaves: Uint8Array[] }> {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  const leaves = await appendGroup(log, size);
  await log.close();
  return { location, leaves };
}

/** The rows of a closed log's tree, by key, in hex. */
async function treeRowsOf(location: string): Promise<[string, string][]> {
  const rows: [string, string][] = [];
  const range = { gte: Uint8Array.of(TREE_PREFIX), lt: Uint8Array.of(TREE_PREFIX + 1) };
  await tamper(location, async (database) => {
    for (const row of await database.iterator(range).all()) {
      rows.push(row.map((bytes) => Buffer.from(bytes).toString('hex')) as [string, string]);
    }
  });
  return rows;
}

test('a log has the tree of its records, for any batches, in this process and the next', async (t) => {
  const root = await temporaryDirectory(t);
  let run = 0;
  const size = fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 600 }),
    fc.constantFrom(255, 256, 257),
  );
  const property = fc.asyncProperty(fc.array(fc.array(size, { maxLength: 3 }), { maxLength: 3 }), async (sessions) => {
    const location = join(root, `${run++}`);
    const leaves: Uint8Array[] = [];
    for (const groups of sessions) {
      const log = await openTestLog(t, location);
      await holdsTree(t, log, leaves);
      for (const count of groups) {
        leaves.push(...(await appendGroup(log, count)));
        t.deepEqual(log.head.root, referenceRoot(leaves));
      }
      await holdsTree(t, log, leaves);
      await log.close();
    }
  });
  await fc.assert(property, { numRuns: 15 });
});

test('the rows of the tree are one for each 256 leaves, named by level and index', async (t) => {
  const { location, leaves } = await logOf(t, 2 * TILE_WIDTH + 5);
  t.deepEqual(
    await treeRowsOf(location),
    [0, 1].map((index) => [
      `7401${index.toString(16).padStart(16, '0')}`,
      Buffer.from(referenceRoot(leaves, index * 256, index * 256 + 256)).toString('hex'),
    ]),
  );
});

test('the root of a head is a copy: changing its bytes changes nothing else, and it stays when the log grows', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  const leaves = await appendGroup(log, 3);
  const { head } = log;
  t.deepEqual(Object.keys(head), ['seq', 'time', 'root']);
  t.is(Object.getPrototypeOf(head.root), Uint8Array.prototype);
  head.root.fill(0);
  t.deepEqual(head.root, referenceRoot(leaves));
  await appendGroup(log, 1);
  t.deepEqual(head.root, referenceRoot(leaves));
});

const regains = test.macro({
  async exec(t, lose: (location: string) => Promise<void>) {
    const { location, leaves } = await logOf(t, 3 * TILE_WIDTH + 7);
    const before = await treeRowsOf(location);
    t.is(before.length, 3);
    await lose(location);
    const reading = await openTestLog(t, location, { createIfMissing: false, readOnly: true });
    await holdsTree(t, reading, leaves);
    await reading.close();
    t.notDeepEqual(await treeRowsOf(location), before, 'opening for reading writes nothing');
    const log = await openTestLog(t, location, { createIfMissing: false });
    await holdsTree(t, log, leaves);
    leaves.push(...(await appendGroup(log, TILE_WIDTH)));
    await holdsTree(t, log, leaves);
    await log.close();
    t.deepEqual((await treeRowsOf(location)).slice(0, 3), before);
  },
  title: (given) => `a log gets its tree again when ${given}`,
});

const without = (...keys: Uint8Array[]): ((location: string) => Promise<void>) => {
  return (location) =>
    tamper(location, async (database) => {
      for (const key of keys) await database.del(key);
    });
};

test('it has no rows of it', regains, without(treeKey(1, 0), treeKey(1, 1), treeKey(1, 2)));
test('the first row is gone', regains, without(treeKey(1, 0)));
test('a row in the middle is gone', regains, without(treeKey(1, 1)));
test('the last row is gone', regains, without(treeKey(1, 2)));
test('rows of a longer log are left over', regains, (location) =>
  tamper(location, (database) => database.put(treeKey(1, 3), new Uint8Array(32))),
);
test('there is a level too many', regains, (location) =>
  tamper(location, (database) => database.put(treeKey(2, 0), new Uint8Array(32))),
);

test('the writing of a tree that is cut short anywhere is done again', async (t) => {
  // The last row goes first, then the others, then all are written.
  const leftAt = [[1, 2], [1], []];
  for (const [writes, left] of leftAt.entries()) {
    const { location, leaves } = await logOf(t, 3 * TILE_WIDTH);
    const rows = await treeRowsOf(location);
    await without(treeKey(1, 0))(location);
    const databases = new FailingDatabases();
    databases.fates.push(...Array.from({ length: writes }, () => 'written' as const), 'lost');
    const failed = await rejection(t, 'LOG_FAILED', openTestLog(t, location, { openDatabase: databases.open }));
    t.regex(failed.message, /cannot open the log/);
    t.deepEqual(
      await treeRowsOf(location),
      left.map((index) => rows[index]),
    );
    await holdsTree(t, await openTestLog(t, location), leaves);
  }
});

test('an open reads only the last tile of each level: a row missing before it is reported when it is read', async (t) => {
  const { location, leaves } = await logOf(t, TILE_WIDTH ** 2 + TILE_WIDTH);
  await without(treeKey(1, 3))(location);
  const log = await openTestLog(t, location);
  const error = await rejection(t, 'LOG_CORRUPT', log.readTile({ level: 1, index: 0, width: TILE_WIDTH }));
  t.deepEqual(error.data, { level: 1, index: 3, remedy: 'rebuild' });
  await log.close();
  await tamper(location, (database) =>
    forgetDerivedRows({
      database,
      failure: (cause) => readFailure(cause, false),
      opened: (rows) => rows,
    }),
  );
  const again = await openTestLog(t, location);
  await holdsTree(t, again, leaves);
});

test('of a tree of two levels, too, the writing that is cut short is done again', async (t) => {
  const { location, leaves } = await logOf(t, TILE_WIDTH ** 2);
  const rows = await treeRowsOf(location);
  t.is(rows.length, TILE_WIDTH + 1);
  await without(treeKey(2, 0))(location);
  for (const fates of [['lost'], ['written', 'lost'], ['written', 'written', 'lost']] as const) {
    const databases = new FailingDatabases();
    databases.fates.push(...fates);
    await rejection(t, 'LOG_FAILED', openTestLog(t, location, { openDatabase: databases.open }));
  }
  const log = await openTestLog(t, location);
  await holdsTree(t, log, leaves);
  await log.close();
  t.deepEqual(await treeRowsOf(location), rows);
});

test('a row of the tree that is cut short is reported, with what rebuilds it', async (t) => {
  const { location } = await logOf(t, 2 * TILE_WIDTH);
  await tamper(location, (database) => database.put(treeKey(1, 1), new Uint8Array(31)));
  const error = await rejection(t, 'LOG_CORRUPT', openTestLog(t, location));
  t.deepEqual(error.data, { level: 1, index: 1, remedy: 'rebuild' });
});

test('a tile of leaves is given only when the records have its hashes', async (t) => {
  const { location } = await logOf(t, 20);
  await tamper(location, async (database) => {
    const key = Uint8Array.of(0x65, 0, 0, 0, 0, 0, 0, 0, 5);
    const row = Uint8Array.from((await database.get(key)) ?? []);
    await database.put(key, row.with(0, (row[0] as number) ^ 1));
  });
  const error = await rejection(t, 'LOG_CORRUPT', openTestLog(t, location));
  t.deepEqual(error.data, { seq: 5 });
});

test('a tile that the tree does not have is refused', async (t) => {
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'));
  await appendGroup(log, 300);
  const tiles = [
    [0, 1, 45],
    [0, 2, 1],
    [0, 0, 0],
    [0, 0, 257],
    [1, 0, 2],
    [2, 0, 1],
  ] as const;
  for (const [level, index, width] of tiles) {
    await t.throwsAsync(
      log.readTile({ level, index, width }),
      { instanceOf: RangeError },
      `${level}/${index} ${width}`,
    );
  }
});

const settles = test.macro({
  async exec(t, fate: WriteFate, count: number) {
    const databases = new FailingDatabases();
    const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'), { openDatabase: databases.open });
    const leaves = await appendGroup(log, TILE_WIDTH - 3);
    databases.fates.push(fate);
    await rejection(t, 'OUTCOME_UNKNOWN', appendGroup(log, count));
    t.deepEqual(log.head.root, referenceRoot(leaves), 'a failed append leaves the tree as it was');
    const survived = await log.recover();
    for (const event of survived) leaves.push(leafHash(encodeRecord(event)));
    t.is(survived.length, fate === 'lost' ? 0 : count);
    await holdsTree(t, log, leaves);
    leaves.push(...(await appendGroup(log, TILE_WIDTH)));
    await holdsTree(t, log, leaves);
  },
  title: (given) => `after a write that ${given} the log has the tree of what is there`,
});

test('was lost', settles, 'lost', 2);
test('was lost and would have completed a row', settles, 'lost', 10);
test('happened anyway', settles, 'unsure', 2);
test('happened anyway and completed a row', settles, 'unsure', 10);

test('a tile that is read while the log recovers is read from the database that it opens', async (t) => {
  const databases = new FailingDatabases();
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'), { openDatabase: databases.open });
  const leaves = await appendGroup(log, 10);
  databases.fates.push('lost');
  await rejection(t, 'OUTCOME_UNKNOWN', appendGroup(log, 1));
  const recovery = log.recover();
  const tile = log.readTile({ level: 0, index: 0, width: 10 });
  await recovery;
  t.deepEqual(await tile, new Uint8Array(leaves.flatMap((leaf) => [...leaf])));
});
