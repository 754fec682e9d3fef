import { readFileSync } from 'node:fs';

/** Clock ticks a second in `/proc/PID/stat`: USER_HZ, which is 100 on every Linux of Node. */
const TICKS_PER_SECOND = 100;
/** Fields of `/proc/PID/stat` after the name (proc(5), utime is field 14): own and of waited-for children. */
const UTIME = 11;
const CUTIME = 13;

/**
 * Returns the user and system seconds of this process, of its children that have ended, and of
 * `others` (process ids of servers that it asked), with theirs. Children and others count only on
 * Linux, in steps of 10 ms.
 */
export function processorSeconds(others: readonly number[] = []): number {
  const { user, system } = process.cpuUsage();
  const children = ticksOf('self', [CUTIME, CUTIME + 1]);
  const asked = others.map((pid) => ticksOf(pid, [UTIME, UTIME + 1, CUTIME, CUTIME + 1]));
  return (user + system) / 1e6 + [children, ...asked].reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND;
}

function ticksOf(pid: number | 'self', fields: readonly number[]): number {
  if (process.platform !== 'linux') return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name is in parentheses and may have any byte.
  const values = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.reduce((sum, field) => sum + Number(values[field]), 0);
}
