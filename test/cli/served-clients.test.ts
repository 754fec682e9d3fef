import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer as createSocketServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { Interruption } from '../../src/cli/exit-codes.js';
import { run } from '../../src/cli/run.js';
import { servedRunner } from '../../src/cli/served/run-served.js';
import {
  COMMAND_CHUNK_BYTES,
  COMMAND_WINDOW_BYTES,
  MAX_ACTOR_BYTES,
  MAX_COMMAND_FRAME_BYTES,
  MAX_COMMANDS_AT_ONCE,
} from '../../src/limits.js';
import type { Access, Grant } from '../../src/server/access/access.js';
import { COMMAND_PROTOCOL, FrameChannel, fromClient, fromServer, objectOf } from '../../src/server/command/frames.js';
import { createServer } from '../../src/server/create-server.js';
import { readSigner } from '../../src/store/on-demand.js';
import { openStore } from '../../src/store/open/open-store.js';
import { testOrSkip } from '../support/requires.js';
import { upgradeRequest } from './raw-command.js';
import { type Served, serveHere } from './serve-here.js';
import { archive, type Ran, type Session, startSession, type Surroundings } from './session.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const TINY = archive('skopeo-tiny-1.tar');
const UPGRADE = upgradeRequest();

interface Start {
  readonly session: Session;
  readonly served: Served;
  readonly anywhere: (...argv: string[]) => Promise<Ran>;
  readonly anywhereIn: (surroundings: Surroundings, ...argv: string[]) => Promise<Ran>;
}

async function start(t: ExecutionContext, access?: Access): Promise<Start> {
  const session = await startSession(t);
  await session.done('load', '--quiet', TINY);
  const served = await serveHere(t, session.store, access === undefined ? {} : { server: { access } });
  const anywhereIn: Start['anywhereIn'] = (surroundings, ...argv) =>
    session.runIn({ ...surroundings, isAnywhere: true }, ...argv);
  return { session, served, anywhereIn, anywhere: (...argv) => anywhereIn({}, ...argv) };
}

/** Connects as a client does, up to the frames. */
async function connectTo(t: ExecutionContext, path: string): Promise<{ socket: Socket; answer: string }> {
  const socket = connect(path);
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.write(UPGRADE);
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return { socket, answer: bytes.toString() };
}

async function lastActor({ store }: Served): Promise<string | undefined> {
  let actor: string | undefined;
  for await (const event of store.log.read()) actor = event.actor;
  return actor;
}

/** Users by their tokens: what each may do. */
const users: Readonly<Record<string, readonly string[]>> = {
  reader: ['read'],
  pusher: ['read', 'push'],
  admin: ['read', 'push', 'delete', 'admin'],
};

const byToken: Access = {
  async authenticate({ authorization }) {
    const name = authorization[0]?.replace('Bearer ', '') ?? 'nobody';
    const may = users[name] ?? [];
    const hasRights = may.length > 0;
    const grant: Grant = {
      actor: name,
      isLoggedIn: hasRights,
      hasRights,
      mayNameActor: false,
      may: (action) => may.includes(action),
    };
    return grant;
  },
  challenge: () => 'Bearer realm="test"',
  sessionToken: () => undefined,
};

test('the actor is who the client says on the same machine', async (t) => {
  const { anywhere, anywhereIn, served } = await start(t);
  t.is((await anywhere('tag', 'tiny:1', 'a:1')).code, 0);
  t.is(await lastActor(served), 'tester', 'of $IMAGELOG_ACTOR');
  t.is((await anywhere('tag', 'tiny:1', 'a:2', '--actor', 'ann')).code, 0);
  t.is(await lastActor(served), 'ann');
  t.is((await anywhereIn({ env: { IMAGELOG_ACTOR: '' } }, 'tag', 'tiny:1', 'a:3')).code, 0);
  t.regex((await lastActor(served)) ?? '', /@/, 'user@host of the client');
});

