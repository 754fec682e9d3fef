import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isInstalled } from './requires.js';

/** Why strace cannot be used here; undefined when it can. */
export function whyNoStrace(): string | undefined {
  if (process.platform !== 'linux') return 'strace is for Linux';
  if (!isInstalled('strace')) return 'strace is not installed';
  try {
    straceOf([], [process.execPath, '-e', '']);
    return undefined;
  } catch {
    return 'strace may not trace a process here';
  }
}

/** Runs `command` to its end and returns what strace, with `options`, writes of it and its threads. */
export function straceOf(options: readonly string[], command: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'imagelog-strace-'));
  const trace = join(folder, 'trace');
  try {
    execFileSync('strace', ['-f', '-qq', '-o', trace, ...options, ...command], { stdio: 'pipe' });
    return readFileSync(trace, 'utf8');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
