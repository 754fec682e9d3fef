import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyImage } from '../../src/registry-client/copy.js';
import { Pull } from '../../src/registry-client/pull.js';
import { pushImage } from '../../src/registry-client/push.js';
import { credentialFinder } from '../../src/registry-client/credentials.js';
import { RegistryClient } from '../../src/registry-client/registry-client.js';
import { RegistrySession } from '../../src/registry-client/registry-session.js';
import { digestOf } from '../../src/model/digest.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { breakingProxy } from '../support/breaking-proxy.js';
import { inChunks } from '../support/build-tar.js';
import { requires } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startDockerRegistry } from './docker-registry.js';
import { skopeo } from './run-program.js';

const withRegistry = requires('docker-registry');
const withSkopeo = requires('docker-registry', 'skopeo');
/** `hunter2` of ann, as htpasswd writes it with bcrypt. */
const PASSWORDS = 'ann:$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm\n';

withRegistry("docker's registry takes what is pushed, and gives it back with the same digests", async (t) => {
  const [host, other] = [await startDockerRegistry(t), await startDockerRegistry(t)];
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

withRegistry("docker's registry takes an upload that broke off, and gives a part of a blob", async (t) => {
  const host = await breakingProxy(t, await startDockerRegistry(t), 1_500_000);
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
  const host = await startDockerRegistry(t);
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
  const host = await startDockerRegistry(t, { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } });
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
