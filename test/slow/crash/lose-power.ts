import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkStore } from './check-store.js';
import type { CrashRun } from './crash-run.js';
import { DiskModel, LEFT_OVERS, type LeftOver } from './disk-model.js';
import { DISK_TRACE, type DiskCall, parseDiskTrace } from './disk-trace.js';
import { traced } from './fault-points.js';
import { Recorded } from './journal.js';
import { evenly } from './sample.js';

const SCRIPT = fileURLToPath(new URL('./children/scripted-run.js', import.meta.url));

/**
 * A script that does everything that writes runs once, and every call that changes its disk is recorded, with its bytes. Then the disk is built as it
 * is when the power goes after the n-th call, with more or less of what was not synced; and what was acknowledged before must be there.
 */
export async function losePower(run: CrashRun): Promise<void> {
  const watched = dirname(run.newStore().directory);
  const place = join(watched, 'watched');
  mkdirSync(place);
  const [store, journal] = [join(place, 'store'), join(place, 'journal')];
  const trace = join(watched, 'trace');
  const { how, stderr } = await traced(trace, DISK_TRACE, SCRIPT, [store, journal]);
  if (how !== 0) throw new Error(`the script ended with ${how}: ${stderr}`);
  const calls = parseDiskTrace(readFileSync(trace, 'latin1'), place);
  const moments = calls
    .flatMap((_, at) => LEFT_OVERS.map((leftOver) => ({ at, leftOver })))
    .filter(({ at }) => !isOfJournal(calls[at]));
  const chosen = evenly(moments, run.rounds(1), run.random.below(moments.length));
  run.log(`${moments.length} states of the disk, ${chosen.length} of them tried`);
  for (const moment of chosen) await goDark(run, calls, moment);
}

async function goDark(
  run: CrashRun,
  calls: readonly DiskCall[],
  { at, leftOver }: { readonly at: number; readonly leftOver: LeftOver },
): Promise<void> {
  const disk = new DiskModel();
  for (const call of calls.slice(0, at + 1)) disk.apply(call);
  const place = run.newStore().directory;
  disk.writeTo(place, leftOver);
  const journal = join(place, 'journal');
  // What was told stays told: the disk may have lost it.
  disk.writeFile('journal', journal);
  const recorded = new Recorded(journal);
  const { wrong } = await checkStore({ directory: join(place, 'store'), journal, recorded });
  run.figures.rounds += 1;
  run.figures.faults += 1;
  run.figures.acknowledged += recorded.done.size;
  run.note(`power lost after call ${at} (${nameOf(calls[at])}), of what was not synced is left: ${leftOver}`, wrong);
  if (wrong.length === 0) rmSync(place, { recursive: true });
}

function isOfJournal(call: DiskCall | undefined): boolean {
  return call?.path === 'journal';
}

function nameOf(call: DiskCall | undefined): string {
  return `${call?.call} ${call?.path}`;
}
