import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { mock } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/run.js';
import { servedRunner } from '../../src/cli/served/run-served.js';
import { COMMAND_ALIVE_MS, COMMAND_CHUNK_BYTES, COMMAND_IDLE_MS, COMMAND_LEAVE_MS } from '../../src/limits.js';
import {
  FrameChannel,
  fromClient,
  fromServer,
  objectOf,
  type RunCommand,
  streamNumber,
} from '../../src/server/command/frames.js';
import { runRaw, startFrame, upgraded, upgradeRequest } from './raw-command.js';
import { type Served, serveHere } from './serve-here.js';
import { archive, startSession } from './session.js';

/* Clients that do less than ours, or are gone: a server ends each of their commands. */

const NONE = `sha256:${'0'.repeat(64)}`;

/** Command lines for all that a server runs, with those that read the standard input. */
const lines: readonly (readonly string[])[] = [
  ['load'],
  ['load', '-'],
  ['load', 'a.tar'],
  ['save', 'tiny:1'],
  ['save', 'tiny:1', '-o', 'a.tar'],
  ['pull', 'localhost:1/a:1'],
  ['images'],
  ['tree'],
  ['search', '00'],
  ['inspect', 'tiny:1'],
  ['history', 'tiny:1'],
  ['meta', 'tiny:1'],
  ['meta', 'tiny:1', 'key', '--file', '-'],
  ['meta', 'tiny:1', 'key', '--file', 'a.txt'],
  ['referrers', 'tiny:1'],
  ['tag', 'tiny:1', 'a:1'],
  ['untag', 'a:1'],
  ['rm', 'nothing:1'],
  ['resolve', 'tiny:1'],
  ['refs', 'tiny:1'],
  ['log'],
  ['log', '--follow'],
  ['stats'],
  ['consumers'],
  ['consumers', 'reset', 'nobody@1'],
  ['checkpoint'],
  ['prove', '1'],
  ['prove', '1', '-o', 'a.proof'],
  ['page', '-o', 'a.html'],
  ['verify'],
  ['erase', NONE, '--reason', 'test'],
  ['prune'],
  ['prune', '--yes'],
  ['diff', '1'],
  ['at', '1', 'images'],
  ['completion', 'bash', '--', 'inspect', ''],
];

interface Counted extends Served {
  /** Commands that have not ended. */
  readonly running: () => number;
  /** Connections that have ended. */
  readonly over: () => number;
}

async function start(t: ExecutionContext): Promise<Counted> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  let [ran, running, over] = [0, 0, 0];
  const runCommand: RunCommand = async (call) => {
    running += 1;
    ran += 1;
    await servedRunner(run)(call).finally(() => {
      running -= 1;
    });
  };
  const onRequest = (): void => {
    over += 1;
  };
  const served = await serveHere(t, session.store, { server: { runCommand, onRequest } });
  return { ...served, running: () => running, ran: () => ran, over: () => over };
}

async function until(t: ExecutionContext, isSo: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!isSo() && performance.now() < deadline) await turn();
  t.true(isSo(), what);
}

test('the lines above are of every command that a server runs', (t) => {
  const names = commands.flatMap(({ usage, may }) => (may === undefined ? [] : [usage.split(' ')[0]]));
  t.deepEqual([...new Set(lines.map(([name]) => name))].sort(), names.sort());
});

test('every command ends for a client that refuses all that it is asked for', async (t) => {
  const served = await start(t);
  for (const line of lines.filter((words) => !words.includes('--follow'))) {
    const ran = await Promise.race([runRaw(t, served.socket, line), delay(5_000)]);
    t.is(ran?.declined, false, line.join(' '));
  }
  t.is(served.running(), 0);
  t.deepEqual(served.failures, []);
});

for (const [how, leave] of [
  ['is gone', (socket: Socket): unknown => socket.destroy()],
  ['has ended its half of the connection', (socket: Socket): unknown => socket.end()],
] as const) {
  test(`every command ends when its client ${how}`, async (t) => {
    const served = await start(t);
    for (const line of lines) {
      const before = served.ran();
      const socket = await upgraded(t, served.socket);
      await new FrameChannel(socket, Buffer.alloc(0)).json(fromClient.start, startFrame(line));
      await until(t, () => served.ran() > before, 'it began');
      leave(socket);
      await until(t, () => served.running() === 0, line.join(' '));
    }
    t.deepEqual(served.failures, []);
    t.deepEqual(await served.store.verify(), []);
  });
}

test('a load whose client is gone in the middle of the archive loads nothing', async (t) => {
  const served = await start(t);
  const { seq } = served.store.log.head;
  const bytes = await readFile(archive('skopeo-tiny-1.tar'));
  const socket = await upgraded(t, served.socket);
  const channel = new FrameChannel(socket, Buffer.alloc(0));
  await channel.json(fromClient.start, startFrame(['load']));
  for await (const { kind } of channel.frames()) {
    if (kind !== fromServer.pull) continue;
    await channel.bytes(fromClient.data, streamNumber(0), bytes.subarray(0, bytes.length / 2));
    socket.destroySoon();
  }
  await until(t, () => served.running() === 0, 'it ended');
  t.is(served.store.log.head.seq, seq);
  t.deepEqual(await served.store.verify(), []);
});

