import { mock } from 'node:test';
import test, { type ExecutionContext } from 'ava';
import { Mirror, type Sighting } from '../../../src/server/mirror/mirror.js';
import type { MirrorRule } from '../../../src/server/mirror/rules.js';
import { type FakeRegistry, fail, fakeRegistry } from '../../support/fake-registry.js';
import { addImage, addIndex, type FakeImage } from '../../support/registry-images.js';
import { imageNamed, push as pushed } from '../../support/pushed-images.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { serving, type TestServing } from '../service/serving.js';

interface Mirrored extends TestServing {
  readonly upstream: FakeRegistry;
  readonly told: readonly string[];
  readonly get: (path: string) => Promise<Response>;
}

async function mirrored(t: ExecutionContext, rule: Partial<MirrorRule> = {}): Promise<Mirrored> {
  const upstream = await fakeRegistry(t);
  const told: string[] = [];
  const mirrors = [{ repositories: 'up/**', upstream: upstream.host, freshSeconds: 0, ...rule }];
  const served = await serving(t, { server: { mirrors, onNotice: (notice) => told.push(notice) } });
  return { ...served, upstream, told, get: (path) => fetch(`${served.url}/v2/${path}`) };
}

/** What a client does: the manifest, then all that it names. */
async function pull({ get }: Mirrored, name: string, reference: string): Promise<string> {
  const answer = await get(`${name}/manifests/${reference}`);
  if (!answer.ok) throw new Error(await answer.text());
  const { config, layers } = (await answer.json()) as { config: { digest: string }; layers: { digest: string }[] };
  for (const { digest } of [config, ...layers]) {
    const blob = await get(`${name}/blobs/${digest}`);
    if (!blob.ok) throw new Error(await blob.text());
    await blob.arrayBuffer();
  }
  return answer.headers.get('docker-content-digest') ?? '';
}

test('a tag is copied when it is first asked for, and each sighting of another is an event', async (t) => {
  const mirror = await mirrored(t);
  const first = await addImage(mirror.upstream, 'up/app:1', ['one']);
  t.is(await pull(mirror, 'up/app', '1'), first.manifest.digest);
  t.is(await pull(mirror, 'up/app', '1'), first.manifest.digest);
  const { length } = await eventsOf(mirror.store);
  const second = await addImage(mirror.upstream, 'up/app:1', ['two']);
  t.is(await pull(mirror, 'up/app', '1'), second.manifest.digest);
  const events = (await eventsOf(mirror.store)).slice(length);
  const moved = events.find((event) => event.type === 'ReferenceSet' && event.reference.endsWith(':1'));
  t.like(moved, { via: 'mirror', previous: first.config.digest, image: second.config.digest });
  t.regex(moved?.reason ?? '', /up\/app:1 moved upstream from sha256:.* to sha256:/);
  // What was seen stays, by its digest and at its time.
  t.is(await pull(mirror, 'up/app', first.manifest.digest), first.manifest.digest);
  t.is(await pull(mirror, `at/${length}/up/app`, '1'), first.manifest.digest);
  t.deepEqual(await mirror.store.verify(), []);
});

test('blobs are copied once, and an upstream that is gone is reported and does no harm', async (t) => {
  const mirror = await mirrored(t);
  const image = await addImage(mirror.upstream, 'up/app:1', ['one', 'two']);
  await pull(mirror, 'up/app', '1');
  const asked = mirror.upstream.requests('GET').filter((request) => request.includes('/blobs/'));
  t.is(asked.length, 3);
  mirror.upstream.intercept = (_, response) => {
    fail(response, 404, 'NAME_UNKNOWN');
    return true;
  };
  const gone = await mirror.get('up/app/manifests/1');
  t.is(gone.headers.get('docker-content-digest'), image.manifest.digest);
  t.regex(gone.headers.get('warning') ?? '', /no longer upstream/);
  t.is((await mirror.get('up/app/manifests/2')).status, 404);
  t.is((await mirror.get('other/app/manifests/1')).status, 404);
});

