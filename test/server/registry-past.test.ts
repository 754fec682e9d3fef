import test, { type ExecutionContext } from 'ava';
import { MAX_KEPT_PAST_REGISTRIES } from '../../src/limits.js';
import { createServer } from '../../src/server/create-server.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openTestStore } from '../support/test-store.js';
import type { Place } from './conformance/case.js';
import {
  blobOf,
  configPart,
  layerPart,
  type Manifest,
  manifestOf,
  MEDIA,
  type Part,
  partOf,
} from './conformance/content.js';
import { descriptorOf } from './conformance/data-sets.js';
import { demandBody, demandError, demandStatus } from './conformance/demands.js';
import { ACCEPT, deleteManifest, demandManifest, manifestPath, putManifest } from './conformance/manifest-requests.js';
import { RegistryClient } from './conformance/registry-client.js';
import { tagsOf } from './conformance/tag-cases.js';
import { blobPath, uploadByPut } from './conformance/uploads.js';
import { serveStore } from './start-registry.js';

/** Noon of a day, and an hour later for each push. */
const NOON = Date.UTC(2026, 10, 24, 12);
const HOUR = 3_600_000;

interface World extends Place {
  readonly store: EventStore;
  /** The clock of the store. */
  clock: number;
}

async function newWorld(t: ExecutionContext): Promise<World> {
  const world = { clock: NOON } as { clock: number };
  const store = await openTestStore(t, { now: () => world.clock, onNotice: () => undefined });
  const served = await serveStore(store);
  t.teardown(() => served.stop());
  const client = new RegistryClient(served.base);
  t.teardown(() => client[Symbol.dispose]());
  return Object.assign(world, { store, client, repository: 'shop/app' });
}

interface Pushed {
  readonly manifest: Manifest;
  readonly layer: Part;
  readonly seq: number;
}

/** Pushes a new image under a tag, an hour after what was before. */
async function push(world: World, tag: string): Promise<Pushed> {
  world.clock += HOUR;
  const layer = layerPart('gzip');
  const config = configPart([layer], {});
  const manifest = manifestOf(config, [layer]);
  for (const { blob } of [layer, config]) if (blob !== undefined) await uploadByPut(world, blob);
  await putManifest(world, tag, manifest);
  return { manifest, layer, seq: world.store.log.head.seq };
}

/** The same repository at a moment. */
function at(world: World, when: string | number): Place {
  return { client: world.client, repository: `at/${when}/${world.repository}` };
}

async function demandImage({ client, repository }: Place, tag: string, { manifest, layer }: Pushed): Promise<void> {
  for (const name of [tag, manifest.digest]) {
    demandManifest(await client.ask(manifestPath(repository, name), { headers: ACCEPT }), manifest);
  }
  const blob = await client.ask(blobPath(repository, layer.descriptor.digest));
  demandStatus(blob, 200);
  demandBody(blob, layer.blob?.bytes ?? Buffer.alloc(0));
  const part = await client.ask(blobPath(repository, layer.descriptor.digest), { headers: { range: 'bytes=1-3' } });
  demandStatus(part, 206);
  demandBody(part, blobOf(layer.blob?.bytes.subarray(1, 4) ?? Buffer.alloc(0)).bytes);
}

test('what a tag was is pulled by seq, by time and by age, also after it was moved and deleted', async (t) => {
  const world = await newWorld(t);
  const first = await push(world, 'prod');
  const second = await push(world, 'prod');
  world.clock += HOUR;
  await deleteManifest(world, second.manifest.digest);
  await deleteManifest(world, first.manifest.digest);
  demandStatus(await world.client.ask(manifestPath(world.repository, 'prod'), { headers: ACCEPT }), 404);
  for (const when of [first.seq, '2026-11-24t13.30z', '2026-11-24T13.30Z', '90m']) {
    await demandImage(at(world, when), 'prod', first);
    t.deepEqual(await tagsOfPast(world, when), ['prod']);
  }
  for (const when of [second.seq, '2026-11-24t14.30z', '30m']) await demandImage(at(world, when), 'prod', second);
  demandStatus(await world.client.ask(manifestPath(at(world, 'now').repository, 'prod'), { headers: ACCEPT }), 404);
  demandStatus(await world.client.ask(manifestPath(at(world, 0).repository, 'prod'), { headers: ACCEPT }), 404);
});

async function tagsOfPast(world: World, when: string | number): Promise<readonly string[]> {
  const answer = await world.client.ask(`/v2/at/${when}/${world.repository}/tags/list`);
  demandStatus(answer, 200);
  const { tags } = JSON.parse(answer.body.toString()) as { tags: string[] };
  return tags;
}

