import { readFileSync } from 'node:fs';

/**
 * Returns the most bytes of memory that this process has had. On Linux the kernel's own mark: what
 * `resourceUsage().maxRSS` tells begins at that of the process that started this one.
 */
export function peakMemory(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1_024;
  const mark = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (mark === undefined) throw new Error('expected VmHWM in the status of the process');
  return Number(mark) * 1_024;
}
