import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { MAX_REGISTRY_ATTEMPTS, MAX_WHOLE_UPLOAD_BYTES } from '../../src/limits.js';
import { type Descriptor, digestOf } from '../../src/model/digest.js';
import { RegistryClient } from '../../src/registry-client/registry-client.js';
import { RegistrySession } from '../../src/registry-client/registry-session.js';
import { inChunks } from '../support/build-tar.js';
import { fail, type FakeRegistry, fakeRegistry } from '../support/fake-registry.js';
import { rejection } from '../support/rejection.js';

function clientOf(t: ExecutionContext, registry: FakeRegistry): RegistryClient {
  const session = new RegistrySession(registry.host, { wait: async () => undefined });
  t.teardown(() => session.close());
  return new RegistryClient(session, 'shop/app');
}

const small = Buffer.from('a small layer');
const large = randomBytes(MAX_WHOLE_UPLOAD_BYTES + 500_000);

const blobOf = (bytes: Uint8Array): Descriptor => ({ digest: digestOf(bytes), size: bytes.length, mediaType: '' });
const from =
  (bytes: Uint8Array) =>
  (offset: number): AsyncIterable<Uint8Array> =>
    inChunks(bytes.subarray(offset), 50_000);

/** Takes about `bytes` of a body for the registry, then breaks the connection. */
async function breakAfter(registry: FakeRegistry, request: IncomingMessage, bytes: number): Promise<boolean> {
  const id = new URL(request.url ?? '', 'http://registry').pathname.split('/').at(-1) ?? '';
  // A request that is iterated no longer knows its socket after the last step.
  const { socket } = request;
  let taken = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    const kept = chunk.subarray(0, bytes - taken);
    taken += kept.length;
    registry.uploads.set(id, Buffer.concat([registry.uploads.get(id) ?? Buffer.alloc(0), kept]));
    if (taken === bytes) break;
  }
  socket.destroy();
  return true;
}

const methods = (registry: FakeRegistry): string[] => registry.seen.map(({ method }) => method);

test('a small blob is one PUT, a large one is a PATCH and a PUT, one that is there is nothing', async (t) => {
  const registry = await fakeRegistry(t);
  const client = clientOf(t, registry);
  t.is(await client.putBlob(blobOf(small), from(small)), 'uploaded');
  t.deepEqual(methods(registry), ['HEAD', 'POST', 'PUT']);
  t.is(await client.putBlob(blobOf(large), from(large)), 'uploaded');
  t.deepEqual(methods(registry).slice(3), ['HEAD', 'POST', 'PATCH', 'PUT']);
  t.is(await client.putBlob(blobOf(large), from(large)), 'present');
  t.true(registry.blobs.get(digestOf(large))?.equals(large));
  t.is(registry.uploads.size, 0);
});

test('a large blob continues where its connection broke, and reports each byte once', async (t) => {
  const registry = await fakeRegistry(t);
  let breaks = 3;
  registry.intercept = (request) =>
    request.method === 'PATCH' && breaks-- > 0 ? breakAfter(registry, request, 300_000) : false;
  let reported = 0;
  const onBytes = (bytes: number): void => {
    reported += bytes;
  };
  t.is(await clientOf(t, registry).putBlob(blobOf(large), from(large), { onBytes }), 'uploaded');
  t.true(registry.blobs.get(digestOf(large))?.equals(large));
  const ranges = registry.seen.map(({ headers }) => headers['content-range']).filter((range) => range !== undefined);
  t.deepEqual(
    ranges,
    [1, 2, 3].map((at) => `${at * 300_000}-${large.length - 1}`),
  );
  t.is(reported, large.length);
});

test('an upload that the registry forgot, or that broke before a byte, begins again', async (t) => {
  for (const forgets of [true, false]) {
    const registry = await fakeRegistry(t);
    let breaks = 1;
    registry.intercept = async (request) => {
      if (request.method !== 'PATCH' || breaks-- <= 0) return false;
      if (!forgets) return breakAfter(registry, request, 1);
      registry.uploads.clear();
      request.socket.destroy();
      return true;
    };
    t.is(await clientOf(t, registry).putBlob(blobOf(large), from(large)), 'uploaded');
    t.true(registry.blobs.get(digestOf(large))?.equals(large));
    t.deepEqual(methods(registry), ['HEAD', 'POST', 'PATCH', 'GET', 'POST', 'PATCH', 'PUT']);
  }
});

test('a registry that does not take the rest yet is asked again how far it came', async (t) => {
  const registry = await fakeRegistry(t);
  const plan: ('break' | 'busy')[] = ['break', 'busy', 'busy'];
  registry.intercept = (request, response) => {
    const next = request.method === 'PATCH' ? plan.shift() : undefined;
    if (next === 'break') return breakAfter(registry, request, 300_000);
    if (next === 'busy') fail(response, 416, 'BLOB_UPLOAD_INVALID');
    return next === 'busy';
  };
  t.is(await clientOf(t, registry).putBlob(blobOf(large), from(large)), 'uploaded');
  t.true(registry.blobs.get(digestOf(large))?.equals(large));
  t.is(methods(registry).filter((method) => method === 'GET').length, 3);
});

