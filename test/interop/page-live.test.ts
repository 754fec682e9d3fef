import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createServer as createImagelog } from '../../src/server/create-server.js';
import type { ServerOptions } from '../../src/server/service.js';
import type { EventStore } from '../../src/store/event-store.js';
import { createKeyFile, readSigner } from '../../src/store/keys.js';
import { imageConfig } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestStore } from '../support/test-store.js';
import { inChromium, openPage, ORIGIN } from './page-in-chromium.js';

/* The served page while its server stops, starts again, is another one, or is behind a proxy. */

interface Running {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

async function listen(t: ExecutionContext, listener: RequestListener, port = 0): Promise<Running> {
  const http: Server = createServer(listener).listen(port, '127.0.0.1');
  await new Promise((resolve) => http.once('listening', resolve));
  const stop = async (): Promise<void> => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  };
  t.teardown(stop);
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/`, stop };
}

async function serve(
  t: ExecutionContext,
  store: EventStore,
  { port, base = '', ...options }: ServerOptions & { readonly port?: number; readonly base?: string } = {},
): Promise<Running> {
  const imagelog = createImagelog(store, options);
  const running = await listen(
    t,
    (request, response) => {
      request.url = (request.url ?? '').replace(base, '');
      imagelog.listener(request, response);
    },
    port,
  );
  const stop = async (): Promise<void> => {
    await running.stop();
    await imagelog.close();
  };
  t.teardown(stop);
  return { url: running.url, stop };
}

async function keyOf(t: ExecutionContext): Promise<string> {
  const path = join(await temporaryDirectory(t), 'log.key');
  await createKeyFile(path, ORIGIN);
  return path;
}

async function named(t: ExecutionContext, key: string, names: readonly string[]): Promise<EventStore> {
  const store = await openTestStore(t, { signer: await readSigner(key), layers: 'none' });
  const source = await store.create(imageConfig(names.join()));
  for (const target of names) await store.tag({ source, target });
  return store;
}

const GONE = /ERR_CONNECTION_REFUSED|Failed to load resource/;

inChromium('a server that is gone is told, and what happened meanwhile is shown when it is back', async (t) => {
  const store = await named(t, await keyOf(t), ['app:1']);
  const first = await serve(t, store);
  const page = await openPage(t, first.url, { tolerates: GONE });
  await first.stop();
  await page
    .locator('[role=alert]', { hasText: 'What came after event 2 is not here: the server cannot be reached' })
    .waitFor();
  t.regex((await page.textContent('h1')) ?? '', /^✓ Verified/);
  await store.tag({ source: 'app:1', target: 'app:2' });
  await serve(t, store, { port: Number(new URL(first.url).port) });
  await page.locator('.rows .name', { hasText: 'app:2' }).waitFor();
  await page.locator('.facts', { hasText: 'Events3' }).waitFor();
  t.is(await page.locator('[role=alert]').count(), 0);
});

inChromium('another log at the address of one that the browser has kept tiles of is read as it is', async (t) => {
  const first = await serve(t, await named(t, await keyOf(t), ['app:1', 'app:2']));
  const page = await openPage(t, first.url, { tolerates: GONE });
  await first.stop();
  const store = await named(t, await keyOf(t), ['web:1', 'web:2']);
  const other = await serve(t, store, { port: Number(new URL(first.url).port) });
  await page.goto('about:blank');
  await page.goto(other.url);
  await page.locator('.rows .name', { hasText: 'web:1' }).waitFor();
  // Its records are whole. That another key signed them is what the browser tells.
  t.regex((await page.textContent('h1')) ?? '', /^✕ .*sign/i);
});

inChromium('a server of the past, behind a proxy with a path, is followed by nobody', async (t) => {
  const store = await named(t, await keyOf(t), ['app:1', 'app:2']);
  const { url } = await serve(t, store, { at: 2, base: '/images' });
  const asked: string[] = [];
  const page = await openPage(t, `${url}images/#q=app`, { onRequest: (each) => asked.push(each) });
  await page.locator('.rows .name', { hasText: 'app:1' }).waitFor();
  t.is(await page.locator('.rows .name', { hasText: 'app:2' }).count(), 0);
  t.regex((await page.textContent('.facts')) ?? '', /Events2/);
  t.true(asked.some((each) => each.endsWith('/images/log/checkpoint')));
  t.deepEqual(
    asked.filter((each) => each.includes('/events')),
    [],
  );
});

inChromium('a server that lets nobody read is told as such', async (t) => {
  const store = await named(t, await keyOf(t), ['app:1']);
  const imagelog = createImagelog(store);
  t.teardown(() => imagelog.close());
  const { url } = await listen(t, (request, response) => {
    if (request.url === '/') imagelog.listener(request, response);
    else response.writeHead(401).end();
  });
  const page = await openPage(t, url, { tolerates: GONE, waits: false });
  await page.locator('.verdict', { hasText: 'the server answers 401 for log/key' }).waitFor();
  t.is(await page.textContent('h1'), '✕ This log cannot be read');
});
