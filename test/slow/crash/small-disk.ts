import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { systemCode } from '../../../src/store/files/files.js';
import { isInstalled } from '../../support/requires.js';

/** A separate, empty file system. */
export interface SmallDisk {
  readonly path: string;
  unmount(): void;
}

/** Mounts a file system of `megabytes` MiB. */
export function mountSmallDisk(megabytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'imagelog-disk-'));
  mount(path, megabytes);
  return {
    path,
    unmount() {
      unmount(path);
      rmSync(path, { recursive: true });
    },
  };
}

/** Returns the path of an empty file system of `megabytes` MiB, which goes when the test ends. */
export function smallDisk(t: ExecutionContext, megabytes: number): string {
  const disk = mountSmallDisk(megabytes);
  t.teardown(() => disk.unmount());
  return disk.path;
}

/** Mounts `source` for reading only, and returns where; unmounted when the test ends. */
export function mountedForReading(t: ExecutionContext, source: string): string {
  const target = mkdtempSync(join(tmpdir(), 'imagelog-read-only-'));
  execFileSync('mount', ['--bind', source, target]);
  execFileSync('mount', ['-o', 'remount,bind,ro', target]);
  t.teardown(() => {
    unmount(target);
    rmdirSync(target);
  });
  return target;
}

/**
 * Fills the disk below `directory` but for some bytes; returns a function that takes the filling away. What
 * a store there still writes on a busy machine takes the room that is left.
 */
export async function fillDisk(directory: string, leaveBytes: number): Promise<() => void> {
  const path = join(directory, 'filling');
  const { bavail, bsize } = await statfs(directory);
  const file = openSync(path, 'w');
  const chunk = new Uint8Array(4 * 1_024);
  try {
    for (let left = bavail * bsize - leaveBytes; left > 0; left -= chunk.length) writeSync(file, chunk);
  } catch (error) {
    if (systemCode(error) !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  return () => rmSync(path);
}

/** Why no disk can be mounted here; undefined when one can. */
export function whyNoDisk(): string | undefined {
  if (process.platform !== 'linux' || !isInstalled('mount')) return 'no mount of a tmpfs here';
  const path = mkdtempSync(join(tmpdir(), 'imagelog-disk-'));
  try {
    mount(path, 1);
    mkdirSync(join(path, 'probe'));
    unmount(path);
    return undefined;
  } catch {
    return 'not permitted to mount a tmpfs';
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
