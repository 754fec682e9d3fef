import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { builtArtifact } from '../store/artifacts/built-artifacts.js';
import { type BuiltEntry, buildTar } from '../support/build-tar.js';
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
