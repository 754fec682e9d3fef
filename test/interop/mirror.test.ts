import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Digest } from '../../src/model/digest.js';
import { credentialFinder, type FindCredentials } from '../../src/registry-client/credentials.js';
import { Pull } from '../../src/registry-client/pull.js';
import { pushImage } from '../../src/registry-client/push.js';
import type { MirrorRule } from '../../src/server/mirror/rules.js';
import type { EventStore } from '../../src/store/event-store.js';
import { serveStore } from '../server/start-registry.js';
import { archivePath } from '../store/fixture-archives.js';
import { reopened, temporaryStore } from '../store/temporary-store.js';
import { OCI_MANIFEST } from '../support/pushed-images.js';
import { requires } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startDockerRegistry } from './docker-registry.js';

const withRegistry = requires('docker-registry');
/** `hunter2` of ann, as htpasswd writes it with bcrypt. */
const PASSWORDS = 'ann:$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm\n';

/** A proxy before a registry: what it got, and what it does instead. */
interface Between {
  readonly host: string;
  /** As `METHOD path`. */
  readonly seen: string[];
  /** Answers in the place of the registry; false leaves it to the registry. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
  /** Changes the body of an answer. */
  change: (path: string, body: Buffer) => Buffer;
  stop(): void;
}

async function between(t: ExecutionContext, upstream: string): Promise<Between> {
  const pass = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = incoming;
    proxy.seen.push(`${method} ${url}`);
    if (await proxy.intercept(incoming, response)) return;
    const passed = request(`http://${upstream}${url}`, { method, headers }).end();
    const [answer] = (await once(passed, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.end(proxy.change(url, body));
  };
  const server = createServer((incoming, response) => {
    pass(incoming, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = (): void => {
    server.closeAllConnections();
    server.close();
  };
  t.teardown(stop);
  const proxy: Between = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    intercept: () => false,
    change: (_, body) => body,
    stop,
  };
  return proxy;
}

/** A mirror of a docker-registry behind a proxy. */
interface World {
  /** Images to push upstream. */
  readonly source: EventStore;
  readonly upstream: string;
  readonly proxy: Between;
  readonly told: string[];
  store: EventStore;
  /** Host and port of the mirror. */
  host: string;
  /** Pushes an image of the source upstream; resolves with its digest. */
  push(name: string, tag: string): Promise<Digest>;
  get(path: string): Promise<Response>;
  /** Resolves with the digest of a tag, and its warning. */
  tag(tag: string): Promise<[digest: string | null, warning: string]>;
  /** Reasons of the events of a tag that came by the mirror. */
  reasons(tag: string): Promise<(string | undefined)[]>;
  /** Ends the mirror and starts it again. */
  restart(): Promise<void>;
}

async function world(
  t: ExecutionContext,
  { rule = {}, credentials, more }: { rule?: Partial<MirrorRule>; credentials?: FindCredentials; more?: object } = {},
): Promise<World> {
  const upstream = await startDockerRegistry(t, { ...more });
  const proxy = await between(t, upstream);
  const source = await temporaryStore(t);
  for (const fixture of ['docker25-all.tar', 'oci-multi-platform.tar']) await source.load(archivePath(fixture));
  const told: string[] = [];
  const mirrors = [{ repositories: 'up/**', upstream: proxy.host, freshSeconds: 0, ...rule }];
  const serve = (store: EventStore): ReturnType<typeof serveStore> =>
    serveStore(store, { mirrors, upstreamCredentials: credentials, onNotice: (notice) => told.push(notice) });
  const store = await temporaryStore(t);
  let served = await serve(store);
  t.teardown(() => served.stop());
  const its: World = {
    ...{ source, upstream, proxy, told, store },
    host: new URL(served.base).host,
    push: async (name, tag) => {
      const options = credentials === undefined ? {} : { credentials };
      return (await pushImage(source, { name, target: `${upstream}/up/app:${tag}` }, options)).digest;
    },
    get: (path) => fetch(`http://${its.host}/v2/up/app/${path}`),
    tag: async (tag) => {
      const answer = await its.get(`manifests/${tag}`);
      await answer.arrayBuffer();
      return [answer.headers.get('docker-content-digest'), answer.headers.get('warning') ?? ''];
    },
    reasons: async (tag) => {
      const reasons: (string | undefined)[] = [];
      const filter = { reference: `up/app:${tag}`, via: 'mirror' };
      for await (const { reason } of its.store.log.read({ filter })) reasons.push(reason);
      return reasons;
    },
    restart: async () => {
      await served.stop();
      its.store = await reopened(t, its.store);
      served = await serve(its.store);
      its.host = new URL(served.base).host;
    },
  };
  return its;
}

withRegistry(
  'moves, a restart and a deleted tag of a docker-registry: what is refused is an event, once',
  async (t) => {
    const its = await world(t, { rule: { movedTags: 'refuse' } });
    const one = await its.push('shop/app:1.0', '1');
    const two = await its.push('shop/app:2.0', '2');
    const first = await Promise.all(Array.from({ length: 8 }, () => its.tag('1')));
    t.deepEqual(new Set(first.flat()), new Set([one, '']));
    t.is(its.proxy.seen.filter((each) => each === `GET /v2/up/app/manifests/${one}`).length, 1);
    t.is(new Set(its.proxy.seen.filter((each) => each.includes('/blobs/'))).size, its.proxy.seen.length - 2);
    t.deepEqual(await its.tag('2'), [two, '']);
    // To what is here already, and to what is not.
    for (const to of [two, await its.push('tiny:multi', '3')]) {
      const from = to === two ? one : two;
      await its.push(to === two ? 'shop/app:2.0' : 'tiny:multi', '1');
      const text = `up/app:1 moved upstream from ${from} to ${to}`;
      for (let each = 0; each < 2; each++) {
        t.deepEqual(await its.tag('1'), [one, `199 - "${text}; refused, the tag stays"`]);
        await its.restart();
      }
      t.is((await its.reasons('1')).at(-1), `refused: ${text}`);
    }
    t.is((await its.reasons('1')).length, 3);
    t.is(its.told.filter((notice) => notice.includes('refused')).length, 2);
    // A docker-registry removes a tag with its manifest.
    const last = await fetch(`http://${its.upstream}/v2/up/app/manifests/1`, {
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
    });
    const digest = last.headers.get('docker-content-digest');
    const { status } = await fetch(`http://${its.upstream}/v2/up/app/manifests/${digest}`, { method: 'DELETE' });
    t.is(status, 202);
    t.deepEqual(await its.tag('1'), [one, '199 - "1 is no longer upstream"']);
    t.is((await its.reasons('1')).length, 3);
    its.proxy.stop();
    const [here, warning] = await its.tag('2');
    t.is(here, two);
    t.regex(warning, /up\/app cannot be reached upstream: this is the last that was seen/);
    t.is((await its.get(`manifests/${one}`)).status, 200);
    const pull = await Pull.begin(`${its.host}/up/app:1`);
    t.is((await pull.into(await temporaryStore(t)).finally(() => pull.close())).digest, one);
  },
);

withRegistry('a manifest list by tag and its manifests by digest are pulled through', async (t) => {
  const its = await world(t);
  const index = await its.push('tiny:multi', '1');
  const pull = await Pull.begin(`${its.host}/up/app:1`);
  const target = await temporaryStore(t);
  t.is((await pull.into(target).finally(() => pull.close())).digest, index);
  const platforms = its.store.referenceEntries().find(({ reference }) => reference === 'docker.io/up/app:1')?.platforms;
  t.true((platforms?.length ?? 0) > 1);
  t.is(platforms?.length, target.referenceEntries()[0]?.platforms?.length);
  const reasons = (await its.reasons('1')).filter((reason) => reason !== undefined);
  t.deepEqual(reasons, [`up/app:1 is ${index} upstream`]);
  // One that has the list by its tag, and one platform of it by the digest of the list.
  const single = await its.push('shop/app:1.0', '2');
  const other = await its.push('tiny:multi', '3');
  const headers = { accept: OCI_MANIFEST };
  const found = await fetch(`http://${its.upstream}/v2/up/app/manifests/${single}`, { headers });
  const manifest = Buffer.from(await found.arrayBuffer());
  its.proxy.intercept = async ({ method, url = '' }, response) => {
    if (method !== 'GET' || !url.endsWith(other)) return false;
    response.writeHead(200, { 'content-type': OCI_MANIFEST }).end(manifest);
    return true;
  };
  // What the list has is known; here it is under another tag.
  await its.store.registry.remove('docker.io/up/app', index);
  const answer = await its.get('manifests/3');
  t.is(answer.status, 502);
  t.regex(await answer.text(), new RegExp(`UPSTREAM_FAILED.*expected ${other}, found ${single}`));
});

withRegistry('bytes of an upstream that are not those of their digest change nothing', async (t) => {
  const its = await world(t);
  const two = await its.push('shop/app:2.0', '2');
  its.proxy.change = (path, body) => (path.includes('/blobs/') ? Buffer.from(body.map((byte) => byte ^ 1)) : body);
  const { seq } = its.store.log.head;
  t.is((await its.get('manifests/2')).status, 502);
  t.is(its.store.log.head.seq, seq);
  t.is(its.store.registry.tags('docker.io/up/app'), undefined);
  its.proxy.change = (_, body) => body;
  t.deepEqual(await its.tag('2'), [two, '']);
});

withRegistry('an upstream that asks for credentials, or for patience', async (t) => {
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, 'htpasswd'), PASSWORDS);
  await mkdir(join(folder, '.docker'));
  let isKnown = true;
  const file = join(folder, '.docker/config.json');
  const find = credentialFinder({ HOME: folder });
  const credentials: FindCredentials = (...of) =>
    isKnown ? find(...of) : Promise.resolve({ credentials: undefined, places: [] });
  const auth = { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } };
  const its = await world(t, { credentials, more: { auth } });
  const login = { auth: Buffer.from('ann:hunter2').toString('base64') };
  await writeFile(file, JSON.stringify({ auths: { [its.upstream]: login, [its.proxy.host]: login } }));
  const one = await its.push('shop/app:1.0', '1');
  isKnown = false;
  const denied = await its.get('manifests/1');
  t.is(denied.status, 502);
  t.regex(await denied.text(), /UPSTREAM_FAILED.*denied manifest .*answered 401.*no credentials were found/);
  isKnown = true;
  await its.restart();
  t.deepEqual(await its.tag('1'), [one, '']);
  isKnown = false;
  await its.restart();
  const warning = '199 - "up/app cannot be reached upstream: this is the last that was seen"';
  t.deepEqual(await its.tag('1'), [one, warning]);
  isKnown = true;
  await its.restart();
  // Busy once: the reader waits, and gets it.
  const two = await its.push('shop/app:2.0', '2');
  let busy = 1;
  let seconds = 1;
  its.proxy.intercept = (_, response) => {
    if (busy-- <= 0) return false;
    response.writeHead(429, { 'retry-after': String(seconds) }).end();
    return true;
  };
  const begin = Date.now();
  t.deepEqual(await its.tag('2'), [two, '']);
  t.true(Date.now() - begin >= 1_000);
  // For so long nobody waits.
  [busy, seconds] = [Infinity, 3_600];
  t.deepEqual(await its.tag('2'), [two, warning]);
  const refused = await its.get('manifests/3');
  t.is(refused.status, 502);
  t.regex(await refused.text(), /answered 429.*wants to be asked again in 3600 s/);
});

withRegistry('an upstream that is slow: who knows an answer gets it, who does not waits', async (t) => {
  const its = await world(t);
  const one = await its.push('shop/app:1.0', '1');
  const waiting: (() => void)[] = [];
  its.proxy.intercept = async () => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return false;
  };
  const goOn = setInterval(() => waiting.shift()?.(), 100);
  t.teardown(() => clearInterval(goOn));
  t.deepEqual(await Promise.all([its.tag('1'), its.tag('1')]), [
    [one, ''],
    [one, ''],
  ]);
  t.deepEqual(await its.reasons('1'), [`up/app:1 is ${one} upstream`]);
  clearInterval(goOn);
  const [digest, warning] = await its.tag('1');
  t.is(digest, one);
  t.regex(warning, /cannot be reached upstream: this is the last that was seen/);
  for (const release of waiting) release();
});
