import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** Passes connections on to `host`; the first that sends so many bytes breaks. Returns its own host. */
export async function breakingProxy(t: ExecutionContext, host: string, bytes: number): Promise<string> {
  let isBroken = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(host.split(':')[1]), '127.0.0.1');
    let passed = 0;
    client.on('data', (chunk) => {
      passed += chunk.length;
      upstream.write(chunk);
      if (isBroken || passed < bytes) return;
      isBroken = true;
      client.destroy();
    });
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    client.once('close', () => upstream.end());
    // A connection that is reset has no end to pass on.
    upstream.once('error', () => client.destroy());
    upstream.pipe(client);
  }).listen(0, '127.0.0.1');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `127.0.0.1:${address.port}`;
}
