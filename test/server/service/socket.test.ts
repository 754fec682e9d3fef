import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server, connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_SOCKET_PATH_BYTES } from '../../../src/limits.js';
import { bindSocket, boundPath, connectablePath, isAnswering } from '../../../src/server/service/socket.js';
import { socketPathOf } from '../../../src/cli/store-directory.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

/** Says `text` to each client, also to one that hears nothing of it. */
function saying(text: string): Server {
  return createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(text);
  });
}

/** Listens at `path` until the test ends; says `hello` to each client. */
async function listening(t: ExecutionContext, path: string): Promise<Server> {
  const server = saying('hello');
  const remove = await bindSocket(server, path);
  t.teardown(async () => {
    server.close();
    await remove();
  });
  return server;
}

async function said(path: string): Promise<string> {
  await using place = await connectablePath(path);
  const socket = connect(place.path);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test('a socket is for its owner alone, and nothing else is left beside it', async (t) => {
  const folder = await temporaryDirectory(t);
  const path = socketPathOf(folder);
  await listening(t, path);
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(folder), ['serve.sock']);
  t.is(await said(path), 'hello');
});

test('the group of a socket may connect where it should', async (t) => {
  const path = socketPathOf(await temporaryDirectory(t));
  const server = saying('hello');
  const remove = await bindSocket(server, path, 0o660);
  t.is((await stat(path)).mode & 0o777, 0o660);
  t.is(boundPath(server), path);
  server.close();
  await remove();
});

test('a path longer than the address of a socket is bound and connected to', async (t) => {
  const folder = join(await temporaryDirectory(t), 'x'.repeat(200), 'y'.repeat(200));
  await mkdir(folder, { recursive: true });
  const path = socketPathOf(folder);
  t.true(path.length > MAX_SOCKET_PATH_BYTES);
  t.false(await isAnswering(path));
  const server = await listening(t, path);
  t.true(await isAnswering(path));
  t.is(await said(path), 'hello');
  server.close();
  t.false(await isAnswering(path));
});

test('the socket of a server that is gone is replaced, and only the own one is removed', async (t) => {
  const path = socketPathOf(await temporaryDirectory(t));
  const first = saying('first');
  const removeFirst = await bindSocket(first, path);
  first.close();
  t.false(await isAnswering(path), 'what a killed server leaves');
  await listening(t, path);
  await removeFirst();
  t.is(await said(path), 'hello');
});

test('a file that is no socket answers nothing, and stays', async (t) => {
  const path = join(await temporaryDirectory(t), 'file');
  await writeFile(path, 'precious');
  t.false(await isAnswering(path));
  const link = `${path}-link`;
  await symlink(path, link);
  for (const each of [path, link]) {
    await rejection(t, 'ADDRESS_REFUSED', bindSocket(saying(''), each));
    t.is(await readFile(each, 'utf8'), 'precious');
  }
});
