import { mock } from 'node:test';
import test, { type ExecutionContext } from 'ava';
import { Mirror, type Sighting } from '../../../src/server/mirror/mirror.js';
import type { MovedTags } from '../../../src/server/mirror/rules.js';
import type { Digest } from '../../../src/model/digest.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { type FakeRegistry, fakeRegistry } from '../../support/fake-registry.js';
import { imageNamed, push as pushed, sha512Of } from '../../support/pushed-images.js';
import { addImage, addIndex, type FakeImage } from '../../support/registry-images.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';

/** A mirror of `up/app`, whose server can be restarted. */
interface World {
  readonly store: EventStore;
  readonly upstream: FakeRegistry;
  readonly told: string[];
  readonly look: (tagOrName?: string) => Promise<Sighting>;
  readonly restart: () => void;
  /** Digest of what a tag is here. */
  readonly here: (tag?: string) => Digest | undefined;
  /** Reasons of the events of a tag that came by the mirror. */
  readonly reasons: (tag?: string) => Promise<(string | undefined)[]>;
}

const APP = 'docker.io/up/app';

async function world(t: ExecutionContext, movedTags: MovedTags, mayMove: readonly string[] = []): Promise<World> {
  const upstream = await fakeRegistry(t);
  const store = await openTestStore(t);
  const told: string[] = [];
  const start = (): Mirror =>
    new Mirror([{ repositories: 'up/**', upstream: upstream.host, freshSeconds: 0, movedTags, mayMove }], {
      store,
      now: () => 0,
      onNotice: (notice) => told.push(notice),
      signal: new AbortController().signal,
    });
  let mirror = start();
  return {
    store,
    upstream,
    told,
    look: (tagOrName = '1') => mirror.look(APP, tagOrName, { actor: 'reader' }),
    restart: () => {
      mirror = start();
    },
    here: (tag = '1') => store.registry.manifest(APP, tag)?.descriptor.digest,
    reasons: async (tag = '1') => {
      const reasons: (string | undefined)[] = [];
      const filter = { reference: `${APP}:${tag}`, via: 'mirror' };
      for await (const { reason } of store.log.read({ filter })) reasons.push(reason);
      return reasons;
    },
  };
}

function move(upstream: FakeRegistry, tag: string, { manifest }: FakeImage): void {
  const bytes = upstream.manifests.get(`up/app/${manifest.digest}`);
  if (bytes !== undefined) upstream.manifests.set(`up/app/${tag}`, bytes);
}

/** Two images upstream: `1` is the first, `2` the second. */
async function twoImages({ upstream }: World): Promise<[one: FakeImage, two: FakeImage]> {
  return [await addImage(upstream, 'up/app:1', ['one']), await addImage(upstream, 'up/app:2', ['two'])];
}

const moved = (from: FakeImage, to: FakeImage): string =>
  `up/app:1 moved upstream from ${from.manifest.digest} to ${to.manifest.digest}`;

test('a refused move to what is here already is an event of the tag, once for each sighting', async (t) => {
  const its = await world(t, 'refuse');
  const [one, two] = await twoImages(its);
  for (const tag of ['1', '2']) await its.look(tag);
  t.deepEqual(await its.reasons(), [`up/app:1 is ${one.manifest.digest} upstream`]);
  move(its.upstream, '1', two);
  const warning = `${moved(one, two)}; refused, the tag stays`;
  t.deepEqual(await Promise.all([its.look(), its.look()]), [{ warning }, { warning }]);
  for (let each = 0; each < 3; each++) t.deepEqual(await its.look(), { warning });
  t.deepEqual(its.told, [warning]);
  t.deepEqual((await its.reasons()).slice(1), [`refused: ${moved(one, two)}`]);
  const event = (await eventsOf(its.store)).at(-1);
  const image = one.config.digest;
  t.like(event, {
    type: 'ReferenceSet',
    reference: `${APP}:1`,
    via: 'mirror',
    actor: 'reader',
    image,
    previous: image,
  });
  t.is(its.here(), one.manifest.digest);
  // Back, and there again: sightings that differ from the last.
  move(its.upstream, '1', one);
  for (let each = 0; each < 2; each++) t.deepEqual(await its.look(), {});
  move(its.upstream, '1', two);
  for (let each = 0; each < 2; each++) t.deepEqual(await its.look(), { warning });
  t.deepEqual((await its.reasons()).slice(2), [moved(two, one), `refused: ${moved(one, two)}`]);
  t.is((await its.store.referenceHistory('up/app:1')).length, 1, 'the tag never was anything else');
});

