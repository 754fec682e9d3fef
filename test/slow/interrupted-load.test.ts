import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { archiveBytes } from '../store/fixture-archives.js';
import { blobFiles } from '../store/temporary-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} during a load from a slow pipe ends it in order and leaves an empty store`, async (t) => {
    const directory = join(await temporaryDirectory(t), 'store');
    const child = spawn(process.execPath, [MAIN, '--store', directory, 'load'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const closed = once(child, 'close');
    // More than a pipe holds: when the last of it is in the pipe, the load has read the first of it.
    const start = archiveBytes('docker25-all.tar').subarray(0, 400_000);
    await new Promise<void>((resolve, reject) => {
      child.stdin.write(start, (error) => (error ? reject(error) : resolve()));
    });
    child.kill(signal);
    t.deepEqual(await closed, [exitCode, null]);
    t.deepEqual(blobFiles(directory), []);
    await using store = await openStore(directory, { create: false });
    t.is(store.log.head.seq, 0);
    t.is(store.len(), 0);
  });
}