test('a refused tag stays, its other image is kept by digest, and the log has the reason', async (t) => {
  const mirror = await mirrored(t, { movedTags: 'refuse', mayMove: ['latest'] });
  const first = await addImage(mirror.upstream, 'up/app:1', ['one']);
  await addImage(mirror.upstream, 'up/app:latest', ['one']);
  await pull(mirror, 'up/app', '1');
  await pull(mirror, 'up/app', 'latest');
  const second = await addImage(mirror.upstream, 'up/app:1', ['malware']);
  await addImage(mirror.upstream, 'up/app:latest', ['malware']);
  const answer = await mirror.get('up/app/manifests/1');
  t.is(answer.headers.get('docker-content-digest'), first.manifest.digest);
  t.regex(answer.headers.get('warning') ?? '', /moved upstream .*; refused, the tag stays/);
  t.regex(mirror.told.join(), /up\/app:1 moved upstream/);
  t.is(await pull(mirror, 'up/app', second.manifest.digest), second.manifest.digest);
  t.is(await pull(mirror, 'up/app', 'latest'), second.manifest.digest);
  const refused = (await eventsOf(mirror.store)).filter(({ reason }) => reason?.startsWith('refused: '));
  t.true(refused.some((event) => event.type === 'ReferenceSet' && event.reference.endsWith(second.manifest.digest)));
});

test('a flagged tag moves and is told of', async (t) => {
  const mirror = await mirrored(t, { movedTags: 'flag' });
  await addImage(mirror.upstream, 'up/app:1', ['one']);
  await pull(mirror, 'up/app', '1');
  const second = await addImage(mirror.upstream, 'up/app:1', ['two']);
  const answer = await mirror.get('up/app/manifests/1');
  t.is(answer.headers.get('docker-content-digest'), second.manifest.digest);
  t.regex(answer.headers.get('warning') ?? '', /moved upstream/);
  t.is(mirror.told.length, 1);
});

test('every reader is warned while a sighting is fresh, and the operator is told once', async (t) => {
  const rule = { repositories: 'up/**', movedTags: 'refuse' } as const;
  const upstream = await fakeRegistry(t);
  const [told, store] = [[] as string[], await openTestStore(t)];
  let time = 0;
  const onNotice = (notice: string): unknown => told.push(notice);
  const { signal } = new AbortController();
  const parts = { store, now: () => time, onNotice, signal };
  const mirror = new Mirror([{ ...rule, upstream: upstream.host }], parts);
  const look = (): Promise<Sighting> => mirror.look('docker.io/up/app', '1', {});
  const first = await addImage(upstream, 'up/app:1', ['one']);
  t.deepEqual(await look(), {});
  const second = await addImage(upstream, 'up/app:1', ['two']);
  t.is((await look()).warning, undefined, 'it is fresh');
  time += 60_000;
  const moved = `up/app:1 moved upstream from ${first.manifest.digest} to ${second.manifest.digest}`;
  const warning = `${moved}; refused, the tag stays`;
  const asked = upstream.requests('HEAD').length;
  t.deepEqual([await look(), await look()], [{ warning }, { warning }]);
  t.is(upstream.requests('HEAD').length, asked + 1);
  time += 60_000;
  t.deepEqual(await look(), { warning });
  t.deepEqual(told, [warning]);
  // Going back to what is here already is told of too.
  await addImage(upstream, 'up/app:1', ['one']);
  time += 60_000;
  t.is((await look()).warning, undefined);
  await addImage(upstream, 'up/app:1', ['two']);
  time += 60_000;
  t.deepEqual(await look(), { warning });
  t.is(told.length, 2);
  upstream.manifests.delete('up/app/1');
  time += 60_000;
  const gone = { warning: '1 is no longer upstream' };
  t.deepEqual([await look(), await look()], [gone, gone]);
});

test('a tag that was set here differs from upstream, and did not move there', async (t) => {
  const mirror = await mirrored(t, { movedTags: 'flag' });
  const first = await addImage(mirror.upstream, 'up/app:1', ['one']);
  await pull(mirror, 'up/app', '1');
  const here = await pushed(mirror.store, 'docker.io/up/app', await imageNamed('here'), { tags: ['1'] });
  const answer = await mirror.get('up/app/manifests/1');
  const text = `up/app:1 differs here: upstream has ${first.manifest.digest}, and this server ${here.digest}`;
  t.is(answer.headers.get('docker-content-digest'), first.manifest.digest);
  t.is(answer.headers.get('warning'), `199 - "${text}"`);
  t.deepEqual(mirror.told, [text]);
  const last = (await eventsOf(mirror.store)).at(-1);
  t.like(last, { via: 'mirror', reason: text });
});

test.serial('a mirror is asked only for a blob that is not here', async (t) => {
  const mirror = await mirrored(t);
  const image = await addImage(mirror.upstream, 'up/app:1', ['one']);
  await pull(mirror, 'up/app', '1');
  const asked = mock.method(Mirror.prototype, 'blob');
  t.teardown(() => asked.mock.restore());
  t.is((await mirror.get(`up/app/blobs/${image.config.digest}`)).status, 200);
  t.is(asked.mock.callCount(), 0);
  t.is((await mirror.get(`up/app/blobs/sha256:${'0'.repeat(64)}`)).status, 404);
  t.is(asked.mock.callCount(), 1);
});

