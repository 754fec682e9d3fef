import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { builtArtifact } from '../store/artifacts/built-artifacts.js';
import { type BuiltEntry, buildTar } from '../support/build-tar.js';
import { fixturePath } from '../support/fixtures.js';
import { objectsOf, startSession } from './session.js';

const chart = builtArtifact({ artifactType: 'application/vnd.cncf.helm.config.v1+json', blobs: ['{}', 'chart'] });

/** An OCI layout whose only entry is an artifact, with its name as containerd writes it. */
function layout(name: string): BuiltEntry[] {
  const blobs = [chart.bytes, ...chart.blobs.map(({ bytes }) => bytes)].map((bytes) => ({
    name: `blobs/sha256/${createHash('sha256').update(bytes).digest('hex')}`,
    body: Buffer.from(bytes),
  }));
  const annotations = { 'io.containerd.image.name': name, 'org.example.kept': 'yes' };
  const index = {
    schemaVersion: 2,
    manifests: [{ ...chart.descriptor, annotations }],
    annotations: { 'org.example.layout': 'too' },
  };
  return [
    { name: 'oci-layout', body: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', body: JSON.stringify(index) },
    ...blobs,
  ];
}

test('an archive of an artifact alone is loaded, and is not nothing', async (t) => {
  const { done, folder } = await startSession(t);
  const path = join(folder, 'chart.tar');
  await writeFile(path, await buildTar(layout('docker.io/shop/chart:1.0')));
  const text = await done('load', path);
  const short = chart.descriptor.digest.slice('sha256:'.length, 19);
  t.is(
    text,
    `chart.tar: oci archive, 0 images (0 new), 0 new layers, 1 artifact (1 new)\n  loaded  shop/chart:1.0  artifact ${short}\n`,
  );
  const [loaded] = objectsOf(await done('load', '--json', path));
  t.deepEqual(loaded?.['artifacts'], [
    { digest: chart.descriptor.digest, artifactType: chart.artifactType, created: false },
  ]);
  t.like(objectsOf(await done('images', '--all', '--json'))[0], {
    kind: 'artifact',
    references: ['docker.io/shop/chart:1.0'],
    totalSize: chart.descriptor.size + 7,
  });
  const [set] = objectsOf(await done('log', '--json', '--type', 'ReferenceSet'));
  t.like(set, { annotations: { 'org.example.kept': 'yes' }, layoutAnnotations: { 'org.example.layout': 'too' } });
  t.is(await done('verify', '--quiet'), '');
});

const added = (name: string): string => fixturePath('archives-new', `${name}.tar.gz`);

test('load names what it loaded by its own names, and the rest by digest', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', added('bx-annot'));
  const second = await done('load', added('bx-oci-multi'));
  t.regex(second, /\n {2}loaded {2}nw\/bxm:1 +7bd2327f4364\n {2}known +nw\/bxm:1 linux\/arm64 {2}b0fc523bf602\n$/);
  const cache = await run('load', added('cache'));
  t.regex(cache.stdout, /\n {2}loaded {2}<none> {2}artifact 8b6e46ede268\n$/);
  const unnamed = await run('load', added('or-copy-r'));
  t.notRegex(unnamed.stdout, /index/, 'nw/bxm:1 names its index');
  await done('rm', 'nw/bxm:1');
  t.regex((await run('load', added('or-copy-r'))).stdout, /\n {2}loaded {2}<none> +index 6e08a1bfc80f\n$/);
});

test('images --all filters artifacts by reference, and leaves out an empty table', async (t) => {
  const { done, runIn } = await startSession(t);
  await done('load', added('p-art'));
  t.regex(await done('images', '--all'), /^REFERENCE +ARTIFACT .*\np\/art:1 /);
  t.regex((await runIn({ columns: 100 }, 'images')).stderr, /1 artifact: `imagelog images --all` lists artifacts too/);
  await done('load', added('bx-oci-multi'));
  const named = await done('images', '--all', '--filter', 'reference=nw/*');
  t.regex(named, /\nnw\/bxm:1 +6e08a1bfc80f {2}index/);
  t.notRegex(named, /p\/art|<none>/);
  t.notRegex(await done('images', '--all', '--filter', 'os=linux'), /ARTIFACT/);
});

test('inspect shows the index of a reference, log the events of an artifact, save what it leaves out', async (t) => {
  const { done, run, folder } = await startSession(t);
  await done('load', added('bx-artm'));
  const digest = 'sha256:1281728482884b78d8bfcb049710a4ddea2f66e2550c12c67424920ad1648cc6';
  t.like(objectsOf(await done('inspect', '--json', 'nw/artm:1'))[0], { target: { digest } });
  t.deepEqual(
    objectsOf(await done('log', '--json', '--image', '47f8017af3c1')).map(({ type }) => type),
    ['ArtifactAdded'],
  );
  t.regex(await done('log', '--events'), / ArtifactAdded +128172848288 index\n/);
  t.regex(await done('diff', '0', 'now'), /\n\+ 128172848288 +index /);
  const saved = await run('save', '--platform', 'linux/arm64', 'nw/artm:1', '-o', join(folder, 'arm64.tar'));
  t.regex(saved.stderr, /with a smaller index, without linux\/amd64, attestations\n$/);
});

test('load --tag of several images says how each gets a name', async (t) => {
  const { run } = await startSession(t);
  const refused = await run('load', '--tag', 'shop/app:1', added('um'));
  t.is(refused.code, 1);
  t.regex(refused.stderr, /\(REFERENCE_INVALID\)\nhint: --tag names the only image/);
});
