import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ImageId } from '../../src/model/digest.js';
import { parseReference } from '../../src/model/reference.js';
import { buildTar } from '../support/build-tar.js';
import { isInstalled, testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { startDocker } from './daemon.js';
import {
  FORMATS,
  type Format,
  loaded,
  nameFacts,
  NEW_ARCHIVES,
  newArchive,
  saved,
  ZSTD_ARCHIVES,
} from './round-trip.js';
import { runProgram, skopeo } from './run-program.js';

const daemon = await startDocker();
const withDocker = testOrSkip(daemon.reason);
/** Docker's image store takes no pure OCI layout: skopeo makes a docker archive of it. */
const withSkopeo = testOrSkip(daemon.reason ?? (isInstalled('skopeo') ? undefined : 'skopeo not installed'));
const withZstd = testOrSkip(daemon.reason ?? (await whyNoZstd()));

if (daemon.reason === undefined) test.after.always(() => daemon.stop());

function docker(...args: readonly string[]): Promise<string> {
  if (daemon.reason !== undefined) throw new Error(daemon.reason);
  return runProgram('docker', '-H', `unix://${daemon.socket}`, ...args);
}

async function whyNoZstd(): Promise<string | undefined> {
  if (daemon.reason !== undefined) return undefined;
  const version = (await docker('version', '--format', '{{.Server.Version}}')).trim();
  return Number.parseInt(version, 10) >= 23 ? undefined : `Docker ${version} reads no layers in zstd`;
}

/** One store of images for all tests: each has it alone. */
let last: Promise<unknown> = Promise.resolve();
function alone<T>(work: () => Promise<T>): Promise<T> {
  const next = last.then(empty).then(work);
  last = next.catch(() => undefined);
  return next;
}

async function empty(): Promise<void> {
  const containers = await lines('ps', '--all', '--quiet');
  if (containers.length > 0) await docker('rm', '--force', ...containers);
  await docker('image', 'prune', '--all', '--force');
}

async function lines(...args: readonly string[]): Promise<string[]> {
  return (await docker(...args)).split('\n').filter((line) => line !== '');
}

/** What `docker image inspect` says, without what depends on the machine. */
interface Inspected {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly Parent: string;
  readonly Os: string;
  readonly Architecture: string;
  readonly RootFS: { readonly Layers: readonly string[] };
}

/** Every image of the daemon, by id. */
async function inspectAll(): Promise<Inspected[]> {
  const ids = [...new Set(await lines('images', '--quiet', '--no-trunc'))].sort();
  if (ids.length === 0) return [];
  const found = JSON.parse(await docker('image', 'inspect', ...ids)) as (Inspected & Record<string, unknown>)[];
  return found.map(({ GraphDriver: _, Metadata: __, RepoDigests: ___, ...image }) => ({
    ...image,
    RepoTags: [...image.RepoTags].sort(),
  }));
}

/** Gives Docker one name of a layout by skopeo, which finds it by the tag. */
async function loadThroughSkopeo(t: ExecutionContext, path: string, name: string): Promise<void> {
  const copy = join(await temporaryDirectory(t), 'copy.tar');
  await skopeo('copy', `oci-archive:${path}:${parseReference(name).tag ?? ''}`, `docker-archive:${copy}:${name}`);
  await docker('load', '--input', copy);
}

const readsNew = async (t: ExecutionContext, archive: string, format: Format): Promise<void> => {
  const store = await loaded(t, newArchive(archive));
  const facts = nameFacts(store);
  t.true(facts.length > 0);
  await alone(async () => {
    if (format === 'docker') await docker('load', '--input', await saved(t, store, format));
    for (const { name } of format === 'oci' ? facts : []) {
      await loadThroughSkopeo(t, await saved(t, store, format, [name]), name);
    }
    const images = await inspectAll();
    t.deepEqual(
      images.flatMap(({ Id, RepoTags }) => RepoTags.map((name) => [name, Id])).sort(),
      facts.map(({ name, id }) => [name, id]).sort(),
    );
    for (const { Id, Os, Architecture, RootFS } of images) {
      const image = store.get(Id as ImageId);
      t.deepEqual(RootFS.Layers, [...image.rootFS.diffIds]);
      t.deepEqual([Os, Architecture], [image.os, image.architecture]);
    }
    const again = join(await temporaryDirectory(t), 'again.tar');
    await docker('save', '--output', again, ...facts.map(({ name }) => name));
    const idsByName = (all: ReturnType<typeof nameFacts>): unknown => all.map(({ name, id }) => [name, id]).sort();
    t.deepEqual(idsByName(nameFacts(await loaded(t, again))), idsByName(facts));
  });
};

for (const archive of NEW_ARCHIVES) {
  const declare = ZSTD_ARCHIVES.includes(archive) ? withZstd : withDocker;
  declare(
    `Docker reads ${archive} as we save it, and what it saves again loads to the same`,
    readsNew,
    archive,
    'docker',
  );
  // Docker's manifest has no media type for zstd, so skopeo refuses to write one.
  if (ZSTD_ARCHIVES.includes(archive)) continue;
  withSkopeo(`Docker reads ${archive} as we save it for OCI, through skopeo`, readsNew, archive, 'oci');
}

/** Makes images in the empty daemon: two by import, one with a parent by commit. */
async function makeImages(t: ExecutionContext): Promise<void> {
  const folder = await temporaryDirectory(t);
  for (const name of ['one', 'two']) {
    const tar = join(folder, `${name}.tar`);
    await writeFile(tar, await buildTar([{ name: 'etc/name', body: name }]));
    await docker('import', '--change', 'CMD ["/x"]', '--change', 'ENV A=b', tar, `${name}/app:1`);
  }
  await docker('tag', 'one/app:1', 'one/app:2');
  await docker('tag', 'one/app:1', 'registry.example.com:5000/x/y:latest');
  const container = (await docker('create', 'one/app:1')).trim();
  await docker('cp', join(folder, 'two.tar'), `${container}:/added`);
  await docker('commit', '--change', 'LABEL k=v', container, 'one/child:1');
}

const SAVED_BY_DOCKER: Readonly<Record<string, readonly string[]>> = {
  'an image': ['two/app:1'],
  'an image of several tags': ['one/app'],
  'several images and registries': ['one/app:1', 'two/app:1', 'registry.example.com:5000/x/y:latest'],
  'an image and its parent': ['one/app:1', 'one/child:1'],
};

const returns = async (t: ExecutionContext, names: readonly string[], format: Format): Promise<void> => {
  await alone(async () => {
    await makeImages(t);
    const original = join(await temporaryDirectory(t), 'original.tar');
    await docker('save', '--output', original, ...names);
    await empty();
    await docker('load', '--input', original);
    const before = await inspectAll();
    await empty();
    const store = await loaded(t, original);
    t.deepEqual(
      [...store.map().keys()].sort() as string[],
      before.map(({ Id }) => Id),
    );
    if (format === 'docker') {
      await docker('load', '--input', await saved(t, store, format));
      t.deepEqual(await inspectAll(), before);
      return;
    }
    for (const { name } of nameFacts(store)) await loadThroughSkopeo(t, await saved(t, store, format, [name]), name);
    // An OCI layout has no place for a parent.
    t.deepEqual(
      await inspectAll(),
      before.map((image) => ({ ...image, Parent: '' })),
    );
  });
};

for (const [title, names] of Object.entries(SAVED_BY_DOCKER)) {
  for (const format of FORMATS) {
    const declare = format === 'oci' ? withSkopeo : withDocker;
    declare(`Docker gets back ${title} that it saved, by way of the ${format} format`, returns, names, format);
  }
}

withDocker('an image that Docker saved by its id comes back without a name', async (t) => {
  await alone(async () => {
    await makeImages(t);
    const original = join(await temporaryDirectory(t), 'original.tar');
    const id = (await docker('images', '--quiet', '--no-trunc', 'two/app:1')).trim();
    await docker('save', '--output', original, id);
    const store = await loaded(t, original);
    t.deepEqual(store.referenceEntries(), []);
    await empty();
    await docker('load', '--input', await saved(t, store, 'docker', [id]));
    t.deepEqual(
      (await inspectAll()).map(({ Id, RepoTags }) => [Id, RepoTags]),
      [[id, []]],
    );
  });
});
