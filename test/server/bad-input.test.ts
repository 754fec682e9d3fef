import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { MAX_PUSHED_MANIFEST_BYTES } from '../../src/limits.js';
import { digestOf } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { indexOf, OCI_MANIFEST, type Pushable } from '../support/pushed-images.js';
import { eventsOf } from '../support/test-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import type { Place } from './conformance/case.js';
import { configPart, layerPart, type Manifest, manifestOf, randomBlob } from './conformance/content.js';
import { demandError, demandLocation } from './conformance/demands.js';
import { ACCEPT, manifestPath, putManifest } from './conformance/manifest-requests.js';
import { type Answer, RegistryClient } from './conformance/registry-client.js';
import { beginUpload, blobPath, uploadByPut } from './conformance/uploads.js';
import { serving } from './service/serving.js';
import { startRegistry } from './start-registry.js';

interface World extends Place {
  readonly base: string;
  readonly store: EventStore;
  readonly directory: string;
}

async function newWorld(t: ExecutionContext): Promise<World> {
  const directory = join(await temporaryDirectory(t), 'store');
  const { base, store } = await startRegistry(t, directory);
  const client = new RegistryClient(base);
  t.teardown(() => client[Symbol.dispose]());
  t.teardown(async () => {
    const [violation] = await store.verify();
    if (violation !== undefined) throw new Error(`the store is damaged: ${JSON.stringify(violation)}`);
  });
  return { base, store, client, directory, repository: 'shop/app' };
}

/** A connection on which a test sends bytes as it likes. */
interface RawConnection {
  send(...parts: readonly (string | Uint8Array)[]): void;
  /** Ends it, and resolves with all that came back. */
  end(): Promise<string>;
}

function connectRaw(base: string): RawConnection {
  const received: Buffer[] = [];
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.on('data', (chunk) => received.push(chunk));
  // The server may cut it: what came before that counts.
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(Buffer.concat(received).toString()));
  });
  return {
    send: (...parts) => {
      for (const part of parts) socket.write(part);
    },
    end: () => {
      socket.end();
      return closed;
    },
  };
}

function sendRaw(base: string, ...parts: readonly (string | Uint8Array)[]): Promise<string> {
  const connection = connectRaw(base);
  connection.send(...parts);
  return connection.end();
}

