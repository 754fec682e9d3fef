import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import test from 'ava';
import { LevelLog } from '../../../src/log/leveldb/level-log.js';
import { readSidecar } from '../../../src/store/open/sidecar.js';
import { ChangesBuilder } from '../../../src/store/snapshots/changes-file.js';
import { formatSnapshot, parseSnapshot, SnapshotFolder } from '../../../src/store/snapshots/snapshot-folder.js';
import { briefly, type DamagedStore, flipped, storeToDamage } from './damaged-store.js';

const store = storeToDamage();
const NAMES = ['0000000000000000-0000000000000300.changes', '0000000000000250-0000000000000600.changes'] as const;
const [NAME] = NAMES;

/** Writes two files of changes that overlap, of small steps. */
async function writeChanges(t: Parameters<typeof store>[0], { directory }: DamagedStore): Promise<void> {
  const log = await LevelLog.open(`${directory}/log`, { createIfMissing: false });
  const storeId = (await readSidecar(directory))?.storeId ?? '';
  const snapshots = new SnapshotFolder({ directory, storeId, log, onNotice: t.fail });
  for (const [from, to] of [
    [0, 300],
    [250, 600],
  ] as const) {
    const changes = new ChangesBuilder(() => 70);
    for await (const page of log.entryPages({ from: from + 1, to })) for (const entry of page) changes.add(entry);
    await snapshots.writeChanges({ from, to }, changes.finish());
  }
  await log.close();
  const names = await readdir(`${directory}/snapshots`);
  t.true(NAMES.every((name) => names.includes(name)));
}

/** The damage to the first file of changes gives exactly these violations. */
const gives = test.macro(
  async (t, damage: (path: string, damaged: DamagedStore) => Promise<unknown>, ...expected: string[]) => {
    const damaged = await store(t);
    await writeChanges(t, damaged);
    await damage(damaged.path('snapshots', NAME), damaged);
    t.deepEqual(briefly(await damaged.verify()), [...expected].sort());
  },
);

test('changes that are those of the events', gives, async () => undefined);
test(
  'changes whose bytes were changed',
  gives,
  async (path: string) => writeFile(path, flipped(await readFile(path), -40)),
  `SNAPSHOT_DAMAGED snapshots/${NAME}`,
);
test(
  'changes of other events',
  gives,
  async (path: string) => {
    const { header, payload } = parseSnapshot(await readFile(path));
    // A digest in the first step.
    await writeFile(path, Buffer.concat([...formatSnapshot(header, [flipped(payload, 3_000)])]));
  },
  `SNAPSHOT_WRONG snapshots/${NAME}`,
);
test(
  'changes that cannot be read',
  gives,
  async (path: string) => {
    const { header } = parseSnapshot(await readFile(path));
    await writeFile(path, Buffer.concat([...formatSnapshot(header, [Uint8Array.of(1, 2, 3)])]));
  },
  `SNAPSHOT_DAMAGED snapshots/${NAME}`,
);
test(
  'changes of another log',
  gives,
  async (path: string) => {
    const { header, payload } = parseSnapshot(await readFile(path));
    await writeFile(path, Buffer.concat([...formatSnapshot({ ...header, root: '0'.repeat(64) }, [payload])]));
  },
  `SNAPSHOT_FOREIGN snapshots/${NAME}`,
);
test(
  'changes under the name of other events',
  gives,
  (path: string) => rename(path, path.replace('0300', '0301')),
  `SNAPSHOT_DAMAGED snapshots/${NAME.replace('0300', '0301')}`,
);
test('changes of another version are nothing to check, as nothing reads them', gives, async (path: string) => {
  const { header, payload } = parseSnapshot(await readFile(path));
  await writeFile(path, Buffer.concat([...formatSnapshot({ ...header, versions: {} }, [flipped(payload, 100)])]));
});
