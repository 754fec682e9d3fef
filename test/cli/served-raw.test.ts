import { once } from 'node:events';
import { access, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { CommandEntry } from '../../src/cli/command.js';
import { commands } from '../../src/cli/commands.js';
import { FrameChannel, fromClient } from '../../src/server/command/frames.js';
import { runRaw, startFrame, upgraded, upgradeRequest } from './raw-command.js';
import { type Served, serveHere } from './serve-here.js';
import { archive, type Session, startSession } from './session.js';

/* Frames that no client of ours sends: what a server checks itself. */

async function start(t: ExecutionContext): Promise<{ readonly session: Session; readonly served: Served }> {
  const session = await startSession(t);
  await session.done('load', '--quiet', archive('skopeo-tiny-1.tar'));
  return { session, served: await serveHere(t, session.store) };
}

/** Words after the name of a command, for a command line that is valid. */
function wordsOf(folder: string): Readonly<Record<string, readonly string[]>> {
  return {
    push: ['tiny:1', 'localhost:1/a:1'],
    copy: ['localhost:1/a:1', 'localhost:1/b:1'],
    key: [join(folder, 'made.key')],
    'check-proof': [join(folder, 'a.proof')],
    backup: [join(folder, 'made.backup')],
    restore: [join(folder, 'made.backup')],
    rebuild: [],
    version: [],
    serve: ['--listen', '127.0.0.1:0', '--socket', join(folder, 'made.sock')],
    env: [],
    load: [join(folder, 'nothing.tar')],
    save: ['nothing:1'],
    pull: ['localhost:1/a:1'],
    search: ['00'],
    inspect: ['nothing:1'],
    history: ['nothing:1'],
    meta: ['nothing:1'],
    referrers: ['nothing:1'],
    rm: ['nothing:1'],
    tag: ['nothing:1', 'a:1'],
    untag: ['nothing:1'],
    resolve: ['nothing:1'],
    refs: ['nothing:1'],
    prove: ['1'],
    erase: [`sha256:${'0'.repeat(64)}`],
    diff: ['1'],
    at: ['1', 'images'],
  };
}

function nameOf({ usage }: CommandEntry): string {
  return usage.split(' ')[0] ?? '';
}

test('a server runs no command whose entry has no `may`, by any frame that asks for it', async (t) => {
  const { session, served } = await start(t);
  const folder = session.store;
  const words = wordsOf(folder);
  const { seq } = served.store.log.head;
  const kept = commands.filter(({ may }) => may === undefined);
  t.true(kept.length >= 10, 'it reads the table');
  for (const entry of kept) {
    for (const name of [nameOf(entry), ...(entry.aliases ?? [])]) {
      const ran = await runRaw(t, served.socket, [name, ...(words[nameOf(entry)] ?? [])]);
      t.deepEqual(ran, { code: 1, declined: true, stdout: '', stderr: '', asked: [] }, name);
    }
    // It is not among the commands of the past.
    const past = await runRaw(t, served.socket, ['at', '1', nameOf(entry), ...(words[nameOf(entry)] ?? [])]);
    t.is(past.code, 2, nameOf(entry));
    t.regex(past.stderr, /cannot be run in the past/);
  }
  for (const made of ['made.key', 'made.backup', 'made.sock'])
    await t.throwsAsync(access(join(folder, made)), undefined, made);
  t.is(served.store.log.head.seq, seq);
  t.deepEqual(served.failures, []);
});

test('a server runs commands below another by their own entry', async (t) => {
  const { served } = await start(t);
  for (const below of ['reset', 'rm']) {
    const { code, declined, stderr } = await runRaw(t, served.socket, ['consumers', below, 'nobody@1']);
    t.deepEqual([code, declined], [3, false]);
    t.regex(stderr, /nobody@1/);
  }
});

test('a server reads no configuration for a client, and takes no variable that names a file', async (t) => {
  const { session, served } = await start(t);
  const file = join(session.store, 'secret');
  await writeFile(file, 'password = of the server\n');
  const env = {
    IMAGELOG_CONFIG: file,
    IMAGELOG_KEY: file,
    IMAGELOG_STORE: '/etc',
    DOCKER_CONFIG: '/etc',
    HOME: session.store,
    XDG_CONFIG_HOME: session.store,
    PATH: session.store,
    IMAGELOG_ACTOR: 'tester',
  };
  const ran = await runRaw(t, served.socket, ['tag', 'tiny:1', 'a:1'], { env });
  t.deepEqual([ran.code, ran.declined, ran.stderr], [0, false, '']);
  let actor: string | undefined;
  for await (const event of served.store.log.read()) ({ actor } = event);
  t.is(actor, 'tester', 'a variable of the list is taken');
  t.is((await runRaw(t, served.socket, ['images'], { env: { IMAGELOG_UTC: 'perhaps' } })).code, 0);
  t.is((await runRaw(t, served.socket, ['images'], { env: { IMAGELOG_WAIT: 'perhaps' } })).code, 2);
  t.is(await readFile(file, 'utf8'), 'password = of the server\n');
});

test('a refused connection ends, though its client does not close', async (t) => {
  const { served } = await start(t);
  const socket = connect({ path: served.socket, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.write(upgradeRequest().replace('command/1', 'command/2'));
  socket.resume();
  await once(socket, 'end');
  t.deepEqual(served.failures, []);
  await t.notThrowsAsync(served.server.close(1_000));
});

test('a close with a deadline frees a command whose client reads and answers nothing', async (t) => {
  const { served } = await start(t);
  const socket = await upgraded(t, served.socket);
  await new FrameChannel(socket, Buffer.alloc(0)).json(fromClient.start, startFrame(['images']));
  while (served.ran() === 0) await delay(5);
  const startedAt = performance.now();
  await served.server.close(200);
  t.true(performance.now() - startedAt < 3_000);
});

test('an event has the request id of the client, and none where it sent none', async (t) => {
  const { served } = await start(t);
  const last = async (): Promise<string | undefined> => {
    let id: string | undefined;
    for await (const event of served.store.log.read()) id = event.requestId;
    return id;
  };
  await runRaw(t, served.socket, ['tag', 'tiny:1', 'a:1'], { headers: 'X-Request-ID: build-7\r\n' });
  t.is(await last(), 'build-7');
  await runRaw(t, served.socket, ['tag', 'tiny:1', 'b:1']);
  t.is(await last(), undefined);
});
