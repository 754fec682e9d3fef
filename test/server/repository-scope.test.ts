import test, { type ExecutionContext } from 'ava';
import type { Place } from './conformance/case.js';
import {
  configPart,
  foreignPart,
  indexOf,
  layerPart,
  type Manifest,
  manifestOf,
  MEDIA,
} from './conformance/content.js';
import { descriptorOf } from './conformance/data-sets.js';
import { demandError } from './conformance/demands.js';
import { ACCEPT, manifestPath, putManifest } from './conformance/manifest-requests.js';
import { RegistryClient } from './conformance/registry-client.js';
import { blobPath, uploadByPut } from './conformance/uploads.js';
import { startRegistry } from './start-registry.js';

/** A registry, an image in one repository, and another repository that may not have it. */
async function withSecret(t: ExecutionContext) {
  const { base } = await startRegistry(t);
  const client = new RegistryClient(base);
  t.teardown(() => client[Symbol.dispose]());
  const secret: Place = { client, repository: 'secret/app' };
  const other: Place = { client, repository: 'other/app' };
  const layer = layerPart('gzip');
  const config = configPart([layer], {});
  const manifest = manifestOf(config, [layer]);
  await pushImage(secret, manifest, [layer, config]);
  return { client, secret, other, layer, config, manifest };
}

async function pushImage(place: Place, manifest: Manifest, parts: readonly ReturnType<typeof layerPart>[]) {
  for (const { blob } of parts) if (blob !== undefined) await uploadByPut(place, blob);
  await putManifest(place, manifest.digest, manifest);
}

async function statusOf({ client }: Place, path: string): Promise<number> {
  return (await client.ask(path, { headers: ACCEPT })).status;
}

test('an index does not lead to a manifest that another repository has', async (t) => {
  const { client, secret, other, layer, manifest } = await withSecret(t);
  const index = indexOf([descriptorOf(manifest)]);
  const nested = indexOf([descriptorOf(index)]);
  await putManifest(secret, index.digest, index);
  for (const refused of [index, nested]) {
    const answer = await client.ask(manifestPath(other.repository, 'index'), {
      method: 'PUT',
      headers: { 'content-type': refused.mediaType },
      body: refused.bytes,
    });
    t.is(answer.status, 400);
    demandError(answer, 'MANIFEST_BLOB_UNKNOWN');
  }
  t.is(await statusOf(other, manifestPath(other.repository, manifest.digest)), 404);
  t.is(await statusOf(other, blobPath(other.repository, layer.descriptor.digest)), 404);
  t.is(await statusOf(secret, blobPath(secret.repository, layer.descriptor.digest)), 200);
});

test('an index may come before what it names', async (t) => {
  const { other } = await withSecret(t);
  const layer = layerPart('gzip');
  const config = configPart([layer], {});
  const manifest = manifestOf(config, [layer]);
  const index = indexOf([descriptorOf(manifest)]);
  await putManifest(other, 'index', index);
  t.is(await statusOf(other, manifestPath(other.repository, manifest.digest)), 404);
  await pushImage(other, manifest, [layer, config]);
  t.is(await statusOf(other, manifestPath(other.repository, manifest.digest)), 200);
});

test('a layer that is named as non-distributable is served only where it was pushed', async (t) => {
  const { secret, other, layer } = await withSecret(t);
  const { digest } = layer.descriptor;
  const foreign = { ...layer, descriptor: { ...layer.descriptor, mediaType: MEDIA.foreignGzip } };
  const config = configPart([foreign], {});
  const manifest = manifestOf(config, [foreign]);
  await pushImage(other, manifest, [config]);
  t.is(await statusOf(other, manifestPath(other.repository, manifest.digest)), 200);
  t.is(await statusOf(other, blobPath(other.repository, digest)), 404);
  // A client that has the bytes may push them.
  const third: Place = { ...other, repository: 'third/app' };
  const own = manifestOf(config, [foreign], { annotations: { third: 'app' } });
  await pushImage(third, own, [foreign, config]);
  t.is(await statusOf(third, blobPath(third.repository, digest)), 200);
  t.is(await statusOf(secret, blobPath(secret.repository, digest)), 200);
});

test('an image with a layer that was not pushed is served with its others', async (t) => {
  const { other } = await withSecret(t);
  const layers = [foreignPart(MEDIA.foreignTar), layerPart('gzip')];
  const config = configPart(layers, {});
  const manifest = manifestOf(config, layers);
  await pushImage(other, manifest, [...layers, config]);
  t.is(await statusOf(other, manifestPath(other.repository, manifest.digest)), 200);
  for (const { digest } of [config.descriptor, ...layers.slice(1).map(({ descriptor }) => descriptor)]) {
    t.is(await statusOf(other, blobPath(other.repository, digest)), 200);
  }
});
