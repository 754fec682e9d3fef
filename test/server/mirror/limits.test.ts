import { mock } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import {
  MAX_MIRROR_CLIENTS,
  MAX_SIGHTED_TAGS,
  MIRROR_LOOK_MS,
  MIRROR_RETRY_MS,
  MIRROR_WAIT_MS,
} from '../../../src/limits.js';
import { Mirror } from '../../../src/server/mirror/mirror.js';
import { compileRule } from '../../../src/server/mirror/rules.js';
import { Sightings } from '../../../src/server/mirror/sightings.js';
import { type ClientUse, Upstreams } from '../../../src/server/mirror/upstreams.js';
import { type FakeRegistry, fakeRegistry } from '../../support/fake-registry.js';
import { addImage } from '../../support/registry-images.js';
import { openTestStore } from '../../support/test-store.js';
import { serving } from '../service/serving.js';

/** Makes blobs of `upstream` wait until each is released. */
function holdBlobs(upstream: FakeRegistry): (() => void)[] {
  const held: (() => void)[] = [];
  upstream.intercept = async ({ url = '' }) => {
    if (url.includes('/blobs/')) await new Promise<void>((resolve) => held.push(resolve));
    return false;
  };
  return held;
}

test.serial('a reader waits MIRROR_WAIT_MS for the blobs, then gets the manifest before them', async (t) => {
  const upstream = await fakeRegistry(t);
  const image = await addImage(upstream, 'up/app:1', ['one']);
  const held = holdBlobs(upstream);
  const mirrors = [{ repositories: 'up/**', upstream: upstream.host }];
  const { store, url } = await serving(t, { server: { mirrors, onNotice: () => undefined } });
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  let isAnswered = false;
  const answer = fetch(`${url}/v2/up/app/manifests/1`).then((response) => {
    isAnswered = true;
    return response;
  });
  while (held.length === 0) await turn();
  mock.timers.tick(MIRROR_WAIT_MS - 1);
  for (let each = 0; each < 100; each++) await turn();
  t.false(isAnswered);
  mock.timers.tick(1);
  const { status, headers } = await answer;
  mock.timers.reset();
  t.is(status, 200);
  t.is(headers.get('docker-content-digest'), image.manifest.digest);
  t.is(store.len(), 0, 'it is still being copied');
  upstream.intercept = () => false;
  for (const release of held) release();
  for await (const event of store.log.follow({ from: 1, filter: { reference: 'up/app:1' } })) {
    t.like(event, { via: 'mirror', image: image.config.digest });
    break;
  }
});

test.serial('a copy that fails after its reader left is a notice for the operator', async (t) => {
  const upstream = await fakeRegistry(t);
  const image = await addImage(upstream, 'up/app:1', ['one']);
  const held = holdBlobs(upstream);
  const mirrors = [{ repositories: 'up/**', upstream: upstream.host }];
  let tell: (notice: string) => void = () => undefined;
  const told = new Promise<string>((resolve) => (tell = resolve));
  const { store, url } = await serving(t, { server: { mirrors, onNotice: (notice) => tell(notice) } });
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const answer = fetch(`${url}/v2/up/app/manifests/1`);
  while (held.length === 0) await turn();
  mock.timers.tick(MIRROR_WAIT_MS);
  t.is((await answer).status, 200);
  mock.timers.reset();
  upstream.blobs.clear();
  upstream.intercept = () => false;
  for (const release of held) release();
  t.regex(await told, new RegExp(`up/app:1 is ${image.manifest.digest} upstream: `));
  t.is(store.registry.tags('docker.io/up/app'), undefined);
});

test.serial('a reader of what is known waits MIRROR_LOOK_MS for an upstream that hangs', async (t) => {
  const upstream = await fakeRegistry(t);
  const image = await addImage(upstream, 'up/app:1', ['one']);
  const mirrors = [{ repositories: 'up/**', upstream: upstream.host, freshSeconds: 0 }];
  const { url } = await serving(t, { server: { mirrors, onNotice: () => undefined } });
  const get = (): Promise<Response> => fetch(`${url}/v2/up/app/manifests/1`);
  t.is((await get()).status, 200);
  let isAsked = false;
  upstream.intercept = () => (isAsked = true);
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  let isAnswered = false;
  const answer = get().finally(() => (isAnswered = true));
  while (!isAsked) await turn();
  mock.timers.tick(MIRROR_LOOK_MS - 1);
  for (let each = 0; each < 100; each++) await turn();
  t.false(isAnswered);
  mock.timers.tick(1);
  const { headers } = await answer;
  t.is(headers.get('docker-content-digest'), image.manifest.digest);
  t.regex(headers.get('warning') ?? '', /cannot be reached upstream: this is the last that was seen/);
});

