import test, { type ExecutionContext } from 'ava';
import { MAX_KEPT_PAST_REGISTRIES } from '../../src/limits.js';
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

test('a server of the past has what was there then, and nothing later', async (t) => {
  const world = await newWorld(t);
  const first = await push(world, 'prod');
  const second = await push(world, 'prod');
  await push({ ...world, repository: 'shop/later' }, '1');
  const head = world.store.log.head.seq;
  const served = await serveStore(world.store, { at: second.seq });
  t.teardown(() => served.stop());
  const client = new RegistryClient(served.base);
  t.teardown(() => client[Symbol.dispose]());
  const past = { ...world, client };
  await demandImage(past, 'prod', second);
  await demandImage(at(past, first.seq), 'prod', first);
  const catalog = await client.ask('/v2/_catalog');
  t.deepEqual(JSON.parse(String(catalog.body)), { repositories: ['shop/app'] });
  t.like(await (await fetch(served.base)).json(), { head: second.seq });
  demandStatus(await client.ask('/v2/shop/later/tags/list'), 404);
  const later = await client.ask(manifestPath(at(past, head).repository, 'prod'), { headers: ACCEPT });
  demandStatus(later, 404);
  demandError(later, 'NAME_UNKNOWN');
  for (const [method, path] of [
    ['POST', '/v2/shop/app/blobs/uploads/'],
    ['DELETE', manifestPath('shop/app', 'prod')],
  ] as const) {
    const answer = await client.ask(path, { method });
    demandStatus(answer, 405);
    demandError(answer, 'UNSUPPORTED');
  }
  t.is(world.store.log.head.seq, head);
});
