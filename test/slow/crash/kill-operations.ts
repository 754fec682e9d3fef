import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isStoreError } from '../../../src/errors.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { inChunks } from '../../support/build-tar.js';
import { unpackedBackup } from '../../support/unpacked-backup.js';
import { startChild } from '../child.js';
import { checkStore, type CrashedStore } from './check-store.js';
import type { CrashRun } from './crash-run.js';
import { Journal } from './journal.js';
import { numberedArchive } from './numbered-archive.js';

const CHILD = new URL('./children/one-operation.js', import.meta.url);
const SHARE = 0.075;
const LEAST_ROUNDS = 15;
/** Archives that a store has before an operation that takes a whole store. */
const ARCHIVES = 8;

/** Something that a process can be killed in. */
interface Operation {
  readonly name: string;
  /** Called once with the empty place of the store. */
  readonly prepare?: (store: CrashedStore) => Promise<void>;
  /** Called after each kill, before the store is checked; returns what is wrong beside the store. */
  readonly settle?: (store: CrashedStore) => Promise<string[]>;
  /** Called at the end, after the last kill. */
  readonly finish?: (store: CrashedStore) => Promise<string[]>;
}

const backup: Operation = { name: 'backup', settle: wrongBackup, finish: unlikeAFreshBackup };
const restore: Operation = { name: 'restore', prepare: fillAndBackUp, settle: wrongRestore };
const rebuild: Operation = { name: 'rebuild', prepare: fill, settle: rebuildAgain };

/** The operations, each with the part that kills processes in it. */
export const operationParts: readonly (readonly [name: string, part: (run: CrashRun) => Promise<void>])[] = [
  ...['load', 'delete', 'snapshot', 'erase', 'prune'].map((name): Operation => ({ name })),
  ...[backup, restore, rebuild],
].map((operation) => [operation.name, (run) => killDuring(run, operation)]);

/** A process is killed at a moment between the beginning of the operation and the end of the close after it. */
async function killDuring(run: CrashRun, operation: Operation): Promise<void> {
  const store = run.newStore();
  await operation.prepare?.(store);
  const rounds = run.rounds(SHARE, LEAST_ROUNDS);
  // Left alone once, to learn how long it takes.
  let longestMs = await oneRound(store, operation, 0, undefined);
  run.note('undisturbed', (await operation.settle?.(store)) ?? []);
  for (let round = 1; round <= rounds && run.wrong.length === 0; round++) {
    const killAfterMs = run.random.below(Math.ceil(longestMs) + 1);
    const tookMs = await oneRound(store, operation, round, killAfterMs);
    run.figures.rounds += 1;
    // One that was too fast for the kill tells how fast it is.
    if (tookMs < killAfterMs) longestMs = tookMs;
    else run.figures.faults += 1;
    const beside = (await operation.settle?.(store)) ?? [];
    const { wrong } = await checkStore(store);
    run.note(`round ${round}, killed after ${killAfterMs} of ${Math.round(longestMs)} ms`, [...beside, ...wrong]);
  }
  run.note('at the end', (await operation.finish?.(store)) ?? []);
  run.figures.acknowledged = store.recorded.done.size;
}

/** Runs the operation; returns the ms from its beginning to the end of the process, and infinity when it was killed. */
async function oneRound(
  { directory, journal }: CrashedStore,
  { name }: Operation,
  round: number,
  killAfterMs: number | undefined,
): Promise<number> {
  let begun = 0;
  let timer: NodeJS.Timeout | undefined;
  const child = startChild(CHILD, [directory, journal, name, `${round}`], () => {
    begun = performance.now();
    if (killAfterMs !== undefined) timer = setTimeout(() => child.process.kill('SIGKILL'), killAfterMs);
  });
  const ended = await child.ended;
  clearTimeout(timer);
  if (ended !== 0 && ended !== 'SIGKILL') throw new Error(`the process that does ${name} ended with ${ended}`);
  return ended === 'SIGKILL' ? Number.POSITIVE_INFINITY : performance.now() - begun;
}

async function fill({ directory, journal: path }: CrashedStore): Promise<void> {
  const journal = new Journal(path);
  await using store = await openStore(directory, { actor: 'writer' });
  journal.watch(store);
  for (let number = 0; number < ARCHIVES; number++) {
    const { bytes } = await numberedArchive(number);
    await journal.request(`fill.0.${number}`, (options) => store.load(inChunks(bytes), options));
  }
}

async function fillAndBackUp(crashed: CrashedStore): Promise<void> {
  await fill(crashed);
  await using store = await openStore(crashed.directory, { create: false });
  await store.backup(backupOf(crashed));
}

/** The backup before is whole until the next one is. */
async function wrongBackup(crashed: CrashedStore): Promise<string[]> {
  return violations(backupOf(crashed));
}

/** A backup that was killed on the way, and then done, has the content of one that was done at once. */
async function unlikeAFreshBackup(crashed: CrashedStore): Promise<string[]> {
  const fresh = `${backupOf(crashed)}.fresh`;
  {
    await using store = await openStore(crashed.directory, { create: false });
    await store.backup(backupOf(crashed));
    await store.backup(fresh);
  }
  const [found, expected] = [await unpackedBackup(backupOf(crashed)), await unpackedBackup(fresh)];
  const names = new Set([...found.keys(), ...expected.keys()]);
  return [...names]
    .filter((name) => `${found.get(name)}` !== `${expected.get(name)}`)
    .map((name) => `${name} of the backup is not that of a fresh one`);
}

/** The restored store is there whole or not at all; then it is restored again, which leaves nothing beside it. */
async function wrongRestore(crashed: CrashedStore): Promise<string[]> {
  const directory = `${crashed.directory}.restored`;
  const wrong = existsSync(directory) ? await violations(directory) : [];
  rmSync(directory, { recursive: true, force: true });
  await restoreStore(directory, backupOf(crashed));
  wrong.push(...(await violations(directory)));
  rmSync(directory, { recursive: true, force: true });
  const store = basename(crashed.directory);
  const known = new Set([store, `${store}.journal`, `${store}.backup`]);
  const left = readdirSync(dirname(crashed.directory)).filter((name) => !known.has(name));
  return [...wrong, ...left.map((name) => `${name} was left beside the restored store`)];
}

/** A rebuild that was killed is done by the next one; an open in between must not take the store for a new one. */
async function rebuildAgain({ directory }: CrashedStore): Promise<string[]> {
  await rebuildStore(directory, { onNotice: () => undefined });
  return [];
}

async function violations(directory: string): Promise<string[]> {
  try {
    const found = await verifyStore(directory);
    return found.map(({ code, place, message }) => `${basename(directory)}: ${code} ${place}: ${message}`);
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return [`${basename(directory)}: ${error.code}: ${error.message}`];
  }
}

function backupOf({ directory }: CrashedStore): string {
  return `${directory}.backup`;
}