test.serial('a tag is not waited for again until MIRROR_RETRY_MS after its upstream hung, or answers', async (t) => {
  const upstream = await fakeRegistry(t);
  await addImage(upstream, 'up/app:1', ['one']);
  const store = await openTestStore(t);
  const closing = new AbortController();
  t.teardown(() => closing.abort());
  let time = 0;
  const rule = { repositories: 'up/**', upstream: upstream.host, freshSeconds: 0 };
  const parts = { store, now: () => time, onNotice: () => undefined, signal: closing.signal };
  const mirror = new Mirror([rule], parts);
  const repository = 'docker.io/up/app';
  await mirror.look(repository, '1', {});
  const held: (() => void)[] = [];
  upstream.intercept = async () => {
    await new Promise<void>((resolve) => held.push(resolve));
    return false;
  };
  const hang = async (): Promise<void> => {
    const asked = held.length;
    mock.timers.enable({ apis: ['setTimeout'] });
    const looking = mirror.look(repository, '1', {});
    while (held.length === asked) await turn();
    mock.timers.tick(MIRROR_LOOK_MS);
    mock.timers.reset();
    t.regex((await looking).warning ?? '', /cannot be reached upstream/);
  };
  await hang();
  time += MIRROR_RETRY_MS - 1;
  t.regex((await mirror.look(repository, '1', {})).warning ?? '', /cannot be reached upstream/);
  t.is(held.length, 1, 'it was not asked');
  time += 1;
  await hang();
  upstream.intercept = () => false;
  for (const release of held) release();
  while ((await mirror.look(repository, '1', {})).warning !== undefined) await turn();
  t.is(held.length, 2, 'the late answer ends the wait');
});

test.serial('a mirror keeps the connections of MAX_MIRROR_CLIENTS repositories', async (t) => {
  const upstream = await fakeRegistry(t);
  const mirrors = [{ repositories: 'up/**', upstream: upstream.host }];
  const { url } = await serving(t, { server: { mirrors, onNotice: () => undefined } });
  for (let each = 0; each <= MAX_MIRROR_CLIENTS; each++) {
    t.is((await fetch(`${url}/v2/up/app${each}/manifests/1`)).status, 404);
  }
  while ((await upstream.connections()) > MAX_MIRROR_CLIENTS) await turn();
  t.is(await upstream.connections(), MAX_MIRROR_CLIENTS);
});

test('the client that was used longest ago goes first, and not before its copies end', (t) => {
  const upstreams = new Upstreams([compileRule({ repositories: '127.0.0.1:1/**' })], {});
  const use = (name: string): ClientUse => upstreams.use(`127.0.0.1:1/${name}`);
  const isClosed = ({ client }: ClientUse): boolean => client.session.signal.aborted;
  const [busy, copying, idle] = [use('busy'), use('copying'), use('idle')];
  for (const { release } of [busy, idle]) release();
  for (let each = 3; each < MAX_MIRROR_CLIENTS; each++) use(`app${each}`).release();
  t.is(use('busy').client, busy.client, 'it is used again');
  use('one-more').release();
  use('and-one').release();
  t.deepEqual([busy, copying, idle].map(isClosed), [false, false, true]);
  t.not(use('copying').client, copying.client);
  copying.release();
  t.true(isClosed(copying));
  t.false(isClosed(busy));
});

test('of more than MAX_SIGHTED_TAGS the tag that was seen longest ago is looked up again', async (t) => {
  let time = 0;
  const sightings = new Sightings(await openTestStore(t), () => time);
  const seen = { upstream: undefined };
  for (let each = 0; each < MAX_SIGHTED_TAGS; each++) sightings.note(`up/app:t${each}`, seen);
  time = 5;
  t.truthy(sightings.fresh('up/app:t0', 6));
  t.is(sightings.fresh('up/app:t0', 5), undefined);
  t.is(await sightings.last('up/app:other'), undefined);
  sightings.note('up/app:t0', seen);
  sightings.note('up/app:one-more', seen, { stale: true });
  t.truthy(sightings.fresh('up/app:t0', 1));
  t.is(await sightings.last('up/app:t1'), undefined);
  t.truthy(await sightings.last('up/app:t2'));
  t.is(sightings.fresh('up/app:one-more', 86_400_000), undefined);
});
