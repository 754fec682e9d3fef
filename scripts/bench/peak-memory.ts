import { existsSync, readFileSync } from 'node:fs';

/** Returns the most memory that this process ever had, bytes. */
export function peakMemory(): number {
  // On Linux a child's maxRSS begins at its parent's; the high-water mark of its own memory does not.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const mark = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return (mark === undefined ? process.resourceUsage().maxRSS : Number(mark)) * 1_024;
}
