import { Readable } from 'node:stream';
import test from 'ava';
import type { EventStore } from '../../src/store/event-store.js';
import type { SaveOptions } from '../../src/store/store.js';
import { readTar } from '../../src/archive/tar-reader.js';
import { rejection } from '../support/rejection.js';
import { collect } from '../support/build-tar.js';
import {
  archiveBytes,
  archivePath,
  expectedArchives,
  imagesIn,
  manifestsIn,
  withoutManifests,
  withoutParents,
} from './fixture-archives.js';
import { reopened, temporaryStore } from './temporary-store.js';

type Format = 'docker' | 'oci';

/** Every image of a store, by its names, and by its id where it has none. */
function allNames(store: EventStore): string[] {
  const unnamed = [...store.map().keys()].filter((id) => store.references(id).length === 0);
  return [...store.referenceEntries().map(({ reference }) => reference), ...unnamed];
}

function savedBytes(store: EventStore, options: SaveOptions): Promise<Buffer> {
  return collect(store.save(allNames(store), options));
}

const survives = test.macro(async (t, name: string, format: Format) => {
  const store = await temporaryStore(t);
  await store.load(archivePath(name));
  const bytes = await savedBytes(store, { format });
  t.true(bytes.equals(await savedBytes(store, { format })), 'saved again, the bytes are the same');
  const other = await temporaryStore(t);
  const { notices, format: found } = await other.load(Readable.from([bytes]));
  t.is(found, format);
  t.deepEqual(notices, []);
  const before = await imagesIn(store);
  // The OCI image layout has no place for a parent: what Docker calls so is not part of that format.
  const expected = format === 'oci' ? withoutParents(before) : before;
  t.deepEqual(withoutManifests(await imagesIn(other)), withoutManifests(expected));
  const manifests = await manifestsIn(other);
  for (const [id, [digest]] of await manifestsIn(store)) t.is(manifests.get(id)?.[0], digest);
  t.deepEqual(
    other
      .referenceEntries()
      .filter(({ platforms }) => platforms)
      .map(({ target }) => target),
    store
      .referenceEntries()
      .filter(({ platforms }) => platforms)
      .map(({ target }) => target),
  );
  if (format === 'docker') t.true(bytes.equals(await savedBytes(other, { format })), 'a second trip changes nothing');
});

for (const name of Object.keys(expectedArchives)) {
  test(`${name} saved in the docker format loads to the same images, names and parents`, survives, name, 'docker');
  test(`${name} saved as an OCI layout loads to the same images and names`, survives, name, 'oci');
}

const sameBytes = test.macro(async (t, format: Format) => {
  const names = ['docker25-all.tar', 'skopeo-twice-1.tar', 'docker20-all.tar', 'docker25-untagged.tar'];
  const forward = await temporaryStore(t);
  for (const name of names) await forward.load(archivePath(name));
  const backward = await temporaryStore(t);
  for (const name of names.toReversed()) await backward.load(archivePath(name));
  const bytes = await savedBytes(forward, { format });
  t.true(bytes.equals(await savedBytes(backward, { format })));
  t.true(bytes.equals(await savedBytes(await reopened(t, backward), { format })));
});

test('stores that loaded the same in another order save the same bytes, in the docker format', sameBytes, 'docker');
test('stores that loaded the same in another order save the same bytes, as OCI layouts', sameBytes, 'oci');

test('the order of the names and a name given twice change nothing', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const names = allNames(store);
  const bytes = await collect(store.save(names));
  t.true(bytes.equals(await collect(store.save([...names.toReversed(), ...names]))));
});

const keepsManifests = test.macro(async (t, name: string, format: Format) => {
  const expected = expectedArchives[name] ?? [];
  const store = await temporaryStore(t);
  await store.load(archivePath(name));
  const other = await temporaryStore(t);
  await other.load(Readable.from([await savedBytes(store, { format })]));
  const manifests = await manifestsIn(other);
  t.true(expected.length > 0);
  for (const { id, manifest } of expected) t.true(manifests.get(id as never)?.includes(manifest as never), id);
});

for (const name of Object.keys(expectedArchives).filter((key) => expectedArchives[key]?.some((i) => i.manifest))) {
  test(`${name} keeps its manifest digests through the docker format`, keepsManifests, name, 'docker');
  test(`${name} keeps its manifest digests through the OCI layout`, keepsManifests, name, 'oci');
}

test('a name of several platforms keeps the digest of its index in both formats', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-all.tar'));
  const indexOf = (of: EventStore): string | undefined =>
    of.referenceEntries().find(({ reference }) => reference === 'docker.io/library/tiny:multi')?.target?.digest;
  t.regex(indexOf(store) ?? '', /^sha256:/);
  for (const format of ['docker', 'oci'] as const) {
    const other = await temporaryStore(t);
    await other.load(Readable.from([await collect(store.save('tiny:multi', { format }))]));
    t.is(indexOf(other), indexOf(store), format);
    t.is(other.len(), 2);
    for (const platform of ['linux/amd64', 'linux/arm64']) {
      t.is(other.resolve('tiny:multi', { platform }), store.resolve('tiny:multi', { platform }));
    }
  }
});

/** The files of a tar, by name. */
async function filesOf(bytes: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for await (const { name, type, body } of readTar(Readable.from([bytes]))) {
    if (type === 'file') files.set(name, await collect(body));
  }
  return files;
}

test('docker25-all.tar is saved with the manifests, configs and layers that Docker wrote, and its index entries', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const theirs = await filesOf(archiveBytes('docker25-all.tar'));
  const ours = await filesOf(await savedBytes(store, { format: 'docker' }));
  for (const [name, bytes] of ours) {
    if (name.startsWith('blobs/')) t.true(theirs.get(name)?.equals(bytes), name);
  }
  const digests = (files: Map<string, Buffer>): string[] => {
    const { manifests } = JSON.parse(String(files.get('index.json'))) as { manifests: { digest: string }[] };
    return manifests.map(({ digest }) => digest).sort();
  };
  t.deepEqual(digests(ours), digests(theirs));
  t.deepEqual(ours.get('oci-layout'), theirs.get('oci-layout'));
  t.deepEqual(JSON.parse(String(ours.get('repositories'))), JSON.parse(String(theirs.get('repositories'))));
});

test('progress of a save ends at the exact size that it announced', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  for (const format of ['docker', 'oci'] as const) {
    const told: [number, number][] = [];
    const bytes = await savedBytes(store, { format, onProgress: (done, total) => void told.push([done, total]) });
    t.deepEqual(told.at(-1), [bytes.length, bytes.length]);
    t.true(told.every(([, total]) => total === bytes.length));
  }
});

test('a signal ends a save, and one that was given before refuses it at once', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const controller = new AbortController();
  const stream = store.save('tiny:1', { signal: controller.signal, onProgress: () => controller.abort() });
  await rejection(t, 'ABORTED', collect(stream));
  t.throws(() => store.save('tiny:1', { signal: AbortSignal.abort() }), { code: 'ABORTED' });
  t.throws(() => store.save('tiny:1', { format: 'zip' as never }), { instanceOf: RangeError });
});

test('saves that are not read, or only in part, hold back no later deletion', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const streams = [store.save('tiny:1'), store.save('twice:1')];
  for await (const chunk of streams[0] as Readable) if ((chunk as Buffer).length > 0) break;
  streams[1]?.destroy();
  for (const id of store.map().keys()) await store.delete(id);
  t.is(store.stats().blobs, 0);
});
