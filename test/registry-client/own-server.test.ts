import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { digestOf } from '../../src/model/digest.js';
import { copyImage } from '../../src/registry-client/copy.js';
import { Pull } from '../../src/registry-client/pull.js';
import { pushImage } from '../../src/registry-client/push.js';
import { RegistryClient } from '../../src/registry-client/registry-client.js';
import { RegistrySession } from '../../src/registry-client/registry-session.js';
import { createServer } from '../../src/server/create-server.js';
import type { EventStore } from '../../src/store/event-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { breakingProxy } from '../support/breaking-proxy.js';
import { inChunks } from '../support/build-tar.js';

/** Serves a new store on a free port of the loopback address. */
async function served(t: ExecutionContext): Promise<{ readonly host: string; readonly store: EventStore }> {
  const store = await temporaryStore(t);
  const server = createServer(store);
  const http = createHttpServer(server.listener).listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(async () => {
    http.closeAllConnections();
    http.close();
    await server.close();
  });
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { host: `127.0.0.1:${address.port}`, store };
}

test('what is pushed to a store that is served comes back with the same digests, and is mounted in copies', async (t) => {
  const { host, store } = await served(t);
  const [from, to] = [await temporaryStore(t), await temporaryStore(t)];
  for (const fixture of ['docker25-all.tar', 'oci-multi-platform.tar']) await from.load(archivePath(fixture));
  for (const name of ['tiny:multi', 'shop/app:1.0']) {
    const target = `${host}/test/${name}`;
    const { digest } = await pushImage(from, { name, target });
    t.is(store.resolve(`test/${name}`), from.resolve(name));
    const { seq } = store.log.head;
    t.is((await pushImage(from, { name, target })).blobs.uploaded, 0);
    t.is(store.log.head.seq, seq, 'a push of what is there is no event');
    const copied = await copyImage(target, `${host}/copied/${name}`);
    t.like(copied, { digest, blobs: { uploaded: 0, present: 0 } });
    const pull = await Pull.begin(`${host}/copied/${name}`);
    t.is((await pull.into(to).finally(() => pull.close())).digest, digest);
    t.is(to.resolve(`${host}/copied/${name}`), from.resolve(name));
  }
});

test('an upload to a store that is served continues where its connection broke', async (t) => {
  const { host: own, store } = await served(t);
  const host = await breakingProxy(t, own, 1_500_000);
  const bytes = randomBytes(3_000_000);
  // A busy server may not have taken what was sent before the connection broke.
  const wait = async (): Promise<void> => {
    while (store.registry.uploads.used.bytes === 0) await delay(10);
  };
  const session = new RegistrySession(host, { wait });
  t.teardown(() => session.close());
  const client = new RegistryClient(session, 'test/blobs');
  const digest = digestOf(bytes);
  const offsets: number[] = [];
  const open = (offset: number): AsyncIterable<Uint8Array> => {
    offsets.push(offset);
    return inChunks(bytes.subarray(offset));
  };
  t.is(await client.putBlob({ digest, size: bytes.length, mediaType: '' }, open), 'uploaded');
  t.true(offsets.length > 1 && offsets.slice(1).every((offset) => offset > 0), `continued at ${offsets.join(', ')}`);
  t.true(await client.hasBlob(digest));
});
