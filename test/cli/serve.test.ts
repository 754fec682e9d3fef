import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import {
  HEADERS_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_ADDRESS,
  MAX_REQUEST_HEADER_BYTES,
  MAX_REQUESTS_IN_FLIGHT,
  MAX_SETTINGS_FILE_BYTES,
  MAX_UPLOAD_BYTES,
  MAX_URL_LENGTH,
  MIN_BODY_RATE,
  STALL_TIMEOUT_MS,
  STOP_TIMEOUT_MS,
  UPLOAD_EXPIRY_MS,
} from '../../src/limits.js';
import { socketPathOf } from '../../src/cli/store-directory.js';
import { fixturePath, projectRoot } from '../support/fixtures.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { get, rawClient } from '../server/service/raw-client.js';
import { archive, objectsOf, type Ran, type Session, startSession, type Surroundings } from './session.js';

/** A server of the command line that runs in this process. */
interface Served {
  readonly urls: readonly string[];
  readonly stop: () => Promise<Ran>;
}

/** Runs `imagelog serve --json` until it is stopped. */
async function served({ runIn }: Session, argv: readonly string[], more: Surroundings = {}): Promise<Served> {
  const ending = new AbortController();
  let text = '';
  const { ran, said } = await new Promise<{ ran: Promise<Ran>; said: string }>((resolve, reject) => {
    const running = runIn(
      {
        ...more,
        signal: ending.signal,
        onOutput: (piece) => {
          text += piece;
          const [line, rest] = text.split('\n', 2);
          if (rest !== undefined) resolve({ ran: running, said: line ?? '' });
        },
      },
      'serve',
      '--json',
      ...argv,
    );
    void running.then(({ stderr }) => reject(new Error(stderr)));
  });
  const { urls } = JSON.parse(said) as { readonly urls: readonly string[] };
  return {
    urls,
    stop: () => {
      ending.abort();
      return ran;
    },
  };
}

const ANY_PORT = ['--listen', '127.0.0.1:0'];

/** The status of a request by a unix socket. */
function statusBy(socketPath: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sent.once('error', reject);
    sent.end();
  });
}

test('serve creates the store, and listens at an address and at the socket of the store', async (t) => {
  const session = await startSession(t);
  const { urls, stop } = await served(session, ANY_PORT);
  t.regex(urls[0] ?? '', /^http:\/\/127\.0\.0\.1:\d+$/);
  t.is(urls[1], `unix:${socketPathOf(session.store)}`);
  t.is((await fetch(`${urls[0]}/ready`)).status, 200);
  t.is(await statusBy(socketPathOf(session.store), '/'), 200);
  t.like(await session.run('--wait', '0', 'untag', 'x'), { code: 5 }, 'the store is in use');
  t.like(await stop(), { code: 0, stderr: '' });
  t.like(await session.run('untag', 'x'), { code: 3 }, 'the store is closed');
});

test("serve answers docker's own clients at each socket of --docker, and says how", async (t) => {
  const session = await startSession(t);
  const folder = await temporaryDirectory(t);
  const [one, two] = [join(folder, '1'), join(folder, '2')];
  const ending = new AbortController();
  const statuses: unknown[] = [];
  let isAsked = false;
  const { code, stdout } = await session.runIn(
    {
      signal: ending.signal,
      env: { IMAGELOG_SERVE_DOCKER: `unix://${one} unix://${two}` },
      onOutput: (text) => {
        if (isAsked || !text.includes(two)) return;
        isAsked = true;
        void Promise.all([one, two].map((path) => statusBy(path, '/v1.41/images/json')))
          .then((found) => statuses.push(...found))
          .finally(() => ending.abort());
      },
    },
    'serve',
    '--no-socket',
    ...ANY_PORT,
  );
  t.is(code, 0);
  t.deepEqual(statuses, [200, 200]);
  t.true(stdout.includes(`docker's own clients: DOCKER_HOST=unix://${one} docker images\n`));
  const wrong = await session.run('serve', '--docker', '/run/d.sock');
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /--docker: docker is "\/run\/d\.sock", expected unix:\/\/\/PATH/);
});

test('serve says where, and how to push', async (t) => {
  const session = await startSession(t);
  const ending = new AbortController();
  const { code, stdout } = await session.runIn(
    { signal: ending.signal, onOutput: (text) => (text.includes('push') ? ending.abort() : undefined) },
    'serve',
    '--no-socket',
    ...ANY_PORT,
  );
  t.is(code, 0);
  t.regex(
    stdout,
    /^serving \S+\/store at http:\/\/127\.0\.0\.1:(\d+)\npush to it: docker push localhost:\1\/NAME:TAG\n$/,
  );
});