test('over TCP the actor is who the server knows, and each may what the command table says', async (t) => {
  const { anywhereIn, served } = await start(t, byToken);
  const as = (token: string, ...argv: string[]): Promise<Ran> =>
    anywhereIn(
      { env: { IMAGELOG_HOST: served.url, IMAGELOG_STORE: '', IMAGELOG_TOKEN: token, IMAGELOG_ACTOR: '' } },
      ...argv,
    );
  t.is((await as('reader', 'images')).code, 0);
  const refused = await as('reader', 'tag', 'tiny:1', 'a:1');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /does not allow reader to add images and names \(ACCESS_DENIED\)/);
  t.is((await as('pusher', 'tag', 'tiny:1', 'a:1')).code, 0);
  t.is(await lastActor(served), 'pusher');
  t.regex((await as('pusher', 'tag', 'tiny:1', 'a:2', '--actor', 'ann')).stderr, /pusher, which cannot write as ann/);
  t.is((await as('pusher', 'log', '--actor', 'tester')).code, 0, 'where it filters, it names nobody');
  for (const argv of [['rm', 'a:1'], ['untag', 'a:1'], ['prune', '--yes'], ['verify'], ['consumers', 'rm', 'x@1']]) {
    t.regex((await as('pusher', ...argv)).stderr, /ACCESS_DENIED/, argv[0]);
  }
  t.is((await as('pusher', 'prune')).code, 0, 'it frees nothing');
  t.is((await as('admin', 'untag', 'a:1', '--actor', 'ann')).code, 0);
  t.is(await lastActor(served), 'ann (by admin)');
  t.is((await as('admin', 'tag', 'tiny:1', 'a:1', '--actor', 'admin')).code, 0);
  t.is(await lastActor(served), 'admin');
  const long = await as('admin', 'untag', 'a:1', '--actor', 'x'.repeat(MAX_ACTOR_BYTES));
  t.not(long.code, 0, 'not cut');
  t.regex(long.stderr, /actor/);
  const nobody = await as('nobody', 'images');
  t.is(nobody.code, 1);
  t.regex(nobody.stderr, /refuses: log in to run commands \(ACCESS_DENIED\)/);
  t.deepEqual(served.failures, []);
});

test('a host that is no server, or none of ours, is an error; credentials do not go in the clear', async (t) => {
  const { anywhereIn } = await start(t);
  const other = createHttpServer((_, response) => response.writeHead(404).end('nothing'));
  t.teardown(() => other.close());
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const rows: readonly (readonly [host: string, message: RegExp])[] = [
    ['http://127.0.0.1:1', /cannot reach the server http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*\(SERVER_UNAVAILABLE\)/],
    [`http://127.0.0.1:${port}`, /it runs no commands: .*404.*\(SERVER_UNAVAILABLE\)/],
    ['unix:///no/such.sock', /ENOENT.*\(SERVER_UNAVAILABLE\)/],
    ['ftp://x', /no URL of a server/],
    ['nonsense', /no URL of a server/],
    ['http://images.example.com', /credentials are not sent/],
  ];
  for (const [host, message] of rows) {
    const { code, stdout, stderr } = await anywhereIn({ env: { IMAGELOG_TOKEN: 'secret' } }, '--host', host, 'images');
    t.deepEqual({ code, stdout }, { code: 1, stdout: '' }, host);
    t.regex(stderr, message);
    t.notRegex(stderr, /secret/);
  }
});

