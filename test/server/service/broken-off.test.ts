import { once } from 'node:events';
import { readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import test, { type ExecutionContext } from 'ava';
import { Hono } from 'hono';
import { StoreError } from '../../../src/errors.js';
import type { Digest } from '../../../src/model/digest.js';
import { lent, type ServerEnv, streamed } from '../../../src/server/exchange.js';
import { configPart, layerPart, manifestOf } from '../conformance/content.js';
import { until } from '../feed/serving.js';
import { type ServedStore, startRegistry } from '../start-registry.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { rawClient } from './raw-client.js';
import { serving } from './serving.js';

test('an upload that its client breaks off is no failure of the server, and has status 0', async (t) => {
  const failures: unknown[] = [];
  const { url, port, reports, notices } = await serving(t, {
    server: { onFailure: (error) => failures.push(error) },
  });
  const begun = await fetch(`${url}/v2/app/blobs/uploads/`, { method: 'POST' });
  const path = begun.headers.get('location')?.replace(url, '');
  for (const start of [`PATCH ${path}`, `PUT ${path}?digest=sha256:${'0'.repeat(64)}`, 'POST /consumers/x/ack']) {
    const before = reports.length;
    const { socket } = rawClient(t, port, `${start} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc`);
    await once(socket, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await until(() => reports.length > before);
    t.like(reports.at(-1), { status: 0, isCut: true, code: undefined }, start);
  }
  t.deepEqual(failures, []);
  t.deepEqual(notices, []);
});

/** Returns the path of the file of so many bytes, of which there is one. */
async function fileOf(directory: string, size: number): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  const found = paths.filter((_, at) => sizes[at] === size);
  if (found.length !== 1) throw new Error(`${found.length} files have ${size} bytes`);
  return found[0] ?? '';
}

/** Serves a store with an image, and tells of its layer. */
async function servedLayer(t: ExecutionContext): Promise<{
  readonly served: ServedStore;
  readonly bytes: Uint8Array;
  readonly layerUrl: string;
  /** The file of the layer. */
  readonly path: string;
  /** Uploads what is not there, and pushes the manifest. */
  readonly push: () => Promise<void>;
}> {
  const directory = await temporaryDirectory(t);
  const served = await startRegistry(t, directory);
  const { base } = served;
  const layer = layerPart('gzip');
  const bytes = layer.blob?.bytes ?? Buffer.of();
  const config = configPart([layer], {});
  const manifest = manifestOf(config, [layer]);
  const upload = async ({ blob }: typeof layer): Promise<void> => {
    if ((await fetch(`${base}/v2/app/blobs/${blob?.digest}`, { method: 'HEAD' })).status === 200) return;
    const url = `${base}/v2/app/blobs/uploads/?digest=${blob?.digest}`;
    t.is((await fetch(url, { method: 'POST', body: Buffer.from(blob?.bytes ?? '') })).status, 201);
  };
  const layerUrl = `${base}/v2/app/blobs/${layer.descriptor.digest}`;
  const headers = { 'content-type': manifest.mediaType };
  const body = Buffer.from(manifest.bytes);
  const push = async (): Promise<void> => {
    await upload(layer);
    await upload(config);
    t.is((await fetch(`${base}/v2/app/manifests/1`, { method: 'PUT', headers, body })).status, 201);
    t.is((await (await fetch(layerUrl)).arrayBuffer()).byteLength, bytes.length);
  };
  await push();
  return { served, bytes, layerUrl, path: await fileOf(directory, bytes.length), push };
}

test('a blob whose file has another size than was written is not there: verify names it, a push brings it', async (t) => {
  const { served, bytes, layerUrl, path, push } = await servedLayer(t);
  for (const damaged of [bytes.subarray(0, -1), new Uint8Array(0), Buffer.concat([bytes, bytes])]) {
    await writeFile(path, damaged);
    t.is((await fetch(layerUrl, { method: 'HEAD' })).status, 404);
    const answer = await fetch(layerUrl);
    t.is(answer.status, 404);
    t.like(await answer.json(), { errors: [{ code: 'BLOB_UNKNOWN' }] });
    t.like(await served.store.verify(), [{ code: 'BLOB_SIZE_WRONG' }]);
    await push();
    t.deepEqual(await served.store.verify(), []);
  }
});

test('a blob whose file becomes shorter while it is sent is cut off', async (t) => {
  const { served, layerUrl, path } = await servedLayer(t);
  const { registry } = served.store;
  const name = layerUrl.slice(layerUrl.lastIndexOf('/') + 1) as Digest;
  const blob = registry.blob('docker.io/library/app', name);
  await truncate(path, 3);
  // As a request that had opened it before.
  Object.assign(registry, { blob: () => blob });
  await t.throwsAsync(async () => (await fetch(layerUrl)).arrayBuffer());
  t.like(served.failures, [{ code: 'BLOB_CORRUPT' }]);
});

test('an answer whose body fails once it began is cut, and the failure reported', async (t) => {
  const failures: unknown[] = [];
  const onFailure = (error: unknown): number => failures.push(error);
  const sending = { status: 200, headers: { 'content-length': '10' }, onFailure } as const;
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(5);
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new StoreError('IO_FAILED', 'cannot read');
  };
  const short = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(5);
  };
  const app = new Hono<ServerEnv>();
  app.get('/lent', async (c) => (await lent(c, sending, failing)) ?? c.text(''));
  app.get('/streamed', (c) => streamed(c, sending, Readable.from(failing(), { objectMode: false })));
  const answer = getRequestListener((request, env) => app.fetch(request, env));
  const http = createServer((incoming, outgoing) => void answer(incoming, outgoing)).listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => http.close());
  const { port } = http.address() as AddressInfo;
  app.get('/short-lent', async (c) => (await lent(c, sending, short)) ?? c.text(''));
  app.get('/short-streamed', (c) => streamed(c, sending, Readable.from(short(), { objectMode: false })));
  for (const path of ['lent', 'streamed', 'short-lent', 'short-streamed']) {
    await t.throwsAsync(async () => (await fetch(`http://127.0.0.1:${port}/${path}`)).arrayBuffer());
  }
  t.deepEqual(
    failures.map((error) => (error as StoreError).code),
    ['IO_FAILED', 'IO_FAILED', 'BLOB_CORRUPT', 'BLOB_CORRUPT'],
  );
});