test('a server of the past locks nothing, and is ready', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const { urls, stop } = await served(session, ['--at', '1', ...ANY_PORT]);
  t.is(urls.length, 1, 'no socket');
  t.is((await fetch(`${urls[0]}/ready`)).status, 200);
  await session.done('tag', 'tiny:1', 'tiny:2');
  t.is((await stop()).code, 0);
});

test('an option goes before a variable, and that before the file of --config', async (t) => {
  const session = await startSession(t);
  const config = join(session.folder, 'service.conf');
  const log = join(session.folder, 'access.log');
  await writeFile(
    config,
    `store = ${session.store}\nserve.socket = no\nserve.access-log = ${log}\nserve.listen = 127.0.0.1:1, [::1]:2\n`,
  );
  const env = { IMAGELOG_STORE: '', IMAGELOG_SERVE_LISTEN: '127.0.0.1:0 127.0.0.1:0' };
  const { urls, stop } = await served(session, ['--config', config], { env });
  t.is(urls.length, 2);
  await fetch(`${urls[0]}/nope?token=secret`, { headers: { authorization: 'Bearer secret', 'x-request-id': 'r-1' } });
  t.is((await stop()).code, 0);
  const text = await readFile(log, 'utf8');
  t.false(text.includes('secret'));
  t.like(objectsOf(text)[0], {
    address: '127.0.0.1',
    method: 'GET',
    path: '/nope?token=…',
    status: 404,
    requestId: 'r-1',
    code: 'PATH_UNKNOWN',
  });
  const shown = await session.runIn({ env: { ...env, IMAGELOG_CONFIG: config } }, 'env', '--json', '--serve');
  const rows = new Map(objectsOf(shown.stdout).map((row) => [row['name'], row]));
  t.like(rows.get('serve.listen'), { value: '127.0.0.1:0 127.0.0.1:0', source: '$IMAGELOG_SERVE_LISTEN' });
  t.like(rows.get('serve.socket'), { value: 'no', source: `${config}:2` });
  t.like(rows.get('serve.max-requests'), { value: '1000', from: 'default', source: null });
});

test('--access says who may what; the log says why a request was refused', async (t) => {
  const session = await startSession(t);
  const access = join(session.folder, 'access.json');
  const log = join(session.folder, 'access.log');
  await writeFile(access, JSON.stringify({ rules: [{ who: 'anonymous', may: ['read'], repositories: ['open/*'] }] }));
  const { urls, stop } = await served(session, ['--access', access, '--access-log', log, ...ANY_PORT]);
  t.is((await fetch(`${urls[0]}/`)).status, 403);
  t.is(await statusBy(socketPathOf(session.store), '/'), 200, 'who runs the server may do all');
  t.is((await stop()).code, 0);
  const [refusal] = objectsOf(await readFile(log, 'utf8'));
  t.like(refusal, { path: '/', status: 403, code: 'DENIED', reason: 'may not read' });
  await writeFile(access, '{ "rules": [');
  const broken = await session.run('serve', '--access', access, ...ANY_PORT);
  t.is(broken.code, 1);
  t.regex(broken.stderr, /access\.json is not JSON: .* \(SETTING_INVALID\)/);
  await writeFile(access, '{ "rules": 1 }');
  t.regex(
    (await session.run('serve', '--access', access, ...ANY_PORT)).stderr,
    /access: the file .*access\.json: rules of the access options: .* \(ACCESS_INVALID\)/,
  );
  await writeFile(access, '[{ "repositories": "a/*", "movedTags": "maybe" }]');
  const rule = /access\.json is not valid: movedTags must be follow, flag or refuse: maybe/;
  t.regex((await session.run('serve', '--mirrors', access, ...ANY_PORT)).stderr, rule);
  await writeFile(access, '[{ "name": "a", "url": "ftp://x" }]');
  const target = /access\.json is not valid: url must be an http or https URL \(SETTING_INVALID\)/;
  t.regex((await session.run('serve', '--webhooks', access, ...ANY_PORT)).stderr, target);
  t.is((await session.run('serve', '--webhooks', access, '--at', '1', ...ANY_PORT)).code, 2);
  const none = await session.run('serve', '--mirrors', join(session.folder, 'none'), ...ANY_PORT);
  t.regex(none.stderr, /mirrors: there is no such file: .*none \(SETTING_INVALID\)/);
  await writeFile(access, ' '.repeat(MAX_SETTINGS_FILE_BYTES + 1));
  t.regex((await session.run('serve', '--access', access, ...ANY_PORT)).stderr, /at most 65536 are allowed/);
});

