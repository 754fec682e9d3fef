import test from 'ava';
import { readFileSync } from 'node:fs';
import { archiveBytes } from '../../store/fixture-archives.js';
import { buildTar } from '../../support/build-tar.js';
import { fixturePath } from '../../support/fixtures.js';
import { Engine, lines } from './engine.js';

/** A request that a real client sent, and what dockerd answered. */
interface Recorded {
  readonly request: { readonly method: string; readonly url: string };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
  };
}

function recorded(file: string): Recorded {
  return JSON.parse(readFileSync(fixturePath('engine-api', `${file}.json`), 'utf8')) as Recorded;
}

/** The keys of a value and the types of what they have; of a list that of all its items. */
type Shape = string | { readonly [key: string]: Shape };

function shapeOf(value: unknown): Shape {
  if (Array.isArray(value)) {
    const items = value.map(shapeOf).map((shape) => JSON.stringify(shape));
    return { list: [...new Set(items)].sort().join(' | ') };
  }
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shapeOf(each)]));
}

/** A store with the images that the recorded requests name. */
async function world(t: Parameters<typeof Engine.start>[0]): Promise<Engine> {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('docker20-all.tar'));
  for (const name of ['dn/app:1', 'dn/app:2', 'dn/big:1']) {
    await engine.store.tag({ source: 'tiny-lib:1', target: name });
  }
  return engine;
}

const SAME: readonly string[] = [
  'DELETE-images-NAME--404',
  'GET-_ping--200',
  'GET-containers-NAME-json--404',
  'GET-images-NAME-history--404',
  'GET-networks-NAME--404',
  'GET-nosuch--404',
  'GET-plugins-NAME-json--404',
  'GET-volumes-NAME--404',
  'POST-images-NAME-tag--repo-tag--201',
  'POST-images-NAME-tag--repo-tag--400',
  'POST-images-NAME-tag--repo-tag--404',
  'PUT-images-json--404',
];

for (const file of SAME) {
  const { request, response } = recorded(file);
  test(`${request.method} ${request.url} answers ${response.status} as dockerd`, async (t) => {
    const engine = await world(t);
    const { status, headers, text } = await engine.send(request.method, request.url);
    t.is(status, response.status);
    t.is(headers['content-type'], response.headers['content-type']);
    t.is(text, response.body ?? '');
  });
}

const SAME_SHAPE: readonly string[] = [
  'GET-images-NAME-history--200',
  'GET-system-df--200',
  'GET-images-json--all-digests-filters--200',
];

for (const file of SAME_SHAPE) {
  const { request, response } = recorded(file);
  test(`${request.method} ${request.url} has the keys and types of dockerd's answer`, async (t) => {
    const engine = await world(t);
    // Without a version dockerd answered in its own.
    const url = request.url.startsWith('/v') ? request.url : `/v1.41${request.url}`;
    const { status, headers, text } = await engine.send(request.method, url.replace(/filters=.*/, ''));
    t.is(status, 200);
    t.is(headers['content-type'], 'application/json');
    const [ours, theirs] = [text, response.body ?? ''].map((each) => typesByKey(JSON.parse(each)));
    const keys = (types: typeof ours): string[] => [...new Set([...(types?.keys() ?? [])].map(plain))].sort();
    t.deepEqual(keys(ours), keys(theirs));
    for (const [key, types] of ours ?? []) {
      // What a store has none of is null.
      for (const type of types) if (type !== 'null') t.true(theirs?.get(key)?.has(type) ?? true, `${key} is ${type}`);
    }
  });
}

/** A list that is empty or null has no items. */
function plain(key: string): string {
  return key.replace(/\[\]$/, '');
}

/** The types of each key, at any depth but below labels. */
function typesByKey(value: unknown, path = '', types = new Map<string, Set<string>>()): Map<string, Set<string>> {
  if (Array.isArray(value)) {
    for (const each of value) typesByKey(each, `${path}[]`, types);
    return types;
  }
  const isObject = typeof value === 'object' && value !== null && !path.endsWith('.Labels');
  if (isObject) for (const [key, each] of Object.entries(value)) typesByKey(each, `${path}.${key}`, types);
  else types.set(path, (types.get(path) ?? new Set()).add(value === null ? 'null' : typeof value));
  return types;
}

