import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import { filesBelow } from '../support/filesystem-copy.js';
import { contentOfBackup, unpackedBackup } from '../support/unpacked-backup.js';
import { archive, objectsOf, startSession } from './session.js';

test('backup and restore bring back the store of real archives, and a backup of it has the same in it', async (t) => {
  const { folder, done, runIn } = await startSession(t);
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  await done('load', '--quiet', archive('docker25-all.tar'));
  t.regex(
    await done('backup', first),
    /^backed up to .*first: \d+ events in \d+ files of [\d.]+ kB, \d+ files of .* were new\n$/,
  );
  await done('load', '--quiet', archive('oci-multi-platform.tar'));
  await done('rm', '--force', 'tiny-lib:1');
  t.regex(await done('backup', first), / files of .* were new\n$/);
  t.regex(await done('backup', first), /, nothing was new\n$/);
  const again = { env: { IMAGELOG_STORE: join(folder, 'restored') } };
  const restored = await runIn(again, 'restore', first);
  t.is(restored.code, 0, restored.stderr);
  t.regex(restored.stdout, /^restored .*restored: \d+ events, \d+ layer files of [\d.]+ kB\n$/);
  for (const command of [['images', '--json'], ['log', '--json'], ['checkpoint'], ['refs', 'tiny:1']]) {
    t.is((await runIn(again, ...command)).stdout, await done(...command), command.join(' '));
  }
  const report = objectsOf((await runIn(again, 'backup', '--json', second)).stdout);
  t.like(report[0], { directory: second, filesRemoved: 0 });
  t.deepEqual(await unpackedBackup(second), await unpackedBackup(first));
});

test('a signature in a backup is still there after a restore', async (t) => {
  const { folder, done, runIn } = await startSession(t);
  const [key, target] = [join(folder, 'log.key'), join(folder, 'backup')];
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const verifier = (await done('key', key)).trim();
  await done('backup', target, '--key', key);
  const signed = await readFile(join(target, 'checkpoint'), 'utf8');
  t.regex(signed, /\n\n— /);
  const env = { IMAGELOG_STORE: join(folder, 'restored') };
  await writeFile(join(folder, 'kept'), signed);
  t.is((await runIn({ env }, 'restore', target, '--key', verifier, '--against', join(folder, 'kept'))).code, 0);
  t.is(await readFile(join(folder, 'restored', 'checkpoint'), 'utf8'), signed);
  // The key may be given as its file, and more than one checkpoint is trusted.
  const trusted = ['--key', key, '--against', join(folder, 'kept'), '--against', join(target, 'checkpoint')];
  t.regex(await done('verify', target, ...trusted), /all is well\n$/);
  await rm(join(folder, 'restored'), { recursive: true });
  t.is((await runIn({ env }, 'restore', target, ...trusted)).code, 0);
  await runIn({ env }, 'backup', join(folder, 'second'));
  t.is(await readFile(join(folder, 'second', 'checkpoint'), 'utf8'), signed);
});

test('a restore says all that is wrong with a backup, and does nothing', async (t) => {
  const { folder, done, runIn } = await startSession(t);
  const target = join(folder, 'backup');
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  await done('backup', target);
  const paths = [...(await filesBelow(target)).keys()].filter((path) => /^(?:blobs|content)/.test(path));
  const content = await contentOfBackup(target);
  for (const path of paths) await rm(join(target, path));
  const { code, stdout, stderr } = await runIn(
    { env: { IMAGELOG_STORE: join(folder, 'restored') } },
    'restore',
    target,
  );
  t.deepEqual({ code, stdout }, { code: 4, stdout: '' });
  for (const digest of content) t.true(stderr.includes(digest), digest);
  for (const path of paths.filter((each) => each.startsWith('blobs/'))) t.true(stderr.includes(path.slice(-64)), path);
  t.regex(stderr, /\(BACKUP_INVALID\)\nhint: use another backup/);
});

test('verify and restore say of a backup that was interrupted that the next run tidies up', async (t) => {
  const { folder, done, run, runIn } = await startSession(t);
  const target = join(folder, 'backup');
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  await done('backup', target);
  const before = await filesBelow(target);
  await mkdir(join(target, '.staging'));
  const verified = await run('verify', target);
  t.is(verified.code, 0);
  t.regex(verified.stdout, /all is well\n$/);
  t.regex(
    verified.stderr,
    /^imagelog: notice: a backup to .* was interrupted, or is still running: .* run the backup again to tidy up\n$/,
  );
  const restored = await runIn({ env: { IMAGELOG_STORE: join(folder, 'restored') } }, 'restore', target);
  t.is(restored.code, 0);
  t.is(restored.stderr, verified.stderr);
  await done('backup', target);
  t.deepEqual(await filesBelow(target), before);
  t.is((await run('verify', target)).stderr, '');
});