test('a refused move to what is not here is an event of the tag also if upstream has it no longer', async (t) => {
  const its = await world(t, 'refuse');
  const [one, two] = await twoImages(its);
  await its.look();
  move(its.upstream, '1', two);
  its.upstream.manifests.delete(`up/app/${two.manifest.digest}`);
  for (let each = 0; each < 3; each++) {
    t.regex((await its.look()).warning ?? '', /moved upstream .*; refused, the tag stays/);
  }
  while (its.told.length < 2) await new Promise((done) => setTimeout(done, 5));
  t.regex(its.told.join('\n'), /^up\/app:1 moved .*; refused, the tag stays\ncannot copy up\/app@\S+: .*$/);
  t.deepEqual((await its.reasons()).slice(1), [`refused: ${moved(one, two)}`]);
});

test('after a restart the log has the last sighting: it is no event again, and the next one moved from there', async (t) => {
  const its = await world(t, 'refuse');
  const [one, two] = await twoImages(its);
  const three = await addImage(its.upstream, 'up/app:3', ['three']);
  await its.look();
  its.restart();
  move(its.upstream, '1', two);
  const warning = `${moved(one, two)}; refused, the tag stays`;
  t.deepEqual(await its.look(), { warning });
  its.restart();
  t.deepEqual(await its.look(), { warning });
  t.deepEqual(its.told, [warning]);
  move(its.upstream, '1', three);
  t.is((await its.look()).warning, `${moved(two, three)}; refused, the tag stays`);
  its.restart();
  move(its.upstream, '1', one);
  t.deepEqual(await its.look(), {});
  its.restart();
  t.deepEqual(await its.look(), {});
  const events = [`refused: ${moved(one, two)}`, `refused: ${moved(two, three)}`, moved(three, one)];
  t.deepEqual((await its.reasons()).slice(1), events);
});

for (const rule of ['follow', 'flag'] as const) {
  test(`${rule}: a tag that moved while the server was down moved upstream`, async (t) => {
    const its = await world(t, rule);
    const [one, two] = await twoImages(its);
    await its.look();
    its.restart();
    move(its.upstream, '1', two);
    t.deepEqual(await its.look(), rule === 'flag' ? { warning: moved(one, two) } : {});
    t.is(its.here(), two.manifest.digest);
    t.deepEqual((await its.reasons()).slice(1), [moved(one, two)]);
    t.deepEqual(its.told, rule === 'flag' ? [moved(one, two)] : []);
  });
}

test('the event of a platform that comes later is no sighting of the tag', async (t) => {
  const its = await world(t, 'refuse');
  const amd64 = await addImage(its.upstream, 'up/app:a', ['amd64']);
  const index = addIndex(its.upstream, 'up/app:1', { amd64 });
  const two = await addImage(its.upstream, 'up/app:2', ['two']);
  await its.look();
  move(its.upstream, '1', two);
  await its.look();
  await its.look(amd64.manifest.digest);
  its.restart();
  await its.look();
  const refused = `refused: up/app:1 moved upstream from ${index} to ${two.manifest.digest}`;
  t.deepEqual(await its.reasons(), [`up/app:1 is ${index} upstream`, refused, undefined]);
});

test('a sighting of an index leads to no manifest of another repository that upstream does not give', async (t) => {
  const its = await world(t, 'refuse');
  const { manifest, config, layers } = await addImage(its.upstream, 'up/app:a', ['secret']);
  const index = addIndex(its.upstream, 'up/app:1', { amd64: { manifest, config, layers } });
  const two = await addImage(its.upstream, 'up/app:2', ['two']);
  await its.look();
  const name = `up/app/${manifest.digest}`;
  const secret = its.upstream.manifests.get(name) as { type: string; bytes: Buffer };
  const blobs = [config, ...layers].map(({ digest }) => its.upstream.blobs.get(digest) as Buffer);
  await pushed(its.store, 'docker.io/own/app', { ...manifest, bytes: secret.bytes, blobs });
  its.upstream.manifests.delete(name);
  move(its.upstream, '1', two);
  const refused = `refused: up/app:1 moved upstream from ${index} to ${two.manifest.digest}`;
  t.regex((await its.look()).warning ?? '', /refused, the tag stays/);
  t.deepEqual(await its.reasons(), [`up/app:1 is ${index} upstream`]);
  t.regex(its.told[0] ?? '', new RegExp(`^cannot record "${refused}": `));
  t.is(its.store.registry.manifest(APP, manifest.digest), undefined);
  // With what upstream gives, it is recorded.
  its.upstream.manifests.set(name, secret);
  await its.look();
  t.true((await its.reasons()).includes(refused));
  t.truthy(its.store.registry.manifest(APP, manifest.digest));
});

