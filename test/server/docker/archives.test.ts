import { once } from 'node:events';
import { request } from 'node:http';
import { userInfo } from 'node:os';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { gzipSync } from 'node:zlib';
import { MAX_DISCARDED_BODY_BYTES } from '../../../src/limits.js';
import { version } from '../../../src/store/version.js';
import { archiveBytes } from '../../store/fixture-archives.js';
import { buildTar } from '../../support/build-tar.js';
import { openTestStore } from '../../support/test-store.js';
import { Engine, lines } from './engine.js';

test('a load answers with the names of what came, in a stream without a length', async (t) => {
  const engine = await Engine.start(t);
  const answer = await engine.send('POST', '/images/load?quiet=1', { body: archiveBytes('docker25-all.tar') });
  t.is(answer.status, 200);
  // A charset makes the docker command line copy it, a length makes docker-py read one value.
  t.is(answer.headers['content-type'], 'application/json');
  t.is(answer.headers['content-length'], undefined);
  const texts = lines<{ stream: string }>(answer.text).map(({ stream }) => stream);
  t.true(texts.includes('Loaded image: registry.example.com:5000/shop/app:latest\n'));
  t.true(texts.every((text) => /^Loaded image: \S+\n$/.test(text)));
});

/** The first bytes of an archive, then nothing for longer than progress waits, then the rest. */
async function* slowly(archive: Uint8Array, rest: number): AsyncGenerator<Uint8Array> {
  yield archive.subarray(0, 4_096);
  await sleep(700);
  yield archive.subarray(4_096, rest);
}

test('a terminal sees the progress of a slow load, and then its names or its failure', async (t) => {
  const engine = await Engine.start(t);
  const archive = archiveBytes('docker25-all.tar');
  const load = async (rest: number): Promise<object[]> => {
    const body = Readable.from(slowly(archive, rest));
    const { status, text } = await engine.send('POST', '/images/load?quiet=0', { body });
    t.is(status, 200);
    t.true(text.endsWith('}\n'));
    return lines<object>(text);
  };
  const [progress, ...names] = await load(archive.length);
  t.like(progress, { status: 'Loading', id: 'archive' });
  t.true(names.some((line) => JSON.stringify(line) === '{"stream":"Loaded image: tiny:1\\n"}'));
  const failed = await load(20_000);
  const { error, errorDetail } = failed.at(-1) as { error: string; errorDetail: { message: string } };
  t.is(errorDetail.message, error);
  // Without a terminal it has a status.
  const body = Readable.from(slowly(archive, 20_000));
  t.is((await engine.send('POST', '/images/load?quiet=1', { body })).status, 400);
});

test('what has no name is told by its id, and what is left out by a notice', async (t) => {
  const engine = await Engine.start(t);
  const [text = ''] = await engine.load(archiveBytes('docker25-untagged.tar'));
  t.regex(text, /^Loaded image ID: sha256:[0-9a-f]{64}\n$/);
  const platform = encodeURIComponent(JSON.stringify({ os: 'linux', architecture: 'arm64' }));
  const body = archiveBytes('oci-multi-platform.tar');
  const answer = await engine.send('POST', `/images/load?platform=${platform}`, { body });
  t.true(lines<{ stream: string }>(answer.text).some(({ stream }) => /^skipped /.test(stream)));
});

test('a load records who sent it, through what, and with which program', async (t) => {
  const engine = await Engine.start(t);
  await engine.send('POST', '/images/load', {
    body: archiveBytes('skopeo-tiny-1.tar'),
    headers: { 'user-agent': 'Docker-Client/28.2.2 (linux)', 'x-request-id': 'r-1' },
  });
  for await (const { actor, via, agent, requestId, address } of engine.store.log.read()) {
    t.deepEqual(
      { actor, via, agent, requestId, address },
      {
        actor: userInfo().username,
        via: 'docker',
        agent: 'Docker-Client/28.2.2 (linux)',
        requestId: 'r-1',
        address: undefined,
      },
    );
  }
});

test('what is no archive is refused once all of it was sent, and leaves nothing', async (t) => {
  const engine = await Engine.start(t);
  const rubbish = async function* (): AsyncGenerator<Buffer> {
    for (let sent = 0; sent < MAX_DISCARDED_BODY_BYTES / 4; sent += 65_536) yield Buffer.alloc(65_536, 'x');
  };
  const { status, headers, text } = await engine.send('POST', '/images/load', { body: Readable.from(rubbish()) });
  t.is(status, 400);
  t.is(headers['content-type'], 'application/json');
  t.regex((JSON.parse(text) as { message: string }).message, /^cannot read the archive: /);
  t.is(engine.store.log.head.seq, 0);
});

