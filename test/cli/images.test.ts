import test from 'ava';
import { buildImage, dockerEntries } from '../archive/built-archives.js';
import { buildTar } from '../support/build-tar.js';
import { archive, ids, objectsOf, startSession } from './session.js';

const TABLE = `REFERENCE                                  IMAGE ID      PLATFORM     CREATED (UTC)       SIZE
twice:1                                    6351c87e3f65  linux/amd64  2024-04-01 00:00    90 B
shop/app:2.0                               cb4c372bec4c  linux/amd64  2024-03-01 10:00  396 kB
shop/app:latest                            cb4c372bec4c  linux/amd64  2024-03-01 10:00  396 kB
registry.example.com:5000/shop/app:latest  cb4c372bec4c  linux/amd64  2024-03-01 10:00  396 kB
shop/app:1.0                               bb0c8ffbd8b1  linux/amd64  2024-02-01 10:00  396 kB
tiny-lib:1                                 612786da9e60  linux/amd64  2024-01-11 09:30  396 kB
tiny:1                                     bd10de19d2be  linux/amd64  2024-01-10 08:00    62 B
`;

const TREE = `IMAGE ID        SIZE  REFERENCES
6351c87e3f65    90 B  twice:1
bd10de19d2be    62 B  tiny:1
612786da9e60  396 kB  └─ tiny-lib:1
cb4c372bec4c  396 kB     ├─ shop/app:2.0, shop/app:latest, registry.example.com:5000/shop/app:latest
bb0c8ffbd8b1  396 kB     └─ shop/app:1.0
`;

const HISTORY = `CREATED (UTC)     CREATED BY                                     SIZE
2024-03-01 10:00  HEALTHCHECK CMD wget -q localhost || exit 1     0 B
2024-03-01 10:00  COPY app /app                                  18 B  ▏
2024-01-11 09:30  RUN install-lib --all                        396 kB  ████████
2024-01-10 08:00  ADD rootfs.tar / # tiny base                   62 B  ▏
`;

test('images, its tree and history are tables', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  t.is(await done('images'), TABLE);
  t.is(await done('images', '--tree'), TREE);
  t.is(await done('history', 'shop/app:2.0'), HISTORY);
});

test('images --json has one object a line with exactly the promised fields', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const images = objectsOf(await done('images', '--json'));
  t.is(images.length, 5);
  for (const image of images) {
    t.deepEqual(Object.keys(image), [
      'id',
      'references',
      'parent',
      'children',
      'chainId',
      'layers',
      'size',
      'os',
      'architecture',
      'variant',
      'created',
      'head',
      'metadata',
    ]);
  }
  const lib = images.find(({ id }) => String(id).startsWith(`sha256:${ids.tinyLib}`));
  t.like(lib, {
    references: ['docker.io/library/tiny-lib:1'],
    parent: images.at(-1)?.['id'],
    size: 396_062,
    variant: null,
    created: '2024-01-11T09:30:00.123456789Z',
    head: false,
  });
});

test('images filters by name, platform, age, and what nothing names', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('docker25-all.tar'), archive('oci-multi-platform.tar'));
  await done('untag', 'twice:1');
  const found = async (...argv: string[]): Promise<string[]> =>
    (await done('images', '--quiet', ...argv))
      .split('\n')
      .slice(0, -1)
      .map((id) => id.slice(7, 19));
  t.deepEqual(await found('--filter', 'reference=shop/*'), [ids.appTwo, ids.appOne]);
  t.deepEqual(await found('--filter', 'reference=shop/app:1.?'), [ids.appOne]);
  t.deepEqual(await found('--filter', 'architecture=arm64'), [ids.tinyArm]);
  t.deepEqual(await found('--filter', 'dangling=true'), [ids.twice]);
  t.deepEqual(await found('--filter', 'since=tiny-lib:1', '--filter', 'before=shop/app:2.0'), [ids.appOne]);
  t.deepEqual(await found('--heads'), [ids.twice, ids.appTwo, ids.appOne, ids.tinyArm]);
  t.regex(await done('images', '--filter', 'dangling=true'), /\n<none> {5}6351c87e3f65 /);
  t.is((await run('images', '--filter', 'colour=red')).code, 2);
  t.is((await run('images', '--filter', 'reference=[')).code, 2);
  t.is((await run('images', '--filter', 'dangling=perhaps')).code, 2);
  t.is((await run('images', '--filter', 'since=nope')).code, 3);
});

test('an image is found by its id, its reference, and the first digits of its id', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('docker25-all.tar'), archive('oci-multi-platform.tar'));
  const id = (await done('resolve', 'shop/app:2.0')).trim();
  for (const name of [id, 'shop/app:2.0', 'docker.io/shop/app:2.0', 'shop/app', ids.appTwo, 'sha256:cb4c', 'c']) {
    t.is(objectsOf(await done('inspect', '--json', name))[0]?.['id'], id, name);
  }
  t.regex(
    (await run('inspect', 'b')).stderr,
    /\(ID_AMBIGUOUS\)\nhint: give more digits of the id: [0-9a-f]{12}, [0-9a-f]{12}\n$/,
  );
  t.is((await run('inspect', 'b')).code, 1);
  for (const name of ['nope', 'f00', `${id.slice(0, -1)}x`, 'a b', ''])
    t.is((await run('inspect', name)).code, 3, name);
});