test('the list and the facts of an image that dockerd loaded too are the same', async (t) => {
  const engine = await world(t);
  const { body = '' } = recorded('GET-images-json--all--200').response;
  const none = { Id: '', RepoTags: [] as readonly string[], ParentId: '' };
  const theirs = JSON.parse(body) as readonly (typeof none)[];
  const ours = await engine.get<typeof theirs>('/v1.41/images/json?all=1');
  // Those of the archive that both have; dockerd failed at a parent that it does not take.
  const shared = theirs.filter(({ Id }) => ours.some((image) => image.Id === Id));
  t.true(shared.length >= 1);
  for (const image of shared) {
    // dockerd 20.10 takes a parent only if it has one step less.
    const { RepoTags, ParentId: _, ...facts } = ours.find(({ Id }) => Id === image.Id) ?? none;
    const { RepoTags: __, ParentId: ___, ...expected } = image;
    t.deepEqual(facts, expected);
    t.true(RepoTags.length >= 1);
  }
});

test('the facts of an image have the keys and their order as in dockerd', async (t) => {
  const engine = await world(t);
  const { body = '' } = recorded('GET-images-NAME-json--200').response;
  const theirs = JSON.parse(body) as Readonly<Record<string, unknown>>;
  const ours = await engine.get<typeof theirs>('/v1.41/images/tiny-lib:1/json');
  t.deepEqual(Object.keys(ours), Object.keys(theirs));
  t.deepEqual(Object.keys(ours.ContainerConfig as object), Object.keys(theirs.ContainerConfig as object));
  t.deepEqual(shapeOf(ours.RootFS), shapeOf(theirs.RootFS));
  t.deepEqual(shapeOf(ours.Metadata), shapeOf(theirs.Metadata));
});

test('versions and facts of the server are a part of what dockerd says, with its types', async (t) => {
  const engine = await world(t);
  for (const file of ['GET-info--200', 'GET-version--200']) {
    const { request, response } = recorded(file);
    const ours = typesByKey(await engine.get(request.url));
    const theirs = typesByKey(JSON.parse(response.body ?? ''));
    for (const key of ours.keys()) {
      if (/DriverStatus|Warnings|Plugins|Runtimes|Labels|Security|RegistryConfig/.test(key)) continue;
      t.true(theirs.has(key), `${file} has ${key}`);
    }
  }
});

test('a removal answers with the words of dockerd: what was untagged, then what was deleted', async (t) => {
  const engine = await world(t);
  const expected = recorded('DELETE-images-NAME--200');
  const { status, text } = await engine.send('DELETE', '/v1.41/images/dn/big:1');
  t.is(status, expected.response.status);
  t.is(text, '[{"Untagged":"dn/big:1"}]\n');
  const gone = await engine.send('DELETE', '/v1.41/images/twice:1');
  const kinds = (lists: string): string[] => (JSON.parse(lists) as object[]).map((each) => Object.keys(each).join());
  t.deepEqual([...new Set(kinds(gone.text))], [...new Set(kinds(expected.response.body ?? ''))]);
});

test('a load and an import answer with the lines of dockerd', async (t) => {
  const engine = await Engine.start(t);
  const [first] = lines<object>(recorded('POST-images-load--200').response.body ?? '');
  const { headers, text } = await engine.send('POST', '/images/load', { body: archiveBytes('docker20-all.tar') });
  t.is(headers['content-type'], 'application/json');
  for (const line of lines<object>(text)) t.deepEqual(shapeOf(line), shapeOf(first));
  const [imported] = lines<object>(recorded('POST-images-create--fromSrc-repo--200').response.body ?? '');
  const body = await buildTar([{ name: 'hello', body: 'hello' }]);
  const answer = await engine.send('POST', '/images/create?fromSrc=-&repo=dn%2Fimp%3A1', { body });
  t.deepEqual(lines<object>(answer.text).map(shapeOf), [shapeOf(imported)]);
});

test('an event has the keys of one of dockerd', async (t) => {
  const engine = await world(t);
  const { body = '' } = recorded('GET-events--filters-since-until--200').response;
  const theirs = JSON.parse(body.slice(0, body.indexOf('\n'))) as object;
  const { text } = await engine.send('GET', `/v1.41/events?since=0&until=${Math.ceil(Date.now() / 1_000)}`);
  const ours = lines<object>(text).at(-1) ?? {};
  t.deepEqual(Object.keys(ours), Object.keys(theirs));
  t.deepEqual([...typesByKey({ ...ours, Actor: {} })], [...typesByKey({ ...theirs, Actor: {} })]);
});
