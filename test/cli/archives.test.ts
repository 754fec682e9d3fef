import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import { rejection } from '../support/rejection.js';
import { fixturePath } from '../support/fixtures.js';
import { requires } from '../support/requires.js';
import { writeArchiveFile } from '../../src/cli/archive-target.js';
import { Interruption } from '../../src/cli/exit-codes.js';
import { archive, objectsOf, startSession } from './session.js';

const SHOP_LOADED = `docker25-all.tar: docker archive, 5 images (5 new), 7 new layers
  loaded  tiny:1                                     bd10de19d2be
  loaded  tiny-lib:1                                 612786da9e60
  loaded  shop/app:1.0                               bb0c8ffbd8b1
  loaded  shop/app:2.0                               cb4c372bec4c
  loaded  shop/app:latest                            cb4c372bec4c
  loaded  registry.example.com:5000/shop/app:latest  cb4c372bec4c
  loaded  twice:1                                    6351c87e3f65
`;

test('load makes the store and says what came', async (t) => {
  const { done, run } = await startSession(t);
  t.like(await run('images'), { code: 3, stdout: '' });
  t.is(await done('load', archive('docker25-all.tar')), SHOP_LOADED);
});

test('load reads the standard input without FILE, and where FILE is -', async (t) => {
  const { runIn } = await startSession(t);
  const stdin = await readFile(archive('skopeo-tiny-1.tar'));
  const first = await runIn({ stdin }, 'load');
  t.is(first.stdout, 'standard input: docker archive, 1 image (1 new), 1 new layer\n  loaded  tiny:1  bd10de19d2be\n');
  const second = await runIn({ stdin }, 'load', '-', archive('oci-zstd.tar'));
  t.deepEqual(second.stdout.split('\n').slice(0, 3), [
    'standard input: docker archive, 1 image (0 new), 0 new layers',
    '  loaded  tiny:1  bd10de19d2be',
    'oci-zstd.tar: oci archive, 1 image (1 new), 2 new layers',
  ]);
});

test('load refuses a keyboard and a standard input named twice', async (t) => {
  const { run, runIn } = await startSession(t);
  const keyboard = Object.assign(Readable.from([]), { isTTY: true });
  const refused = await runIn({ stdin: keyboard }, 'load');
  t.is(refused.code, 2);
  t.regex(refused.stderr, /^imagelog: the standard input is a terminal: name an archive/);
  t.like(await run('load', '-', '-'), { code: 2, stdout: '' });
  t.is((await run('stats')).code, 3, 'no store was made');
});

const union = (name: string): string => fixturePath('archives-unions', `${name}.tar.gz`);

test('load of nothing is ARCHIVE_EMPTY, unless that is allowed', async (t) => {
  const { run } = await startSession(t);
  const { code, stderr } = await run('load', union('10-empty-index'));
  t.is(code, 1);
  t.regex(stderr, /loaded nothing from .*10-empty-index.*--allow-empty/);
  t.like(await run('load', '--allow-empty', union('10-empty-index')), { code: 0 });
  t.regex(stderr, /\(ARCHIVE_EMPTY\)/);
});

test('load takes platforms one after another, and each adds to the name', async (t) => {
  const { done } = await startSession(t);
  const file = union('20-ctr-all-platforms');
  await done('load', '--platform', 'linux/amd64', file);
  const before = await done('resolve', 'alc/multi:1');
  await done('load', '--platform', 'linux/arm64', '--platform', 'linux/arm/v7', file);
  t.is(await done('resolve', 'alc/multi:1'), before);
  t.is((await done('images', '-q')).trim().split('\n').length, 3);
  t.not(await done('resolve', '--platform', 'linux/arm64', 'alc/multi:1'), before);
});

test('load makes names of bare tags with --repository, and quotes them without', async (t) => {
  const { done, run } = await startSession(t);
  t.regex((await run('load', union('10-bare-tag'))).stderr, /"latest".*--repository/);
  t.regex(await done('load', '--repository', 'shop/app', union('10-bare-tag')), /loaded {2}shop\/app:latest/);
  for (const name of ['shop/app:1', `shop/app@sha256:${'a'.repeat(64)}`, 'Shop']) {
    t.is((await run('load', '--repository', name, union('10-bare-tag'))).code, 2, name);
  }
});

