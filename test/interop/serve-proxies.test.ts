import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { digestOf } from '../../src/model/digest.js';
import { basic, htpasswdLines } from '../server/access/credentials.js';
import { archivePath } from '../store/fixture-archives.js';
import { authority } from '../support/authority.js';
import { projectRoot } from '../support/fixtures.js';
import { requires } from '../support/requires.js';
import { freePort } from './docker-registry.js';
import { serveCommand, startListening } from './listening-program.js';
import { skopeo } from './run-program.js';

/* The examples of scripts/service, with other ports and paths. */

const LAYER_BYTES = 100_000_000;
const PAUSE_AFTER_BYTES = 60_000_000;
const CLIENT = '127.0.0.2';
const authorization = basic('alice', 'correct horse');

interface Place {
  readonly folder: string;
  readonly port: number;
  /** Of the server behind it. */
  readonly upstream: string;
}

interface Proxy {
  readonly program: string;
  readonly example: string;
  /** Writes its configuration, by our example; returns the command that starts it. */
  configure(example: string, place: Place): Promise<readonly [string, ...string[]]>;
}

const PROXIES: readonly Proxy[] = [
  {
    program: 'nginx',
    example: 'nginx.conf',
    configure: async (example, { folder, port, upstream }) => {
      const site = example
        .replace('listen 443', `listen 127.0.0.1:${port}`)
        .replace('server 127.0.0.1:5000', `server ${upstream}`)
        .replaceAll('/etc/nginx/tls/registry.crt', join(folder, 'server.pem'))
        .replaceAll('/etc/nginx/tls/registry.key', join(folder, 'server.key'));
      await writeFile(join(folder, 'site.conf'), site);
      const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      const config = [
        `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice; events {}`,
        `http { access_log off; include ${folder}/site.conf;`,
        ...kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`),
        '}',
      ];
      await writeFile(join(folder, 'nginx.conf'), config.join('\n'));
      return ['nginx', '-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')];
    },
  },
  {
    program: 'caddy',
    example: 'Caddyfile',
    configure: async (example, { folder, port, upstream }) => {
      const tls = `tls ${join(folder, 'server.pem')} ${join(folder, 'server.key')}`;
      const site = example
        .replace('registry.example {', `https://127.0.0.1:${port} {\n\tbind 127.0.0.1\n\t${tls}`)
        .replace('127.0.0.1:5000', upstream);
      const config = join(folder, 'Caddyfile');
      await writeFile(config, `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${site}`);
      const home = [`XDG_CONFIG_HOME=${folder}`, `XDG_DATA_HOME=${folder}`];
      return ['env', ...home, 'caddy', 'run', '--config', config, '--adapter', 'caddyfile'];
    },
  },
];

interface Proxied {
  readonly host: string;
  readonly ca: Buffer;
  /** Folder with the authority, as skopeo takes one. */
  readonly certificates: string;
  readonly store: string;
  readonly accessLog: string;
  /** The server itself. */
  readonly upstream: string;
}

async function proxied(t: ExecutionContext, { example, configure }: Proxy, trusted: string): Promise<Proxied> {
  const { directory: folder, ca, issue } = await authority(t);
  issue('server', '/CN=server', 'IP:127.0.0.1');
  const [users, access, accessLog] = ['users', 'access.json', 'access.log'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(users, htpasswdLines.alice);
  await writeFile(access, JSON.stringify({ users, rules: [{ who: 'alice', may: ['admin'] }] }));
  const options = ['--access', access, '--access-log', accessLog, '--trusted-proxies', trusted, '--metrics', 'all'];
  const served = await serveCommand(t, ...options);
  const text = await readFile(join(projectRoot, 'scripts/service', example), 'utf8');
  const port = await freePort();
  const [command, ...args] = await configure(text, { folder, port, upstream: served.host });
  const proxy = await startListening(command, args, /(start worker|serving initial configuration|event method)/);
  t.teardown(() => proxy.stop());
  const certificates = join(folder, 'certs');
  await mkdir(certificates);
  await writeFile(join(certificates, 'ca.crt'), ca);
  return { host: `127.0.0.1:${port}`, ca, certificates, store: served.store, accessLog, upstream: served.host };
}

/** Begins a request as alice, from an address that is not the proxy's. */
function begin({ host, ca }: Proxied, method: string, path: string, headers: Readonly<Record<string, string>> = {}) {
  const url = new URL(path, `https://${host}`);
  return request(url, { method, ca, localAddress: CLIENT, headers: { authorization, ...headers } });
}

async function answerOf(sent: ReturnType<typeof begin>): Promise<IncomingMessage> {
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return answer;
}

async function stagedBytes(store: string): Promise<number> {
  const folder = join(store, 'uploads');
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function followers({ upstream }: Proxied): Promise<number> {
  const metrics = await (await fetch(`http://${upstream}/metrics`)).text();
  return Number(/^imagelog_followers (\d+)$/m.exec(metrics)?.[1]);
}

async function lastRequest(accessLog: string, path: string): Promise<Record<string, unknown>> {
  for (let attempt = 0; attempt < 50; attempt++, await sleep(100)) {
    const lines = (await readFile(accessLog, 'utf8')).split('\n').filter((line) => line !== '');
    const found = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .findLast((line) => line['path'] === path);
    if (found !== undefined) return found;
  }
  throw new Error(`no request of ${path} in the access log`);
}

for (const proxy of PROXIES) {
  const withProxy = requires(proxy.program, 'skopeo', 'openssl', 'timeout');

  withProxy(`${proxy.program} passes pushes, a large layer and the feed on while they come`, async (t) => {
    const place = await proxied(t, proxy, '127.0.0.1');
    const feed = await answerOf(begin(place, 'GET', '/events?format=sse').end());
    t.is(feed.statusCode, 200);
    let seen = '';
    feed.on('data', (bytes: Buffer) => (seen += bytes.toString()));
    const login = ['--dest-cert-dir', place.certificates, '--dest-creds', 'alice:correct horse'];
    const archive = `docker-archive:${archivePath('skopeo-tiny-1.tar')}`;
    await skopeo('copy', '--quiet', ...login, archive, `docker://${place.host}/shop/app:1`);
    for (let attempt = 0; attempt < 50 && !seen.includes('"actor":"alice"'); attempt++) await sleep(100);
    t.regex(seen, /"reference":"docker.io\/shop\/app:1"/);
    t.is(await followers(place), 1);
    feed.destroy();
    for (let attempt = 0; attempt < 50 && (await followers(place)) > 0; attempt++) await sleep(100);
    t.is(await followers(place), 0, 'a client that left');

    const started = await answerOf(begin(place, 'POST', '/v2/shop/app/blobs/uploads/').end());
    started.resume();
    const layer = randomBytes(LAYER_BYTES);
    const digest = digestOf(layer);
    const sent = begin(place, 'PUT', `${started.headers.location}?digest=${digest}`, {
      'content-length': `${LAYER_BYTES}`,
    });
    sent.write(layer.subarray(0, PAUSE_AFTER_BYTES));
    // What a proxy keeps until all is there does not get here.
    for (let attempt = 0; attempt < 100 && (await stagedBytes(place.store)) < PAUSE_AFTER_BYTES / 2; attempt++) {
      await sleep(100);
    }
    t.true((await stagedBytes(place.store)) > PAUSE_AFTER_BYTES / 2);
    sent.end(layer.subarray(PAUSE_AFTER_BYTES));
    const stored = await answerOf(sent);
    stored.resume();
    t.is(stored.statusCode, 201);
    const answer = await answerOf(begin(place, 'GET', `/v2/shop/app/blobs/${digest}`).end());
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    t.true(layer.equals(Buffer.concat(chunks)));
  });

  withProxy(
    `${proxy.program} says who its client is where it is trusted, and gets no logins through elsewhere`,
    async (t) => {
      const spoofed = { 'x-forwarded-for': '203.0.113.9', 'x-request-id': 'INC-77' };
      const trusted = await proxied(t, proxy, '127.0.0.1');
      const known = await answerOf(begin(trusted, 'GET', '/v2/', spoofed).end());
      known.resume();
      t.is(known.statusCode, 200);
      t.like(await lastRequest(trusted.accessLog, '/v2/'), { address: CLIENT, actor: 'alice', requestId: 'INC-77' });
      const elsewhere = await proxied(t, proxy, '192.0.2.1');
      const refused = await answerOf(begin(elsewhere, 'GET', '/v2/', spoofed).end());
      refused.resume();
      t.is(refused.statusCode, 403);
      const line = await lastRequest(elsewhere.accessLog, '/v2/');
      t.like(line, { address: '127.0.0.1', status: 403 });
      t.regex(String(line['reason']), /trusted-proxies/);
    },
  );
}