test('other machines are served with a notice where nothing gives them a right', async (t) => {
  const session = await startSession(t);
  const tls = ['--tls-cert', fixturePath('tls', 'first.crt'), '--tls-key', fixturePath('tls', 'first.key')];
  const ending = new AbortController();
  let text = '';
  const onOutput = (piece: string): void => {
    text += piece;
    if (text.includes('docker push')) ending.abort();
  };
  const surroundings = { signal: ending.signal, onOutput };
  const { stdout, stderr } = await session.runIn(surroundings, 'serve', ...tls, '--listen', '0.0.0.0:0');
  t.regex(stderr, /no --access: other machines may do nothing/);
  t.regex(stdout, /docker push HOST:\d+\/NAME:TAG/);
});

test('limits of uploads are settings, and metrics show what uploads occupy', async (t) => {
  const session = await startSession(t);
  const { urls, stop } = await served(session, [...ANY_PORT, '--max-upload-bytes', '10', '--max-uploads', '1']);
  const metricsText = async (): Promise<string> => (await fetch(`${urls[0]}/metrics`)).text();
  const begin = async (): Promise<Response> => fetch(`${urls[0]}/v2/shop/app/blobs/uploads/`, { method: 'POST' });
  const patch = async (body: string): Promise<Response> => {
    const place = (await begin()).headers.get('location') ?? '';
    return fetch(new URL(place, urls[0]), { method: 'PATCH', body });
  };
  const statuses = [(await patch('11 bytes...')).status, (await patch('10 bytes..')).status, (await begin()).status];
  const text = await metricsText();
  t.is((await stop()).code, 0);
  t.deepEqual(statuses, [413, 202, 429], 'one is too large, and one is in progress');
  t.regex(text, /^imagelog_uploads 1$/m);
  t.regex(text, /^imagelog_staged_blobs 0$/m);
  t.regex(text, /^imagelog_uploaded_bytes 10$/m);
});

test('the defaults of settings are the limits, and docs/SERVER.md has them', async (t) => {
  const session = await startSession(t);
  const rows = objectsOf(await session.done('env', '--serve', '--json'));
  const values = new Map(rows.map(({ name, value }) => [String(name).replace('serve.', ''), value]));
  const seconds = (durationMs: number): string => `${durationMs / 1_000}s`;
  t.like(Object.fromEntries(values), {
    listen: '127.0.0.1:5000',
    socket: null,
    'stop-timeout': seconds(STOP_TIMEOUT_MS),
    'headers-timeout': seconds(HEADERS_TIMEOUT_MS),
    'idle-timeout': seconds(IDLE_TIMEOUT_MS),
    'stall-timeout': seconds(STALL_TIMEOUT_MS),
    'min-rate': String(MIN_BODY_RATE),
    'max-connections': String(MAX_CONNECTIONS),
    'max-per-address': String(MAX_CONNECTIONS_PER_ADDRESS),
    'max-requests': String(MAX_REQUESTS_IN_FLIGHT),
    'max-header-bytes': String(MAX_REQUEST_HEADER_BYTES),
    'max-url-length': String(MAX_URL_LENGTH),
    'max-upload-bytes': String(MAX_UPLOAD_BYTES),
    'upload-expiry': `${UPLOAD_EXPIRY_MS / 3_600_000}h`,
  });
  const manual = await readFile(join(projectRoot, 'docs', 'SERVER.md'), 'utf8');
  for (const [name, value] of values) {
    const row = manual.split('\n').find((line) => line.split('|')[1]?.includes(`\`${name}\``));
    t.truthy(row, `docs/SERVER.md has no row of ${name}`);
    if (value !== null) t.true(row?.includes(`\`${value}\``), `docs/SERVER.md: ${name} is ${value}`);
  }
});

const refused = test.macro({
  title: (_, argv: readonly string[]) => `\`imagelog serve ${argv.join(' ')}\` is refused by name`,
  exec: async (
    t: ExecutionContext,
    argv: readonly string[],
    code: number,
    why: RegExp,
    env: Record<string, string> = {},
  ) => {
    const session = await startSession(t);
    const ran = await session.runIn({ env }, 'serve', ...argv);
    t.deepEqual([ran.code, ran.stdout], [code, '']);
    t.regex(ran.stderr, why);
    t.false(existsSync(session.store), 'no store is created');
  },
});

test('an address that another program has leaves no store', async (t) => {
  const session = await startSession(t);
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const ran = await session.run('serve', '--listen', `127.0.0.1:${port}`);
  t.is(ran.code, 1);
  t.regex(ran.stderr, /ADDRESS_IN_USE\)\nhint: .*--listen/);
  t.false(existsSync(session.store));
});

