import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import { localAccess } from '../../../src/server/access/access.js';
import { openTestStore } from '../../support/test-store.js';
import { serve, until, write } from './serving.js';

test('a client that leaves while it is authenticated keeps no place in the feed, and no lease', async (t) => {
  const store = await openTestStore(t);
  await write(store, 1);
  await store.consumer('mirror').close();
  let [entered, passed] = [0, 0];
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const own = await serve(t, store, {
    access: {
      ...localAccess,
      authenticate: async (credentials) => {
        if (credentials.authorization.length > 0) {
          entered += 1;
          await released;
          passed += 1;
        }
        return localAccess.authenticate(credentials);
      },
    },
  });
  const paths = [
    '/events?format=sse',
    '/consumers/mirror/events?holder=ann&format=sse',
    '/consumers/mirror/events?holder=ann&wait=50',
  ];
  for (const path of paths) {
    const socket = connect(own.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: slow\r\n\r\n`);
    const before = entered;
    await until(() => entered > before);
    socket.destroy();
  }
  await until(() => own.sockets.size === 0);
  release();
  await until(() => passed === paths.length);
  await until(async () => {
    const text = await (await fetch(`${own.url}/metrics`)).text();
    return text.includes('imagelog_followers 0') && text.includes('imagelog_http_requests_in_flight 1');
  });
  t.deepEqual(own.failures, []);
});
