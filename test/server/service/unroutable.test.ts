import test from 'ava';
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