test('a list of the past has the tags, pages and referrers of then', async (t) => {
  const world = await newWorld(t);
  const { manifest } = await push(world, 'a');
  await push(world, 'b');
  const { seq } = world.store.log.head;
  const note = partOf(Buffer.from('note'), MEDIA.note);
  if (note.blob !== undefined) await uploadByPut(world, note.blob);
  const about = manifestOf(note, [], { artifactType: MEDIA.note, subject: descriptorOf(manifest) });
  await putManifest(world, about.digest, about);
  await push(world, 'c');
  t.deepEqual(await tagsOf(world), ['a', 'b', 'c']);
  t.deepEqual(await tagsOfPast(world, seq), ['a', 'b']);
  const page = await world.client.ask(`/v2/at/${seq}/${world.repository}/tags/list?n=1`);
  const [, next = ''] = /^<([^>]*)>/.exec(page.value('link') ?? '') ?? [];
  t.deepEqual(JSON.parse((await world.client.ask(next)).body.toString()), { name: world.repository, tags: ['b'] });
  const referrersAt = async (prefix: string): Promise<number> => {
    const answer = await world.client.ask(`/v2/${prefix}${world.repository}/referrers/${manifest.digest}`);
    demandStatus(answer, 200);
    return (JSON.parse(answer.body.toString()) as { manifests: unknown[] }).manifests.length;
  };
  t.is(await referrersAt(''), 1);
  t.is(await referrersAt(`at/${seq}/`), 0);
});

test('the past cannot be changed', async (t) => {
  const world = await newWorld(t);
  const { manifest, layer, seq } = await push(world, 'prod');
  const { repository } = at(world, seq);
  const requests = [
    ['PUT', manifestPath(repository, 'prod')],
    ['DELETE', manifestPath(repository, 'prod')],
    ['DELETE', manifestPath(repository, manifest.digest)],
    ['DELETE', blobPath(repository, layer.descriptor.digest)],
    ['POST', `/v2/${repository}/blobs/uploads/`],
    ['PATCH', `/v2/${repository}/blobs/uploads/01234567-89ab-4def-8123-456789abcdef`],
  ] as const;
  for (const [method, path] of requests) {
    const answer = await world.client.ask(path, method === 'PUT' ? { method, body: manifest.bytes } : { method });
    demandStatus(answer, 405);
    demandError(answer, 'UNSUPPORTED');
  }
  t.is(world.store.log.head.seq, seq);
});

test('a malformed moment, or one that is not yet, has no repositories', async (t) => {
  const world = await newWorld(t);
  const { seq } = await push(world, 'prod');
  for (const when of [seq + 1, '2026-11-31', '2027-01-01', 'sometime', '..', '%2e%2e', '9'.repeat(16), '-1']) {
    const answer = await world.client.ask(manifestPath(at(world, when).repository, 'prod'), { headers: ACCEPT });
    t.true([400, 404].includes(answer.status), `${when}: ${answer.status} ${answer.body}`);
    demandError(answer, 'NAME_UNKNOWN', 'NAME_INVALID', 'MANIFEST_UNKNOWN');
  }
});

test('moments beyond MAX_KEPT_PAST_REGISTRIES are read again, and each has its own tags', async (t) => {
  const world = await newWorld(t);
  const pushes: Pushed[] = [];
  for (let count = 0; count < MAX_KEPT_PAST_REGISTRIES + 3; count += 1) pushes.push(await push(world, 'prod'));
  for (const order of [pushes, pushes.toReversed(), pushes]) {
    await Promise.all(order.map((pushed) => demandImage(at(world, pushed.seq), 'prod', pushed)));
  }
  t.pass();
});

test('a whole server of the past has what there was, ends there, and takes nothing', async (t) => {
  const world = await newWorld(t);
  const first = await push(world, 'prod');
  const second = await push(world, 'prod');
  const past = createServer(world.store, { at: first.seq });
  const get = async (path: string, method = 'GET'): Promise<Response> =>
    past.fetch(new Request(`http://localhost/v2/${path}`, { method }));
  const now = await get('shop/app/manifests/prod');
  t.is(now.headers.get('docker-content-digest'), first.manifest.descriptor.digest);
  t.is((await get(`shop/app/manifests/${second.manifest.descriptor.digest}`)).status, 404);
  t.is((await get(`at/${second.seq}/shop/app/manifests/prod`)).status, 404);
  t.is((await get(`at/${first.seq}/shop/app/manifests/prod`)).status, 200);
  t.deepEqual(await (await get('_catalog')).json(), { repositories: ['shop/app'] });
  for (const [method, path] of [
    ['DELETE', 'shop/app/manifests/prod'],
    ['POST', 'shop/app/blobs/uploads/'],
  ] as const) {
    t.is((await get(path, method)).status, 405, path);
  }
  t.is(world.store.registry.pulls('docker.io/shop/app:prod').length, 0);
  await past.close();
});