function head(method: string, target: string | URL, ...headers: readonly string[]): string {
  const path = typeof target === 'string' ? target : `${target.pathname}${target.search}`;
  return [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n');
}

/** Asks until the server has noticed that a connection ended. */
async function until(ask: () => Promise<Answer>, isDone: (answer: Answer) => boolean): Promise<Answer> {
  for (let times = 0; ; times += 1) {
    const answer = await ask();
    if (isDone(answer) || times === 1_000) return answer;
  }
}

/** A new image, whose blobs are pushed. */
async function newImage(place: Place): Promise<Manifest> {
  const layer = layerPart('gzip');
  const config = configPart([layer], {});
  for (const { blob } of [layer, config]) if (blob !== undefined) await uploadByPut(place, blob);
  return manifestOf(config, [layer]);
}

/** How a body of 1,000 bytes begins, and what comes instead of the rest that it announces. */
const lies: readonly (readonly [name: string, headers: readonly string[], before: string, after: string])[] = [
  ['is shorter than its length', ['Content-Length: 2000'], '', ''],
  ['ends in the middle of a chunk', ['Transfer-Encoding: chunked'], '7d0\r\n', ''],
  ['has a chunk of no length', ['Transfer-Encoding: chunked'], '3e8\r\n', '\r\nlong\r\n'],
];

for (const [name, headers, before, after] of lies) {
  test(`an upload whose body ${name} keeps what came, and is continued`, async (t) => {
    const world = await newWorld(t);
    const { client, base } = world;
    const { bytes, digest } = randomBlob(2000);
    const { url } = await beginUpload(world);
    const connection = connectRaw(base);
    connection.send(head('PATCH', url, ...headers), before, bytes.subarray(0, 1000));
    const isThere = ({ value }: Answer): boolean => value('range') === '0-999';
    t.true(isThere(await until(() => client.ask(url), isThere)));
    connection.send(after);
    await connection.end();
    const rest = { headers: { 'content-range': '1000-1999' }, body: bytes.subarray(1000) };
    // Until the server has noticed, the other request works on the upload.
    const patched = await until(
      () => client.ask(url, { method: 'PATCH', ...rest }),
      ({ status }) => status === 202,
    );
    const closing = demandLocation(patched);
    closing.searchParams.set('digest', digest);
    t.is((await client.ask(closing, { method: 'PUT' })).status, 201);
    t.deepEqual((await client.ask(blobPath(world.repository, digest))).body, Buffer.from(bytes));
  });

  test(`a closing PUT whose body ${name} makes no blob`, async (t) => {
    const world = await newWorld(t);
    const { bytes, digest } = randomBlob(1000);
    const { url } = await beginUpload(world);
    url.searchParams.set('digest', digest);
    await sendRaw(world.base, head('PUT', url, ...headers), before, bytes, after);
    t.is((await world.client.ask(blobPath(world.repository, digest))).status, 404);
    t.is(world.store.log.head.seq, 0);
  });
}

test('a manifest that is cut off sets nothing', async (t) => {
  const world = await newWorld(t);
  const manifest = await newImage(world);
  const { seq } = world.store.log.head;
  const length = `Content-Length: ${manifest.bytes.length + 1}`;
  const path = manifestPath(world.repository, 'cut');
  await sendRaw(world.base, head('PUT', path, `Content-Type: ${manifest.mediaType}`, length), manifest.bytes);
  t.is((await world.client.ask(path, { headers: ACCEPT })).status, 404);
  t.is(world.store.log.head.seq, seq);
});

const smuggled: readonly (readonly [name: string, headers: readonly string[]])[] = [
  ['two lengths', ['Content-Length: 5', 'Content-Length: 0']],
  ['two lengths in a line', ['Content-Length: 5, 0']],
  ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
  ['a negative length', ['Content-Length: -5']],
  ['an unknown coding at the end', ['Transfer-Encoding: chunked, nothing']],
];

for (const [name, headers] of smuggled) {
  test(`a request with ${name} is 400, and what follows it is not done`, async (t) => {
    const world = await newWorld(t);
    const manifest = await newImage(world);
    await putManifest(world, 'kept', manifest);
    const path = manifestPath(world.repository, 'kept');
    const { url } = await beginUpload(world);
    const received = await sendRaw(world.base, head('PATCH', url, ...headers), '0\r\n\r\n', head('DELETE', path));
    t.deepEqual(received.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 400']);
    t.is((await world.client.ask(path, { headers: ACCEPT })).status, 200);
  });
}

test('a large upload of other bytes than its digest tells leaves nothing', async (t) => {
  const world = await newWorld(t);
  const [sent, told] = [randomBytes(16 * 1024 * 1024), randomBlob(10)];
  const { url } = await beginUpload(world);
  url.searchParams.set('digest', told.digest);
  const answer = await world.client.ask(url, { method: 'PUT', body: sent });
  t.is(answer.status, 400);
  demandError(answer, 'DIGEST_INVALID');
  t.is((await world.client.ask(url)).status, 404);
  for (const folder of ['incoming', 'staged']) t.deepEqual(await readdir(join(world.directory, 'uploads', folder)), []);
  t.is(world.store.log.head.seq, 0);
});

test('pushes of one tag at once are all taken, and one of them is the last', async (t) => {
  const world = await newWorld(t);
  const images = await Promise.all(Array.from({ length: 8 }, () => newImage(world)));
  await Promise.all(images.map((image) => putManifest(world, image.digest, image)));
  const answers = await Promise.all(
    images.map(({ bytes, mediaType }) =>
      world.client.ask(manifestPath(world.repository, 'latest'), {
        method: 'PUT',
        headers: { 'content-type': mediaType },
        body: bytes,
      }),
    ),
  );
  t.deepEqual(
    answers.map(({ status }) => status),
    images.map(() => 201),
  );
  const moves = (await eventsOf(world.store)).filter(
    (event) => event.type === 'ReferenceSet' && event.reference === 'docker.io/shop/app:latest',
  );
  t.is(moves.length, images.length);
  const last = moves.at(-1);
  const digest = last?.type === 'ReferenceSet' ? last.target?.digest : undefined;
  const latest = await world.client.ask(manifestPath(world.repository, 'latest'), { headers: ACCEPT });
  t.is(latest.value('docker-content-digest'), digest);
  for (const image of images) {
    t.is((await world.client.ask(manifestPath(world.repository, image.digest), { headers: ACCEPT })).status, 200);
  }
});

test('a push of what is there is no event, however often and at once', async (t) => {
  const world = await newWorld(t);
  const image = await newImage(world);
  await putManifest(world, 'once', image);
  const { seq } = world.store.log.head;
  await Promise.all(Array.from({ length: 8 }, () => putManifest(world, 'once', image)));
  await putManifest(world, image.digest, image);
  t.is(world.store.log.head.seq, seq);
});

test('a manifest has at most MAX_PUSHED_MANIFEST_BYTES; a longer one is 413', async (t) => {
  const world = await newWorld(t);
  const [layer] = [layerPart('gzip')];
  const config = configPart([layer], {});
  for (const { blob } of [layer, config]) if (blob !== undefined) await uploadByPut(world, blob);
  const withLength = (length: number): Manifest => {
    const { bytes } = manifestOf(config, [layer], { annotations: { filler: '' } });
    return manifestOf(config, [layer], { annotations: { filler: 'A'.repeat(length - bytes.length) } });
  };
  const [longest, longer] = [withLength(MAX_PUSHED_MANIFEST_BYTES), withLength(MAX_PUSHED_MANIFEST_BYTES + 1)];
  t.is(longest.bytes.length, MAX_PUSHED_MANIFEST_BYTES);
  await putManifest(world, 'longest', longest, { framing: 'chunked' });
  const { seq } = world.store.log.head;
  for (const framing of ['length', 'chunked'] as const) {
    const answer = await world.client.ask(manifestPath(world.repository, 'longer'), {
      method: 'PUT',
      headers: { 'content-type': longer.mediaType },
      body: longer.bytes,
      framing,
    });
    t.is(answer.status, 413);
    demandError(answer, 'MANIFEST_INVALID');
  }
  t.is(world.store.log.head.seq, seq);
});

test('an index of more entries than an event lists is 413 with their number, and changes nothing', async (t) => {
  const { store, client } = await newWorld(t);
  const indexOfMany = (count: number): Pushable =>
    indexOf(
      Array.from({ length: count }, (_, at) => ({
        ...{ mediaType: OCI_MANIFEST, digest: digestOf(Buffer.from(`${at}`)), size: 500 },
        ...{ bytes: new Uint8Array(0), blobs: [], architecture: `cpu${at}` },
      })),
    );
  const put = ({ mediaType, bytes }: Pushable): Promise<Answer> =>
    client.ask('/v2/shop/app/manifests/many', { method: 'PUT', headers: { 'content-type': mediaType }, body: bytes });
  t.is((await put(indexOfMany(750))).status, 201);
  const { seq } = store.log.head;
  const answer = await put(indexOfMany(1_000));
  t.is(answer.status, 413);
  demandError(answer, 'MANIFEST_INVALID');
  t.regex(
    answer.body.toString(),
    /names 1000 manifests and blobs, and an event that lists them has room for 65535 bytes/,
  );
  t.is(store.log.head.seq, seq);
});

test('bad requests by the hundred leave no socket, upload or event', async (t) => {
  const { url: base, store } = await serving(t);
  const chunked = 'Transfer-Encoding: chunked';
  const kinds = [
    head('POST', '/v2/a/b/blobs/uploads/', 'Content-Length: 5', chunked),
    head('PUT', '/v2/a/b/manifests/1', 'Content-Length: 5'),
    `${head('POST', `/v2/a/b/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`, chunked)}5\r\nab`,
    `${head('PATCH', '/v2/a/b/blobs/uploads/nothing', chunked)}zz\r\n`,
    `GET /v2/ HTTP/1.1\r\n${Array.from({ length: 300 }, (_, at) => `X-${at}: 1`).join('\r\n')}\r\n\r\n`,
    head('GET', '/v2/', `X: ${'x'.repeat(20_000)}`),
    head('GET', `/v2/${'a/'.repeat(5_000)}manifests/1`),
    head('GET', '/v2/a/%2e%2e%2f%2e%2e/manifests/..'),
    'GET /v2/ HT',
  ];
  const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
  const before = sockets();
  for (let round = 0; round < 12; round += 1) {
    const answers = await Promise.all(kinds.map((kind) => sendRaw(base, kind)));
    // A connection that is reset with bytes unread may lose the end of its answer.
    for (const [at, answer] of answers.entries()) t.regex(answer, /^(?:HTTP\/1\.1 4\d\d |$)/, kinds[at]);
  }
  t.timeout(60_000, 'a socket or an upload stays');
  // The server ends an upload after its socket.
  const areOpen = (): boolean => sockets() > before || store.registry.uploads.used.uploads > 0;
  while (areOpen()) await new Promise((done) => setTimeout(done, 10));
  t.deepEqual(store.registry.uploads.used, { uploads: 0, blobs: 0, bytes: 0 });
  t.is(store.log.head.seq, 0);
});

test('names that lead elsewhere, or are too long, change nothing', async (t) => {
  const world = await newWorld(t);
  const manifest = await newImage(world);
  const { seq } = world.store.log.head;
  const names = ['..', '../..', 'a/../b', '%2e%2e/a', 'a%2f..%2fb', 'a%00b', 'a\\b', `${'a/'.repeat(4_999)}b`, '~root'];
  for (const name of names) {
    for (const path of [manifestPath(name, 'latest'), manifestPath(world.repository, name.replaceAll('/', '%2f'))]) {
      const answer = await world.client.ask(path, {
        method: 'PUT',
        headers: { 'content-type': manifest.mediaType },
        body: manifest.bytes,
      });
      t.true([400, 404, 414, 431].includes(answer.status), `${path.slice(0, 60)}: ${answer.status}`);
    }
    const upload = await world.client.ask(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
    t.true([400, 404, 405, 414].includes(upload.status), `${name.slice(0, 60)}: ${upload.status}`);
  }
  t.is(world.store.log.head.seq, seq);
  t.deepEqual(world.store.registry.repositories(), []);
});
