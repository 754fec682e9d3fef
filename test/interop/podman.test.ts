import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import { parseReference } from '../../src/model/reference.js';
import type { EventStore } from '../../src/store/event-store.js';
import { archivePath } from '../store/fixture-archives.js';
import { isInstalled, testOrSkip } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import {
  FORMATS,
  type Format,
  hostArchitecture,
  loaded,
  nameFacts,
  NEW_ARCHIVES,
  newArchive,
  saved,
} from './round-trip.js';
import { runProgram, skopeo, whyItFails } from './run-program.js';

const withPodman = testOrSkip(await whyNot(['podman'], loadTiny));
const withBuildah = testOrSkip(await whyNot(['podman', 'buildah'], madeIn));
const withSkopeo = testOrSkip(await whyNot(['podman', 'buildah', 'skopeo'], madeIn));

/** Why programs are not there or cannot do what the tests need: storage takes privileges. */
async function whyNot(
  programs: readonly string[],
  work: (storage: Storage, folder: string) => Promise<unknown>,
): Promise<string | undefined> {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length > 0) return `${missing.join(' and ')} not installed`;
  if (process.getuid?.() !== 0) return `${programs.join(' and ')} need root`;
  const folder = await mkdtemp(join(tmpdir(), 'imagelog-test-'));
  try {
    const failure = await whyItFails(() => work(storageIn(folder), folder));
    return failure && `${programs.join(' and ')} do not work here: ${failure}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function loadTiny({ podman }: Storage): Promise<string> {
  return podman('load', '--quiet', '--input', archivePath('skopeo-tiny-1.tar'));
}

interface Storage {
  podman(...args: readonly string[]): Promise<string>;
  buildah(...args: readonly string[]): Promise<string>;
}

/** Storage without images, which podman and buildah share. */
function storageIn(folder: string): Storage {
  const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const libpod = ['--tmpdir', join(folder, 'tmp'), '--events-backend', 'none', '--log-level', 'error'];
  return {
    podman: (...args) => runProgram('podman', ...storage, ...libpod, ...args),
    buildah: (...args) => runProgram('buildah', ...storage, ...args),
  };
}

/** What `podman image inspect` says of the content. */
interface Inspected {
  readonly id: string;
  readonly digest: string;
  readonly names: readonly string[];
  readonly content: unknown;
}

/** What podman has once it loaded files, and pulled what names its transport. */
async function podmanReads(t: ExecutionContext, ...sources: readonly string[]): Promise<Inspected[]> {
  const { podman } = storageIn(await temporaryDirectory(t));
  for (const source of sources) {
    if (source.startsWith('oci-archive:')) await podman('pull', '--quiet', source);
    else await podman('load', '--quiet', '--input', source);
  }
  const ids = (await podman('images', '--all', '--quiet', '--no-trunc')).split('\n').filter((line) => line !== '');
  const found = JSON.parse(await podman('image', 'inspect', ...new Set(ids))) as {
    Id: string;
    Digest: string;
    RepoTags: string[];
    [key: string]: unknown;
  }[];
  return found
    .map(({ Id, Digest, RepoTags, Os, Architecture, RootFS, Config, History, Labels }) => ({
      id: `sha256:${Id}`,
      digest: Digest,
      names: RepoTags.map(shortName).sort(),
      content: { Os, Architecture, RootFS, Config, History, Labels },
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Podman puts `localhost/` before a name of manifest.json that has no registry, as Docker's have none. */
function shortName(name: string): string {
  return name.replace(/^(docker\.io|localhost)\/(library\/)?/, '');
}

/** `podman load` takes a layout of one entry: each name is saved by itself, and pulled by its tag where more is there. */
async function savedForPodman(t: ExecutionContext, store: EventStore, format: Format): Promise<string[]> {
  if (format === 'docker') return [await saved(t, store, format)];
  const sources: string[] = [];
  for (const { name } of nameFacts(store)) {
    const path = await saved(t, store, format, [name]);
    sources.push(hasReferrers(store) ? `oci-archive:${path}:${parseReference(name).tag ?? ''}` : path);
  }
  return sources;
}

/** Whether artifacts are about an image without being in its index: each has an entry. */
function hasReferrers(store: EventStore): boolean {
  const contained = new Set(store.artifacts().flatMap(({ contains }) => contains.map(({ digest }) => digest)));
  return store.artifacts().some(({ artifact, subject }) => subject !== undefined && !contained.has(artifact.digest));
}

const readsNew = async (t: ExecutionContext, archive: string, format: Format): Promise<void> => {
  const store = await loaded(t, newArchive(archive));
  const facts = nameFacts(store);
  t.true(facts.length > 0);
  const images = await podmanReads(t, ...(await savedForPodman(t, store, format)));
  t.deepEqual(
    images.flatMap(({ id, names }) => names.map((name) => [name, id])).sort(),
    facts.map(({ name, id }) => [shortName(name), id]).sort(),
  );
  // Of several entries podman reads manifest.json, and makes another manifest.
  if (format === 'docker' && (facts.length > 1 || hasReferrers(store))) return;
  // Names of one image with several indexes are one image of podman, with the digest of one of them.
  const digests = new Set(facts.map(({ digest }) => digest));
  for (const { digest } of images) t.true(digests.has(digest), digest);
};

for (const archive of NEW_ARCHIVES) {
  for (const format of FORMATS) {
    withPodman(`podman reads ${archive} as we save it in the ${format} format`, readsNew, archive, format);
  }
}

/** Makes an image in the format of OCI, one in that of Docker, and a list of both. */
async function madeImages(t: ExecutionContext): Promise<Storage> {
  const folder = await temporaryDirectory(t);
  return madeIn(storageIn(folder), folder);
}

async function madeIn(storage: Storage, folder: string): Promise<Storage> {
  const { buildah } = storage;
  const file = join(folder, 'file');
  await writeFile(file, 'made by buildah');
  const container = (await buildah('from', 'scratch')).trim();
  await buildah('copy', container, file, '/file');
  await buildah('config', '--cmd', '/file', '--label', 'k=v', '--env', 'A=b', container);
  for (const format of FORMATS) await buildah('commit', '--quiet', '--format', format, container, `made/${format}:1`);
  const other = hostArchitecture === 'arm64' ? 'amd64' : 'arm64';
  const foreign = (await buildah('from', '--arch', other, 'scratch')).trim();
  await buildah('copy', foreign, file, '/file');
  await buildah('config', '--arch', other, foreign);
  await buildah('commit', '--quiet', foreign, 'made/foreign:1');
  await buildah('manifest', 'create', 'made/list:1');
  for (const name of ['made/foreign:1', 'made/oci:1']) await buildah('manifest', 'add', 'made/list:1', name);
  return storage;
}

type Make = (storage: Storage, path: string) => Promise<unknown>;

const MADE: Readonly<Record<string, Make>> = {
  'podman save --format docker-archive': ({ podman }, path) =>
    podman('save', '--quiet', '--format', 'docker-archive', '--output', path, 'made/docker:1'),
  'podman save --format docker-archive of several images': ({ podman }, path) =>
    podman('save', '--quiet', '--multi-image-archive', '--output', path, 'made/docker:1', 'made/oci:1'),
  'podman save --format oci-archive': ({ podman }, path) =>
    podman('save', '--quiet', '--format', 'oci-archive', '--output', path, 'made/oci:1'),
  'buildah push to docker-archive': ({ buildah }, path) =>
    buildah('push', '--quiet', 'made/docker:1', `docker-archive:${path}:made/docker:1`),
  'buildah push to oci-archive': ({ buildah }, path) =>
    buildah('push', '--quiet', 'made/oci:1', `oci-archive:${path}:made/oci:1`),
  'buildah push to oci-archive, uncompressed': ({ buildah }, path) =>
    buildah('push', '--quiet', '--disable-compression', 'made/oci:1', `oci-archive:${path}:made/oci:1`),
  'buildah manifest push --all': ({ buildah }, path) =>
    buildah('manifest', 'push', '--quiet', '--all', 'made/list:1', `oci-archive:${path}:made/list:1`),
};

const returns = async (t: ExecutionContext, make: Make, format: Format): Promise<void> => {
  const path = join(await temporaryDirectory(t), 'original');
  await make(await madeImages(t), path);
  const before = await podmanReads(t, path);
  const store = await loaded(t, path);
  const facts = nameFacts(store);
  t.deepEqual(
    [...new Set(facts.map(({ id }) => id))].sort(),
    before.map(({ id }) => id),
  );
  const after = await podmanReads(t, ...(await savedForPodman(t, store, format)));
  const told = ({ id, names, content }: Inspected): unknown => ({ id, names: [...new Set(names)], content });
  t.deepEqual(after.map(told), before.map(told));
  // A docker archive of podman has no manifest: each reader makes its own.
  const digests = new Set(facts.flatMap(({ digest }) => digest ?? []));
  if (digests.size > 0 && facts.length === 1) t.deepEqual(new Set(after.map(({ digest }) => digest)), digests);
};

for (const [title, make] of Object.entries(MADE)) {
  for (const format of FORMATS) {
    withBuildah(`podman gets back what ${title} wrote, by way of the ${format} format`, returns, make, format);
  }
}

withBuildah('podman save --format oci-dir loads to what its oci-archive does', async (t) => {
  const { podman } = await madeImages(t);
  const folder = await temporaryDirectory(t);
  const facts: ReturnType<typeof nameFacts>[] = [];
  for (const form of ['oci-dir', 'oci-archive']) {
    await podman('save', '--quiet', '--format', form, '--output', join(folder, form), 'made/oci:1');
    facts.push(nameFacts(await loaded(t, join(folder, form))));
  }
  t.is(facts[0]?.length, 1);
  t.deepEqual(facts[0], facts[1]);
});

withSkopeo('podman save --format docker-dir is refused, and the command that the error names helps', async (t) => {
  const { podman } = await madeImages(t);
  const folder = await temporaryDirectory(t);
  const [directory, archive] = [join(folder, 'dir'), join(folder, 'archive.tar')];
  await podman('save', '--quiet', '--format', 'docker-dir', '--output', directory, 'made/docker:1');
  const error = await t.throwsAsync(loaded(t, directory));
  t.true(isStoreError(error, 'ARCHIVE_INVALID'));
  t.regex(error?.message ?? '', /skopeo copy dir:FOLDER docker-archive:FILE/);
  await skopeo('copy', `dir:${directory}`, `docker-archive:${archive}`);
  const id = (await podman('image', 'inspect', '--format', '{{.Id}}', 'made/docker:1')).trim();
  t.deepEqual([...(await loaded(t, archive)).map().keys()] as string[], [`sha256:${id}`]);
});
