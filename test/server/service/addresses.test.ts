import test from 'ava';
import { addressText, parseAddress, parseProxy, TrustedProxies } from '../../../src/server/service/addresses.js';
import { loggedPath } from '../../../src/server/service/access-log.js';

test('an address is HOST:PORT, with brackets around IPv6', (t) => {
  t.deepEqual(parseAddress('127.0.0.1:5000'), { host: '127.0.0.1', port: 5_000 });
  t.deepEqual(parseAddress('[::1]:0'), { host: '::1', port: 0 });
  t.deepEqual(parseAddress('registry.example:443'), { host: 'registry.example', port: 443 });
  for (const text of ['5000', ':5000', '::1:5000', '[x]:1', 'a:65536', 'a:', 'http://a:1', 'a b:1', '']) {
    t.is(parseAddress(text), undefined, text);
  }
  for (const text of ['127.0.0.1:5000', '[::1]:80'])
    t.is(addressText(parseAddress(text) ?? { host: '', port: 0 }), text);
});

test('a proxy is an address, a network or unix', (t) => {
  t.is(parseProxy('unix'), 'unix');
  t.deepEqual(parseProxy('10.0.0.0/8'), { address: '10.0.0.0', bits: 8, family: 'ipv4' });
  t.deepEqual(parseProxy('::1'), { address: '::1', bits: 128, family: 'ipv6' });
  for (const text of ['10.0.0.0/33', 'proxy.example', '10.0.0.0/8/8', '10.0.0.1/', ''])
    t.is(parseProxy(text), undefined, text);
  t.throws(() => new TrustedProxies(['nobody']), { instanceOf: TypeError, message: /nobody/ });
});

test('the client is the last address that no trusted proxy has', (t) => {
  const proxies = new TrustedProxies(['127.0.0.1', '10.0.0.0/8', 'fd00::/8']);
  const clientOf = (peer: string, list: string | undefined, proto?: string): unknown =>
    proxies.clientOf(peer, { for: list, proto, forwarded: undefined });
  t.deepEqual(clientOf('127.0.0.1', '9.9.9.9, 8.8.8.8, 10.1.1.1'), { address: '8.8.8.8', isEncrypted: false });
  t.deepEqual(clientOf('10.0.0.2', '[2001:db8::1]:443', 'https'), { address: '2001:db8::1', isEncrypted: true });
  t.deepEqual(clientOf('fd00::1', '8.8.8.8:1234'), { address: '8.8.8.8', isEncrypted: false });
  t.deepEqual(clientOf('127.0.0.1', '10.1.1.1, 10.2.2.2'), { address: '10.1.1.1', isEncrypted: false });
  t.deepEqual(clientOf('127.0.0.1', '<script>'), { address: 'unknown', isEncrypted: false });
  t.is(clientOf('9.9.9.9', '8.8.8.8'), undefined, 'anybody can send the header');
  t.is(clientOf('127.0.0.1', undefined), undefined);
  t.is(clientOf('', '8.8.8.8'), undefined, 'a unix socket is not trusted unless named');
  t.true(new TrustedProxies(['unix']).has(''));
});

test('a logged path keeps values of what routes ask for, and no others', (t) => {
  t.is(loggedPath('http://host/v2/a/tags/list?n=2&last=b'), '/v2/a/tags/list?n=2&last=b');
  t.is(loggedPath('http://host/x?token=secret&N=1&n=1'), '/x?token=…&N=…&n=1');
  t.is(loggedPath('http://host/x?secret'), '/x?…');
  t.is(loggedPath('http://host/events?actor=ann&holder=h&wait=5'), '/events?actor=ann&holder=h&wait=5');
  t.is(loggedPath('http://host'), '/');
});
