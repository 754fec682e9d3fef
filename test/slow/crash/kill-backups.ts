import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStoreError } from '../../../src/errors.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { archivePath } from '../../store/fixture-archives.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { contentOfBackup, unpackedBackup } from '../../support/unpacked-backup.js';
import type { CrashRun } from './crash-run.js';
import { DiskModel, LEFT_OVERS } from './disk-model.js';
import { DISK_TRACE, type DiskCall, parseDiskTrace } from './disk-trace.js';
import { callsOf, type FaultPoint, runWithFault, traced } from './fault-points.js';
import { evenly } from './sample.js';

const SCRIPT = fileURLToPath(new URL('./children/one-backup.js', import.meta.url));
const RESTORE = fileURLToPath(new URL('./children/one-restore.js', import.meta.url));
const AT_ONCE = 2;
/** Every state of the disk takes a restore and another run. */
const SHARE = 0.5;
/** Updates of one image: with them the log has more events than one tile. */
const UPDATES = 150;

/** A store since whose last backup erased content came again, and other content was erased. */
interface Outdated {
  readonly directory: string;
  /** The backup before, and one that was made at once of what the store has now. */
  readonly before: string;
  readonly after: string;
}

/** Kills a backup before each call about its files; each time it is restored, and run again. */
export async function killBackups(run: CrashRun): Promise<void> {
  const outdated = await outdatedBackup(run.newStore().directory);
  const target = `${outdated.directory}.watched`;
  cpSync(outdated.before, target, { recursive: true });
  const points = (await callsOf(SCRIPT, [outdated.directory, target], target)).filter(changes);
  run.log(`${points.length} calls`);
  const waiting = [...points];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await killAt(run, outdated, next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Cuts the power after a call of a backup; what is left is restored, and backed up to again. */
export async function darkenBackups(run: CrashRun): Promise<void> {
  const outdated = await outdatedBackup(run.newStore().directory);
  const watched = `${outdated.directory}.watched`;
  cpSync(outdated.before, join(watched, 'backup'), { recursive: true });
  const there = await filesBelow(watched);
  const calls = await recorded(watched, SCRIPT, [outdated.directory, join(watched, 'backup')]);
  await darken(run, { calls, there }, async (place) => {
    const target = join(place, 'backup');
    return [
      ...(await wrongBackup(target, outdated)),
      ...(await unlikeAFreshBackup(outdated.directory, target, outdated)),
    ];
  });
}

/** Cuts the power after a call of a restore: no store is there or a whole one; the next tidies up. */
export async function darkenRestores(run: CrashRun): Promise<void> {
  const { directory, after } = await outdatedBackup(run.newStore().directory);
  const watched = `${directory}.watched`;
  mkdirSync(watched);
  const calls = await recorded(watched, RESTORE, [join(watched, 'store'), after]);
  await darken(run, { calls, there: new Map() }, async (place) => {
    const store = join(place, 'store');
    const wrong = existsSync(store) ? await violationsOf(store) : [];
    rmSync(store, { recursive: true, force: true });
    await restoreStore(store, after);
    const left = readdirSync(place).filter((name) => name !== 'store');
    return [...wrong, ...(await violationsOf(store)), ...left.map((name) => `${name} was left beside the store`)];
  });
}

/** A disk that had files, and what was done to it. */
interface History {
  readonly there: ReadonlyMap<string, Uint8Array>;
  readonly calls: readonly DiskCall[];
}

async function recorded(watched: string, script: string, args: readonly string[]): Promise<DiskCall[]> {
  const trace = `${watched}.trace`;
  const { how, stderr } = await traced(trace, DISK_TRACE, script, args);
  if (how !== 0) throw new Error(`the script ended with ${how}: ${stderr}`);
  return parseDiskTrace(readFileSync(trace, 'latin1'), watched);
}

async function darken(
  run: CrashRun,
  { there, calls }: History,
  wrongIn: (place: string) => Promise<string[]>,
): Promise<void> {
  const moments = calls.flatMap((_, at) => LEFT_OVERS.map((leftOver) => ({ at, leftOver })));
  const chosen = evenly(moments, run.rounds(SHARE), run.random.below(moments.length));
  run.log(`${calls.length} calls, ${moments.length} states of the disk, ${chosen.length} of them tried`);
  for (const { at, leftOver } of chosen) {
    const disk = new DiskModel();
    disk.add(there);
    for (const call of calls.slice(0, at + 1)) disk.apply(call);
    const place = run.newStore().directory;
    disk.writeTo(place, leftOver);
    const wrong = await wrongIn(place);
    run.figures.rounds += 1;
    run.figures.faults += 1;
    run.figures.acknowledged += 1;
    run.note(
      `after call ${at} (${calls[at]?.call} ${calls[at]?.path}), of what was not synced is left: ${leftOver}`,
      wrong,
    );
    if (wrong.length === 0) rmSync(place, { recursive: true });
  }
}

async function violationsOf(directory: string): Promise<string[]> {
  return (await verifyStore(directory)).map(({ code, message }) => `restored: ${code}: ${message}`);
}

/** A call that changes nothing leaves what the one before it left. */
function changes({ call }: FaultPoint): boolean {
  return !['read', 'pread64'].includes(call);
}

async function killAt(run: CrashRun, outdated: Outdated, point: FaultPoint): Promise<void> {
  const directory = run.newStore().directory;
  const target = `${directory}.backup`;
  cpSync(outdated.directory, directory, { recursive: true });
  cpSync(outdated.before, target, { recursive: true });
  const { how, injected } = await runWithFault(SCRIPT, [directory, target], {
    point,
    fault: 'SIGKILL',
    directory: target,
  });
  run.figures.rounds += 1;
  run.figures.faults += injected;
  const name = `killed before ${point.call} ${point.nth} of ${point.path}`;
  if (how !== 'SIGKILL' && how !== 0) run.note(name, [`the process ended with ${how}`]);
  const wrong = await wrongBackup(target, outdated);
  run.note(name, [...wrong, ...(await unlikeAFreshBackup(directory, target, outdated))]);
  run.figures.acknowledged += 1;
  if (wrong.length === 0) for (const path of [directory, target]) rmSync(path, { recursive: true });
}

/** The backup verifies, and is restored whole to what the store was at one of its two checkpoints. */
async function wrongBackup(target: string, { before, after }: Outdated): Promise<string[]> {
  const restored = `${target}.restored`;
  try {
    const { checkpoint } = await restoreStore(restored, target);
    const isOfBackup = [before, after].some((path) => readFileSync(join(path, 'checkpoint'), 'utf8') === checkpoint);
    const wrong = await violationsOf(restored);
    return isOfBackup ? wrong : [...wrong, `it has another checkpoint: ${checkpoint}`];
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return [`${error.code}: ${error.message}`];
  } finally {
    rmSync(restored, { recursive: true, force: true });
  }
}

async function unlikeAFreshBackup(directory: string, target: string, { after }: Outdated): Promise<string[]> {
  {
    await using store = await openStore(directory, { create: false, readOnly: true });
    await store.backup(target);
  }
  const [found, expected] = [await unpackedBackup(target), await unpackedBackup(after)];
  const names = new Set([...found.keys(), ...expected.keys()]);
  return [...names]
    .filter((name) => `${found.get(name)}` !== `${expected.get(name)}`)
    .map((name) => `${name} of the backup is not that of a fresh one`);
}

async function outdatedBackup(directory: string): Promise<Outdated> {
  const [before, after] = [`${directory}.before`, `${directory}.after`];
  await using store = await openStore(directory, { actor: 'writer' });
  await store.load(archivePath('docker25-all.tar'));
  await eraseAll(store, `${directory}.all`);
  await store.load(archivePath('oci-multi-platform.tar'));
  await update(store);
  await store.backup(before);
  await eraseAll(store, `${directory}.rest`);
  await store.load(archivePath('docker25-all.tar'));
  await update(store);
  await store.backup(after);
  return { directory, before, after };
}

/** Removes all images with their layers, and erases every config, manifest and index. */
async function eraseAll(store: EventStore, backup: string): Promise<void> {
  await store.backup(backup);
  const content = await contentOfBackup(backup);
  while (store.heads().size > 0) for (const id of store.heads().keys()) await store.delete(id);
  for (const digest of content) await store.erase(digest, 'to be forgotten');
}

async function update(store: EventStore): Promise<void> {
  await store.create(imageConfig('a'));
  await Promise.all(Array.from({ length: UPDATES }, () => store.setLastUpdated(idNamed('a'))));
}
