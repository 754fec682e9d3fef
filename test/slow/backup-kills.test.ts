import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import { restoreStore } from '../../src/store/backup/restore.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openStore } from '../../src/store/open/open-store.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { makeVersion1, unpackedBackup } from '../support/unpacked-backup.js';
import { startChild } from './child.js';
import { SeededRandom } from './crash/seeded-random.js';

const ROUNDS = 20;

const WRITE = new URL('./children/backup-write.js', import.meta.url);
const RESTORE = new URL('./children/backup-restore.js', import.meta.url);

/** Starts a script and kills it at its step `at`, or some ms after; returns whether it was killed, and its steps until then. */
async function stepsOf(
  script: URL,
  args: readonly string[],
  at: number,
  delayMs: number,
): Promise<{ readonly isKilled: boolean; readonly steps: number }> {
  let steps = 0;
  const child = startChild(script, args, (_, process) => {
    if (steps++ === at) setTimeout(() => process.kill('SIGKILL'), delayMs);
  });
  const ended = await child.ended;
  if (ended !== 0 && ended !== 'SIGKILL') throw new Error(`${script.pathname} ended with ${ended}`);
  return { isKilled: ended === 'SIGKILL', steps };
}

function seeded(t: ExecutionContext): SeededRandom {
  const seed = process.env['KILL_SEED'] ?? randomBytes(6).toString('hex');
  t.log(`KILL_SEED=${seed}`);
  return new SeededRandom(seed);
}

/** Makes a store some events, images and layers longer, and takes some away. */
async function goOn(store: EventStore, round: number): Promise<void> {
  if (round % 4 === 0) await store.load(archivePath('docker25-all.tar'));
  if (round % 4 === 2) for (const id of store.heads().keys()) await store.delete(id);
  await store.create(imageConfig('a'));
  await Promise.all(Array.from({ length: 90 }, (_, at) => store.create(imageConfig(`${round} ${at % 40}`))));
  await Promise.all(Array.from({ length: 90 }, () => store.setLastUpdated(idNamed('a'))));
}

for (const from of ['nothing', 'a backup of before packs'])
  test(`a backup over ${from} that is killed, ${ROUNDS} times, leaves the one before or the new one, and the next run continues`, async (t) => {
    const random = seeded(t);
    const root = await temporaryDirectory(t);
    const [directory, target] = [join(root, 'store'), join(root, 'backup')];
    let [killed, before] = [0, 0];
    if (from !== 'nothing') {
      await using store = await openStore(directory);
      await goOn(store, 0);
      before = (await store.backup(target)).events;
      await makeVersion1(target);
    }
    for (let round = 0; round < ROUNDS; round++) {
      const store = await openStore(directory);
      await goOn(store, round);
      const { seq } = store.log.head;
      await store.close();
      const { isKilled } = await stepsOf(WRITE, [directory, target], random.below(8), random.below(15));
      if (isKilled) killed += 1;
      const restored = join(root, `restored${round}`);
      try {
        const { events } = await restoreStore(restored, target);
        t.true(events === before || events === seq, `round ${round}: ${events}, expected ${before} or ${seq}`);
        before = events;
        t.deepEqual(await verifyStore(restored), []);
      } catch (error) {
        // Only before the first backup was finished.
        t.true(before === 0 && isStoreError(error, 'BACKUP_NOT_FOUND'), String(error));
      }
    }
    await using store = await openStore(directory);
    await store.backup(target);
    await store.backup(join(root, 'whole'));
    t.deepEqual(await unpackedBackup(target), await unpackedBackup(join(root, 'whole')));
    t.log(`${ROUNDS} rounds, ${killed} killed, no backup lost`);
    t.true(killed > ROUNDS / 4);
  });

test(`a restore that is killed, ${ROUNDS} times, leaves no store or a whole one, and the next clears up`, async (t) => {
  const random = seeded(t);
  const root = await temporaryDirectory(t);
  const [directory, source] = [join(root, 'store'), join(root, 'backup')];
  const store = await openStore(directory);
  for (let round = 0; round < 6; round++) await goOn(store, round);
  await store.load(archivePath('docker25-all.tar'));
  await store.backup(source);
  await store.close();
  let killed = 0;
  // Left alone once, to learn how many steps it takes.
  const { steps } = await stepsOf(RESTORE, [join(root, 'alone'), source], Number.POSITIVE_INFINITY, 0);
  for (let round = 0; round < ROUNDS; round++) {
    const folder = join(root, `round${round}`);
    const target = join(folder, 'store');
    // Two killed one after the other: the second clears up after the first.
    for (let at = 0; at < 2 && !existsSync(target); at++) {
      const { isKilled } = await stepsOf(RESTORE, [target, source], random.below(steps + 1), random.below(40));
      if (isKilled) killed += 1;
    }
    if (existsSync(target)) t.deepEqual(await verifyStore(target), []);
    else await restoreStore(target, source);
    t.deepEqual(await readdir(folder), ['store'], `round ${round}`);
    t.deepEqual(await verifyStore(target), []);
  }
  t.log(`${ROUNDS} rounds, ${killed} killed, no store lost`);
  t.true(killed > ROUNDS / 4);
});
