import test, { type ExecutionContext } from 'ava';
import type { ImageId } from '../../../src/model/digest.js';
import { hostArchitecture } from '../../../src/model/platform.js';
import { removeNamed } from '../../../src/server/docker/removal.js';
import { archiveBytes } from '../../store/fixture-archives.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { Engine, filters } from './engine.js';

const TINY = 'sha256:bd10de19d2be72bbea961669454ea85768c9c87bbb3203ae6d8c7aac24edccf8';
const TINY_LIB = 'sha256:612786da9e60aba00ec01e053c2f64654de99ad80d525ba38ee5c72022b4969c';

interface Summary {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly SharedSize: number;
  readonly Size: number;
  readonly Containers: number;
  readonly Created: number;
  readonly VirtualSize?: number;
}

interface ListedManifests {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly Manifests?: readonly { readonly Size: { readonly Content: number; readonly Total: number } }[];
}

async function world(t: ExecutionContext): Promise<Engine> {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('docker20-all.tar'));
  return engine;
}

function names(images: readonly Summary[]): (readonly string[] | null)[] {
  return images.map(({ RepoTags }) => RepoTags);
}

async function message(engine: Engine, method: string, path: string): Promise<[number, string]> {
  const { status, headers, text } = await engine.send(method, path);
  if (headers['content-type'] !== 'application/json') throw new Error(`${path} answered ${text}`);
  return [status, (JSON.parse(text) as { message: string }).message];
}

test('a list is newest first, and its shape that of the version asked for', async (t) => {
  const engine = await world(t);
  const newest = await engine.get<Summary[]>('/images/json');
  const tags = names(newest);
  t.deepEqual(tags.at(0), ['twice:1']);
  t.deepEqual(tags.at(-1), ['tiny:1']);
  const times = newest.map(({ Created }) => Created);
  t.deepEqual(
    times,
    [...times].sort((a, b) => b - a),
  );
  t.deepEqual([newest[0]?.Containers, newest[0]?.VirtualSize], [0, undefined]);
  const [old] = await engine.get<Summary[]>('/v1.43/images/json');
  t.deepEqual([old?.Containers, old?.VirtualSize, old?.SharedSize], [-1, old?.Size, -1]);
  const [shared] = await engine.get<Summary[]>('/v1.44/images/json?shared-size=1');
  t.true((shared?.SharedSize ?? -1) > 0);
});

test('an image without a name has <none> before 1.43, and empty lists since', async (t) => {
  const engine = await world(t);
  await engine.store.create(imageConfig('bare'));
  const bare = (images: readonly Summary[]): Summary | undefined => images.find(({ Id }) => Id === idNamed('bare'));
  const old = bare(await engine.get<Summary[]>('/v1.42/images/json'));
  t.deepEqual([old?.RepoTags, old?.RepoDigests], [['<none>:<none>'], ['<none>@<none>']]);
  t.is(old?.Created, -62_135_596_800);
  const since = bare(await engine.get<Summary[]>('/v1.43/images/json'));
  t.deepEqual([since?.RepoTags, since?.RepoDigests], [[], []]);
});

const FILTERS: readonly (readonly [wanted: Readonly<Record<string, readonly string[]>>, found: readonly string[]])[] = [
  [{ reference: ['tiny*'] }, ['tiny-lib:1', 'tiny:1']],
  [{ reference: ['shop/app'] }, ['shop/app:2.0', 'shop/app:1.0']],
  [{ reference: ['shop/app:1.0', 'tiny:1'] }, ['shop/app:1.0', 'tiny:1']],
  [{ label: ['org.opencontainers.image.version=2.0'] }, ['shop/app:2.0']],
  [{ label: ['org.opencontainers.image.version', 'org.opencontainers.image.source'] }, ['shop/app:1.0']],
  [{ 'label!': ['org.opencontainers.image.version'] }, ['twice:1', 'tiny-lib:1', 'tiny:1']],
  [{ before: ['tiny-lib:1'] }, ['tiny:1']],
  [{ since: ['shop/app:1.0'] }, ['twice:1', 'shop/app:2.0']],
  [{ until: ['2024-01-11'] }, ['tiny:1']],
  [{ until: ['1704965401.5'] }, ['tiny-lib:1', 'tiny:1']],
  [{ dangling: ['true'] }, []],
  [{ dangling: ['false'], reference: ['tiny'] }, ['tiny:1']],
];