test('an upload that nothing takes is refused once all of it was sent', async (t) => {
  const past = await Engine.start(t, { server: { at: 0 } });
  const bytes = Buffer.alloc(MAX_DISCARDED_BODY_BYTES / 4);
  for (const [path, status] of [
    ['/images/load', 403],
    ['/build?t=x', 501],
  ] as const) {
    const sent = await past.send('POST', path, { body: Readable.from([bytes]) });
    t.is(sent.status, status, path);
  }
});

test('a client that leaves in the middle of a load or an import leaves nothing', async (t) => {
  const engine = await Engine.start(t);
  for (const path of ['/images/load', '/images/create?fromSrc=-']) {
    const sent = request({ socketPath: engine.socket, method: 'POST', path, agent: false });
    const failed = once(sent, 'error');
    sent.write(archiveBytes('docker25-all.tar').subarray(0, 100_000));
    await sleep(50);
    sent.destroy();
    await failed;
  }
  t.is((await engine.send('GET', '/_ping')).text, 'OK');
  t.is(engine.store.log.head.seq, 0);
});

test('an archive of several names is what the store saves, and loads again', async (t) => {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('docker25-all.tar'));
  const answer = await engine.begin('GET', '/images/get?names=tiny%3A1&names=shop%2Fapp');
  t.is(answer.headers['content-type'], 'application/x-tar');
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const other = await Engine.start(t);
  const names = (await other.load(Buffer.concat(chunks))).map((text) => text.slice('Loaded image: '.length, -1));
  t.deepEqual(names.sort(), ['shop/app:1.0', 'shop/app:2.0', 'shop/app:latest', 'tiny:1']);
  const one = await engine.send('GET', '/images/tiny:1/get');
  t.is(one.status, 200);
});

test('a name that is not there, or none, is refused before an archive begins', async (t) => {
  const engine = await Engine.start(t);
  await engine.load(archiveBytes('skopeo-tiny-1.tar'));
  for (const [path, status, message] of [
    ['/images/get?names=tiny%3A1&names=nosuch', 404, 'No such image: nosuch:latest'],
    ['/images/nosuch/get', 404, 'No such image: nosuch:latest'],
    ['/images/get', 400, 'name an image to save'],
  ] as const) {
    const answer = await engine.send('GET', path);
    t.deepEqual([answer.status, answer.text], [status, `${JSON.stringify({ message })}\n`]);
  }
});

test('an import makes an image of one layer, with the settings of its changes', async (t) => {
  const engine = await Engine.start(t);
  const body = gzipSync(await buildTar([{ name: 'hello', body: 'hello' }]));
  const changes = [
    'CMD ["/x"]',
    'ENTRYPOINT run it',
    String.raw`ENV A=b C="d e" F='g h' I=j\ k`,
    'env L m n',
    'LABEL k=v',
    'EXPOSE 80 53/udp',
    'VOLUME ["/v", "/w"]',
    'WORKDIR /w',
    'WORKDIR x',
    'USER u',
    'STOPSIGNAL 9',
    'ONBUILD RUN y',
  ];
  const query = changes.map((change) => `changes=${encodeURIComponent(change)}`).join('&');
  const path = `/images/create?fromSrc=-&repo=dn%2Fimp%3A1&message=mine&platform=linux%2Farm64&${query}`;
  const { text } = await engine.send('POST', path, { body });
  const [{ status: id } = { status: '' }] = lines<{ status: string }>(text);
  const facts = await engine.get<Record<string, unknown>>('/images/dn/imp:1/json');
  t.is(facts.Id, id);
  t.deepEqual([facts.Comment, facts.Architecture, facts.Os, facts.Size], ['mine', 'arm64', 'linux', 5]);
  t.like(facts.Config as object, {
    Cmd: ['/x'],
    Entrypoint: ['/bin/sh', '-c', 'run it'],
    Env: ['A=b', 'C=d e', 'F=g h', 'I=j k', 'L=m n'],
    Labels: { k: 'v' },
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Volumes: { '/v': {}, '/w': {} },
    WorkingDir: '/w/x',
    User: 'u',
    StopSignal: '9',
    OnBuild: ['RUN y'],
  });
  const [step] = await engine.get<{ Comment: string; Size: number }[]>('/images/dn/imp:1/history');
  t.like(step, { Comment: 'mine', Size: 5 });
});

test('an import is one transaction, whose events say that it is one', async (t) => {
  const engine = await Engine.start(t);
  const body = await buildTar([{ name: 'hello', body: 'hello' }]);
  await engine.send('POST', '/images/create?fromSrc=-&repo=dn/imp', { body });
  const types: string[] = [];
  for await (const { type, transaction, reason } of engine.store.log.read()) {
    t.deepEqual([transaction, reason], [{ first: 1, count: 3 }, 'docker import']);
    types.push(type);
  }
  t.deepEqual(types, ['LayerAdded', 'ImageCreated', 'ReferenceSet']);
  const path = `/events?since=0&until=${Math.ceil(Date.now() / 1_000)}&filters=%7B%22event%22%3A%5B%22import%22%5D%7D`;
  const { text } = await engine.send('GET', path);
  t.is(lines(text).length, 1);
});