test(refused, [...ANY_PORT, '--access', '/nowhere/a.json'], 1, /\/nowhere\/a\.json/);
test(refused, [...ANY_PORT, '--webhooks', '/nowhere/w.json'], 1, /\/nowhere\/w\.json/);
test(refused, [...ANY_PORT, '--tls-cert', '/nowhere/c', '--tls-key', '/nowhere/k'], 1, /\/nowhere\/c/);
test(refused, [...ANY_PORT, '--socket', '/nowhere/s'], 1, /ADDRESS_REFUSED/);
test(refused, [...ANY_PORT, '--access-log', '/nowhere/log'], 1, /\/nowhere\/log/);
test(refused, ['--listen', '5000'], 2, /^imagelog: --listen: listen is "5000", expected HOST:PORT/);
test(refused, ['--max-requests', '0'], 2, /--max-requests: max-requests is "0", expected a whole number from 1 up/);
test(refused, ['--tls-cert', 'x'], 2, /TLS needs both --tls-cert and --tls-key/);
test(
  refused,
  ['--listen', '0.0.0.0:0'],
  1,
  /plain HTTP is for this machine alone \(ADDRESS_REFUSED\)\nhint: .*--tls-cert/,
);
test(refused, ['--config', '/nowhere/config'], 2, /cannot read the configuration \/nowhere\/config: ENOENT/);
test(refused, ['--json'], 2, /\$IMAGELOG_SERVE_METRICS: metrics is "me", expected read or all/, {
  IMAGELOG_SERVE_METRICS: 'me',
});

test('an unknown key of serve, or a wrong value, is named by line, by serve and by env', async (t) => {
  const session = await startSession(t);
  const config = join(session.folder, 'service.conf');
  const env = { IMAGELOG_CONFIG: config };
  for (const [line, why] of [
    ['serve.lissen = 127.0.0.1:0', /service\.conf:1: no such key: "serve\.lissen"; those of serve are serve\.listen, /],
    ['serve.idle-timeout = soon', /service\.conf:1: idle-timeout is "soon", expected a time like 30s/],
  ] as const) {
    await writeFile(config, `${line}\n`);
    for (const command of ['serve', 'env']) {
      const { code, stderr } = await session.runIn({ env }, command);
      t.is(code, 2);
      t.regex(stderr, why);
    }
    t.is((await session.runIn({ env }, 'help', 'serve')).code, 0);
  }
});

/** Starts the command line as a process that serves, and waits until it does. */
async function started(
  t: ExecutionContext,
  { store, folder }: Session,
  ...argv: string[]
): Promise<{ readonly child: ChildProcessByStdio<null, Readable, null>; readonly port: number }> {
  const main = join(projectRoot, 'dist', 'src', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, 'serve', '--json', '--store', store, ...ANY_PORT, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOME: folder },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { urls } = JSON.parse(line.toString()) as { readonly urls: readonly string[] };
  return { child, port: Number(new URL(urls[0] ?? '').port) };
}

test('SIGHUP opens the log again, SIGTERM finishes requests and is 0, and a killed server leaves no lock', async (t) => {
  const session = await startSession(t);
  const log = join(session.folder, 'access.log');
  const { child, port } = await started(t, session, '--access-log', log);
  const done = once(child, 'exit');
  await fetch(`http://127.0.0.1:${port}/health`);
  await rename(log, `${log}.1`);
  child.kill('SIGHUP');
  for (;;) {
    await fetch(`http://127.0.0.1:${port}/health`);
    if ((await readFile(log, 'utf8').catch(() => '')) !== '') break;
  }
  const slow = rawClient(t, port, 'GET /health HTTP/1.1\r\n');
  await once(slow.socket, 'connect');
  await rawClient(t, port, get('/health', 'Connection: close')).ended;
  child.kill('SIGTERM');
  await t.throwsAsync(async () => {
    for (;;) await fetch(`http://127.0.0.1:${port}/health`);
  });
  slow.socket.write('Host: localhost\r\n\r\n');
  t.regex(await slow.ended, /^HTTP\/1.1 200/);
  t.deepEqual(await done, [0, null]);
  const killed = await started(t, session);
  const gone = once(killed.child, 'exit');
  killed.child.kill('SIGKILL');
  await gone;
  const again = await started(t, session);
  t.is(await statusBy(socketPathOf(session.store), '/ready'), 200);
  again.child.kill('SIGTERM');
  t.deepEqual(await once(again.child, 'exit'), [0, null]);
});

test('a second signal ends a server that waits at once', async (t) => {
  const session = await startSession(t);
  const { child, port } = await started(t, session);
  const stuck = rawClient(t, port, 'GET /health HTTP/1.1\r\n');
  await once(stuck.socket, 'connect');
  await rawClient(t, port, get('/health', 'Connection: close')).ended;
  const done = once(child, 'exit');
  child.kill('SIGTERM');
  await t.throwsAsync(async () => {
    for (;;) await fetch(`http://127.0.0.1:${port}/health`);
  });
  child.kill('SIGTERM');
  t.deepEqual(await done, [143, null]);
});
