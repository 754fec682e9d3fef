import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in `/proc/PID/stat`: USER_HZ, which is 100 on every Linux of Node. */
const TICKS_PER_SECOND = 100;
/** Fields of `/proc/PID/stat` after the name (proc(5), ppid is field 4); the last two are of waited-for children. */
const [PPID, UTIME, STIME, CUTIME, CSTIME] = [1, 11, 12, 13, 14] as const;

/**
 * Returns the user and system seconds of this process, of its children that have ended, and of
 * `servers` (process ids) with theirs. Children and servers count only on Linux, in steps of 10 ms.
 * @throws {Error} if a server has ended: its time is lost
 */
export function processorSeconds(servers: readonly number[] = []): number {
  const { user, system } = process.cpuUsage();
  const own = (user + system) / 1e6;
  if (process.platform !== 'linux') return own;
  const ended = ticksOf('self', [CUTIME, CSTIME]);
  return own + ended / TICKS_PER_SECOND + serverSeconds(servers);
}

/** Returns the user and system seconds of `servers` alone. @throws {Error} if one has ended */
export function serverSeconds(servers: readonly number[]): number {
  const asked = servers.map((pid) => ticksOf(pid, [UTIME, STIME, CUTIME, CSTIME]));
  return asked.reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND;
}

/** Returns the ids of the process `root` and of all below it; on Linux only. */
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

function ticksOf(pid: number | 'self', fields: readonly number[]): number {
  const stat = statOf(pid);
  if (stat === undefined) throw new Error(`the process ${pid} has ended`);
  return fields.reduce((sum, field) => sum + (stat[field] ?? 0), 0);
}

function statOf(pid: number | 'self'): number[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses and may have any byte.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields.map(Number);
  } catch {
    return undefined;
  }
}