test('load reads a layout in a directory, through links in it, and not what is outside', async (t) => {
  const { done, run, folder } = await startSession(t);
  const layout = join(folder, 'layout');
  await mkdir(layout);
  execFileSync('tar', ['-xf', archive('oci-zstd.tar'), '-C', layout]);
  t.regex(await done('load', layout), /1 image \(1 new\)/);
  await rename(join(layout, 'index.json'), join(folder, 'index.json'));
  await symlink(join(folder, 'index.json'), join(layout, 'index.json'));
  t.regex((await run('load', layout)).stderr, /found no index\.json/);
  await mkdir(join(folder, 'other'));
  t.regex((await run('load', join(folder, 'other'))).stderr, /nothing in it/);
});

test('load --json gives an object for each archive', async (t) => {
  const { done } = await startSession(t);
  const [first, second, ...rest] = objectsOf(
    await done('load', '--json', archive('skopeo-tiny-1.tar'), archive('oci-multi-platform.tar')),
  );
  t.deepEqual(rest, []);
  t.like(first, { file: archive('skopeo-tiny-1.tar'), format: 'docker', layersAdded: 1, notices: [] });
  t.like(second, { format: 'oci', references: [{ reference: 'docker.io/library/tiny:multi' }] });
});

test('load says which tag moved, and --no-overwrite refuses and leaves all as it was', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', '--quiet', archive('docker25-all.tar'));
  await done('tag', 'tiny-lib:1', 'tiny:1');
  const before = await done('log', '--json');
  const refused = await run('load', '--no-overwrite', archive('docker25-all.tar'));
  t.is(refused.code, 1);
  t.regex(refused.stderr, /tiny:1.*\(REFERENCE_EXISTS\)\nhint: leave out --no-overwrite to move it\n$/);
  t.is(await done('log', '--json'), before);
  t.regex(await done('load', archive('docker25-all.tar')), / {2}moved {3}tiny:1 .* bd10de19d2be, was 612786da9e60\n/);
});

test('the rest of an index is added to a name, and does not move it', async (t) => {
  const { done } = await startSession(t);
  await done('load', '--platform', 'linux/arm64', archive('oci-multi-platform.tar'));
  const arm = await done('resolve', 'tiny:multi');
  t.regex(await done('load', '--no-overwrite', archive('oci-multi-platform.tar')), / {2}loaded {2}tiny:multi/);
  t.is(await done('resolve', 'tiny:multi'), arm);
  t.not(await done('resolve', '--platform', 'linux/amd64', 'tiny:multi'), arm);
});

test('load --tag gives the only image one more name, and --platform takes one platform', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', '--tag', 'shop/base:9', archive('skopeo-tiny-1.tar'));
  t.is((await done('resolve', 'shop/base:9')).slice(0, 19), 'sha256:bd10de19d2be');
  await done('load', '--platform', 'linux/arm64', archive('oci-multi-platform.tar'));
  t.is((await done('resolve', 'tiny:multi')).slice(0, 19), 'sha256:ea3aeee65415');
  const missing = await run('load', '--platform', 'windows/amd64', archive('oci-multi-platform.tar'));
  t.is(missing.code, 3);
  t.regex(
    missing.stderr,
    /no image for windows\/amd64: found linux\/amd64, linux\/arm64\/v8 \(PLATFORM_NOT_FOUND\)\nhint: /,
  );
});

test('a broken archive is told with a hint, and loads nothing', async (t) => {
  const { folder, done, run } = await startSession(t);
  const cut = join(folder, 'cut.tar');
  await writeFile(cut, (await readFile(archive('docker25-all.tar'))).subarray(0, 300_000));
  const broken = await run('load', cut);
  t.like(broken, { code: 1, stdout: '' });
  t.regex(
    broken.stderr,
    /^imagelog: .*\(ARCHIVE_TRUNCATED\)\nhint: copy or download the archive again; nothing was loaded\n$/,
  );
  t.is(await done('images', '--json'), '');
  t.is(await done('log', '--json'), '');
  t.is((await run('load', join(folder, 'absent.tar'))).code, 3);
});

test('save and load again gives the same images, from a file and through pipes', async (t) => {
  const { folder, done, runIn } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const images = objectsOf(await done('images', '--json', '--filter', 'reference=shop/app'));
  const file = join(folder, 'app.tar');
  for (const format of ['docker', 'oci']) {
    const { bytes } = await runIn({}, 'save', '--format', format, 'shop/app', 'registry.example.com:5000/shop/app');
    t.regex(
      await done('save', '--format', format, 'shop/app', 'registry.example.com:5000/shop/app', '-o', file),
      /^saved /,
    );
    t.deepEqual(await readFile(file), bytes);
    const env = { IMAGELOG_STORE: join(folder, format) };
    t.is((await runIn({ env, stdin: bytes }, 'load')).code, 0);
    const again = objectsOf((await runIn({ env }, 'images', '--json')).stdout);
    t.deepEqual(
      again.map(({ id, references }) => ({ id, references })),
      images.map(({ id, references }) => ({ id, references })),
    );
  }
});