for (const [wanted, found] of FILTERS) {
  test(`the filter ${JSON.stringify(wanted)} finds ${found.join(', ') || 'nothing'}, as map and as list`, async (t) => {
    const engine = await world(t);
    const lists = `filters=${encodeURIComponent(JSON.stringify(wanted))}`;
    for (const query of [filters(wanted), lists]) {
      t.deepEqual(names(await engine.get<Summary[]>(`/images/json?${query}`)).flat(), [...found]);
    }
  });
}

test('filters that cannot be read are refused', async (t) => {
  const engine = await world(t);
  const refused = (query: string): Promise<[number, string]> => message(engine, 'GET', `/images/json?${query}`);
  t.deepEqual(await refused(filters({ bogus: ['1'] })), [400, "Invalid filter 'bogus'"]);
  t.deepEqual(await refused(filters({ dangling: ['maybe'] })), [400, "invalid filter 'dangling=[maybe]'"]);
  t.deepEqual(await refused(filters({ before: ['nosuch'] })), [404, 'No such image: nosuch:latest']);
  t.deepEqual(await refused(filters({ until: ['when'] })), [400, 'cannot read the time "when"']);
  t.deepEqual(await refused(filters({ until: ['1h', '2h'] })), [400, 'more than one until filter specified']);
  t.deepEqual(await refused('filters=bad'), [400, 'invalid filters: they are not JSON']);
  t.deepEqual(await refused('filters=%5B%5D'), [400, 'invalid filters: they are an object']);
  t.deepEqual(await refused('filters=%7B%22label%22%3A1%7D'), [
    400,
    "invalid filter 'label': expected a list, or an object",
  ]);
});

test('an image is found by name, id and the beginning of it, with slashes escaped or not', async (t) => {
  const engine = await world(t);
  await engine.store.tag({ source: 'tiny:1', target: 'host:5000/x/y:z' });
  const paths = ['tiny:1', 'docker.io/library/tiny:1', TINY, TINY.slice(7), TINY.slice(7, 19)];
  for (const path of [...paths, 'host:5000/x/y:z', 'host:5000%2Fx%2Fy:z']) {
    const { Id } = await engine.get<{ Id: string }>(`/images/${path}/json`);
    t.is(Id, TINY, path);
  }
  t.deepEqual(await message(engine, 'GET', '/images/tiny/json'), [404, 'No such image: tiny:latest']);
  t.deepEqual(await message(engine, 'GET', `/images/${'0'.repeat(64)}/json`), [
    404,
    `No such image: ${'0'.repeat(64)}`,
  ]);
  const [status, text] = await message(engine, 'GET', '/images/UP/json');
  t.is(status, 400);
  t.regex(text, /^invalid reference format: /);
});

test('settings of containers are left out of the facts of an image since 1.50, and its own since 1.45', async (t) => {
  const engine = await world(t);
  const keysOf = async (version: string): Promise<string[]> => {
    const facts = await engine.get<Record<string, object>>(`/v1.${version}/images/tiny:1/json`);
    return [...Object.keys(facts), ...Object.keys(facts.Config ?? {})];
  };
  const [old, middle, newest] = [await keysOf('43'), await keysOf('49'), await keysOf('50')];
  t.true(['VirtualSize', 'ContainerConfig', 'Hostname'].every((key) => old.includes(key)));
  t.deepEqual([middle.includes('ContainerConfig'), middle.includes('Hostname')], [false, true]);
  t.deepEqual([newest.includes('Hostname'), newest.includes('Cmd')], [false, true]);
});

test('the facts of one platform are found by its name, and another platform is not', async (t) => {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('oci-multi-platform.tar'));
  const [{ reference = '' } = {}] = engine.store
    .referenceEntries()
    .filter(({ platforms = [] }) => platforms.length > 1);
  const of = (architecture: string): string =>
    `/images/${reference}/json?platform=${encodeURIComponent(JSON.stringify({ os: 'linux', architecture }))}`;
  t.is((await engine.get<{ Architecture: string }>(of('arm64'))).Architecture, 'arm64');
  const [status, text] = await message(engine, 'GET', of('s390x'));
  t.is(status, 404);
  t.regex(text, /no image for linux\/s390x/);
  t.deepEqual(await message(engine, 'GET', `/images/${reference}/json?platform=x`), [400, 'platform is not JSON']);
  // Of several the one of this machine is meant.
  const { Architecture } = await engine.get<{ Architecture: string }>(`/images/${reference}/json`);
  if (['amd64', 'arm64'].includes(hostArchitecture())) t.is(Architecture, hostArchitecture());
  // A tag goes to all platforms.
  await engine.send('POST', `/images/${reference}/tag?repo=other&tag=1`);
  const other = engine.store.referenceEntries().find((entry) => entry.reference === 'docker.io/library/other:1');
  t.true((other?.platforms?.length ?? 0) > 1);
  const removed = await engine.send('DELETE', `/images/other:1`);
  t.is(removed.text, '[{"Untagged":"other:1"}]\n');
  // An id is of one platform.
  const [arm] = (engine.store.referenceEntries()[0]?.platforms ?? []).filter((each) => each.architecture === 'arm64');
  t.is((await engine.send('GET', of('arm64').replace(reference, arm?.image ?? ''))).status, 200);
  t.is((await engine.send('GET', of('amd64').replace(reference, arm?.image ?? ''))).status, 404);
});