test('commands of files say that no server runs them', async (t) => {
  const { anywhere, anywhereIn, session, served } = await start(t);
  const held = await anywhere('rebuild', '--wait', '60s');
  t.is(held.code, 5, 'at once');
  t.regex(held.stderr, /it is open in .*, which serves it at .*serve\.sock \(STORE_LOCKED\)\nhint: .*stop the server/);
  const local = await anywhere('tag', 'tiny:1', 'a:1', '--no-host');
  t.is(local.code, 5);
  t.regex(local.stderr, /hint: without --no-host/);
  for (const argv of [['backup', 'x'], ['rebuild'], ['restore', 'x']]) {
    const named = await anywhere('--host', served.url, ...argv);
    t.is(named.code, 2);
    t.regex(named.stderr, /leave out --host/);
    const set = await anywhereIn({ env: { IMAGELOG_HOST: served.url } }, ...argv);
    t.is(set.code, 2, argv[0]);
    t.regex(set.stderr, /\$IMAGELOG_HOST names a server/);
  }
  const backup = join(session.folder, 'backup');
  t.is((await anywhere('backup', backup)).code, 0, 'files are read beside a server');
  t.regex((await anywhere('verify', backup)).stdout, /all is well/);
});

test('a server takes no private key, and says whether it has one itself', async (t) => {
  const { anywhere, session, served } = await start(t);
  const unsigned = await anywhere('checkpoint', '--key', 'log.key');
  t.is(unsigned.code, 2);
  t.regex(unsigned.stderr, /has no key, and signs nothing: leave out --key\nhint: `imagelog serve --key FILE` signs/);
  await served.stop();
  const key = join(session.folder, 'log.key');
  await session.done('key', key);
  await serveHere(t, session.store, { store: { signer: await readSigner(key) } });
  const signed = await anywhere('checkpoint', '--key', key);
  t.is(signed.code, 2);
  t.regex(signed.stderr, /signs with its own key: leave out --key/);
});

test('a write says that the key of a variable is not used, a read does not', async (t) => {
  const { anywhereIn } = await start(t);
  const withKey = (...argv: string[]): Promise<Ran> => anywhereIn({ env: { IMAGELOG_KEY: 'log.key' } }, ...argv);
  const { code, stderr } = await withKey('tag', 'tiny:1', 'a:1');
  t.is(code, 0);
  t.regex(
    stderr,
    /^imagelog: notice: the key of \$IMAGELOG_KEY is not used: a server signs with its own, or not at all$/m,
  );
  t.notRegex((await withKey('images')).stderr, /notice/);
  t.notRegex((await withKey('tag', 'tiny:1', 'a:2', '--key', 'log.key')).stderr, /notice/, 'an error says it');
});

test('a socket without a server costs nothing: the files answer', async (t) => {
  const { anywhere, session, served } = await start(t);
  await served.stop();
  const child = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(served.socket)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  await once(child, 'close');
  const { code, stderr } = await anywhere('images');
  t.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  t.is((await anywhere('tag', 'tiny:1', 'a:1')).code, 0);
  t.deepEqual(await session.run('images', '--quiet'), await anywhere('images', '--quiet'));
});

test('an option whose value looks like another store is no other store', async (t) => {
  const { anywhere, served } = await start(t);
  const { code, stdout } = await anywhere('log', '--grep', '--no-host', '--json');
  t.deepEqual({ code, stdout }, { code: 0, stdout: '' });
  const declined = await anywhere('log', '--grep', `--host=${served.url}`, '--json');
  t.deepEqual({ code: declined.code, stdout: declined.stdout }, { code: 0, stdout: '' });
});

test('standard input, a pipe without a writer, and Ctrl-C', async (t) => {
  const { anywhereIn, served } = await start(t);
  const { seq } = served.store.log.head;
  t.is((await anywhereIn({ stdin: await readFile(TINY) }, 'load', '--tag', 'piped:1')).code, 0);
  t.is(served.store.log.head.seq, seq + 1);
  const stdin = new PassThrough();
  stdin.write((await readFile(TINY)).subarray(0, 5_000));
  const controller = new AbortController();
  const loading = anywhereIn({ stdin, signal: controller.signal }, 'load');
  setTimeout(() => controller.abort(new Interruption('SIGINT')), 200);
  const { code, stderr } = await loading;
  t.is(code, 130);
  t.is(stderr, 'imagelog: interrupted by SIGINT\n');
  t.is(served.store.log.head.seq, seq + 1);
  t.deepEqual(await served.store.verify(), []);
});