test('a save that fails leaves the old file and nothing beside it', async (t) => {
  const { folder, done, run } = await startSession(t);
  await done('load', archive('skopeo-tiny-1.tar'));
  const file = join(folder, 'old.tar');
  await writeFile(file, 'old');
  t.is((await run('save', 'nope', '-o', file)).code, 3);
  const aborted = await run('save', 'tiny:1', '-o', join(folder, 'no', 'such', 'folder.tar'));
  t.is(aborted.code, 3);
  t.regex(
    aborted.stderr,
    /^imagelog: cannot write .*folder\.tar: its directory is not there \(FILE_NOT_FOUND\)\nhint: make/,
  );
  t.is(await readFile(file, 'utf8'), 'old');
  t.deepEqual((await readdir(folder)).sort(), ['old.tar', 'store']);
  t.regex((await run('save', 'tiny:1', '-o', folder)).stderr, /it is a directory \(IO_FAILED\)/);
});

test('save refuses to write an archive to a terminal', async (t) => {
  const { runIn } = await startSession(t);
  const { code, stdout, stderr } = await runIn({ columns: 80 }, 'save', 'tiny:1');
  t.deepEqual({ code, stdout }, { code: 2, stdout: '' });
  t.regex(stderr, /an archive is not for a terminal/);
});

test('a bar shows on a terminal, and nowhere else', async (t) => {
  const { folder, runIn } = await startSession(t);
  const load = ['load', archive('docker25-all.tar')] as const;
  const save = ['save', 'shop/app', '-o', join(folder, 'a.tar')] as const;
  for (const argv of [load, save]) {
    t.regex((await runIn({ columns: 80 }, ...argv)).stderr, /█/);
    t.is((await runIn({ columns: 80 }, ...argv, '--quiet')).stderr, '');
    t.is((await runIn({}, ...argv)).stderr, '');
  }
});

test('a load that is interrupted while it waits for its pipe ends with 130 and leaves an empty store', async (t) => {
  const { done, runIn } = await startSession(t);
  const controller = new AbortController();
  const bytes = await readFile(archive('docker25-all.tar'));
  let reads = 0;
  const stdin = new Readable({
    read() {
      reads += 1;
      if (reads === 1) this.push(bytes.subarray(0, 200_000));
      else controller.abort(new Interruption('SIGINT'));
    },
  });
  const { code, stdout, stderr } = await runIn({ stdin, signal: controller.signal }, 'load');
  t.deepEqual({ code, stdout, stderr }, { code: 130, stdout: '', stderr: 'imagelog: interrupted by SIGINT\n' });
  t.like(objectsOf(await done('stats', '--json'))[0], { events: 0, images: 0, blobs: 0 });
});

requires('mkfifo')('a save into a pipe goes to its reader, and ends when interrupted while nobody does', async (t) => {
  const { folder, done, runIn } = await startSession(t);
  await done('load', archive('skopeo-tiny-1.tar'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const reader = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  reader.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await Promise.all([once(reader, 'close'), done('save', 'tiny:1', '-o', pipe)]);
  t.deepEqual(Buffer.concat(chunks), (await runIn({}, 'save', 'tiny:1')).bytes);
  const controller = new AbortController();
  const stream = (): Readable => {
    // Asked for when the pipe is about to be opened.
    setImmediate(() => controller.abort());
    return Readable.from(['bytes']);
  };
  const content = { stream, writeTo: () => Promise.reject(new Error('it is not a file')) };
  await rejection(t, 'ABORTED', writeArchiveFile(content, pipe, controller.signal));
});

test('a file that is not there makes no store', async (t) => {
  const session = await startSession(t);
  const { code, stderr } = await session.run('load', 'missing.tar');
  t.is(code, 3);
  t.regex(stderr, /cannot read missing\.tar: no such file \(FILE_NOT_FOUND\)\nhint: check the path; without FILE/);
  t.regex((await session.run('images')).stderr, /no store in .*\(STORE_NOT_FOUND\)/);
});
