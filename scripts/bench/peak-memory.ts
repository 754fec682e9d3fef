import { existsSync, readFileSync } from 'node:fs';

/** Returns the peak memory of this process in bytes. */
export function peakMemory(): number {
  // On Linux a child inherits its parent's maxRSS; VmHWM is its own high-water mark.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const mark = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return (mark === undefined ? process.resourceUsage().maxRSS : Number(mark)) * 1_024;
}

/** Returns the memory of another process now and at its peak, in bytes; on Linux only. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1_024;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}