test('a reference comes before the digits of an id', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  await done('tag', 'tiny:1', 'cb4c:latest');
  t.is(String(objectsOf(await done('inspect', '--json', 'cb4c'))[0]?.['id']).slice(7, 19), ids.tiny);
});

test('inspect gives an array for people, and one object a line for programs', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const array = JSON.parse(await done('inspect', 'tiny-lib:1', 'tiny:1')) as Record<string, unknown>[];
  t.deepEqual(objectsOf(await done('inspect', '--json', 'tiny-lib:1', 'tiny:1')), array);
  t.like(array[0], { platform: 'linux/amd64', builtLocally: false, lastUpdated: null, head: false });
  t.like(array[0]?.['layers'], [{ size: 62 }, { size: 396_000 }]);
  t.like(array[0]?.['config'], { architecture: 'amd64', rootfs: { type: 'layers' } });
  t.like(await run('inspect', 'tiny:1', 'nope'), { code: 3, stdout: '' }, 'half an answer helps nobody');
});

test('history --json has times in UTC and the layer of each step', async (t) => {
  const { done } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const [last, , , first] = objectsOf(await done('history', '--json', 'shop/app:2.0'));
  t.like(last, { created: '2024-03-01T10:00:01Z', size: 0, diffId: null });
  t.like(first, { created: '2024-01-10T08:00:00Z', createdBy: 'ADD rootfs.tar / # tiny base', size: 62 });
});

test('an empty store has tables with nothing but their heads', async (t) => {
  const { done, run } = await startSession(t);
  t.is((await run('load', '/dev/null')).code, 1);
  t.is(await done('images'), 'REFERENCE  IMAGE ID  PLATFORM  CREATED  SIZE\n');
  t.is(await done('images', '--tree'), 'IMAGE ID      SIZE  REFERENCES\n');
  t.is(await done('log'), 'SEQ  TIME (UTC)           BY              WHAT\n');
  t.is(await done('log', '--events'), 'SEQ   TIME (UTC)           ACTOR           EVENT             WHAT\n');
  t.regex(
    await done('log', '--format', 'csv'),
    /^seq,time,transaction,type,[^\n]*,what,via,address,agent,traceparent\n$/,
  );
  t.is(await done('images', '--json'), '');
});

test('times of a config keep their nanoseconds, with any offset and any length of fraction', async (t) => {
  const { runIn, done } = await startSession(t);
  const written = '2024-01-01T01:30:00.1234567890123+01:30';
  const image = await buildImage(['a'], {
    created: written,
    history: [
      { created: '2024-01-01T00:00:00.000000001-00:30' },
      { created: '0001-01-01T02:00:00+02:00', empty_layer: true },
    ],
  });
  await runIn({ stdin: await buildTar(dockerEntries([image])) }, 'load', '--tag', 'a/b:1');
  const created = '2024-01-01T00:00:00.123456789Z';
  t.like(objectsOf(await done('images', '--json')), [{ created }]);
  t.like(objectsOf(await done('inspect', '--json', 'a/b:1')), [{ created, config: { created: written } }]);
  t.like(objectsOf(await done('history', '--json', 'a/b:1')), [
    { created: null },
    { created: '2024-01-01T00:30:00.000000001Z' },
  ]);
  const kept = written.replace('0123+', '+');
  t.like(objectsOf(await done('log', '--json', '--type', 'ImageCreated')), [{ created: kept }]);
  const [event] = objectsOf(await done('log', '--format', 'cloudevents', '--type', 'ImageCreated'));
  t.like(event?.['data'], { created: kept });
});

test('images are ordered and filtered by the nanosecond', async (t) => {
  const { runIn, done } = await startSession(t);
  for (const [tag, created] of [
    ['late', '2024-01-01T01:00:00.000000002+01:00'],
    ['early', '2024-01-01T00:00:00.000000001Z'],
  ] as const) {
    const image = await buildImage([tag], { created });
    const entries = dockerEntries([image], [{ RepoTags: [`a/b:${tag}`] }]);
    await runIn({ stdin: await buildTar(entries) }, 'load');
  }
  const shown = async (...argv: string[]): Promise<unknown[]> =>
    objectsOf(await done('images', '--json', ...argv)).map(({ references }) => references);
  t.deepEqual(await shown(), [['docker.io/a/b:late'], ['docker.io/a/b:early']]);
  t.deepEqual(await shown('--filter', 'since=a/b:early'), [['docker.io/a/b:late']]);
  t.deepEqual(await shown('--filter', 'before=a/b:late'), [['docker.io/a/b:early']]);
});
