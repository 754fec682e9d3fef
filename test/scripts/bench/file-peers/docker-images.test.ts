import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { DockerImages } from '../../../../scripts/bench/file-peers/docker-images.js';
import { imageConfig } from '../../../../scripts/bench/inputs/image-configs.js';
import { newFSStoreBackend } from '../../../../src/index.js';
import type { Digest } from '../../../../src/model/digest.js';
import { projectRoot } from '../../../support/fixtures.js';
import { testOrSkip } from '../../../support/requires.js';
import { straceOf, whyNoStrace } from '../../../support/strace.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

const CHILD = fileURLToPath(new URL('./image-in-docker-files.js', import.meta.url));
const RECORDED = join(projectRoot, 'test/fixtures/docker-files/dockerd-20.10.24.strace');
const CALLS = 'openat,write,fsync,fdatasync,close,chmod,fchmodat,rename,renameat,renameat2';

/** The same call by another name: Go's is relative to a directory. */
const SAME: Readonly<Record<string, string>> = { fchmodat: 'chmod', renameat: 'rename', renameat2: 'rename' };

/** Returns the calls of a trace below `root`, an id or a random number in their paths left out. */
function callsOf(lines: readonly string[], root: string): string[] {
  return lines.flatMap((line) => {
    const [, name = ''] = /^(?:\d+ +)?(\w+)\(/.exec(line) ?? [];
    const paths = [...line.matchAll(/["<]([^">]+)[">]/g)].map(([, path]) => path as string);
    const below = [...new Set(paths.filter((path) => path.startsWith(`${root}/`)))].map((path) =>
      path
        .slice(root.length + 1)
        .replace(/\b[0-9a-f]{64}/, 'ID')
        .replace(/(\.tmp-(?:ID|[a-zA-Z]+))\d+/, '$1'),
    );
    const flags = /O_[A-Z_|]+/.exec(line)?.[0].replace(/\|?(?:O_CLOEXEC|O_DIRECTORY|O_NONBLOCK)/g, '');
    const size = name === 'write' ? ` ${/= (\d+)$/.exec(line)?.[1] ?? ''}` : '';
    if (below.length === 0 || name === 'getdents64') return [];
    return `${SAME[name] ?? name} ${below.join(' ')}${flags === undefined ? '' : ` ${flags}`}${size}`;
  });
}

/** Returns the recorded calls, a list for each step. */
function recorded(): string[][] {
  const parts = readFileSync(RECORDED, 'utf8')
    .split(/^# .*\n/m)
    .slice(1);
  return parts.map((part) => callsOf(part.split('\n'), '/imagedb'));
}

testOrSkip(whyNoStrace())("the peer called Docker's makes the calls of dockerd, in its order", async (t) => {
  const directory = await temporaryDirectory(t);
  const config = join(directory, 'config.json');
  // As large as the recorded one; the time beside it has nine digits there and three here.
  await writeFile(config, JSON.stringify({ os: 'linux' }).padEnd(427));
  const root = join(directory, 'imagedb');
  const trace = straceOf(['-y', '-s', '0', '-e', `trace=${CALLS}`], [process.execPath, CHILD, root, config]);
  const steps: string[][] = [];
  for (const line of trace.split('\n')) {
    if (/"[^"]*\/step [a-z]+"/.test(line)) steps.push([]);
    else steps.at(-1)?.push(line);
  }
  const [created = [], named = [], restored = [], got = []] = steps.map((lines) => callsOf(lines, root));
  const [dockerCreated, dockerNamed = [], dockerRestored, dockerGot] = recorded();
  t.deepEqual(created, dockerCreated);
  t.is(created.filter((call) => /^f(?:data)?sync/.test(call)).join(), 'fsync content/sha256/.tmp-ID');
  const withoutSize = (calls: readonly string[]): string[] => calls.map((call) => call.replace(/ \d+$/, ''));
  t.deepEqual(withoutSize(named), withoutSize(dockerNamed));
  // Of reading, only opening was recorded.
  const opened = (calls: readonly string[]): string[] => calls.filter((call) => call.startsWith('openat'));
  t.deepEqual(opened(restored), dockerRestored);
  t.deepEqual(opened(got), dockerGot);
});

test('the peer keeps images, parents and heads in files that newFSStoreBackend reads', async (t) => {
  const root = await temporaryDirectory(t);
  const images = new DockerImages(root);
  const [parent, child] = [0, 1].map((index) => images.create(imageConfig(index))) as [Digest, Digest];
  images.setParent(child, parent);
  t.is(images.create(imageConfig(1)), child);
  for (const store of [images, new DockerImages(root)]) {
    t.is(store.size, 2);
    t.deepEqual([...store.map().keys()].sort(), [parent, child].sort());
    t.deepEqual([...store.heads().keys()], [child]);
    t.is(store.get(child).parent, parent);
    t.is(store.get(parent).parent, undefined);
    t.is(store.get(child).config().architecture, 'amd64');
  }
  const backend = await newFSStoreBackend(root);
  t.deepEqual(backend.get(child), Buffer.from(imageConfig(1)));
  t.is(Buffer.from(backend.getMetadata(child, 'parent')).toString(), parent);
  await writeFile(join(root, 'content', 'sha256', child.slice('sha256:'.length)), '{}');
  t.throws(() => images.get(child), { message: /damaged/ });
});
