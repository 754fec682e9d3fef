import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { copyImage } from '../../src/registry-client/copy.js';
import { Pull } from '../../src/registry-client/pull.js';
import { pushImage } from '../../src/registry-client/push.js';
import { credentialFinder } from '../../src/registry-client/credentials.js';
import { RegistryClient } from '../../src/registry-client/registry-client.js';
import { RegistrySession } from '../../src/registry-client/registry-session.js';
import { digestOf } from '../../src/model/digest.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { inChunks } from '../support/build-tar.js';
import { requires } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { skopeo } from './run-program.js';

const withRegistry = requires('docker-registry');
const withSkopeo = requires('docker-registry', 'skopeo');
/** `hunter2` of ann, as htpasswd writes it with bcrypt. */
const PASSWORDS = 'ann:$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm\n';

/** Starts docker's registry on a free port of the loopback address; `more` is added to its configuration. */
async function dockerRegistry(t: ExecutionContext, more = ''): Promise<string> {
  const folder = await temporaryDirectory(t);
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'config.yml');
  const storage = `storage: {filesystem: {rootdirectory: ${join(folder, 'data')}}}`;
  await writeFile(config, `version: 0.1\n${storage}\nhttp: {addr: "${host}"}\nlog: {level: error}\n${more}`);
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  t.teardown(async () => {
    if (!isRunning(child)) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  for (let tries = 0; tries < 100 && isRunning(child); tries++) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
    if (answer !== undefined) return host;
    await delay(50);
  }
  throw new Error('docker-registry does not answer');
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

withRegistry("docker's registry takes what is pushed, and gives it back with the same digests", async (t) => {
  const [host, other] = [await dockerRegistry(t), await dockerRegistry(t)];
  const [store, again] = [await temporaryStore(t), await temporaryStore(t)];
  for (const fixture of ['docker25-all.tar', 'oci-multi-platform.tar']) await store.load(archivePath(fixture));
  for (const name of ['tiny:multi', 'shop/app:1.0', 'shop/app:2.0']) {
    const target = `${host}/test/${name}`;
    const pushed = await pushImage(store, { name, target });
    const copied = await copyImage(target, `${other}/copied/${name}`);
    t.is(copied.digest, pushed.digest);
    const pull = await Pull.begin(`${other}/copied/${name}`);
    const pulled = await pull.into(again).finally(() => pull.close());
    t.is(pulled.digest, pushed.digest);
    t.is(again.resolve(`${other}/copied/${name}`), store.resolve(name));
    t.is((await pushImage(store, { name, target })).bytes, 0);
  }
  const mounted = await copyImage(`${host}/test/shop/app:1.0`, `${host}/prod/app:1.0`);
  t.deepEqual(mounted.blobs, { uploaded: 0, mounted: 4, present: 0 });
});

/** Passes connections on to `host`; the first that sends so many bytes breaks. Returns its own host. */
async function breakingProxy(t: ExecutionContext, host: string, bytes: number): Promise<string> {
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

withRegistry("docker's registry takes an upload that broke off, and gives a part of a blob", async (t) => {
  const host = await breakingProxy(t, await dockerRegistry(t), 1_500_000);
  const bytes = randomBytes(3_000_000);
  const waits: number[] = [];
  const session = new RegistrySession(host, { wait: async (durationMs) => void waits.push(durationMs) });
  t.teardown(() => session.close());
  const client = new RegistryClient(session, 'test/blobs');
  const digest = digestOf(bytes);
  const offsets: number[] = [];
  const open = (offset: number): AsyncIterable<Uint8Array> => {
    offsets.push(offset);
    return inChunks(bytes.subarray(offset));
  };
  t.is(await client.putBlob({ digest, size: bytes.length, mediaType: '' }, open), 'uploaded');
  t.is(waits.length, 1);
  // It cancels an upload whose PATCH broke off, so that it begins again.
  t.deepEqual(offsets, [0, 0]);
  const tail: Uint8Array[] = [];
  for await (const chunk of client.blob(digest, { offset: 2_000_000 })) tail.push(chunk);
  t.true(bytes.subarray(2_000_000).equals(Buffer.concat(tail)));
});

withSkopeo('skopeo reads what was pushed, and what skopeo copied is pulled', async (t) => {
  const host = await dockerRegistry(t);
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-multi-platform.tar'));
  const { digest } = await pushImage(store, { name: 'tiny:multi', target: `${host}/a/tiny:1` });
  const raw = await skopeo('inspect', '--tls-verify=false', '--raw', `docker://${host}/a/tiny:1`);
  t.is(digestOf(Buffer.from(raw)), digest);
  const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false'];
  await skopeo('copy', '--all', ...insecure, `docker://${host}/a/tiny:1`, `docker://${host}/b/tiny:1`);
  const pull = await Pull.begin(`${host}/b/tiny:1`);
  t.is((await pull.into(store).finally(() => pull.close())).digest, digest);
});

withRegistry("docker's registry with passwords takes those of a file of docker", async (t) => {
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, 'htpasswd'), PASSWORDS);
  const host = await dockerRegistry(t, `auth: {htpasswd: {realm: test, path: ${join(folder, 'htpasswd')}}}\n`);
  const auth = Buffer.from('ann:hunter2').toString('base64');
  await mkdir(join(folder, '.docker'));
  await writeFile(join(folder, '.docker/config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
  const store = await temporaryStore(t);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  const target = `${host}/a/tiny:1`;
  await t.throwsAsync(pushImage(store, { name: 'tiny:1', target }), { code: 'REGISTRY_DENIED' });
  const credentials = credentialFinder({ HOME: folder });
  t.is((await pushImage(store, { name: 'tiny:1', target }, { credentials })).blobs.uploaded, 2);
});