test('what was set here is no sighting, and that upstream has the same is one', async (t) => {
  const its = await world(t, 'refuse');
  const [one] = await twoImages(its);
  const own = await pushed(its.store, APP, await imageNamed('own'), { tags: ['1'] });
  const differs = `up/app:1 differs here: upstream has ${one.manifest.digest}, and this server ${own.digest}`;
  for (let each = 0; each < 2; each++) t.is((await its.look()).warning, `${differs}; refused, the tag stays`);
  t.deepEqual(await its.reasons(), [`refused: ${differs}`]);
  // The operator takes what upstream has.
  await its.look(one.manifest.digest);
  await its.store.tag({ source: `up/app@${one.manifest.digest}`, target: 'up/app:1' });
  its.restart();
  t.deepEqual(await its.look(), {});
  t.deepEqual(await its.reasons(), [`refused: ${differs}`]);
  t.is(its.told.length, 1);
});

test('a tag that may move anyway has its sightings too', async (t) => {
  const its = await world(t, 'refuse', ['1']);
  const [one, two] = await twoImages(its);
  await its.look();
  move(its.upstream, '1', two);
  t.deepEqual(await its.look(), {});
  t.deepEqual((await its.reasons()).slice(1), [moved(one, two)]);
  t.deepEqual(its.told, []);
});

test('a move that cannot be copied leaves what is known, and is an event, once until it can', async (t) => {
  const its = await world(t, 'follow');
  const [one, two] = await twoImages(its);
  await its.look();
  move(its.upstream, '1', two);
  const [layer] = two.layers;
  const bytes = its.upstream.blobs.get(layer?.digest ?? '');
  if (layer === undefined || bytes === undefined) return t.fail();
  its.upstream.blobs.set(layer.digest, Buffer.from('other bytes'));
  const warning = `cannot copy up/app@${two.manifest.digest}: this is the last that was seen`;
  for (let each = 0; each < 2; each++) {
    t.deepEqual(await its.look(), { warning });
    its.restart();
  }
  t.is(its.here(), one.manifest.digest);
  t.deepEqual((await its.reasons()).slice(1), [`not copied: ${moved(one, two)}`]);
  t.is(its.told.length, 1);
  t.true(its.told[0]?.startsWith(`not copied: ${moved(one, two)}: `));
  its.upstream.blobs.set(layer.digest, bytes);
  t.deepEqual(await its.look(), {});
  t.is(its.here(), two.manifest.digest);
  t.deepEqual((await its.reasons()).slice(2), [moved(one, two)]);
});

test('a manifest with other bytes than its digest is refused: 502, or what is known', async (t) => {
  const its = await world(t, 'follow');
  const [one, two] = await twoImages(its);
  const wrong = its.upstream.manifests.get(`up/app/${two.manifest.digest}`);
  const right = its.upstream.manifests.get(`up/app/${one.manifest.digest}`);
  if (wrong === undefined || right === undefined) return t.fail();
  its.upstream.manifests.set(`up/app/${one.manifest.digest}`, wrong);
  const message = new RegExp(`cannot copy up/app@${one.manifest.digest}: cannot take .* found ${two.manifest.digest}`);
  await t.throwsAsync(its.look(), { message });
  t.is(its.here(), undefined);
  its.upstream.manifests.set(`up/app/${one.manifest.digest}`, right);
  await its.look();
  move(its.upstream, '1', two);
  its.upstream.manifests.set(`up/app/${two.manifest.digest}`, right);
  t.regex((await its.look()).warning ?? '', /^cannot copy .*: this is the last that was seen$/);
  t.is(its.here(), one.manifest.digest);
});

test('a sighting that the store cannot record is a notice, and recorded by the next pull', async (t) => {
  const its = await world(t, 'refuse');
  const [one, two] = await twoImages(its);
  await its.look();
  move(its.upstream, '1', two);
  const confirming = mock.method(its.store.registry, 'confirm', () => Promise.reject(new Error('full')));
  const warning = `${moved(one, two)}; refused, the tag stays`;
  t.deepEqual(await its.look(), { warning });
  t.true(its.told.includes(`cannot record "refused: ${moved(one, two)}": the server failed`));
  t.is((await its.reasons()).length, 1);
  confirming.mock.restore();
  t.deepEqual(await its.look(), { warning });
  t.deepEqual((await its.reasons()).slice(1), [`refused: ${moved(one, two)}`]);
});

test('a tag that comes back as it was is no event, and as another it is one', async (t) => {
  const its = await world(t, 'refuse');
  const [one, two] = await twoImages(its);
  await its.look();
  for (const image of [one, two]) {
    its.upstream.manifests.delete('up/app/1');
    t.deepEqual(await its.look(), { warning: '1 is no longer upstream' });
    move(its.upstream, '1', image);
    await its.look();
  }
  t.deepEqual((await its.reasons()).slice(1), [`refused: ${moved(one, two)}`]);
});

test('a SHA-512 name is not looked up: upstream names manifests by SHA-256', async (t) => {
  const its = await world(t, 'follow');
  t.deepEqual(await its.look(sha512Of(new Uint8Array(3))), {});
  t.deepEqual(its.upstream.seen, []);
});
