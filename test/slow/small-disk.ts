import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type DeclareTest, isInstalled, skipping } from '../support/requires.js';

/** Declares tests that need a disk of their own; skipped, with the reason, where none can be mounted. */
export const withSmallDisk: DeclareTest = declareTest();

/** Returns the path of an empty file system of `megabytes` MiB, which goes when the test ends. */
export function smallDisk(t: ExecutionContext, megabytes: number): string {
  const path = mkdtempSync(join(tmpdir(), 'imagelog-disk-'));
  mount(path, megabytes);
  t.teardown(() => {
    unmount(path);
    rmSync(path, { recursive: true });
  });
  return path;
}

function declareTest(): DeclareTest {
  if (process.platform !== 'linux' || !isInstalled('mount')) return skipping('no mount of a tmpfs here');
  const path = mkdtempSync(join(tmpdir(), 'imagelog-disk-'));
  try {
    mount(path, 1);
    mkdirSync(join(path, 'probe'));
    unmount(path);
    return test;
  } catch {
    return skipping('not permitted to mount a tmpfs');
  } finally {
    rmSync(path, { recursive: true });
  }
}

function mount(path: string, megabytes: number): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'pipe' });
}

// Lazily: a child that another test starts has copies of all descriptors for a moment, which keeps the disk busy.
function unmount(path: string): void {
  execFileSync('umount', ['--lazy', path], { stdio: 'pipe' });
}