test.serial('every command of a client that does nothing ends after COMMAND_IDLE_MS', async (t) => {
  const served = await start(t);
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  const sockets = await Promise.all(
    lines.map(async (line) => {
      const socket = await upgraded(t, served.socket);
      socket.pause();
      await new FrameChannel(socket, Buffer.alloc(0)).json(fromClient.start, startFrame(line));
      return socket;
    }),
  );
  await until(t, () => served.ran() === lines.length, 'all began');
  for (let each = 0; each < 50; each++) await turn();
  t.is(served.running(), lines.length, 'the end of each waits for its client');
  for (let each = 0; each < 11; each++) mock.timers.tick(COMMAND_IDLE_MS / 10);
  await until(t, () => served.running() === 0, 'all ended');
  for (const socket of sockets) socket.resume();
  await until(t, () => sockets.every(({ closed }) => closed), 'and their connections');
  t.deepEqual(served.failures, []);
});

test.serial('a client of ours says that it is there: its standard input may take days', async (t) => {
  const served = await start(t);
  const session = await startSession(t);
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  const stdin = new PassThrough();
  const host = `unix://${served.socket}`;
  const loading = session.runIn({ isAnywhere: true, stdin }, '--host', host, 'load', '--tag', 'late:1');
  await until(t, () => served.running() === 1, 'it began');
  for (let each = 0; each < 50; each++) {
    mock.timers.tick(COMMAND_ALIVE_MS);
    for (let turns = 0; turns < 20; turns++) await turn();
  }
  t.is(served.running(), 1);
  stdin.end(await readFile(archive('skopeo-tiny-1.tar')));
  t.is((await loading).code, 0);
});

test.serial('a client that stays once its command has ended is cut off after COMMAND_LEAVE_MS', async (t) => {
  const served = await start(t);
  const socket = connect({ path: served.socket, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.write(upgradeRequest());
  await once(socket, 'data');
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  const channel = new FrameChannel(socket, Buffer.alloc(0));
  await channel.json(fromClient.start, startFrame(['images']));
  let code: unknown;
  for await (const frame of channel.frames()) {
    if (frame.kind === fromServer.request) await channel.json(fromClient.reply, { id: objectOf(frame)['id'] });
    if (frame.kind === fromServer.exit) ({ code } = objectOf(frame));
  }
  t.is(code, 0, 'the frames end here, and this side stays');
  t.is(served.over(), 0);
  mock.timers.tick(COMMAND_LEAVE_MS);
  for (let each = 0; each < 20; each++) await turn();
  t.is(served.over(), 1);
});

test('a slow reader gets all of a long log, then the exit code', async (t) => {
  const served = await start(t);
  const { store } = served;
  await Promise.all(Array.from({ length: 2_000 }, (_, at) => store.tag({ source: 'tiny:1', target: `app:${at}` })));
  const lines = await slowly(t, served.url, ['log', '--json']);
  t.is(lines.text.trim().split('\n').length, store.log.head.seq);
  t.true(lines.text.length > 500_000, String(lines.text.length));
  t.is(lines.code, 0);
});

test('what a client sends that no command reads cuts off none of the output', async (t) => {
  const chunk = Buffer.alloc(COMMAND_CHUNK_BYTES, 'x');
  let ended: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const runCommand: RunCommand = async ({ channel }) => {
    for (let each = 0; each < 64; each++) await channel.bytes(fromServer.stdout, chunk);
    await channel.json(fromServer.exit, { code: 7 });
    ended();
  };
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  const served = await serveHere(t, session.store, { server: { runCommand } });
  const { text, code } = await slowly(t, served.url, ['images'], async (channel) => {
    void over.then(async () => {
      for (let each = 0; each < 4; each++) await channel.bytes(fromClient.data, streamNumber(0), chunk);
    });
  });
  t.deepEqual([text.length, code], [64 * COMMAND_CHUNK_BYTES, 7]);
});

/** Runs a command line over TCP for a client that waits before it takes each frame. */
async function slowly(
  t: ExecutionContext,
  url: string,
  argv: readonly string[],
  meanwhile?: (channel: FrameChannel) => Promise<void>,
): Promise<{ readonly text: string; readonly code: unknown }> {
  const socket = await upgraded(t, Number(new URL(url).port));
  const channel = new FrameChannel(socket, Buffer.alloc(0));
  await channel.json(fromClient.start, startFrame(argv));
  await meanwhile?.(channel);
  let text = '';
  let code: unknown;
  for await (const frame of channel.frames()) {
    await delay(2);
    if (frame.kind === fromServer.stdout) text += frame.payload.toString();
    if (frame.kind === fromServer.request) await channel.json(fromClient.reply, { id: objectOf(frame)['id'] });
    if (frame.kind === fromServer.exit) ({ code } = objectOf(frame));
  }
  return { text, code };
}