test('an output that breaks or fails ends the command as it would here', async (t) => {
  const { session, anywhereIn, served } = await start(t);
  for (const systemCode of ['EPIPE', 'ENOSPC']) {
    const error = Object.assign(new Error(`${systemCode}: write`), { code: systemCode });
    const breaks = { breaks: { after: 0, error } };
    for (const argv of [['images'], ['log', '--json'], ['save', 'tiny:1']]) {
      const [remote, local] = [await anywhereIn(breaks, ...argv), await session.runIn(breaks, ...argv)];
      t.deepEqual(remote, local, `${argv[0]} ${systemCode}`);
      t.is(remote.code, systemCode === 'EPIPE' ? 0 : 1);
    }
  }
  t.deepEqual(served.failures, []);
});

const noFullDevice = existsSync('/dev/full') ? undefined : 'the system has no /dev/full';

testOrSkip(noFullDevice)('a process whose output is full fails, also when a server runs the command', async (t) => {
  const { served } = await start(t);
  for (const argv of [['images'], ['log', '--json'], ['save', 'tiny:1']]) {
    const full = await open('/dev/full', 'w');
    const child = spawn(process.execPath, [main, '--store', served.store.directory, ...argv], {
      stdio: ['ignore', full.fd, 'pipe'],
    });
    const [said, [code]] = await Promise.all([text(child.stderr as Readable), once(child, 'close')]);
    await full.close();
    t.is(code, 1, argv[0]);
    t.regex(said, /^imagelog: cannot write the output: ENOSPC/, argv[0]);
  }
  t.is(served.ran(), 3);
});