test('a failure of the disk is the operator’s: clients hear no path of the server', async (t) => {
  const { base, store, failures } = await startRegistry(t, await temporaryDirectory(t));
  const message = `cannot write ${store.directory}/uploads/staged/x: it failed`;
  for (const [code, status] of [
    ['DISK_FULL', 503],
    ['IO_FAILED', 500],
  ] as const) {
    const error = new StoreError(code, message);
    Object.assign(store.registry.uploads, { start: () => Promise.reject(error) });
    const answer = await fetch(`${base}/v2/app/blobs/uploads/`, { method: 'POST' });
    const body = await answer.text();
    t.is(answer.status, status);
    t.true(body.includes(`"code":"${code}"`), body);
    t.false(body.includes(store.directory), body);
    t.is(failures.at(-1), error);
  }
});

test('a staged blob whose file is gone is an error answer', async (t) => {
  const directory = await temporaryDirectory(t);
  const { base } = await startRegistry(t, directory);
  const { blob } = configPart([], { fields: { comment: 'x'.repeat(100) } });
  const url = `${base}/v2/app/blobs/uploads/?digest=${blob?.digest}`;
  t.is((await fetch(url, { method: 'POST', body: Buffer.from(blob?.bytes ?? '') })).status, 201);
  const place = `${base}/v2/app/blobs/${blob?.digest}`;
  t.is((await (await fetch(place)).arrayBuffer()).byteLength, blob?.bytes.length ?? 0);
  await rm(await fileOf(directory, blob?.bytes.length ?? 0));
  t.is((await fetch(place)).status, 500);
});
