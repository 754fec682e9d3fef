import { connect } from 'node:net';

/*
 * Follows a server's events on many connections until it is ended, each for one of 1,000 names that
 * no event is about; arguments: port, count. Prints a line once all are caught up.
 */

const AT_ONCE = 100;
const NAMES = 1_000;

const [port = 0, count = 0] = process.argv.slice(2).map(Number);

for (let at = 0; at < count; at += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, nth) => followed(at + nth)));
}
console.log('caught up');

async function followed(nth: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`GET /events?format=sse&reference=idle:${nth % NAMES} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.on('data', (text) => {
      if (String(text).includes('event: caught-up')) resolve();
    });
  });
}
