import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import test from 'ava';
import { createViews } from '../../../projections/views.js';
import { encodeViews } from '../../../projections/views-codec.js';
import { eventKey } from '../../../src/log/rows.js';
import { formatSnapshot, parseSnapshot, type SnapshotHeader } from '../../../src/store/snapshots/snapshot-folder.js';
import { briefly, type DamagedStore, flipped, storeToDamage } from './damaged-store.js';

const store = storeToDamage();

/** The damage, to a file that `pick` names, gives exactly these violations, in which `*` stands for its name. */
const gives = test.macro(
  async (
    t,
    folder: string,
    damage: (path: string, damaged: DamagedStore) => Promise<unknown>,
    ...expected: string[]
  ) => {
    const damaged = await store(t);
    const names = (await readdir(damaged.path(folder))).filter((each) => !each.startsWith('.')).sort();
    const name = names.at(-1) ?? '';
    await damage(damaged.path(folder, name), damaged);
    t.deepEqual(briefly(await damaged.verify()), expected.map((each) => each.replaceAll('*', name)).sort());
  },
);

const BLOBS = 'blobs/sha256';

const flip =
  (at: number) =>
  async (path: string): Promise<void> =>
    writeFile(path, flipped(await readFile(path), at));

/** Writes a snapshot again, as somebody would who knows the format. */
const forge =
  (change: (header: SnapshotHeader) => SnapshotHeader, payload?: Uint8Array) =>
  async (path: string): Promise<void> => {
    const snapshot = parseSnapshot(await readFile(path));
    await writeFile(path, formatSnapshot(change(snapshot.header), [payload ?? snapshot.payload]));
  };

test('a blob that was changed', gives, BLOBS, flip(20), `BLOB_WRONG ${BLOBS}/*`);
test('a missing blob', gives, BLOBS, (path) => rm(path), 'BLOB_MISSING blob sha256:*');
test('an empty blob', gives, BLOBS, (path) => writeFile(path, ''), `BLOB_SIZE_WRONG ${BLOBS}/*`);
test(
  'a blob under the name of another',
  gives,
  BLOBS,
  (path) => rename(path, path.replace(/[^/]+$/, '0'.repeat(64))),
  'BLOB_MISSING blob sha256:*',
  `BLOB_UNNEEDED ${BLOBS}/${'0'.repeat(64)}`,
  `BLOB_WRONG ${BLOBS}/${'0'.repeat(64)}`,
);
test(
  'a file that is not a blob',
  gives,
  BLOBS,
  (path) => writeFile(`${path}.part`, ''),
  `FILE_UNKNOWN ${BLOBS}/*.part`,
);

test('a snapshot that was changed', gives, 'snapshots', flip(-40), 'SNAPSHOT_DAMAGED snapshots/*');
test(
  'a snapshot of another store',
  gives,
  'snapshots',
  forge((header) => ({ ...header, store: 'another' })),
  'SNAPSHOT_FOREIGN snapshots/*',
);
test(
  'a snapshot of another log',
  gives,
  'snapshots',
  forge((header) => ({ ...header, root: '0'.repeat(64) })),
  'SNAPSHOT_FOREIGN snapshots/*',
);
test(
  'a snapshot with other views',
  gives,
  'snapshots',
  forge((header) => header, Buffer.concat([...encodeViews(createViews().views)])),
  'SNAPSHOT_WRONG snapshots/*',
);
test(
  'a snapshot whose checksum is right and whose views are malformed',
  gives,
  'snapshots',
  forge((header) => header, Uint8Array.of(1, 2, 3)),
  'SNAPSHOT_DAMAGED snapshots/*',
);
test(
  'the same beside a lost event, after which no views are compared',
  gives,
  'snapshots',
  async (path, damaged) => {
    await forge((header) => header, Uint8Array.of(1, 2, 3))(path);
    await damaged.rows((rows) => rows.del(eventKey(100)));
  },
  'NOT_CHECKED views',
  'RECORD_MISSING event 100',
  'SNAPSHOT_DAMAGED snapshots/*',
);
test(
  'a snapshot under the name of another event',
  gives,
  'snapshots',
  (path) => rename(path, path.replace(/\d{16}/, '0000000000000007')),
  'SNAPSHOT_DAMAGED snapshots/0000000000000007.views',
);
test(
  'a file that is not a snapshot',
  gives,
  'snapshots',
  (path) => writeFile(`${path}x`, ''),
  'FILE_UNKNOWN snapshots/*x',
);
test('what a crash leaves of a snapshot is not damage', gives, 'snapshots', (_, damaged) =>
  writeFile(damaged.path('snapshots', '.tmp-0123'), 'half'),
);

test(
  'a missing sidecar',
  gives,
  '.',
  (_, { directory }) => rm(`${directory}/imagelog.json`),
  'SIDECAR_MISSING imagelog.json',
);
test(
  'a malformed sidecar',
  gives,
  '.',
  (_, { directory }) => writeFile(`${directory}/imagelog.json`, '{}'),
  'SIDECAR_DAMAGED imagelog.json',
);
test(
  'a sidecar that was written by hand',
  gives,
  '.',
  async (_, { directory }) => {
    const path = `${directory}/imagelog.json`;
    await writeFile(path, (await readFile(path, 'utf8')).trimEnd());
  },
  'SIDECAR_DAMAGED imagelog.json',
);
test(
  'a sidecar of another store',
  gives,
  'snapshots',
  async (_, { directory }) => {
    const path = `${directory}/imagelog.json`;
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(/"storeId": "./, '"storeId": "x').replace('example.com', 'example.net'));
  },
  'CHECKPOINT_FOREIGN checkpoint',
  ...['0000000000000628.views', '*'].map((name) => `SNAPSHOT_FOREIGN snapshots/${name}`),
);
