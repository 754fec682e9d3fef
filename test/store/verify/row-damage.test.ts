import test from 'ava';
import { contentKey, eventKey, formatPosition, keyAt, positionKey, treeKey } from '../../../src/log/rows.js';
import { subjectPrefix } from '../../../src/log/subject-index.js';
import { HASH_BYTES } from '../../../src/model/digest.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { bytesOf } from '../../support/text-bytes.js';
import { briefly, type DamagedStore, flipped, storeToDamage } from './damaged-store.js';

/** An event in the middle of a full tile, and one in the last tile, which nothing but checkpoint and snapshots commit to. */
const [FULL, LAST] = [100, 600];
const SEVEN = idNamed('image 7');

const store = storeToDamage();

/** The damage gives exactly these violations. */
const gives = test.macro(async (t, damage: (damaged: DamagedStore) => Promise<unknown>, ...expected: string[]) => {
  const damaged = await store(t);
  await damage(damaged);
  t.deepEqual(briefly(await damaged.verify()), [...expected].sort());
});

const put =
  (key: Uint8Array, value: Uint8Array) =>
  (damaged: DamagedStore): Promise<void> =>
    damaged.rows((rows) => rows.put(key, value));

const remove =
  (key: Uint8Array) =>
  (damaged: DamagedStore): Promise<void> =>
    damaged.rows((rows) => rows.del(key));

/** Flips one bit of the value of a row. */
const flip =
  (key: Uint8Array, at: number) =>
  (damaged: DamagedStore): Promise<void> =>
    damaged.row(key, (value) => flipped(value, at));

const sevenPrefix = subjectPrefix({ image: SEVEN });
const actorPrefix = subjectPrefix({ actor: 'tester' });

/** Changes the only row of the index about image 7. */
const changeIndex = (change: 'remove' | 'move' | 'damage') => (damaged: DamagedStore) =>
  damaged.rows(async (rows) => {
    const [key] = await rows.keys({ gte: keyAt(sevenPrefix, 0), limit: 1 }).all();
    if (key === undefined) throw new Error('image 7 has no row');
    if (change === 'damage') return rows.put(key, Uint8Array.of(0x80));
    await rows.del(key);
    if (change === 'move') await rows.put(keyAt(sevenPrefix, LAST), new Uint8Array());
  });

test('a store with something of everything has nothing wrong', gives, async () => undefined);

test('an unknown kind of row', gives, put(bytesOf('zebra'), Uint8Array.of(1)), 'ROW_UNKNOWN row 7a65627261');
test('a key of the wrong length', gives, put(bytesOf('e12'), Uint8Array.of(1)), 'ROW_UNKNOWN row 653132');

test('a record in a full tile', gives, flip(eventKey(FULL), -1), `NOT_CHECKED views`, `RECORD_DAMAGED event ${FULL}`);
test('a record in the last tile', gives, flip(eventKey(LAST), -1), `NOT_CHECKED views`, `RECORD_DAMAGED event ${LAST}`);
test(
  'the byte before a record',
  gives,
  flip(eventKey(FULL), HASH_BYTES),
  `NOT_CHECKED views`,
  `RECORD_DAMAGED event ${FULL}`,
);
test('a leaf hash in a full tile', gives, flip(eventKey(FULL), 3), `LEAF_WRONG event ${FULL}`);
test('a leaf hash in the last tile', gives, flip(eventKey(LAST), 3), `LEAF_WRONG event ${LAST}`);
test(
  'a record and a leaf hash of one tile',
  gives,
  async (damaged) => {
    await flip(eventKey(FULL), 3)(damaged);
    await flip(eventKey(LAST), -1)(damaged);
  },
  `LEAF_WRONG event ${FULL}`,
  'NOT_CHECKED views',
  `RECORD_DAMAGED event ${LAST}`,
);
test(
  'a row that is cut short',
  gives,
  put(eventKey(FULL), Uint8Array.of(1, 2)),
  'NOT_CHECKED views',
  `RECORD_DAMAGED event ${FULL}`,
);
test(
  'a missing event in a full tile',
  gives,
  remove(eventKey(FULL)),
  `NOT_CHECKED views`,
  `RECORD_MISSING event ${FULL}`,
);
test(
  'a missing event in the last tile',
  gives,
  remove(eventKey(LAST)),
  'NOT_CHECKED tree',
  'NOT_CHECKED views',
  `RECORD_MISSING event ${LAST}`,
);
test(
  'missing events in a row, over the edge of a tile',
  gives,
  (damaged) =>
    damaged.rows(async (rows) => {
      for (let seq = 200; seq <= 300; seq++) await rows.del(eventKey(seq));
    }),
  'NOT_CHECKED views',
  'RECORD_MISSING events 200 to 300',
);

test('a missing hash of the tree', gives, remove(treeKey(1, 1)), 'TILE_MISSING tile 1/1');
test('a wrong hash of the tree', gives, flip(treeKey(1, 0), 5), 'TILE_WRONG tile 1/0');
test('a superfluous hash of the tree', gives, put(treeKey(1, 2), new Uint8Array(32)), 'TILE_SUPERFLUOUS tile 1/2');
test('a superfluous level of the tree', gives, put(treeKey(3, 0), new Uint8Array(32)), 'TILE_SUPERFLUOUS tile 3/0');
test('a level that no tree has', gives, put(treeKey(7, 0), new Uint8Array(32)), 'ROW_UNKNOWN row 74070000000000000000');

test('a missing row of the index', gives, changeIndex('remove'), `INDEX_MISSING index image ${SEVEN}`);
test('a damaged row of the index', gives, changeIndex('damage'), `INDEX_DAMAGED index image ${SEVEN.slice(7, 23)}…`);
test(
  'a row of the index that names another event',
  gives,
  changeIndex('move'),
  `INDEX_MISSING index image ${SEVEN}`,
  `INDEX_SUPERFLUOUS index image ${SEVEN}`,
);
test(
  'a row of the index about nobody who ever was',
  gives,
  put(keyAt(subjectPrefix({ actor: 'nobody' }), 7), new Uint8Array()),
  'INDEX_SUPERFLUOUS index actor 6382b3cc881412b7…',
);
test(
  'a row of the index that goes beyond the log',
  gives,
  put(keyAt(actorPrefix, 5_000), new Uint8Array()),
  'INDEX_SUPERFLUOUS index actor tester',
);
test(
  'no index at all',
  gives,
  (damaged) => damaged.rows((rows) => rows.clear({ gte: bytesOf('s'), lt: bytesOf('t') })),
  'INDEX_MISSING index',
);

test(
  'a malformed position',
  gives,
  put(positionKey('mirror@1'), Uint8Array.of(1)),
  'POSITION_DAMAGED consumer mirror@1',
);
test(
  'a position beyond the log',
  gives,
  put(positionKey('mirror@1'), formatPosition({ seq: 5_000, time: 0 })),
  'POSITION_AHEAD consumer mirror@1',
);

test('missing content', gives, remove(contentKey(SEVEN)), `CONTENT_MISSING content ${SEVEN}`);
test('content that was changed', gives, flip(contentKey(SEVEN), 9), `CONTENT_WRONG content ${SEVEN}`);
test(
  'content that nobody named',
  gives,
  put(contentKey(idNamed('other')), imageConfig('other')),
  `CONTENT_UNNAMED content ${idNamed('other')}`,
);
