import type { Measured, Target } from '../benchmark.js';
import { runShell } from '../child-process.js';
import type { EngineKind } from './engine.js';
import { type Timed, timeOf } from '../rounds.js';

/** What one side took in each round. */
export interface TimedSide {
  readonly name: string;
  readonly values: readonly Timed[];
  readonly settings?: string | undefined;
  /** Judges our time to this peer's. */
  readonly target?: Target | undefined;
}

/** How times become the numbers of a line. */
export interface Unit {
  readonly unit: string;
  readonly of: (seconds: number) => number;
}

export const MILLISECONDS: Unit = { unit: 'ms', of: (seconds) => seconds * 1_000 };
export const SECONDS: Unit = { unit: 's', of: (seconds) => seconds };

/** Returns the unit of `count` things done a second. */
export function perSecond(count: number, things: string): Unit {
  return { unit: `${things}/s`, of: (seconds) => count / seconds };
}

/** Returns a line for each peer; without peers ours alone. */
export function timedLines(
  name: string,
  { unit, of }: Unit,
  ours: readonly Timed[],
  peers: readonly TimedSide[],
): Measured[] {
  const values = (timed: readonly Timed[]): Timed[] => timed.map(({ wall, cpu }) => ({ wall: of(wall), cpu: of(cpu) }));
  const line = { name, unit, ours: values(ours) };
  if (peers.length === 0) return [line];
  return peers.map(({ target, settings, ...peer }) => {
    return { ...line, peer: { name: peer.name, values: values(peer.values), settings }, target };
  });
}

/** What a work took, and with a sync of what it leaves unsynced. */
export interface DurableTime {
  readonly alone: Timed;
  readonly synced?: Timed | undefined;
}

/** Returns the sides of `kinds`: each without the sync, and with it where one is needed. */
export function sidesOf(
  kinds: readonly EngineKind[],
  times: Readonly<Record<string, readonly DurableTime[]>>,
): TimedSide[] {
  return kinds.flatMap(({ name, settings }) => {
    const found = times[name] ?? [];
    const synced = found.flatMap((time) => time.synced ?? []);
    const alone = { name, values: found.map((time) => time.alone), settings };
    return synced.length === 0 ? [alone] : [alone, { name: `${name}, then synced`, values: synced }];
  });
}

/** Times `work`, and a sync of all files and folders below `unsynced` after it. */
export async function durableTimeOf(
  work: () => unknown,
  { pids, unsynced }: { readonly pids: readonly number[]; readonly unsynced?: string | undefined },
): Promise<DurableTime> {
  const alone = await timeOf(work, pids);
  if (unsynced === undefined) return { alone };
  const { wall, cpu } = await timeOf(() => runShell(SYNC_ALL, unsynced), pids);
  return { alone, synced: { wall: alone.wall + wall, cpu: alone.cpu + cpu } };
}

/** One by one: a sync of the whole file system would write what other programs left. */
const SYNC_ALL = 'find "$1" \\( -type f -o -type d \\) -exec sync {} +';
