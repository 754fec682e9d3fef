import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { fail, fakeRegistry } from '../support/fake-registry.js';
import { addImage, addIndex } from '../support/registry-images.js';
import { archive, objectsOf, startSession } from './session.js';

const TINY = 'sha256:bd10de19d2be72bbea961669454ea85768c9c87bbb3203ae6d8c7aac24edccf8';

test('push says what it sent, pull what came, and digests stay', async (t) => {
  const registry = await fakeRegistry(t);
  const { done, runIn, folder } = await startSession(t);
  await done('load', '--quiet', archive('oci-multi-platform.tar'));
  const name = `${registry.host}/shop/tiny:1`;
  const pushed = await done('push', 'tiny:multi', name);
  t.regex(
    pushed,
    /^pushed tiny:multi to 127\.0\.0\.1:\d+\/shop\/tiny:1: sha256:[0-9a-f]{64}, 3 blobs \(1\.1\d? kB\) sent\n$/,
  );
  t.regex(await done('push', 'tiny:multi', name), /0 blobs \(0 B\) sent, 3 there already\n$/);
  const digest = /sha256:[0-9a-f]{64}/.exec(pushed)?.[0] ?? '';
  t.is(await done('push', '--quiet', 'tiny:multi', name), `${digest}\n`);
  const env = { IMAGELOG_STORE: join(folder, 'other') };
  const pulled = await runIn({ env }, 'pull', name, '--reason', 'nightly');
  t.regex(pulled.stderr, /^(imagelog: notice: the store .* has format 4 from now on[^\n]*\n)?$/);
  t.is(
    pulled.stdout,
    `${name}: ${digest}, 2 images (2 new), 1 new layer\n` +
      `  loaded  ${name}                 bd10de19d2be\n` +
      `  loaded  ${name} linux/arm64/v8  ea3aeee65415\n`,
  );
  const again = await runIn({ env }, 'pull', '--json', '--tag', 'tiny:short', name);
  t.like(objectsOf(again.stdout)[0], { reference: name, digest, layersAdded: 0, notices: [] });
  t.is((await runIn({ env }, 'resolve', '--platform', 'linux/amd64', 'tiny:short')).stdout.trim(), TINY);
  t.is((await runIn({ env }, 'pull', '-q', name)).stdout.split('\n').length, 3);
  t.regex((await runIn({ env }, 'log', '--events')).stdout, /nightly/);
});

test('copy goes from registry to registry, without a store', async (t) => {
  const [registry, other] = [await fakeRegistry(t), await fakeRegistry(t)];
  const amd64 = await addImage(registry, 'shop/app:a', ['amd64']);
  const arm64 = await addImage(registry, 'shop/app:b', ['arm64'], 'arm64');
  const index = addIndex(registry, 'shop/app:1', { amd64, arm64 });
  const { done, run } = await startSession(t);
  const [from, to] = [`${registry.host}/shop/app:1`, `${other.host}/prod/app:1`];
  t.true((await done('copy', from, to)).startsWith(`copied ${from} to ${to}: ${index}, 4 blobs (`));
  const [result] = objectsOf(await done('copy', '--json', '--platform', 'linux/arm64', from, to));
  t.like(result, { source: from, reference: to, digest: arm64.manifest.digest, bytes: 0, blobs: { present: 2 } });
  t.like(await run('copy', '--platform', 'linux/s390x', from, to), { code: 3, stdout: '' });
  t.is((await run('stats')).code, 3, 'no store was made');
});

test('a pull of what is not there makes no store, and says how it failed', async (t) => {
  const registry = await fakeRegistry(t);
  const { run } = await startSession(t);
  const { code, stderr } = await run('pull', `${registry.host}/shop/app:1`);
  t.is(code, 3);
  t.regex(
    stderr,
    /^imagelog: found no manifest .*\/shop\/app:1: .* answered 404 .*\(REGISTRY_NOT_FOUND\)\nhint: check the name/,
  );
  t.like(await run('pull', '127.0.0.1:1/shop/app:1'), { code: 1 });
  t.like(await run('pull', 'Shop'), { code: 2 });
  t.like(await run('push', 'a:1', 'b:1'), { code: 3 });
  t.is((await run('stats')).code, 3);
});

test('a pull of one platform, and one that may not move a tag', async (t) => {
  const registry = await fakeRegistry(t);
  const amd64 = await addImage(registry, 'shop/app:a', ['amd64']);
  const arm64 = await addImage(registry, 'shop/app:b', ['arm64'], 'arm64');
  addIndex(registry, 'shop/app:1', { amd64, arm64 });
  const { run, done } = await startSession(t);
  const name = `${registry.host}/shop/app:1`;
  const { stderr } = await run('pull', '--platform', 'linux/arm64', name);
  t.regex(stderr, /imagelog: notice: not pulled: linux\/amd64\n$/);
  t.is((await done('resolve', name)).trim(), arm64.config.digest);
  t.like(await run('pull', '--platform', 'linux/s390x', name), { code: 3 });
  await addImage(registry, 'shop/app:1', ['another']);
  const refused = await run('pull', '--no-overwrite', name);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /\(REFERENCE_EXISTS\)/);
  t.regex(await done('pull', name), / {2}moved {3}/);
});

test('credentials of the home directory are used, and a denial says where they were looked for', async (t) => {
  const registry = await fakeRegistry(t);
  await addImage(registry, 'shop/app:1', ['one']);
  const auth = Buffer.from('ann:hunter2').toString('base64');
  registry.intercept = ({ headers }, response) => {
    if (headers.authorization === `Basic ${auth}`) return false;
    response.setHeader('www-authenticate', 'Basic realm="r"');
    fail(response, 401, 'UNAUTHORIZED');
    return true;
  };
  const { run, folder, done } = await startSession(t);
  const name = `${registry.host}/shop/app:1`;
  const denied = await run('pull', name);
  t.is(denied.code, 1);
  t.true(denied.stderr.includes(`looked in ${folder}/.docker/config.json (not there)`), denied.stderr);
  t.regex(denied.stderr, /\(REGISTRY_DENIED\)\nhint: log in with docker or podman/);
  await mkdir(join(folder, '.docker'));
  await writeFile(join(folder, '.docker/config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
  t.regex(await done('pull', name), /1 image \(1 new\)/);
  t.notRegex(JSON.stringify(await run('log', '--json')), /hunter2/);
});