test('what is done about a damaged backup is not what is done about a damaged store', async (t) => {
  const { folder, done, run } = await startSession(t);
  const target = join(folder, 'backup');
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  await done('backup', target);
  for (const path of (await filesBelow(target)).keys()) if (path.startsWith('content/')) await rm(join(target, path));
  const { code, stderr } = await run('verify', target);
  t.is(code, 4);
  t.regex(
    stderr,
    /\nhint: restore refuses this backup; use another one, or back the store up to an empty directory with `imagelog backup DIR`/,
  );
  t.notRegex(stderr, /rebuild/);
});

test('no command makes a store among other files, and the hint says what --store takes', async (t) => {
  const { folder, run } = await startSession(t);
  const full = join(folder, 'full');
  await mkdir(full);
  await writeFile(join(full, 'notes.txt'), '');
  const hint = /it has notes\.txt \(STORE_NOT_EMPTY\)\nhint: `--store DIR` or \$IMAGELOG_STORE names a store, an empty/;
  const archives = [archive('skopeo-tiny-1.tar')];
  for (const command of [
    ['load', ...archives],
    ['restore', join(folder, 'backup')],
  ]) {
    const { code, stderr } = await run('--store', full, ...command);
    t.is(code, 1, command[0]);
    t.regex(stderr, hint, command[0]);
  }
  t.regex((await run('--store', full, 'images')).stderr, /\(STORE_NOT_FOUND\)\n/);
  t.deepEqual(await readdir(full), ['notes.txt']);
});

test('backup and restore refuse what they would have to replace, each with what to do', async (t) => {
  const { folder, store, done, run, runIn } = await startSession(t);
  const target = join(folder, 'backup');
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  await mkdir(join(folder, 'full'));
  await writeFile(join(folder, 'full', 'file'), '');
  t.regex((await run('backup', join(folder, 'full'))).stderr, /\(FILE_EXISTS\)\nhint: name an empty directory, or one/);
  t.regex((await run('backup', store)).stderr, /it lies in the store .*\(FILE_EXISTS\)\nhint: /);
  t.regex((await run('restore', join(folder, 'full'))).stderr, /\(STORE_EXISTS\)\nhint: `--store DIR` names/);
  const missing = await runIn({ env: { IMAGELOG_STORE: join(folder, 'new') } }, 'restore', join(folder, 'none'));
  t.is(missing.code, 3);
  t.regex(missing.stderr, /\(BACKUP_NOT_FOUND\)\nhint: /);
  await done('backup', target);
  const other = { env: { IMAGELOG_STORE: join(folder, 'other') } };
  await runIn(other, 'load', '--quiet', archive('skopeo-tiny-1.tar'));
  const foreign = await runIn(other, 'backup', target);
  t.is(foreign.code, 1);
  t.regex(foreign.stderr, /\(BACKUP_FOREIGN\)\nhint: each store needs/);
});

test('a store that is open elsewhere is backed up as it is, and with a key who has it open is told', async (t) => {
  const { folder, store, done, run } = await startSession(t);
  await done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const key = join(folder, 'log.key');
  await done('key', key);
  await using held = await openStore(store);
  await done('backup', join(folder, 'backup'));
  t.is((await held.backup(join(folder, 'backup'))).filesWritten, 0);
  // A checkpoint that is signed is remembered in the store.
  const { code, stderr } = await run('backup', '--wait', '0', '--key', key, join(folder, 'other'));
  t.is(code, 5);
  t.regex(stderr, new RegExp(`\\(pid ${process.pid}\\) \\(STORE_LOCKED\\)\nhint: .*store\\.backup\\(directory\\)`));
});

test('a bar shows how far a backup and a restore are', async (t) => {
  const { folder, done, runIn } = await startSession(t);
  const target = join(folder, 'backup');
  await done('load', '--quiet', archive('docker25-all.tar'));
  const env = { IMAGELOG_STORE: join(folder, 'restored') };
  t.regex((await runIn({ columns: 80 }, 'backup', target)).stderr, /█/);
  t.regex((await runIn({ columns: 80, env }, 'restore', target)).stderr, /█/);
});

test('a backup that is taken for a store is called a backup, and the hint makes a store of it', async (t) => {
  const session = await startSession(t);
  await session.done('load', archive('docker25-untagged.tar'));
  const backup = join(session.folder, 'backup');
  await session.done('backup', backup);
  for (const argv of [['images'], ['rebuild'], ['log'], ['load', archive('docker25-untagged.tar')], ['prune']]) {
    const { code, stdout, stderr } = await session.run(...argv, '--store', backup);
    t.deepEqual({ code, stdout }, { code: 3, stdout: '' }, argv.join(' '));
    t.true(stderr.startsWith(`imagelog: no store in ${backup}: it is a backup (STORE_NOT_FOUND)\nhint: `), stderr);
    t.true(stderr.includes(`\`imagelog restore ${backup} --store DIR\` makes a store of it`), stderr);
  }
  await session.done('verify', '--store', backup);
});
