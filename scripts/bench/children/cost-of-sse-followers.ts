import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { openStore } from '../../../src/index.js';
import { createServer } from '../../../src/server/create-server.js';
import { imageConfig } from '../inputs/image-configs.js';
import { rateOf, type Timed, timeOf } from '../rounds.js';

/*
 * Writes events without, with and again without followers over HTTP, who are in another process;
 * arguments: directory, followers, events of each. Prints the rates, and the resident memory of this
 * process with the followers. Needs --expose-gc.
 */

const AT_ONCE = 64;
const CLIENTS = fileURLToPath(new URL('./sse-clients.js', import.meta.url));

const [directory, ...numbers] = process.argv.slice(2) as [string, ...string[]];
const [followers = 0, events = 0] = numbers.map(Number);
const store = await openStore(directory, { layers: 'none', actor: 'bench', snapshotEvery: 0 });
const image = await store.create(imageConfig(0));
const server = createServer(store);
const http = createHttpServer(server.listener).listen(0, '127.0.0.1');
await once(http, 'listening');

await write();
const before = await write();
const clients = spawn(process.execPath, [CLIENTS, String((http.address() as AddressInfo).port), String(followers)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
// Ends without a line if they cannot connect.
const [line] = (await Promise.race([once(clients.stdout, 'data'), once(clients, 'exit')])) as [unknown];
if (!String(line).includes('caught up')) throw new Error('the followers could not connect');
globalThis.gc?.();
const connections = await openConnections();
const residentBytes = process.memoryUsage.rss();
// A full collection drops compiled code too.
await write();
const followed = await write();
const residentAfterBytes = process.memoryUsage.rss();
clients.kill();
while ((await openConnections()) > 0) await new Promise((resolve) => setTimeout(resolve, 10));
await write();
const after = await write();
await server.close();
http.close();
await store.close();
const alone: Timed = { wall: (before.wall + after.wall) / 2, cpu: (before.cpu + after.cpu) / 2 };
console.log(
  JSON.stringify({ connections, alone, followed, residentBytes: Math.max(residentBytes, residentAfterBytes) }),
);

/** Writes the events; returns how many a second. */
async function write(): Promise<Timed> {
  const value = new TextEncoder().encode('tested');
  let done = 0;
  const seconds = await timeOf(async () => {
    for (; done < events; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => store.setMetadata(image, 'stage', value)));
    }
  });
  return rateOf(done, seconds);
}

async function openConnections(): Promise<number> {
  return new Promise((resolve, reject) => {
    http.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}