test('what is mirrored takes no push and no delete', async (t) => {
  const mirror = await mirrored(t);
  await addImage(mirror.upstream, 'up/app:1', ['one']);
  await pull(mirror, 'up/app', '1');
  const { length } = await eventsOf(mirror.store);
  const manifest = await (await mirror.get('up/app/manifests/1')).text();
  const requests = [
    ['PUT', 'manifests/1', manifest],
    ['DELETE', 'manifests/1', undefined],
    ['POST', 'blobs/uploads/', undefined],
    ['DELETE', `blobs/sha256:${'0'.repeat(64)}`, undefined],
  ] as const;
  for (const [method, path, body] of requests) {
    const answer = await fetch(`${mirror.url}/v2/up/app/${path}`, { method, ...(body === undefined ? {} : { body }) });
    t.is(answer.status, 405);
    const message = `up/app comes from ${mirror.upstream.host}/up/app: this server only mirrors it`;
    t.deepEqual(await answer.json(), { errors: [{ code: 'UNSUPPORTED', message }] });
  }
  t.is((await eventsOf(mirror.store)).length, length);
  t.is((await fetch(`${mirror.url}/v2/own/app/blobs/uploads/`, { method: 'POST' })).status, 202);
});

test('an index is copied at once, and its platforms as they are asked for', async (t) => {
  const mirror = await mirrored(t);
  const amd64 = await addImage(mirror.upstream, 'up/app:a', ['base', 'amd64']);
  const arm64 = await addImage(mirror.upstream, 'up/app:b', ['base', 'arm64'], 'arm64');
  const index = addIndex(mirror.upstream, 'up/app:1', { amd64, arm64 });
  const answer = await mirror.get('up/app/manifests/1');
  t.is(answer.headers.get('docker-content-digest'), index);
  t.is(mirror.store.len(), 0);
  await pull(mirror, 'up/app', arm64.manifest.digest);
  t.is(mirror.store.resolve('up/app:1', { platform: 'linux/arm64' }), arm64.config.digest as never);
  await pull(mirror, 'up/app', amd64.manifest.digest);
  const entry = mirror.store.referenceEntries().find(({ reference }) => reference === 'docker.io/up/app:1');
  t.is(entry?.platforms?.length, 2);
  t.deepEqual(await mirror.store.verify(), []);
});

test('readers at once make one copy', async (t) => {
  const mirror = await mirrored(t);
  await addImage(mirror.upstream, 'up/app:1', ['one', 'two']);
  await Promise.all(Array.from({ length: 10 }, () => pull(mirror, 'up/app', '1')));
  const transactions = new Set((await eventsOf(mirror.store)).map(({ transaction }) => transaction.first));
  t.is(transactions.size, 1);
});

test('two tags of one manifest, asked for at once, are both here', async (t) => {
  const mirror = await mirrored(t);
  const image = await addImage(mirror.upstream, 'up/app:1', ['one']);
  await addImage(mirror.upstream, 'up/app:latest', ['one']);
  const found = await Promise.all(['1', 'latest', image.manifest.digest].map((each) => pull(mirror, 'up/app', each)));
  t.deepEqual(new Set(found), new Set([image.manifest.digest]));
  t.deepEqual(mirror.store.registry.tags('docker.io/up/app'), ['1', 'latest']);
});

test('watched references are looked up by themselves', async (t) => {
  const upstream = await fakeRegistry(t);
  const image = await addImage(upstream, 'up/app:1', ['one']);
  const rule = { repositories: 'up/**', upstream: upstream.host, watch: ['up/app:1'], watchSeconds: 0.05 };
  const { store } = await serving(t, { server: { mirrors: [rule], onNotice: () => undefined } });
  for await (const event of store.log.follow({ from: 1, filter: { reference: 'up/app:1' } })) {
    t.like(event, { via: 'mirror', image: image.config.digest });
    break;
  }
});

