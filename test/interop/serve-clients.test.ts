import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import test, { type ExecutionContext } from 'ava';
import { openStore } from '../../src/store/open/open-store.js';
import type { RegistryReads } from '../../src/store/registry-store.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { imageNamed, push } from '../support/pushed-images.js';
import { testOrSkip } from '../support/requires.js';
import { startContainerd, startDocker } from './daemon.js';
import {
  containerdClient,
  copyAll,
  dockerClient,
  type RegistryClient,
  skopeoClient,
  storageClients,
} from './registry-clients.js';
import { hostArchitecture } from './round-trip.js';
import { ServedStore } from './served-store.js';

const folder = await mkdtemp(join(tmpdir(), 'imagelog-serve-'));
const [docker, containerd] = await Promise.all([startDocker(), startContainerd()]);
const skopeo = skopeoClient(folder);
const clients: readonly RegistryClient[] = [
  dockerClient(docker, folder),
  ...(await storageClients(folder)),
  skopeo,
  containerdClient(containerd),
];
const served = await ServedStore.start(join(folder, 'store'));
const { host, store } = served;
const moments = { old: 0, oldTime: '' };

test.after.always('the store verifies, and serves the same when it is opened again', async (t) => {
  const before = allTags(store.registry);
  await served.stop();
  t.deepEqual(served.failures, []);
  t.deepEqual(await verifyStore(join(folder, 'store')), []);
  const again = await ServedStore.start(join(folder, 'store'));
  t.deepEqual(allTags(again.store.registry), before);
  for (const [name, digest] of before) {
    const [repository = '', tag = ''] = name.replace('docker.io/', '').split(':');
    const answer = await fetch(`http://${again.host}/v2/${repository}/manifests/${tag}`);
    t.is(answer.headers.get('docker-content-digest'), digest ?? null, name);
    await answer.arrayBuffer();
  }
  await again.stop();
  for (const daemon of [docker, containerd]) if (daemon.reason === undefined) await daemon.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The digest of each tag. */
function allTags(registry: RegistryReads): [name: string, digest: string | undefined][] {
  return registry
    .repositories()
    .flatMap((name) =>
      (registry.tags(name) ?? []).map((tag): [string, string | undefined] => [
        `${name}:${tag}`,
        registry.manifest(name, tag)?.name,
      ]),
    );
}

/** Tests share the clients: each runs alone. */
let last: Promise<unknown> = Promise.resolve();
function alone(work: (t: ExecutionContext, client: RegistryClient) => Promise<void>) {
  return async (t: ExecutionContext, client: RegistryClient): Promise<void> => {
    const next = last.then(() => work(t, client));
    last = next.catch(() => undefined);
    await next;
  };
}

/** Writes a docker archive of an image that no other client has. */
async function archiveOf(name: string, content: string): Promise<string> {
  const place = await mkdtemp(join(folder, 'made-'));
  await using made = await openStore(join(place, 'store'), { onNotice: () => undefined });
  const image = await imageNamed(content, { files: [`below ${content}`, content], architecture: hostArchitecture });
  await push(made, `${host}/${name.split(':')[0]}`, image, { tags: ['1'] });
  const path = join(place, 'image.tar');
  await pipeline(made.save(`${host}/${name}`, { format: 'docker' }), createWriteStream(path));
  return path;
}

/** Digest of a tag of the served store; empty without one. */
function digestIn(name: string): string {
  const [repository = '', tag = ''] = name.split(':');
  return store.registry.manifest(`docker.io/${repository}`, tag)?.name ?? '';
}

const pushes = new Map<string, Promise<void>>();

/** Pushes an image of its own by a client, once, and says what it is. */
async function pushedBy(client: RegistryClient): Promise<string> {
  const name = `shop/${client.name}:1`;
  const pushing = pushes.get(name) ?? archiveOf(name, client.name).then((path) => client.push(path, `${host}/${name}`));
  pushes.set(name, pushing);
  await pushing;
  return name;
}

const pushesOne = alone(async (t, client) => {
  const name = await pushedBy(client);
  const [entry] = store.referenceEntries().filter(({ reference }) => reference === `docker.io/${name}`);
  t.is(entry && store.get(entry.image as never).rootFS.diffIds.length, 2);
  const events = await served.lastPush(name);
  t.is(events.length, events[0]?.transaction.count ?? 0);
  t.deepEqual(
    events.map(({ type }) => type),
    ['LayerAdded', 'LayerAdded', 'ImageCreated', 'ManifestAdded', 'ReferenceSet', 'ReferenceSet'],
  );
  for (const event of events) {
    t.is(event.via, 'registry');
    t.is(event.address, '127.0.0.1');
    t.is(event.actor, 'anonymous');
    t.truthy(event.agent);
  }
  const { head } = store.log;
  await client.push(await archiveOf(name, client.name), `${host}/${name}`);
  t.deepEqual(store.log.head, head);
});

const movesTag = alone(async (t, client) => {
  const name = await pushedBy(client);
  const [before, { seq }] = [digestIn(name), store.log.head];
  const image = store.resolve(name);
  await client.push(await archiveOf(name, `${client.name} again`), `${host}/${name}`);
  const after = digestIn(name);
  t.not(after, before);
  const set = (await served.lastPush(name)).find((event) => event.type === 'ReferenceSet');
  t.is(set?.type === 'ReferenceSet' ? set.previous : undefined, image);
  // What it was, by each way to say so; then what it is.
  const [repository = ''] = name.split(':');
  t.is(await client.pull(`${host}/at/${seq}/${name}`), before);
  t.is(await client.pull(`${host}/${repository}@${before}`), before);
  t.is(await client.pull(`${host}/${name}`), after);
});

const pullsAll = alone(async (t, client) => {
  for (const other of clients.filter(({ reason }) => reason === undefined)) {
    const name = await pushedBy(other);
    t.is(await client.pull(`${host}/${name}`), digestIn(name), other.name);
  }
});

const OLD = 'past/app:prod';

/** Sets a tag, moves it some time later, and notes a seq and a time between. */
async function movePast(): Promise<void> {
  if (moments.old > 0) return;
  const images = await Promise.all(['old', 'new'].map((name) => imageNamed(name, { architecture: hostArchitecture })));
  const [old, recent] = images as [(typeof images)[0], (typeof images)[0]];
  await push(store, 'docker.io/past/app', old, { tags: ['prod'] });
  moments.old = store.log.head.seq;
  // A moment without a fraction means the end of its second.
  moments.oldTime = new Date().toISOString().slice(0, 19);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await push(store, 'docker.io/past/app', recent, { tags: ['prod'] });
}

const pullsPast = alone(async (t, client) => {
  await movePast();
  const old = (await store.registry.at(moments.old)).manifest('docker.io/past/app', 'prod')?.name ?? '';
  const part = `${moments.oldTime.toLowerCase().replaceAll(':', '.')}z`;
  t.not(digestIn(OLD), old);
  t.is(await client.pull(`${host}/at/${moments.old}/${OLD}`), old);
  t.is(await client.pull(`${host}/at/${part}/${OLD}`), old);
  t.is(await client.pull(`${host}/past/app@${old}`), old);
  t.is(await client.pull(`${host}/${OLD}`), digestIn(OLD));
});

/** An index of the fixtures, in the registry. */
async function sourceIndex(): Promise<string> {
  const source = 'shop/source:multi';
  if (digestIn(source) === '') {
    await copyAll(`oci-archive:${archivePath('oci-multi-platform.tar')}`, `docker://${host}/${source}`);
  }
  return source;
}

const pushesAll = alone(async (t, client) => {
  const source = await sourceIndex();
  // Docker names no manifest of another repository.
  const name = client.name === 'docker' ? 'shop/source:docker' : `multi/${client.name}:all`;
  await mkdir(join(folder, 'docker'), { recursive: true });
  await client.pushAll?.(`${host}/${source}`, `${host}/${name}`);
  const architectures = (tag: string): unknown =>
    store
      .referenceEntries()
      .find(({ reference }) => reference === `docker.io/${tag}`)
      ?.platforms?.map(({ os, architecture, image }) => ({ os, architecture, image }));
  t.deepEqual(architectures(name), architectures(source));
  t.is((architectures(name) as unknown[] | undefined)?.length, 2);
  // Others write their own index.
  if (client.name === 'skopeo' || client.name === 'containerd') t.is(digestIn(name), digestIn(source));
  for (const event of await served.lastPush(name)) t.is(event.via, 'registry');
  const { seq } = store.log.head;
  if (client.name === 'skopeo') await client.pushAll?.(`${host}/${source}`, `${host}/${name}`);
  t.is(store.log.head.seq, seq);
});

const pullsIndexes = alone(async (t, client) => {
  const source = await sourceIndex();
  const digest = await client.pull(`${host}/${source}`);
  const manifests = store.registry.manifest('docker.io/shop/source', digest);
  t.truthy(manifests, digest);
});

for (const client of clients) {
  const withClient = testOrSkip(client.reason);
  const withSkopeo = testOrSkip(client.reason ?? skopeo.reason);
  const { name } = client;
  withClient(`${name} pushes an image as one transaction, and again without an event`, pushesOne, client);
  withClient(`${name} pulls what every client pushed`, pullsAll, client);
  withClient(`${name} moves a tag, and pulls what it was`, movesTag, client);
  withClient(`${name} pulls the past by its seq, by its moment, and by a digest`, pullsPast, client);
  withSkopeo(`${name} pushes an image of several platforms`, pushesAll, client);
  withSkopeo(`${name} pulls from an image of several platforms`, pullsIndexes, client);
}
