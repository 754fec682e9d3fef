import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chownSync, constants, existsSync } from 'node:fs';
import { chmod, cp, lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { startSession } from '../cli/session.js';
import { archivePath } from '../store/fixture-archives.js';
import { statesBelow } from '../support/filesystem-copy.js';
import { makeKilledStore, READING } from '../support/reading-commands.js';
import { readWholeStore } from '../support/read-whole-store.js';
import { rejection } from '../support/rejection.js';
import { testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { mountedForReading, whyNoDisk } from './crash/small-disk.js';

const reader = fileURLToPath(new URL('../support/read-whole-store.js', import.meta.url));

/** Makes a store in each state in which one may be on read-only media; returns its path. */
const states: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  'closed, with a snapshot': makeClosed,
  'without its snapshots': async (directory) => {
    await makeClosed(directory);
    await rm(join(directory, 'snapshots'), { recursive: true });
  },
  'without its checkpoint and what an open remembers': async (directory) => {
    await makeClosed(directory);
    await rm(join(directory, 'checkpoint'));
    for (const name of await readdir(directory)) {
      const isHint = (await lstat(join(directory, name))).isFile() && name !== 'imagelog.json';
      if (isHint) await rm(join(directory, name));
    }
  },
  'of a writer that was killed': (directory) => makeKilledStore(directory, archivePath('skopeo-tiny-1.tar')),
  'with an unfinished write': async (directory) => {
    await makeKilledStore(directory, archivePath('skopeo-tiny-1.tar'));
    const log = join(directory, 'log');
    const [name = ''] = (await readdir(log)).filter((each) => each.endsWith('.log'));
    await writeFile(join(log, name), 'torn', { flag: 'a' });
  },
};

async function makeClosed(directory: string): Promise<void> {
  const store = await openStore(directory);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  await store.snapshot();
  await store.load(archivePath('docker25-all.tar'));
  await store.close();
}

const onMount = testOrSkip(whyNoDisk());

for (const [state, make] of Object.entries(states)) {
  onMount(`a store ${state} is read from a mount that is read-only, by two readers at once`, async (t) => {
    const place = await temporaryDirectory(t);
    const directory = join(place, 'store');
    await make(directory);
    const before = await statesBelow(directory);
    const mounted = mountedForReading(t, directory);
    await t.throwsAsync(writeFile(join(mounted, 'probe'), ''), { code: 'EROFS' });
    const expected = await readWholeStore(directory);
    t.true(expected.events.length > 3);
    t.is(expected.violations, 0);
    const readers = [readWholeStore(mounted, join(place, 'a')), readWholeStore(mounted, join(place, 'b'))];
    t.deepEqual(await Promise.all(readers), [expected, expected]);
    t.deepEqual(await verifyStore(mounted), []);
    t.deepEqual(await verifyStore(join(place, 'a')), []);
    await rejection(t, 'STORE_NOT_WRITABLE', openStore(mounted));
    t.deepEqual(await statesBelow(directory), before, 'nothing was written');
  });
}

onMount('each command that reads gives the same answer on a mount that is read-only', async (t) => {
  const { store, runIn } = await startSession(t);
  await makeKilledStore(store, archivePath('skopeo-tiny-1.tar'));
  const mounted = mountedForReading(t, store);
  for (const argv of READING) {
    const [expected, found] = [await runIn({}, ...argv), await runIn({ env: { IMAGELOG_STORE: mounted } }, ...argv)];
    t.is(found.code, 0, `${argv.join(' ')}: ${found.stderr}`);
    t.is(found.stdout.replaceAll(mounted, store), expected.stdout, argv.join(' '));
  }
  const refused = await runIn({ env: { IMAGELOG_STORE: mounted } }, '--wait', '0', 'tag', 'tiny:1', 'a:1');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /\(STORE_NOT_WRITABLE\)\nhint: .*mounted for writing/);
});

onMount('a mount that is read-only is read beside a writer of the same files', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await makeClosed(directory);
  const mounted = mountedForReading(t, directory);
  await using writer = await openStore(directory);
  const [first] = [...writer.map().keys()];
  const before = (await readWholeStore(mounted)).events.length;
  await writer.tag({ source: first as never, target: 'beside:1' });
  t.is((await readWholeStore(mounted)).events.length, before + 1);
});

/** An account that owns nothing, for a root that no permission stops. */
const NOBODY = 65_534;

/** Why no process without rights can read the store; undefined when one can. */
function whyNoNobody(): string | undefined {
  if (process.platform === 'win32') return 'no accounts of POSIX here';
  if (process.getuid?.() !== 0) return undefined;
  try {
    execFileSync(process.execPath, ['--check', reader], { uid: NOBODY, gid: NOBODY, stdio: 'pipe' });
    accessSync(dirname(reader), constants.X_OK);
    return undefined;
  } catch {
    return 'the account nobody may not read this checkout';
  }
}

async function readAsNobody(t: ExecutionContext, ...args: string[]): Promise<unknown> {
  const account = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const child = fork(reader, args, account);
  t.teardown(() => child.kill('SIGKILL'));
  const [answer] = (await once(child, 'message')) as [unknown];
  return answer;
}

for (const state of ['closed, with a snapshot', 'of a writer that was killed']) {
  testOrSkip(whyNoNobody())(`a store ${state} is read by an account that may not write to it`, async (t) => {
    const place = await temporaryDirectory(t);
    const directory = join(place, 'store');
    await states[state]?.(directory);
    const expected = await readWholeStore(directory);
    for (const name of ['.', ...(await readdir(directory, { recursive: true }))]) {
      const path = join(directory, name);
      await chmod(path, (await lstat(path)).isDirectory() ? 0o555 : 0o444);
    }
    const target = join(place, 'target');
    await mkdir(target);
    if (process.getuid?.() === 0) chownSync(target, NOBODY, NOBODY);
    await chmod(place, 0o755);
    const before = await statesBelow(directory);
    const both = await Promise.all([
      readAsNobody(t, directory, join(target, 'a')),
      readAsNobody(t, directory, join(target, 'b')),
    ]);
    t.deepEqual(both, [expected, expected]);
    t.true(existsSync(join(target, 'a', 'checkpoint')));
    t.deepEqual(await statesBelow(directory), before, 'nothing was written');
    // So that it can be removed.
    for (const folder of ['.', ...(await readdir(directory, { recursive: true }))])
      await chmod(join(directory, folder), 0o755);
  });
}

test('a copy without the rest of the store, its sidecar, is refused and stays as it is', async (t) => {
  const place = await temporaryDirectory(t);
  const directory = join(place, 'store');
  await makeClosed(directory);
  const copy = join(place, 'copy');
  await mkdir(copy);
  await cp(join(directory, 'log'), join(copy, 'log'), { recursive: true });
  const before = await statesBelow(copy);
  await rejection(t, 'SIDECAR_INVALID', openStore(copy, { readOnly: true }));
  t.true((await verifyStore(copy)).some(({ code }) => code === 'SIDECAR_MISSING'));
  t.deepEqual(await statesBelow(copy), before);
});
