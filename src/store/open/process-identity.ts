import { readFile, readlink } from 'node:fs/promises';

/** Fields of /proc/PID/stat, counted from the one after the name of the program, which may hold anything (proc(5)). */
const STATE_FIELD = 0;
const START_TIME_FIELD = 19;

/** Resolves with what tells the time since the machine was started from every other; undefined where the system does not say. */
export async function bootIdentity(): Promise<string | undefined> {
  return readBootId().catch(() => undefined);
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/**
 * Returns what tells the process with this pid from every other that had or will have it: the boot of the machine, the namespace that
 * pids are counted in, and when it began. Undefined when no such process runs, or where the system does not say.
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  try {
    const [boot, namespace, stat] = await Promise.all([
      readBootId(),
      readlink('/proc/self/ns/pid'),
      readFile(`/proc/${pid}/stat`, 'latin1'),
    ]);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A process that ended and whose parent has not asked yet holds no files any more.
    if (fields[STATE_FIELD] === 'Z' || fields[STATE_FIELD] === 'X') return undefined;
    return [boot, namespace, fields[START_TIME_FIELD]].join(' ');
  } catch {
    // No such process, or a system without /proc: LevelDB's lock decides alone.
    return undefined;
  }
}