test('one platform is removed from every name, if forced', async (t) => {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('oci-multi-platform.tar'));
  await engine.send('POST', '/images/tiny:multi/tag?repo=other&tag=1');
  const arm = engine.store.resolve('tiny:multi', { platform: 'linux/arm64' });
  const platforms = `platforms=${encodeURIComponent('{"os":"linux","architecture":"arm64"}')}`;
  const [status, text] = await message(engine, 'DELETE', `/v1.50/images/tiny:multi?${platforms}`);
  t.deepEqual([status, text], [400, 'every name of the image would lose this platform: --force removes it']);
  const removed = await engine.send('DELETE', `/v1.50/images/tiny:multi?force=1&${platforms}`);
  t.is(removed.status, 200, removed.text);
  t.deepEqual((JSON.parse(removed.text) as object[])[0], { Deleted: arm });
  for (const name of ['tiny:multi', 'other:1']) {
    t.is(engine.store.resolve(name, { platform: 'linux/amd64' }) as string, TINY);
    t.throws(() => engine.store.resolve(name, { platform: 'linux/arm64' }), { message: /no image for/ });
  }
  t.is((await engine.send('DELETE', `/v1.50/images/tiny:multi?force=1&${platforms}`)).status, 404);
});

test('a list has the manifests of images since 1.47, if they are asked for', async (t) => {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('oci-multi-platform.tar'));
  await engine.load(archiveBytes('docker20-all.tar'));
  const at = engine.store.log.head.seq;
  const arm = engine.store.resolve('tiny:multi', { platform: 'linux/arm64' });
  const listed = await engine.get<ListedManifests[]>('/v1.47/images/json?manifests=1');
  const [{ Manifests: [manifest] = [] } = {}] = listed.filter(({ Id }) => Id === arm);
  const [found] = engine.store.manifests(arm);
  t.like(manifest, {
    ID: found?.manifest.digest,
    Descriptor: found?.manifest,
    Available: true,
    Kind: 'image',
    ImageData: {
      Platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
      Containers: [],
      Size: { Unpacked: 0 },
    },
  });
  t.is(manifest?.Size.Content, manifest?.Size.Total);
  t.true((manifest?.Size.Content ?? 0) > 0);
  // What came without one has none, as with dockerd's graph drivers.
  t.is(listed.find(({ RepoTags }) => RepoTags.includes('shop/app:2.0'))?.Manifests, undefined);
  for (const path of ['/v1.46/images/json?manifests=1', '/images/json']) {
    t.true(
      (await engine.get<ListedManifests[]>(path)).every(({ Manifests }) => Manifests === undefined),
      path,
    );
  }
  for (const id of engine.store.map().keys()) await engine.store.delete(id);
  const past = await Engine.start(t, { store: engine.store, server: { at } });
  const then = await past.get<ListedManifests[]>('/images/json?manifests=true');
  t.deepEqual(then.find(({ Id }) => Id === arm)?.Manifests, [{ ...manifest, Available: false }]);
});

