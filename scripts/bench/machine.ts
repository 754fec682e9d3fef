import { cpus, loadavg } from 'node:os';

/** What a run was on, and how busy that was: the head and the foot of a report. */
export interface Machine {
  readonly node: string;
  readonly processors: number;
  readonly model: string;
  /** Over 1, 5 and 15 minutes; zeros where the system has none. */
  readonly load: readonly number[];
  /** RFC 3339. */
  readonly time: string;
}

/** Returns what this machine is, now. */
export function thisMachine(): Machine {
  const all = cpus();
  return {
    node: process.version,
    processors: all.length,
    model: all[0]?.model.trim() ?? 'unknown',
    load: loadavg(),
    time: new Date().toISOString(),
  };
}

/** Returns the line of a report: `before` or `after` all benchmarks. */
export function formatMachine(when: 'before' | 'after', { node, processors, model, load, time }: Machine): string {
  const loads = load.map((each) => each.toFixed(2)).join(' ');
  return `load average ${when}: ${loads} (${time}; ${processors} x ${model}, Node ${node})`;
}