test('a small blob whose connection broke begins again', async (t) => {
  const registry = await fakeRegistry(t);
  let breaks = 2;
  registry.intercept = (request) =>
    request.method === 'PUT' && breaks-- > 0 ? breakAfter(registry, request, 5) : false;
  t.is(await clientOf(t, registry).putBlob(blobOf(small), from(small)), 'uploaded');
  t.deepEqual(methods(registry), ['HEAD', 'POST', 'PUT', 'POST', 'PUT', 'POST', 'PUT']);
});

test('a last answer that was lost is no failure when the blob is there', async (t) => {
  const registry = await fakeRegistry(t);
  let isLost = true;
  registry.intercept = async (request) => {
    if (request.method !== 'PUT' || !isLost) return false;
    isLost = false;
    registry.blobs.set(digestOf(large), large);
    registry.uploads.clear();
    request.socket.destroy();
    return true;
  };
  t.is(await clientOf(t, registry).putBlob(blobOf(large), from(large)), 'uploaded');
  t.deepEqual(methods(registry).slice(-3), ['PUT', 'PUT', 'HEAD']);
});

test('a connection that breaks without progress is unavailable in the end', async (t) => {
  const registry = await fakeRegistry(t);
  registry.intercept = (request) => (request.method === 'PATCH' ? breakAfter(registry, request, 1) : false);
  await rejection(t, 'REGISTRY_UNAVAILABLE', clientOf(t, registry).putBlob(blobOf(large), from(large)));
  t.is(methods(registry).filter((method) => method === 'PATCH').length, MAX_REGISTRY_ATTEMPTS);
});

test('a blob is mounted from the first repository that gives it, else uploaded in the session that began', async (t) => {
  const registry = await fakeRegistry(t);
  registry.addBlob(small);
  registry.intercept = ({ method, url = '' }, response) => {
    if (method !== 'HEAD' && !url.includes('from=empty')) return false;
    if (method === 'HEAD') fail(response, 404, 'BLOB_UNKNOWN');
    else response.writeHead(202, { location: '/v2/shop/app/blobs/uploads/9' }).end();
    return true;
  };
  const client = clientOf(t, registry);
  t.is(await client.putBlob(blobOf(small), from(small), { mountFrom: ['empty', 'base/os'] }), 'mounted');
  t.deepEqual(registry.requests('POST'), [
    `POST /v2/shop/app/blobs/uploads/?mount=${digestOf(small)}&from=empty`,
    `POST /v2/shop/app/blobs/uploads/?mount=${digestOf(small)}&from=base%2Fos`,
  ]);
  const other = Buffer.from('other');
  registry.uploads.set('9', Buffer.alloc(0));
  t.is(await client.putBlob(blobOf(other), from(other), { mountFrom: ['empty'] }), 'uploaded');
  t.is(registry.requests('POST').length, 3);
});

test('a registry that refuses, or answers out of the protocol, is told', async (t) => {
  const registry = await fakeRegistry(t);
  const client = clientOf(t, registry);
  const wrong = { ...blobOf(small), digest: digestOf(large) };
  t.regex((await rejection(t, 'REGISTRY_REFUSED', client.putBlob(wrong, from(small)))).message, /400 \(DIGEST_INVALID/);
  registry.intercept = ({ method }, response) => {
    if (method !== 'POST') return false;
    response.writeHead(202).end();
    return true;
  };
  t.regex((await rejection(t, 'REGISTRY_INVALID', client.putBlob(wrong, from(small)))).message, /gave no address/);
  registry.intercept = (request, response) => {
    if (request.method === 'PATCH') return breakAfter(registry, request, 1000);
    if (request.method !== 'GET') return false;
    response.writeHead(204, { range: '0-999999999' }).end();
    return true;
  };
  const beyond = await rejection(t, 'REGISTRY_INVALID', client.putBlob(blobOf(large), from(large)));
  t.regex(beyond.message, /it has 1000000000 bytes/);
});

test('a registry that takes a manifest as another one is told', async (t) => {
  const registry = await fakeRegistry(t);
  registry.intercept = (_, response) => {
    response.writeHead(201, { 'docker-content-digest': `sha256:${'b'.repeat(64)}` }).end();
    return true;
  };
  const bytes = Buffer.from('{}');
  const put = clientOf(t, registry).putManifest('1', { descriptor: blobOf(bytes), bytes });
  t.regex((await rejection(t, 'BLOB_MISMATCH', put)).message, /took the manifest .* as sha256:bbbb/);
});

test('a failure of the source ends the upload as it is', async (t) => {
  const registry = await fakeRegistry(t);
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield small;
    throw new RangeError('the source is broken');
  };
  const client = clientOf(t, registry);
  await t.throwsAsync(client.putBlob(blobOf(large), broken), { instanceOf: RangeError });
  await t.throwsAsync(client.putBlob({ ...blobOf(large), size: 20 }, broken), { instanceOf: RangeError });
});
