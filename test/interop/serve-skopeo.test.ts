import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { digestOf } from '../../src/model/digest.js';
import { archivePath } from '../store/fixture-archives.js';
import { requires } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytesOf } from '../support/text-bytes.js';
import { serveCommand, startListening } from './listening-program.js';
import { copyAll } from './registry-clients.js';
import { newArchive } from './round-trip.js';
import { runProgram, skopeo } from './run-program.js';

const withSkopeo = requires('skopeo', 'timeout');
const withPeer = requires('skopeo', 'timeout', 'docker-registry');

/** Sources of every kind: of one platform, several, zstd, attestations and signatures. */
const SOURCES = {
  one: `docker-archive:${archivePath('skopeo-tiny-1.tar')}`,
  multi: `oci-archive:${archivePath('oci-multi-platform.tar')}`,
} as const;

/** Debian's registry, on its own folder. */
async function peer(t: ExecutionContext): Promise<string> {
  // Not below the folder of the test: it is removed when the registry has ended.
  const folder = await mkdtemp(join(tmpdir(), 'imagelog-peer-'));
  const config = join(folder, 'config.yml');
  const storage = { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } };
  await writeFile(config, JSON.stringify({ version: 0.1, storage, http: { addr: '127.0.0.1:0' } }));
  const registry = await startListening('docker-registry', ['serve', config], /listening on (127\.0\.0\.1:\d+)/);
  t.teardown(async () => {
    await registry.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return registry.host;
}

async function digestAt(image: string): Promise<string> {
  return digestOf(bytesOf(await skopeo('inspect', '--tls-verify=false', '--raw', `docker://${image}`)));
}

async function tagsAt(name: string): Promise<string[]> {
  const listed = await skopeo('list-tags', '--tls-verify=false', `docker://${name}`);
  return (JSON.parse(listed) as { Tags: string[] }).Tags;
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

withSkopeo(
  'the command serves skopeo: copy, list-tags, inspect, delete, and the past of what was deleted',
  async (t) => {
    const { host, imagelog, stop } = await serveCommand(t);
    const name = `${host}/shop/app`;
    await copyAll(SOURCES.multi, `docker://${name}:multi`);
    await skopeo('copy', '--quiet', '--dest-tls-verify=false', SOURCES.one, `docker://${name}:1`);
    t.deepEqual(await tagsAt(name), ['1', 'multi']);
    const [one, multi] = [await digestAt(`${name}:1`), await digestAt(`${name}:multi`)];
    t.is(multi, digestOf(bytesOf(await skopeo('inspect', '--raw', SOURCES.multi))));
    const facts = JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${name}:1`)) as {
      Digest: string;
      RepoTags: string[];
    };
    t.deepEqual([facts.Digest, facts.RepoTags], [one, ['1', 'multi']]);
    const before = Math.floor(Date.now() / 1_000);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await skopeo('delete', '--tls-verify=false', `docker://${name}:1`);
    t.deepEqual(await tagsAt(name), ['multi']);
    await t.throwsAsync(digestAt(`${name}@${one}`));
    const moment = new Date(before * 1_000).toISOString().slice(0, 19).toLowerCase().replaceAll(':', '.');
    const past = `${host}/at/${moment}z/shop/app`;
    t.deepEqual(await tagsAt(past), ['1', 'multi']);
    for (const each of [`${past}:1`, `${past}@${one}`]) t.is(await digestAt(each), one);
    const copy = await temporaryDirectory(t);
    await skopeo('copy', '--quiet', '--src-tls-verify=false', `docker://${past}:1`, `dir:${join(copy, 'one')}`);
    await t.throwsAsync(skopeo('delete', '--tls-verify=false', `docker://${past}:1`));
    t.is(await stop(), 0);
    const refs = lines(await imagelog('refs', 'shop/app:1'));
    t.true(refs.length > 0);
    t.true(JSON.stringify(refs).includes('"via":"registry"'), JSON.stringify(refs));
    await imagelog('verify');
  },
);

withSkopeo('skopeo syncs a repository out of the store and into another', async (t) => {
  const { host } = await serveCommand(t);
  const folder = await temporaryDirectory(t);
  for (const [tag, source] of Object.entries(SOURCES)) await copyAll(source, `docker://${host}/shop/app:${tag}`);
  await skopeo(
    ...['sync', '--all', '--preserve-digests', '--scoped', '--src-tls-verify=false'],
    ...['--src', 'docker', '--dest', 'dir', `${host}/shop/app`, folder],
  );
  const other = await serveCommand(t);
  const place = join(folder, host, 'shop');
  await skopeo(
    ...['sync', '--all', '--preserve-digests', '--dest-tls-verify=false', '--src', 'dir', '--dest', 'docker'],
    ...[place, `${other.host}/mirror`],
  );
  for (const tag of Object.keys(SOURCES)) {
    t.is(await digestAt(`${other.host}/mirror/app:${tag}`), await digestAt(`${host}/shop/app:${tag}`), tag);
  }
  await skopeo(
    ...['sync', '--all', '--preserve-digests', '--src-tls-verify=false', '--dest-tls-verify=false'],
    ...['--src', 'docker', '--dest', 'docker', `${host}/shop/app`, `${other.host}/direct`],
  );
  t.deepEqual(await tagsAt(`${other.host}/direct/app`), ['multi', 'one']);
  t.is(await other.stop(), 0);
  await other.imagelog('verify');
});

withPeer('images go to docker-registry and come back with their digests', async (t) => {
  const [{ host, imagelog, stop }, registry] = [await serveCommand(t), await peer(t)];
  for (const [tag, source] of Object.entries(SOURCES)) {
    const [ours, theirs] = [`${host}/shop/app:${tag}`, `${registry}/shop/app:${tag}`];
    await copyAll(source, `docker://${ours}`);
    await copyAll(`docker://${ours}`, `docker://${theirs}`);
    const digest = await digestAt(ours);
    t.is(await digestAt(theirs), digest);
    await copyAll(`docker://${theirs}`, `docker://${host}/back/app:${tag}`);
    t.is(await digestAt(`${host}/back/app:${tag}`), digest);
    await copyAll(source, `docker://${registry}/first/app:${tag}`);
    await copyAll(`docker://${registry}/first/app:${tag}`, `docker://${host}/first/app:${tag}`);
    t.is(await digestAt(`${host}/first/app:${tag}`), await digestAt(`${registry}/first/app:${tag}`));
  }
  t.deepEqual(await tagsAt(`${host}/shop/app`), (await tagsAt(`${registry}/shop/app`)).sort());
  t.is(await stop(), 0);
  await imagelog('verify');
});

withPeer('what newer tools wrote is the same in both registries', async (t) => {
  const [{ host }, registry] = [await serveCommand(t), await peer(t)];
  const folder = await temporaryDirectory(t);
  for (const archive of ['bx-zstd', 'p-list2-addz', 'bx-annot', 'or-copy-r'] as const) {
    const layout = join(folder, archive);
    await runProgram('mkdir', layout);
    await runProgram('tar', '-xzf', newArchive(archive), '-C', layout);
    const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as {
      manifests: { annotations?: Record<string, string> }[];
    };
    const tag = manifests[0]?.annotations?.['org.opencontainers.image.ref.name'];
    const source = tag === undefined || manifests.length === 1 ? `oci:${layout}` : `oci:${layout}:${tag}`;
    await copyAll(source, `docker://${host}/new/app:${archive}`);
    await copyAll(source, `docker://${registry}/new/app:${archive}`);
    t.is(await digestAt(`${host}/new/app:${archive}`), await digestAt(`${registry}/new/app:${archive}`), archive);
    await copyAll(`docker://${host}/new/app:${archive}`, `oci:${join(folder, `${archive}.back`)}`);
  }
});