test('an import without a name is an image without one, which rmi removes with its layer', async (t) => {
  const engine = await Engine.start(t);
  const body = await buildTar([{ name: 'hello', body: 'hello' }]);
  const { text } = await engine.send('POST', '/images/create?fromSrc=-', { body });
  const [{ status: id } = { status: '' }] = lines<{ status: string }>(text);
  t.is((await engine.send('DELETE', `/images/${id}`)).status, 200);
  t.is(engine.store.layers.map().size, 0);
});

const REFUSED: readonly (readonly [query: string, status: number, message: RegExp])[] = [
  ['fromSrc=-&changes=BOGUS%20x', 400, /^bogus is not a valid change command$/],
  ['fromSrc=-&changes=CMD', 400, /^CMD requires at least one argument$/],
  ['fromSrc=-&changes=ENV%20x', 400, /^ENV must have two arguments$/],
  ['fromSrc=-&changes=LABEL%20a%3Db%20c', 400, /^Syntax error - can't find = in "a=b c"$/],
  ['fromSrc=-&platform=%2F', 400, /platform/],
  ['fromSrc=-&repo=UP', 400, /^invalid reference format: /],
  ['fromSrc=http%3A%2F%2Fx', 501, /^imagelog is a store of images, it does not download/],
  ['', 400, /^neither fromImage nor fromSrc is given$/],
];

for (const [query, status, message] of REFUSED) {
  test(`POST /images/create?${query} is refused with ${status}, and leaves nothing`, async (t) => {
    const engine = await Engine.start(t);
    const body = await buildTar([{ name: 'hello', body: 'hello' }]);
    const answer = await engine.send('POST', `/images/create?${query}`, { body });
    t.is(answer.status, status);
    t.regex((JSON.parse(answer.text) as { message: string }).message, message);
    t.is(engine.store.log.head.seq, 0);
  });
}

test('what is not a tar is not imported, and its layer does not stay', async (t) => {
  const engine = await Engine.start(t);
  const answer = await engine.send('POST', '/images/create?fromSrc=-', { body: Buffer.alloc(2_000, 'x') });
  t.is(answer.status, 400);
  t.is(engine.store.log.head.seq, 0);
});

test('a server of the past shows what was there, and changes nothing', async (t) => {
  const store = await openTestStore(t, { onNotice: () => undefined });
  const now = await Engine.start(t, { store });
  await now.load(archiveBytes('skopeo-tiny-1.tar'));
  const then = store.log.head.seq;
  const [{ reference = '' } = {}] = store.referenceEntries();
  await store.tag({ source: reference, target: 'later:1' });
  await now.send('DELETE', `/images/${reference}`);
  const past = await Engine.start(t, { store, server: { at: then } });
  const tagsOf = async (engine: Engine): Promise<string[][]> =>
    (await engine.get<{ RepoTags: string[] }[]>('/images/json')).map(({ RepoTags }) => RepoTags);
  t.deepEqual(await tagsOf(past), [['tiny:1']]);
  t.deepEqual(await tagsOf(now), [['later:1']]);
  t.is((await past.get<{ Id: string }>('/images/tiny:1/json')).Id, store.resolve('later:1'));
  t.is((await past.send('GET', '/images/later:1/json')).status, 404);
  for (const [method, path] of [
    ['POST', '/images/tiny:1/tag?repo=x'],
    ['DELETE', '/images/tiny:1'],
    ['POST', '/images/load'],
    ['POST', '/images/create?fromSrc=-'],
    ['POST', '/images/prune'],
    ['POST', '/containers/prune'],
  ] as const) {
    const { status, text } = await past.send(method, path);
    t.is(status, 403, path);
    t.regex(text, /as it was \(--at\)/);
  }
  t.true((await past.get<{ Warnings: string[] }>('/info')).Warnings[0]?.endsWith(`after event ${then}`));
  t.is((await past.get<{ Images: object[] }>('/system/df')).Images.length, 1);
  const saved = await past.begin('GET', '/images/get?names=tiny');
  const chunks: Buffer[] = [];
  for await (const chunk of saved) chunks.push(chunk as Buffer);
  const other = await Engine.start(t);
  t.deepEqual(await other.load(Buffer.concat(chunks)), ['Loaded image: tiny:1\n']);
  await now.send('DELETE', '/images/later:1');
  const gone = await past.send('GET', '/images/tiny:1/get');
  t.is(gone.status, 404);
  t.regex(gone.text, /the blob sha256:\w+ was removed since/);
  t.is((await past.send('GET', '/images/later:1/get')).status, 404);
  t.is((await past.get<{ Version: string }>('/version')).Version, version());
});
