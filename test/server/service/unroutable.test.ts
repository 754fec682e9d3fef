import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import test from 'ava';
import { fixturePath } from '../../support/fixtures.js';
import { get, rawClient } from './raw-client.js';
import { serving } from './serving.js';

/** Requests that reach no route, and the answer to each. */
const requests: Readonly<Record<string, readonly [request: string, status: number, code: string]>> = {
  'for all of the server': ['OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'REQUEST_INVALID'],
  'without a host': ['GET /v2/ HTTP/1.1\r\n\r\n', 400, 'REQUEST_INVALID'],
  'of version 1.0 without a host': ['GET /v2/ HTTP/1.0\r\n\r\n', 400, 'REQUEST_INVALID'],
  'with two hosts': ['GET /v2/ HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n', 400, 'REQUEST_INVALID'],
  'with a malformed host': ['GET /v2/ HTTP/1.1\r\nHost: a b<>\r\n\r\n', 400, 'REQUEST_INVALID'],
  'with a backslash': [get('/v2\\shop/app/tags/list'), 400, 'REQUEST_INVALID'],
  'with a malformed URL': [get('http://[/v2/'), 400, 'REQUEST_INVALID'],
  'with a URL of another scheme': [get('ftp://a/v2/'), 400, 'REQUEST_INVALID'],
  'that expects something': [get('/v2/', 'Expect: sunshine'), 417, 'EXPECTATION_FAILED'],
  'for a tunnel': ['CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 405, 'UNSUPPORTED'],
};

for (const [name, [request, status, code]] of Object.entries(requests)) {
  test(`a request ${name} is answered as others, and does no harm`, async (t) => {
    const { port, url } = await serving(t);
    const { socket, ended } = rawClient(t, port, request);
    socket.end();
    const answer = await ended;
    t.regex(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    const { errors } = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as {
      readonly errors: readonly { readonly code: string }[];
    };
    t.is(errors[0]?.code, code);
    t.is((await fetch(`${url}/v2/`)).status, 200);
  });
}

test('a connection ends after an answer to a request whose body nobody reads', async (t) => {
  const { port } = await serving(t);
  const lines = ['PUT /v2/shop/app/manifests/.. HTTP/1.1', 'Host: localhost', 'Content-Length: 1000000', '', 'part'];
  const answer = await rawClient(t, port, lines.join('\r\n')).ended;
  t.regex(answer, /^HTTP\/1\.1 400 /);
  t.regex(answer, /\r\nconnection: close\r\n/i);
});

const H2C = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];

const statusesIn = (answers: string): number[] =>
  [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => Number(code));

test('an unknown upgrade is ignored, also of a request with a body, and between others', async (t) => {
  const { port, url, reports } = await serving(t);
  const bytes = Buffer.from('a blob');
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const upload = (...headers: string[]): string =>
    [`POST /v2/app/blobs/uploads/?digest=${digest} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n');
  const requests = [
    get('/v2/'),
    get('/v2/', ...H2C),
    `${upload(...H2C, `Content-Length: ${bytes.length}`)}${bytes}`,
    `${upload('Connection: upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked')}6\r\n${bytes}\r\n0\r\n\r\n`,
    get('/v2/', ...H2C),
    get('/nowhere', 'Connection: close'),
  ];
  t.deepEqual(statusesIn(await rawClient(t, port, requests.join('')).ended), [200, 200, 201, 201, 200, 404]);
  t.is(reports.length, requests.length);
  t.is(await (await fetch(`${url}/v2/app/blobs/${digest}`)).text(), 'a blob');
  // A body that comes late is awaited.
  const late = rawClient(t, port, upload(...H2C, `Content-Length: ${bytes.length}`, 'Connection: close'));
  setTimeout(() => late.socket.write(bytes), 50);
  t.deepEqual(statusesIn(await late.ended), [201]);
  const conflict = upload(...H2C, 'Content-Length: 6', 'Transfer-Encoding: chunked');
  t.deepEqual(statusesIn(await rawClient(t, port, `${conflict}0\r\n\r\n`).ended), [400]);
});

test('a client may leave while its unknown upgrade waits for an earlier answer', async (t) => {
  const { port, url } = await serving(t);
  const { socket } = rawClient(t, port, get('/events', 'Accept: text/event-stream') + get('/v2/', ...H2C));
  await once(socket, 'data');
  socket.resetAndDestroy();
  const followers = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
  while (!/^imagelog_followers 0$/m.test(await followers())) await turn();
  t.is((await fetch(`${url}/v2/`)).status, 200);
});

test('an unknown upgrade is ignored over TLS', async (t) => {
  const tls = { cert: fixturePath('tls', 'first.crt'), key: fixturePath('tls', 'first.key') };
  const { port } = await serving(t, { tls });
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  t.teardown(() => socket.destroy());
  socket.write(get('/health', ...H2C) + get('/health', 'Connection: close'));
  let answers = '';
  for await (const chunk of socket) answers += String(chunk);
  t.deepEqual(statusesIn(answers), [200, 200]);
});