test('a follower that lost the reader of its output ends with the next event', async (t) => {
  const { anywhere, served } = await start(t);
  const child = spawn(process.execPath, [main, '--store', served.store.directory, 'log', '--follow'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const ended = Promise.all([text(child.stderr), once(child, 'close')]);
  await anywhere('tag', 'tiny:1', 'a:1');
  const [said, [code]] = await ended;
  t.deepEqual({ code: code as unknown, said }, { code: 0, said: '' });
});

test('a follower sees what others write, and ends with its client', async (t) => {
  const { anywhere, anywhereIn, served } = await start(t);
  const controller = new AbortController();
  const seen = new Promise<void>((resolve) => {
    const onOutput = (chunk: string): void => {
      if (chunk.includes('"a:1"') || chunk.includes('/a:1"')) resolve();
    };
    void anywhereIn({ signal: controller.signal, onOutput }, 'log', '--follow', '--json');
  });
  await anywhere('tag', 'tiny:1', 'a:1');
  await seen;
  controller.abort(new Interruption('SIGINT'));
  const child = spawn(process.execPath, [main, '--store', served.store.directory, 'log', '--follow'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  await served.stop();
  t.pass('a stop waits for no command of a client that is gone');
});

test('the pager is one of the client', async (t) => {
  const { anywhereIn, session } = await start(t);
  const page = join(session.folder, 'page');
  const surroundings = { columns: 80, env: { IMAGELOG_PAGER: `cat > ${page}`, PATH: process.env['PATH'] ?? '' } };
  const { code, stdout } = await anywhereIn(surroundings, 'log');
  t.deepEqual({ code, stdout }, { code: 0, stdout: '' });
  t.regex(await readFile(page, 'utf8'), /load/);
  const none = await anywhereIn({ columns: 80, env: { IMAGELOG_PAGER: 'no-such-pager', PATH: '/nowhere' } }, 'log');
  t.is(none.code, 1);
  t.regex(none.stderr, /no pager no-such-pager/);
});

test('a server that stops ends its commands with exit code 5', async (t) => {
  const { anywhereIn, served } = await start(t);
  let isSeen: () => void = () => undefined;
  const seen = new Promise<void>((resolve) => {
    isSeen = resolve;
  });
  const following = anywhereIn({ onOutput: () => isSeen() }, 'log', '--follow');
  await seen;
  await served.stop();
  const { code, stderr } = await following;
  t.is(code, 5);
  t.regex(stderr, /the server ended the command: it is stopping \(SERVER_BUSY\)/);
});

test('a server that is lost leaves the outcome of a write unknown, and fails a read', async (t) => {
  const { anywhere, session } = await startFalse(t, async (socket) => void socket.destroy());
  const write = await anywhere('tag', 'tiny:1', 'a:1');
  t.is(write.code, 1);
  t.regex(write.stderr, /was lost before it said what the command did \(OUTCOME_UNKNOWN\)\nhint: .*imagelog log/);
  const read = await anywhere('images');
  t.is(read.code, 1);
  t.regex(read.stderr, /was lost before the command ended \(SERVER_UNAVAILABLE\)/);
  t.is((await session.run('images')).code, 0);
});

test('a server cannot ask for a file that the command line does not name', async (t) => {
  const secret = join(process.cwd(), 'package.json');
  const rows: readonly (readonly [request: object, ...argv: string[]])[] = [
    [{ action: 'read', path: secret, limitBytes: 10 }, 'images'],
    [{ action: 'archive', path: secret, stream: 7 }, 'load', TINY],
    [{ action: 'write', path: secret, stream: 7 }, 'save', 'tiny:1', '-o', '/dev/null'],
    [{ action: 'write', path: secret, stream: 7 }, 'load', secret],
    [{ action: 'read', path: secret, limitBytes: 10 }, 'verify', '--key', secret],
    [{ action: 'verifierKey', path: secret }, 'load', secret],
    [{ action: 'nonsense', path: secret }, 'load', secret],
  ];
  for (const [request, ...argv] of rows) {
    let reply: unknown;
    const { anywhere } = await startFalse(t, async (socket) => {
      const channel = new FrameChannel(socket, new Uint8Array());
      for await (const frame of channel.frames()) {
        if (frame.kind === fromClient.start) await channel.json(fromServer.request, { id: 1, ...request });
        if (frame.kind !== fromClient.reply) continue;
        reply = objectOf(frame)['error'];
        await channel.json(fromServer.exit, { code: 0 });
      }
    });
    t.is((await anywhere(...argv)).code, 0);
    t.regex(JSON.stringify(reply), /ACCESS_DENIED|INTERNAL/, JSON.stringify(request));
  }
});

/** A session whose store has a socket with something else behind it than a server of ours. */
async function startFalse(
  t: ExecutionContext,
  serve: (socket: Socket) => Promise<void>,
): Promise<Pick<Start, 'session' | 'anywhere'>> {
  const session = await startSession(t);
  await session.done('load', '--quiet', TINY);
  const server = createSocketServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${COMMAND_PROTOCOL}\r\n\r\n`);
      void serve(socket);
    });
  });
  server.listen(join(session.store, 'serve.sock'));
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { session, anywhere: (...argv) => session.runIn({ isAnywhere: true }, ...argv) };
}

test('malformed frames end the connection, and nothing else', async (t) => {
  const { anywhere, served } = await start(t);
  const head = (length: number, kind: number): Buffer => {
    const bytes = Buffer.alloc(5);
    bytes.writeUInt32BE(length);
    bytes.writeUInt8(kind, 4);
    return bytes;
  };
  const frame = (kind: number, payload: string): Buffer =>
    Buffer.concat([head(payload.length + 1, kind), Buffer.from(payload)]);
  const valid = {
    argv: ['log', '--follow'],
    env: {},
    now: 0,
    timeZone: 'UTC',
    actor: 'x',
    stdout: { columns: 0 },
    stderr: { columns: 0 },
  };
  const start1 = frame(fromClient.start, JSON.stringify(valid));
  const rows: readonly Buffer[] = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    head(0, 1),
    head(MAX_COMMAND_FRAME_BYTES + 1, fromClient.start),
    frame(fromClient.reply, '{}'),
    frame(fromClient.start, 'no json'),
    frame(fromClient.start, '[]'),
    ...['argv', 'env', 'now', 'timeZone', 'actor', 'stdout', 'store'].map((name) =>
      frame(
        fromClient.start,
        JSON.stringify({ ...valid, [name]: name === 'env' ? { a: 1 } : name === 'argv' ? [1] : [] }),
      ),
    ),
    Buffer.concat([start1, frame(99, '{}')]),
    Buffer.concat([start1, frame(fromClient.data, '')]),
    Buffer.concat([start1, frame(fromClient.end, '{}')]),
    Buffer.concat([start1, frame(fromClient.interrupt, 'x')]),
    Buffer.concat([start1, head(MAX_COMMAND_FRAME_BYTES + 1, fromClient.data)]),
  ];
  for (const [at, bytes] of rows.entries()) {
    const { socket, answer } = await connectTo(t, served.socket);
    t.regex(answer, /^HTTP\/1\.1 101 /);
    socket.resume();
    socket.write(bytes);
    await once(socket, 'close');
    t.is((await anywhere('resolve', 'tiny:1')).code, 0, `after row ${at}`);
  }
  t.deepEqual(served.failures, [], 'the operator has no part in them');
});

test('other protocols, paths and too many commands are refused by status', async (t) => {
  const { anywhere, served } = await start(t);
  const ask = async (request: string): Promise<string> => {
    const socket = connect(served.socket);
    socket.write(request);
    return text(socket);
  };
  t.regex(await ask(UPGRADE.replace('command/1', 'command/2')), /^HTTP\/1\.1 426 /);
  t.regex(await ask(UPGRADE.replace('/command', '/other')), /^HTTP\/1\.1 404 /);
  const held = await Promise.all(Array.from({ length: MAX_COMMANDS_AT_ONCE }, () => connectTo(t, served.socket)));
  t.regex(await ask(UPGRADE), /^HTTP\/1\.1 429 [\s\S]*retry-after: 1\r\n[\s\S]*TOOMANYREQUESTS/);
  t.is((await anywhere('images')).code, 0, 'the files answer');
  const busy = await anywhere('--wait', '0', 'tag', 'tiny:1', 'a:1');
  t.is(busy.code, 5);
  t.regex(busy.stderr, /SERVER_BUSY/);
  const waiting = anywhere('tag', 'tiny:1', 'a:1');
  for (const { socket } of held) socket.destroy();
  t.is((await waiting).code, 0);
});

test('a command line that no frame holds is refused before it is sent', async (t) => {
  const { anywhere, served } = await start(t);
  const { code, stderr } = await anywhere('tag', 'tiny:1', 'a:1', '--reason', 'x'.repeat(MAX_COMMAND_FRAME_BYTES));
  t.is(code, 2);
  t.regex(stderr, /the command line has more than 2097152 bytes/);
  t.is(served.ran(), 0);
});

test('a client that reads nothing holds up only itself, and gets all once it reads', async (t) => {
  const { session, served, anywhere } = await start(t);
  const value = join(session.folder, 'value');
  await writeFile(value, 'x'.repeat(60_000));
  for (let at = 0; at < 40; at++) t.is((await anywhere('meta', 'tiny:1', `key${at}`, '--file', value)).code, 0);
  const child = spawn(process.execPath, [main, '--store', session.store, 'log', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'readable');
  t.is((await anywhere('images')).code, 0);
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  t.is(code, 0);
  t.is(printed, (await session.run('log', '--json')).stdout);
  t.deepEqual(served.failures, []);
});

test('a client that is killed while it loads leaves the store as it was', async (t) => {
  const { session, served } = await start(t);
  const { seq } = served.store.log.head;
  const child = spawn(process.execPath, [main, '--store', session.store, 'load'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.stdin.write((await readFile(TINY)).subarray(0, 5_000));
  while (served.ran() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGKILL');
  await once(child, 'close');
  await served.stop();
  await using store = await openStore(session.store, { readOnly: true });
  t.is(store.log.head.seq, seq);
  t.deepEqual(await store.verify(), []);
});

test('save writes a file as a whole or not at all, also in a folder that is the client’s', async (t) => {
  const { session, anywhere, anywhereIn } = await start(t);
  const folder = join(session.folder, 'out');
  await mkdir(folder);
  const file = join(folder, 'a.tar');
  t.is((await anywhere('save', 'nothing:1', '-o', file)).code, 3);
  t.is((await anywhere('save', 'tiny:1', `--output=${file}`)).code, 0);
  t.deepEqual(await readFile(file), (await anywhere('save', 'tiny:1')).bytes);
  await rm(file);
  const controller = new AbortController();
  controller.abort(new Interruption('SIGTERM'));
  t.is((await anywhereIn({ signal: controller.signal }, 'save', 'tiny:1', '-o', file)).code, 143);
  const proof = join(folder, 'proof');
  t.is((await anywhere('prove', '1', '-o', proof)).code, 0);
  t.is((await session.run('check-proof', proof)).code, 0);
});

test('a client sends no more of its input than it was asked for, in small frames', async (t) => {
  const sizes: number[] = [];
  const { session } = await startFalse(t, async (socket) => {
    const channel = new FrameChannel(socket, new Uint8Array());
    for await (const frame of channel.frames()) {
      if (frame.kind === fromClient.start) {
        await channel.json(fromServer.pull, { stream: 0, bytes: COMMAND_WINDOW_BYTES });
      }
      if (frame.kind !== fromClient.data) continue;
      sizes.push(frame.payload.length - 4);
      if (sizes.reduce((sum, size) => sum + size, 0) < COMMAND_WINDOW_BYTES) continue;
      // Anything beyond would come before the answer to this.
      await channel.json(fromServer.request, { id: 1, action: 'flush', output: 'stdout' });
      await channel.json(fromServer.exit, { code: 0 });
    }
  });
  const stdin = Buffer.alloc(2 * COMMAND_WINDOW_BYTES);
  t.is((await session.runIn({ isAnywhere: true, stdin }, 'load')).code, 0);
  t.is(
    sizes.reduce((sum, size) => sum + size, 0),
    COMMAND_WINDOW_BYTES,
  );
  t.true(sizes.every((size) => size <= COMMAND_CHUNK_BYTES));
});

test('a command that finds a server starting waits until it answers, and runs there', async (t) => {
  const session = await startSession(t);
  await session.done('load', '--quiet', TINY);
  const store = await openStore(session.store, { onNotice: () => undefined });
  const servedRun = servedRunner(run);
  const server = createServer(store, { runCommand: servedRun });
  const listener = createHttpServer(server.listener).on('upgrade', server.upgrade);
  t.teardown(async () => {
    listener.close();
    await server.close();
    await store.close();
  });
  const tagging = session.runIn({ isAnywhere: true }, 'tag', '--wait', '10s', 'tiny:1', 'a:1');
  await delay(300);
  listener.listen(join(session.store, 'serve.sock'));
  t.like(await tagging, { code: 0, stderr: '' });
  t.is(store.resolve('a:1'), store.resolve('tiny:1'));
  const own = await session.runIn({ isAnywhere: true }, 'tag', '--no-host', '--wait', '0', 'tiny:1', 'a:1');
  t.is(own.code, 5);
  t.regex(own.stderr, /STORE_LOCKED/);
});