test('a name or child that comes while an image is removed is not lost', async (t) => {
  const { store } = await world(t);
  const options = { force: false, prune: true, write: {} };
  const app = store.resolve('shop/app:1.0');
  // Not durable yet, so that the removal does not see it.
  const tagging = store.tag({ source: 'shop/app:1.0', target: 'other/x:1' });
  const byName = removeNamed(store, 'shop/app:1.0', options);
  await tagging;
  t.deepEqual(await byName, [{ Untagged: 'shop/app:1.0' }]);
  t.is(store.resolve('other/x:1'), app);
  const again = store.tag({ source: 'other/x:1', target: 'third/y:1' });
  const byId = removeNamed(store, app, options);
  await again;
  t.regex((await t.throwsAsync(byId))?.message ?? '', /referenced in multiple repositories/);
  // As a child.
  const adopting = store.setParent(TINY as ImageId, app);
  await store.untag('third/y:1');
  const child = removeNamed(store, 'other/x:1', options);
  await adopting;
  await child;
  t.is(store.get(app).id(), app);
});

test('a removal of a name that goes meanwhile finds no image', async (t) => {
  const { store } = await world(t);
  const untagging = store.untag('tiny:1');
  const removed = removeNamed(store, 'tiny:1', { force: false, prune: true, write: {} });
  await untagging;
  await t.throwsAsync(removed, { message: 'No such image: tiny:1' });
});

test('the history has the ids and names of parents', async (t) => {
  const engine = await world(t);
  const steps = await engine.get<{ Id: string; Tags: string[] | null; Size: number }[]>('/images/tiny-lib:1/history');
  t.deepEqual(
    steps.map(({ Id, Tags }) => [Id, Tags]),
    [
      [TINY_LIB, ['tiny-lib:1']],
      [TINY, ['tiny:1']],
    ],
  );
  t.deepEqual(
    steps.map(({ Size }) => Size),
    [396_000, 62],
  );
});

test('a tag is set in two parts, and refused where it is no name', async (t) => {
  const engine = await world(t);
  const answer = await engine.send('POST', '/images/tiny:1/tag?repo=docker.io%2Flibrary%2Fb&tag=2');
  t.deepEqual([answer.status, answer.text, answer.headers['content-type']], [201, '', undefined]);
  t.is((await engine.send('POST', '/images/tiny:1/tag?repo=dn/c')).status, 201);
  t.is((await engine.send('POST', '/images/tiny:1/tag?repo=dn/d:own&tag=wins')).status, 201);
  t.deepEqual(engine.store.references(TINY as ImageId), [
    'docker.io/dn/c:latest',
    'docker.io/dn/d:wins',
    'docker.io/library/b:2',
    'docker.io/library/tiny:1',
  ]);
  const refused = async (query: string): Promise<[number, string]> =>
    message(engine, 'POST', `/images/tiny:1/tag?${query}`);
  for (const query of ['', 'repo=UP', 'repo=a&tag=%20']) {
    const [status, text] = await refused(query);
    t.is(status, 400);
    t.regex(text, /^invalid reference format: /);
  }
  const [status, text] = await refused(`repo=a@${TINY}`);
  t.deepEqual([status, text], [400, 'refusing to create a tag with a digest reference']);
});

test('a removal by name takes the image with its last one, in one transaction', async (t) => {
  const engine = await world(t);
  await engine.store.tag({ source: 'twice:1', target: 'other:1' });
  const first = await engine.send('DELETE', '/images/other:1');
  t.is(first.text, '[{"Untagged":"other:1"}]\n');
  const last = await engine.send('DELETE', '/images/twice:1');
  const records = JSON.parse(last.text) as readonly { readonly Untagged?: string; readonly Deleted?: string }[];
  t.is(records[0]?.Untagged, 'twice:1');
  t.true((records[1]?.Deleted ?? '').startsWith('sha256:6351c87e3f65'));
  const transactions = new Set<number>();
  for await (const { transaction } of engine.store.log.read({ reverse: true, limit: 3 })) {
    transactions.add(transaction.first);
  }
  t.is(transactions.size, 1);
});

test('what others are made from stays, forced or not', async (t) => {
  const engine = await world(t);
  const by = async (path: string): Promise<[number, string]> => message(engine, 'DELETE', path);
  const child = 'conflict: unable to delete bd10de19d2be (cannot be forced) - image has dependent child images';
  t.deepEqual(await by(`/images/${TINY}`), [409, child]);
  t.deepEqual(await by(`/images/${TINY.slice(7, 19)}?force=1`), [409, child]);
  const untagged = await engine.send('DELETE', '/images/tiny:1');
  t.is(untagged.text, '[{"Untagged":"tiny:1"}]\n');
  t.true(engine.store.map().has(TINY as ImageId));
});

