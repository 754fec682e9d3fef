import test from 'ava';
import { acceptsGzip, hostOf, isLoopback, retryAfterOf } from '../../src/model/http.js';

for (const [header, isAccepted] of [
  [undefined, false],
  ['', false],
  ['identity', false],
  ['gzip', true],
  ['GZip', true],
  ['br, gzip;q=0.5', true],
  ['gzip;q=0', false],
  ['gzip; q=0.000, *', false],
  ['*', true],
  ['*;q=0', false],
  ['br, *;q=0.1', true],
  ['gzip;q=x', false],
  ['xgzip', false],
] as const) {
  test(`Accept-Encoding ${header} ${isAccepted ? 'allows' : 'does not allow'} gzip`, (t) => {
    t.is(acceptsGzip(header), isAccepted);
  });
}

test('loopback is what only programs of this machine reach', (t) => {
  for (const host of ['localhost', '::1', '127.0.0.1', '127.255.0.9', '::ffff:127.0.0.1'])
    t.true(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'localhost.example', '']) {
    t.false(isLoopback(host), host);
  }
});

test('a host is taken from its authority, without port and brackets', (t) => {
  for (const [authority, host] of [
    ['localhost', 'localhost'],
    ['localhost:5000', 'localhost'],
    ['[::1]:5000', '::1'],
    ['[::1]', '::1'],
    ['registry.example:', 'registry.example'],
  ] as const) {
    t.is(hostOf(authority), host);
  }
});

test('Retry-After is seconds or a date', (t) => {
  t.is(retryAfterOf('2', 0), 2_000);
  t.is(retryAfterOf('Thu, 01 Jan 1970 00:01:00 GMT', 20_000), 40_000);
  t.is(retryAfterOf('Thu, 01 Jan 1970 00:00:00 GMT', 20_000), 0);
  t.is(retryAfterOf('soon', 0), undefined);
  t.is(retryAfterOf(undefined, 0), undefined);
});
