import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { openStore } from '../../../src/store/open/open-store.js';
import { archivePath } from '../../store/fixture-archives.js';
import { makeKilledStore, READING } from '../../support/reading-commands.js';
import { requires, testOrSkip } from '../../support/requires.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { fillDisk, mountedForReading, smallDisk, whyNoDisk } from './small-disk.js';

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** A call that writes below a folder, or opens something there to be written to. */
const WRITES =
  /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|\b(?:mkdir|rmdir|rename|unlink|link|symlink|mknod)(?:at2?)?\(|\b(?:truncate|ftruncate|fallocate|chmod|fchmod\w*|chown|\w*utime\w*|write\w*|pwrite\w*)\(/;

async function makeStore(directory: string): Promise<void> {
  const store = await openStore(directory);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  await store.tag({ source: [...store.map().keys()][0] as never, target: 'tiny:1' });
  await store.close();
}

function run(store: string, args: readonly string[]): string {
  const printed = execFileSync(process.execPath, [main, '--json', '--store', store, ...args], { stdio: 'pipe' });
  return printed.toString('utf8').replaceAll(store, 'STORE');
}

requires('strace')('no command that reads makes, changes or removes anything below its store', async (t) => {
  const place = await temporaryDirectory(t);
  const closed = join(place, 'closed');
  await makeStore(closed);
  await expectNoWrites(t, place, closed);
});

requires('strace')('nor below a store whose writer was killed, with a write-ahead log', async (t) => {
  const place = await temporaryDirectory(t);
  const killed = join(place, 'killed');
  await makeKilledStore(killed, archivePath('skopeo-tiny-1.tar'));
  await expectNoWrites(t, place, killed);
});

async function expectNoWrites(t: ExecutionContext, place: string, store: string): Promise<void> {
  for (const args of [...READING, ['backup', join(place, 'backup')], ['completion', 'bash', '--', 'inspect', 't']]) {
    const trace = join(place, 'trace');
    const calls = 'trace=%file,ftruncate,fallocate,fchmod,fchown,write,writev,pwrite64,pwritev';
    execFileSync('strace', ['-f', '-y', '-o', trace, '-e', calls, process.execPath, main, '--store', store, ...args]);
    const below = readFileSync(trace, 'utf8')
      .split('\n')
      // What a command prints may name the store.
      .filter((line) => line.includes(store) && !/execve\(|\bwrite\(1</.test(line));
    t.true(below.length > 5, 'the trace has what the command reads');
    t.deepEqual(
      below.filter((line) => WRITES.test(line)),
      [],
      args.join(' '),
    );
  }
}

const withDisk = testOrSkip(whyNoDisk());

withDisk(
  'on a disk that is mounted for reading only, every command that reads works, and a backup elsewhere',
  async (t) => {
    const store = join(await temporaryDirectory(t), 'store');
    await makeStore(store);
    const mounted = mountedForReading(t, store);
    for (const args of READING) t.is(run(mounted, args), run(store, args), args.join(' '));
    const backup = join(await temporaryDirectory(t), 'backup');
    run(mounted, ['backup', backup]);
    t.notThrows(() => run(backup, ['verify', backup]));
  },
);

withDisk('on a disk without a byte free, every command that reads works, and a backup elsewhere', async (t) => {
  const store = join(smallDisk(t, 16), 'store');
  await makeStore(store);
  const expected = READING.map((args) => run(store, args));
  const empty = await fillDisk(join(store, '..'), 0);
  t.deepEqual(
    READING.map((args) => run(store, args)),
    expected,
  );
  const backup = join(await temporaryDirectory(t), 'backup');
  run(store, ['backup', backup]);
  t.notThrows(() => run(backup, ['verify', backup]));
  empty();
});