test('a rule that cannot be used is refused', async (t) => {
  const refused = (rule: object, message: RegExp): Promise<unknown> =>
    t.throwsAsync(serving(t, { server: { mirrors: [rule as MirrorRule] } }), { message });
  await refused({ repositories: 'up/**', movedTags: 'perhaps' }, /movedTags must be follow, flag or refuse/);
  await refused({ repositories: 'a/**/b' }, /two stars stand only as the last part/);
  await refused({ repositories: 'up/*', freshSeconds: -1 }, /freshSeconds must be a number of seconds/);
  await refused({ repositories: 'up/*', freshSeconds: 86_401 }, /freshSeconds must be .* from 0 to 86400: 86401/);
  await refused({ repositories: 'up/*', freshSeconds: NaN }, /freshSeconds must be .*: NaN/);
  await refused({ repositories: 'up/*', watchSeconds: 0 }, /watchSeconds must be .* from 0.01 to 86400: 0/);
  await refused({ repositories: 'up/*', watchSeconds: '5' }, /watchSeconds must be a number of seconds/);
  await refused({ repositories: 'up/*', upstrem: 'x' }, /upstrem/);
  await refused({ repositories: 'up/*', watch: ['up/App:1'] }, /watch must name tags: .*must be lower case/);
  await refused({ repositories: 'up/*', watch: [1] }, /watch/);
  await refused({ repositories: 'up/*', watch: [`up/app@sha256:${'0'.repeat(64)}`] }, /a digest never moves: up\/app@/);
  await refused({ repositories: 'up/*', watch: ['other/app:1'] }, /of the repositories of its rule: other\/app:1/);
});

/** The only repository of a store that is not mirrored has this image. */
async function pushSecret({ url, upstream }: Mirrored, image: FakeImage): Promise<void> {
  for (const { digest } of [image.config, ...image.layers]) {
    const path = `${url}/v2/secret/app/blobs/uploads/?digest=${digest}`;
    const { status } = await fetch(path, { method: 'POST', body: new Uint8Array(upstream.blobs.get(digest) ?? []) });
    if (status !== 201) throw new Error(`cannot push ${digest}: ${status}`);
  }
  const { bytes, type } = upstream.manifests.get(`up/app/${image.manifest.digest}`) ?? { bytes: [], type: '' };
  const path = `${url}/v2/secret/app/manifests/${image.manifest.digest}`;
  const headers = { 'content-type': type };
  const { status } = await fetch(path, { method: 'PUT', headers, body: new Uint8Array(bytes) });
  if (status !== 201) throw new Error(`cannot push the manifest: ${status}`);
}

test('a manifest of the upstream that names a blob of another repository does not give it away', async (t) => {
  const mirror = await mirrored(t);
  const image = await addImage(mirror.upstream, 'up/app:1', ['secret']);
  await pushSecret(mirror, image);
  const [layer] = image.layers;
  mirror.upstream.blobs.delete(layer?.digest ?? '');
  const answer = await mirror.get('up/app/manifests/1');
  t.is(answer.status, 502);
  t.regex(await answer.text(), /"code":"UPSTREAM_FAILED"/);
  t.is((await mirror.get(`up/app/blobs/${layer?.digest}`)).status, 404);
  t.is((await mirror.get(`secret/app/blobs/${layer?.digest}`)).status, 200);
  t.is(mirror.store.registry.tags('docker.io/up/app'), undefined);
});

test('an index is copied although another repository has what it names', async (t) => {
  const mirror = await mirrored(t);
  const amd64 = await addImage(mirror.upstream, 'up/app:a', ['shared']);
  await pushSecret(mirror, amd64);
  const index = addIndex(mirror.upstream, 'up/app:1', { amd64 });
  const answer = await mirror.get('up/app/manifests/1');
  t.is(answer.status, 200);
  t.is(answer.headers.get('docker-content-digest'), index);
  t.is(await pull(mirror, 'up/app', amd64.manifest.digest), amd64.manifest.digest);
  t.deepEqual(await mirror.store.verify(), []);
});

test('a blob that repositories of one registry share is fetched once', async (t) => {
  const mirror = await mirrored(t);
  const image = await addImage(mirror.upstream, 'up/app:1', ['base']);
  await addImage(mirror.upstream, 'up/other:1', ['base']);
  await pull(mirror, 'up/app', '1');
  await pull(mirror, 'up/other', '1');
  const [layer] = image.layers;
  const asked = mirror.upstream.requests('GET').filter((request) => request.endsWith(layer?.digest ?? ''));
  t.is(asked.length, 1);
});

test('what is known is served after MIRROR_LOOK_MS while the upstream hangs', async (t) => {
  const mirror = await mirrored(t);
  const image = await addImage(mirror.upstream, 'up/app:1', ['one']);
  await pull(mirror, 'up/app', '1');
  mirror.upstream.intercept = () => true;
  const answer = await mirror.get('up/app/manifests/1');
  t.is(answer.headers.get('docker-content-digest'), image.manifest.digest);
  t.regex(answer.headers.get('warning') ?? '', /cannot be reached upstream: this is the last that was seen/);
});
