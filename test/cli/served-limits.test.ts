import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { mock } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import {
  COMMAND_IDLE_MS,
  COMMAND_START_MS,
  MAX_SERVER_ANSWER_BYTES,
  SERVER_CONNECT_MS,
  SERVER_POLL_MS,
} from '../../src/limits.js';
import { fromClient, fromServer, type RunCommand } from '../../src/server/command/frames.js';
import { upgraded } from './raw-command.js';
import { serveHere } from './serve-here.js';
import { startSession } from './session.js';

/** Replaces clocks until the test ends. */
function clocks(t: ExecutionContext): (ms: number) => void {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  return (ms) => mock.timers.tick(ms);
}

/** A server on loopback that does with each connection what the test wants; returns its port. */
async function listening(t: ExecutionContext, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new TypeError('it has no port');
  return address.port;
}

test.serial('a connection without a command ends after COMMAND_START_MS', async (t) => {
  const session = await startSession(t);
  const served = await serveHere(t, session.store);
  const tick = clocks(t);
  const socket = await upgraded(t, served.socket);
  const closed = once(socket, 'close');
  tick(COMMAND_START_MS - 1);
  for (let each = 0; each < 20; each++) await turn();
  t.false(socket.destroyed);
  tick(1);
  await closed;
  t.is(served.ran(), 0);
});

test.serial('a command whose output is not read ends after COMMAND_IDLE_MS', async (t) => {
  const session = await startSession(t);
  let signal: AbortSignal | undefined;
  const runCommand: RunCommand = async (call) => {
    ({ signal } = call);
    // Resolves when the client reads, or is gone.
    while (call.channel.isOpen) await call.channel.bytes(fromServer.stdout, Buffer.alloc(1024 * 1024));
  };
  const served = await serveHere(t, session.store, { server: { runCommand } });
  const tick = clocks(t);
  const socket = await upgraded(t, served.socket);
  socket.pause();
  const start = Buffer.from('{}');
  const head = Buffer.alloc(5);
  head.writeUInt32BE(start.length + 1);
  head.writeUInt8(fromClient.start, 4);
  socket.write(Buffer.concat([head, start]));
  while (signal === undefined) await turn();
  for (let each = 0; each < 20; each++) await turn();
  tick(COMMAND_IDLE_MS / 10);
  tick(COMMAND_IDLE_MS - COMMAND_IDLE_MS / 10);
  t.false(signal.aborted, 'the bytes of the first tenth moved');
  tick(COMMAND_IDLE_MS / 10);
  t.true(signal.aborted);
  t.regex(String(signal.reason), /nothing of the output was read for too long/);
});

test.serial('a connection that is not made in SERVER_CONNECT_MS is an error', async (t) => {
  const session = await startSession(t);
  let isConnected = false;
  // Nothing of TLS is answered.
  const port = await listening(t, () => (isConnected = true));
  const tick = clocks(t);
  const surroundings = { isAnywhere: true } as const;
  const ran = session.runIn(surroundings, '--host', `https://127.0.0.1:${port}`, 'images');
  while (!isConnected) await turn();
  tick(SERVER_CONNECT_MS);
  const { code, stderr } = await ran;
  t.not(code, 0);
  t.regex(stderr, /cannot reach the server https:.*: no answer in 10 s \(SERVER_UNAVAILABLE\)/);
});

test.serial('a server that takes the connection and says nothing is an error after SERVER_CONNECT_MS', async (t) => {
  const session = await startSession(t);
  let isAsked = false;
  const port = await listening(t, (socket) => void socket.once('data', () => (isAsked = true)));
  const tick = clocks(t);
  const ran = session.runIn({ isAnywhere: true }, '--host', `http://127.0.0.1:${port}`, 'images');
  while (!isAsked) await turn();
  tick(SERVER_CONNECT_MS);
  const { code, stderr } = await ran;
  t.not(code, 0);
  t.regex(stderr, /cannot reach the server http:.*: no answer in 10 s \(SERVER_UNAVAILABLE\)/);
});

test.serial('an answer without an end is read up to MAX_SERVER_ANSWER_BYTES', async (t) => {
  const session = await startSession(t);
  let sent = 0;
  const port = await listening(t, (socket) => {
    const send = (): void => {
      while (socket.writable && socket.write('x'.repeat(1024))) sent += 1024;
      socket.once('drain', send);
    };
    send();
  });
  const { stderr } = await session.runIn({ isAnywhere: true }, '--host', `http://127.0.0.1:${port}`, 'images');
  t.regex(stderr, /its answer is not that of a server of ours \(SERVER_UNAVAILABLE\)/);
  t.true(sent > MAX_SERVER_ANSWER_BYTES);
});

test.serial('a busy server is asked every SERVER_POLL_MS until --wait is over', async (t) => {
  const session = await startSession(t);
  const times: number[] = [];
  const port = await listening(t, (socket) => {
    times.push(performance.now());
    socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
  });
  const host = `http://127.0.0.1:${port}`;
  const { code } = await session.runIn({ isAnywhere: true }, '--host', host, '--wait', '1s', 'images');
  t.is(code, 5);
  t.true(times.length >= 2 && times.length <= 1_000 / SERVER_POLL_MS + 1, String(times.length));
  const [first = 0, second = 0] = times;
  t.true(second - first >= SERVER_POLL_MS - 5, String(second - first));
});
