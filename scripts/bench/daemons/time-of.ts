import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in `/proc/PID/stat`: USER_HZ, which is 100 on every Linux of Node. */
const TICKS_PER_SECOND = 100;
/** Fields of `/proc/PID/stat` after the name (proc(5), ppid is field 4). */
const [PPID, UTIME, STIME, CUTIME, CSTIME] = [1, 11, 12, 13, 14] as const;

/** Seconds on the wall, and of processors (user and system). */
export interface Timed {
  readonly wall: number;
  readonly cpu: number;
}

/**
 * Returns the seconds that `work` takes: `cpu` is that of this process, of its children that end
 * meanwhile, and of `servers` by process id with the children that they waited for. In steps of 10
 * ms for all but this process.
 */
export async function timeOf(work: () => unknown, servers: readonly number[] = []): Promise<Timed> {
  const before = processorSeconds(servers);
  const start = performance.now();
  await work();
  const wall = (performance.now() - start) / 1_000;
  return { wall, cpu: processorSeconds(servers) - before };
}

/** Returns the ids of the process `root` and of all below it. */
export function processTree(root: number): number[] {
  const parents = readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? statOf(pid) : undefined;
    return stat === undefined ? [] : [{ pid, parent: stat[PPID] }];
  });
  const tree = [root];
  // A list visits what is added during the visit.
  for (const above of tree) for (const { pid, parent } of parents) if (parent === above) tree.push(pid);
  return tree;
}

function processorSeconds(servers: readonly number[]): number {
  const { user, system } = process.cpuUsage();
  const ended = ticksOf('self', [CUTIME, CSTIME]);
  const asked = servers.map((pid) => ticksOf(pid, [UTIME, STIME, CUTIME, CSTIME]));
  return (user + system) / 1e6 + [ended, ...asked].reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND;
}

/** A server that ended meanwhile would make the difference too small. */
function ticksOf(pid: number | 'self', fields: readonly number[]): number {
  const stat = statOf(pid);
  if (stat === undefined) throw new Error(`the process ${pid} has ended`);
  return fields.reduce((sum, field) => sum + (stat[field] ?? 0), 0);
}

function statOf(pid: number | 'self'): number[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses and may have any byte.
    return stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
  } catch {
    return undefined;
  }
}