test('an image of names in several repositories is removed by its id if forced', async (t) => {
  const engine = await world(t);
  await engine.store.tag({ source: 'twice:1', target: 'other:1' });
  const id = engine.store.resolve('twice:1');
  const multiple = `conflict: unable to delete ${id.slice(7, 19)} (must be forced) - image is referenced in multiple repositories`;
  t.deepEqual(await message(engine, 'DELETE', `/images/${id}`), [409, multiple]);
  const forced = await engine.send('DELETE', `/images/${id}?force=true`);
  t.true(forced.text.startsWith(`[{"Untagged":"other:1"},{"Untagged":"twice:1"},{"Deleted":"${id}"}`));
});

test('the digest of a manifest finds an image, and removes none', async (t) => {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('oci-all.tar'));
  for await (const event of engine.store.log.read({ filter: { type: 'ManifestAdded' }, limit: 1 })) {
    if (event.type !== 'ManifestAdded') continue;
    const { digest } = event.manifest;
    for (const name of [digest, `shop/app@${digest}`]) {
      t.is((await engine.get<{ Id: string }>(`/images/${digest}/json`)).Id, event.image);
      t.is((await engine.send('DELETE', `/images/${name}`)).status, 404, name);
    }
    t.true(engine.store.map().has(event.image));
  }
});

test('a parent that nothing needs any more goes too, unless noprune says not', async (t) => {
  for (const [query, left] of [
    ['', 0],
    ['?noprune=1', 1],
  ] as const) {
    const engine = await Engine.start(t);
    const [parent, child] = await Promise.all([
      engine.store.create(imageConfig('parent')),
      engine.store.create(imageConfig('child')),
    ]);
    await engine.store.setParent(child, parent);
    await engine.store.tag({ source: child, target: 'child:1' });
    const { text } = await engine.send('DELETE', `/images/child:1${query}`);
    t.is(engine.store.len(), left);
    t.is(text.includes(parent), left === 0);
  }
});

test('a name by digest stays for a tag of its repository, and goes with the last', async (t) => {
  const engine = await world(t);
  const digest = `sha256:${'a'.repeat(64)}`;
  const id = engine.store.resolve('twice:1');
  for (const target of ['twice:2', `twice@${id}`]) await engine.store.tag({ source: id, target });
  t.is((await engine.send('DELETE', '/images/twice:2')).text, '[{"Untagged":"twice:2"}]\n');
  const { text } = await engine.send('DELETE', '/images/twice:1');
  t.true(text.includes(`{"Untagged":"twice@${id}"}`));
  t.false(text.includes(digest));
});

test('a list and a prune pass over what is removed meanwhile', async (t) => {
  const engine = await Engine.start(t);
  const ids = await Promise.all(Array.from({ length: 450 }, (_, at) => engine.store.create(imageConfig(`${at}`))));
  const listing = engine.get<Summary[]>('/images/json');
  const pruning = engine.send('POST', `/images/prune?${filters({ dangling: ['true'] })}`);
  await Promise.allSettled(ids.map(async (id) => engine.store.delete(id)));
  t.true((await listing).length <= ids.length);
  t.is((await pruning).status, 200);
  t.is(engine.store.len(), 0);
});

test('a prune removes what has no name, and with dangling=false all that fits', async (t) => {
  const engine = await world(t);
  await engine.store.create(imageConfig('bare'));
  interface Pruned {
    readonly ImagesDeleted: readonly object[] | null;
    readonly SpaceReclaimed: number;
  }
  const prune = async (wanted: Readonly<Record<string, readonly string[]>>): Promise<Pruned> => {
    const { text } = await engine.send('POST', `/images/prune?${filters(wanted)}`);
    return JSON.parse(text) as Pruned;
  };
  t.deepEqual(await prune({ dangling: ['true'], until: ['1h'] }), { ImagesDeleted: null, SpaceReclaimed: 0 });
  t.deepEqual(await prune({ dangling: ['true'] }), {
    ImagesDeleted: [{ Deleted: idNamed('bare') }],
    SpaceReclaimed: 0,
  });
  const label = ['org.opencontainers.image.version=2.0'];
  const { SpaceReclaimed } = await prune({ dangling: ['false'], label });
  t.is(SpaceReclaimed, 18);
  t.is(engine.store.len(), 4);
  const all = await prune({ dangling: ['false'] });
  t.is(engine.store.len(), 0);
  t.true(all.SpaceReclaimed > 396_000);
  t.deepEqual(await message(engine, 'POST', `/images/prune?${filters({ x: ['1'] })}`), [400, "Invalid filter 'x'"]);
});
