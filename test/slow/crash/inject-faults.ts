import { fileURLToPath } from 'node:url';
import { checkStore, type CrashedStore } from './check-store.js';
import type { CrashRun } from './crash-run.js';
import { callsOf, type Ended, FAULTS, type Fault, type FaultPoint, runWithFault } from './fault-points.js';
import { evenly } from './sample.js';

const SCRIPT = fileURLToPath(new URL('./children/scripted-run.js', import.meta.url));
/** One injection for each round of the longest part. */
const SHARE = 1;
const AT_ONCE = 2;

/** Faults by their name, as the report of a finding gives it: all of them, unless some are named. */
const ONLY = new RegExp(process.env.CRASH_ONLY ?? '');

interface Injection {
  readonly point: FaultPoint;
  readonly fault: Fault;
}

/**
 * Runs a script that does everything that writes, once for every call of the system that it makes about the store's
 * files and every fault; of more than there is time for, so many that lie evenly among them.
 */
export async function injectFaults(run: CrashRun): Promise<void> {
  const clean = run.newStore();
  const points = await callsOf(SCRIPT, [clean.directory, clean.journal], clean.directory);
  const { events } = await checkStore(clean);
  const hashes = events.map((_, at) => clean.recorded.seen.get(at + 1)?.hash);
  const all = points.flatMap((point) => FAULTS.map((fault) => ({ point, fault })));
  const wanted = all.filter((injection) => ONLY.test(nameOf(injection)));
  const chosen = evenly(wanted, run.rounds(SHARE), run.random.below(wanted.length));
  run.log(`${points.length} calls, ${all.length} faults; ${chosen.length} of them tried: ${summary(chosen)}`);
  const waiting = [...chosen];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await inject(run, next, hashes);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function inject(run: CrashRun, { point, fault }: Injection, hashes: readonly unknown[]): Promise<void> {
  const store = run.newStore();
  const ended = await runWithFault(SCRIPT, [store.directory, store.journal], {
    point,
    fault,
    directory: store.directory,
  });
  const { wrong } = await checkStore(store);
  run.figures.rounds += 1;
  run.figures.faults += ended.injected;
  run.figures.acknowledged += store.recorded.done.size;
  run.note(nameOf({ point, fault }), [
    ...wrongEnd(ended, fault),
    ...(fault === 'SIGKILL' ? notAPrefix(store, hashes) : []),
    ...wrong,
  ]);
}

function nameOf({ point, fault }: Injection): string {
  return `${fault} at ${point.call} ${point.nth} of ${point.path}`;
}

/** A failing call must not end the process, nor make it wait for ever. */
function wrongEnd({ how, stderr }: Ended, fault: Fault): string[] {
  if (how === 0 || (how === 'SIGKILL' && fault === 'SIGKILL')) return [];
  return [`the process ended with ${how}: ${stderr.slice(0, 2_000)}`];
}

/** What a killed run did is what a run that was left alone does, up to some event, byte for byte. */
function notAPrefix({ recorded }: CrashedStore, hashes: readonly unknown[]): string[] {
  return [...recorded.seen]
    .filter(([seq, { hash, by }]) => by.startsWith('script.') && hashes[seq - 1] !== hash)
    .map(([seq]) => `event ${seq} is not the one of a run without a fault`);
}

function summary(injections: readonly Injection[]): string {
  const counts = new Map<string, number>();
  for (const { point, fault } of injections) {
    const name = `${point.call} ${fault}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .sort()
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
