import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { contentKey } from '../../../src/log/rows.js';
import { type Descriptor, type Digest, digestOf, type ImageId } from '../../../src/model/digest.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { LoadResult } from '../../../src/store/store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { tamper } from '../../support/test-log.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { isBackupOf, newBackup } from '../backup/restored-store.js';
import { archivePath, manifestsIn } from '../fixture-archives.js';
import { blobFiles, footprint, leaveDamaged, reopened, temporaryStore } from '../temporary-store.js';
import { type BuiltArtifact, builtArtifact, loadArtifacts } from './built-artifacts.js';

const SIG = 'docker.io/shop/app:sig';

const sbom = builtArtifact({
  artifactType: 'application/spdx+json',
  blobs: ['{}', 'the parts'],
  annotations: { 'org.example.made': 'today' },
});

function signatureOf(subject: Descriptor): BuiltArtifact {
  return builtArtifact({ artifactType: 'application/x-signature', subject, blobs: ['{"config":1}', 'signed'] });
}

async function eventsOf(store: EventStore, from = 1): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const event of store.log.read({ from })) events.push(event);
  return events;
}

function blobsOf(artifacts: readonly BuiltArtifact[]): Digest[] {
  return [...new Set(artifacts.flatMap(({ blobs }) => blobs.map(({ descriptor }) => descriptor.digest)))].sort();
}

function filesOf(store: EventStore): string[] {
  return blobFiles(store.directory)
    .map(({ digest }) => digest)
    .sort();
}

const digestsOf = (artifacts: readonly BuiltArtifact[]): Digest[] =>
  artifacts.map(({ descriptor }) => descriptor.digest);

test('what was loaded is listed, has its files and manifest, and is still there after a restart', async (t) => {
  const store = await temporaryStore(t);
  const index = builtArtifact({ contains: [sbom.descriptor] });
  const result = await loadArtifacts(store, [sbom, index]);
  t.deepEqual(result.artifacts, [
    { digest: sbom.descriptor.digest, artifactType: 'application/spdx+json', subject: undefined, created: true },
    { digest: index.descriptor.digest, artifactType: '', subject: undefined, created: true },
  ]);
  t.deepEqual(filesOf(store), blobsOf([sbom]));
  t.is(store.stats().artifacts, 2);
  t.deepEqual(await store.verify(), []);
  const again = await reopened(t, store);
  t.like(again.artifact(sbom.descriptor.digest), { artifact: sbom.descriptor, contains: [], seq: 1 });
  t.deepEqual(
    again.artifacts().map(({ artifact }) => artifact.digest),
    digestsOf([sbom, index]),
  );
  t.deepEqual(filesOf(again), blobsOf([sbom]));
  storeError(t, 'ARTIFACT_NOT_FOUND', () => again.artifact(`sha256:${'00'.repeat(32)}`));
  storeError(t, 'DIGEST_INVALID', () => again.artifact('sbom'));
});

test('a load is one transaction; what is there already, and the same twice, is added once', async (t) => {
  const store = await temporaryStore(t);
  await loadArtifacts(store, [sbom, sbom]);
  t.is((await eventsOf(store)).length, 1);
  const signature = signatureOf(sbom.descriptor);
  const reference = { reference: SIG, target: signature.descriptor };
  const { artifacts, references, seq } = await loadArtifacts(store, [signature, sbom], { references: [reference] });
  t.deepEqual(
    artifacts.map(({ created }) => created),
    [true, false],
  );
  t.deepEqual(references, [{ reference: SIG, artifact: signature.descriptor.digest }]);
  const events = await eventsOf(store, 2);
  t.deepEqual(
    events.map(({ type, transaction }) => [type, transaction.first, transaction.count]),
    [
      ['ArtifactAdded', 2, 2],
      ['ReferenceSet', 2, 2],
    ],
  );
  t.is(seq, 3);
  const before = await footprint(store);
  t.is((await loadArtifacts(store, [signature, sbom], { references: [reference] })).seq, 3);
  t.deepEqual(await footprint(store), before);
});

test('an artifact that lacks a file is not kept, nor a name that stands for it, and the load says both', async (t) => {
  const store = await temporaryStore(t);
  const lost = sbom.blobs[1]?.descriptor.digest as Digest;
  const references = [{ reference: SIG, target: sbom.descriptor }];
  const { notices, artifacts } = await loadArtifacts(store, [sbom], { without: [lost], references });
  t.deepEqual(notices, [
    `the artifact ${sbom.descriptor.digest} (application/spdx+json) was not kept: the archive lacks its blob ${lost}`,
    `the name ${SIG} was not set: the artifact ${sbom.descriptor.digest} was not kept`,
  ]);
  t.deepEqual([artifacts, store.artifacts(), store.log.head.seq, filesOf(store)], [[], [], 0, []]);
  // A file that the store has need not come.
  await loadArtifacts(store, [sbom]);
  const other = builtArtifact({ blobs: ['{}', 'the parts'], artifactType: 'other' });
  t.deepEqual((await loadArtifacts(store, [other], { without: [lost] })).notices, []);
  t.is(store.artifacts().length, 2);
});

test('a store without files of its own keeps no artifacts, and says so', async (t) => {
  const store = await temporaryStore(t, { layers: 'none' });
  const { notices } = await loadArtifacts(store, [sbom]);
  t.deepEqual(notices, [
    `the artifact ${sbom.descriptor.digest} (application/spdx+json) was not kept: this store keeps no files`,
  ]);
  t.deepEqual(store.artifacts(), []);
});

test('a name of an artifact is no image, now and in the past, and says what it is', async (t) => {
  const store = await temporaryStore(t);
  await loadArtifacts(store, [sbom], { references: [{ reference: SIG, target: sbom.descriptor }] });
  const { digest } = sbom.descriptor;
  for (const error of [
    storeError(t, 'REFERENCE_NOT_IMAGE', () => store.resolve(SIG)),
    await rejection(t, 'REFERENCE_NOT_IMAGE', store.resolve(SIG, { at: 2 })),
  ]) {
    t.like(error.data, { reference: SIG, artifact: digest });
    t.true(error.message.includes(`${SIG} is no image: it is the artifact ${digest} (`));
  }
  t.is(storeError(t, 'REFERENCE_NOT_IMAGE', () => store.resolve(SIG)).data['artifactType'], 'application/spdx+json');
  t.like(await rejection(t, 'REFERENCE_NOT_IMAGE', store.resolve(SIG, { at: 2 })), {
    data: { artifactType: 'application/spdx+json' },
  });
});

async function typesAbout(store: EventStore, subject: string): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of store.history(subject)) types.push(type);
  return types;
}

test('history tells of an artifact, of what is about it, and of its names', async (t) => {
  const store = await temporaryStore(t);
  const signature = signatureOf(sbom.descriptor);
  await loadArtifacts(store, [sbom, signature], { references: [{ reference: SIG, target: sbom.descriptor }] });
  await store.untag(SIG, { removeArtifacts: true });
  t.deepEqual(store.artifacts(), []);
  const all = [
    'ArtifactAdded',
    'ArtifactAdded',
    'ReferenceSet',
    'ReferenceRemoved',
    'ArtifactRemoved',
    'ArtifactRemoved',
  ];
  t.deepEqual(await typesAbout(store, sbom.descriptor.digest), all);
  t.deepEqual(await typesAbout(store, signature.descriptor.digest), ['ArtifactAdded', 'ArtifactRemoved']);
  const [period, ...others] = await store.referenceHistory(SIG);
  t.like(period, { image: undefined, target: sbom.descriptor.digest, removedBy: 'tester' });
  t.deepEqual(others, []);
  t.deepEqual(filesOf(store), []);
  t.deepEqual(await store.verify(), []);
});

async function withImage(t: ExecutionContext): Promise<{ store: EventStore; image: ImageId; manifest: Descriptor }> {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-zstd.tar'));
  const [[image, manifests]] = [...(await manifestsIn(store))] as [[ImageId, Digest[]]];
  const manifest = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: manifests[0] as Digest, size: 1 };
  return { store, image, manifest };
}

test('referrers are what has the digest as its subject, in the order added, by type', async (t) => {
  const { store, manifest } = await withImage(t);
  const signature = signatureOf(manifest);
  const bill = builtArtifact({ artifactType: 'bill', subject: manifest, annotations: { a: '1' } });
  const seq = store.log.head.seq;
  await loadArtifacts(store, [bill, signature, sbom]);
  t.deepEqual(store.referrers(manifest.digest), [
    { ...bill.descriptor, artifactType: 'bill', annotations: { a: '1' } },
    { ...signature.descriptor, artifactType: 'application/x-signature', annotations: {} },
  ]);
  t.deepEqual(
    store.referrers(manifest.digest, { artifactType: 'bill' }).map(({ digest }) => digest),
    digestsOf([bill]),
  );
  t.deepEqual(store.referrers(bill.descriptor.digest), []);
  const past = await store.at(seq);
  t.deepEqual([past.referrers(manifest.digest), past.artifacts()], [[], []]);
  const now = await store.at('now');
  t.deepEqual(now.referrers(manifest.digest), store.referrers(manifest.digest));
  t.deepEqual(now.artifact(sbom.descriptor.digest), store.artifact(sbom.descriptor.digest));
  storeError(t, 'DIGEST_INVALID', () => store.referrers('shop/app'));
});

test("referrers are also what cosign's tags name beside a name of the digest", async (t) => {
  const { store, image, manifest } = await withImage(t);
  await store.tag({ source: image, target: 'shop/app:1.0' });
  const tag = (of: Digest, ending: string): string =>
    `docker.io/shop/app:sha256-${of.slice('sha256:'.length)}.${ending}`;
  const [signature, bill] = [builtArtifact({ blobs: ['sig'] }), builtArtifact({ blobs: ['bill'] })];
  await loadArtifacts(store, [signature, bill], {
    references: [
      { reference: tag(manifest.digest, 'sig'), target: signature.descriptor },
      { reference: tag(image, 'sbom'), target: bill.descriptor },
      { reference: tag(manifest.digest, 'sig').replace('shop/app', 'other/app'), target: bill.descriptor },
    ],
  });
  const found = (digest: Digest): unknown =>
    store.referrers(digest).map(({ digest: of, reference }) => [of, reference]);
  t.deepEqual(found(manifest.digest), [[signature.descriptor.digest, tag(manifest.digest, 'sig')]]);
  t.deepEqual(found(image), [[bill.descriptor.digest, tag(image, 'sbom')]]);
});

test('an image takes along what is about it, with its files, in its transaction', async (t) => {
  const { store, image, manifest } = await withImage(t);
  const files = filesOf(store);
  const [signature, about] = [signatureOf(manifest), builtArtifact({ subject: { ...manifest, digest: image } })];
  await loadArtifacts(store, [signature, about, sbom]);
  await rejection(t, 'ARTIFACT_IN_USE', store.deleteArtifact(signature.descriptor.digest));
  const first = store.log.head.seq + 1;
  await store.delete(image);
  const events = await eventsOf(store, first);
  t.true(events.every(({ transaction }) => transaction.first === first));
  t.is(events.filter(({ type }) => type === 'ArtifactRemoved').length, 2);
  t.deepEqual(
    store.artifacts().map(({ artifact }) => artifact.digest),
    digestsOf([sbom]),
  );
  t.deepEqual(
    filesOf(store).filter((file) => !files.includes(file)),
    blobsOf([sbom]),
  );
  const past = await store.at(first - 1);
  t.is(past.referrers(manifest.digest).length, 1);
  t.deepEqual(await store.verify(), []);
});

test('an artifact is removed by force with its names, and comes back with the next load', async (t) => {
  const store = await temporaryStore(t);
  const parts = { references: [{ reference: SIG, target: sbom.descriptor }] };
  await loadArtifacts(store, [sbom], parts);
  const error = await rejection(t, 'ARTIFACT_IN_USE', store.deleteArtifact(sbom.descriptor.digest));
  t.deepEqual(error.data, { artifact: sbom.descriptor.digest, holders: [SIG] });
  t.deepEqual(await store.deleteArtifact(sbom.descriptor.digest, { force: true }), digestsOf([sbom]));
  t.deepEqual([store.referenceEntries(), store.artifacts(), filesOf(store)], [[], [], []]);
  await rejection(t, 'ARTIFACT_NOT_FOUND', store.deleteArtifact(sbom.descriptor.digest));
  await loadArtifacts(store, [sbom], parts);
  t.is(store.artifacts().length, 1);
  t.deepEqual(await store.verify(), []);
});

test('a diff tells which artifacts came and went, and which names moved to them', async (t) => {
  const { store, image } = await withImage(t);
  await store.tag({ source: image, target: 'shop/app:1.0' });
  const seq = store.log.head.seq;
  await loadArtifacts(store, [sbom], {
    references: [{ reference: 'docker.io/shop/app:1.0', target: sbom.descriptor }],
  });
  const { artifacts, references } = await store.diff(seq, 'now');
  t.like(artifacts, [{ change: 'added', artifact: sbom.descriptor.digest }]);
  t.like(references[0], { change: 'changed', before: { image }, after: { image: undefined, target: sbom.descriptor } });
  const [, period] = await store.referenceHistory('shop/app:1.0');
  t.like(period, { image: undefined, previous: image, target: sbom.descriptor.digest });
  await store.tag({ source: image, target: 'shop/app:1.0' });
  t.like((await store.referenceHistory('shop/app:1.0'))[2], { image, previousTarget: sbom.descriptor.digest });
  await store.deleteArtifact(sbom.descriptor.digest);
  t.deepEqual((await store.diff(seq, 'now')).artifacts, []);
});

test('a load that takes an image or artifact from a name says so, and is refused without overwrite', async (t) => {
  const { store, image } = await withImage(t);
  await store.tag({ source: image, target: 'shop/app:sig' });
  const references = [{ reference: SIG, target: sbom.descriptor }];
  await rejection(t, 'REFERENCE_EXISTS', loadArtifacts(store, [sbom], { references, overwrite: false }));
  t.deepEqual(store.artifacts(), []);
  const moved = await loadArtifacts(store, [sbom], { references });
  t.deepEqual(moved.references, [{ reference: SIG, artifact: sbom.descriptor.digest, previous: image }]);
  const other = builtArtifact({ blobs: ['other'] });
  const again = await loadArtifacts(store, [other], { references: [{ reference: SIG, target: other.descriptor }] });
  t.deepEqual(again.references, [
    { reference: SIG, artifact: other.descriptor.digest, previousArtifact: sbom.descriptor.digest },
  ]);
  // What the name stood for dangles.
  t.is(store.artifacts().length, 2);
  t.deepEqual(await store.deleteArtifact(sbom.descriptor.digest), digestsOf([sbom]));
});

test('annotations stay with a name: copied with it, changed by the next load, kept by one that has none', async (t) => {
  const store = await temporaryStore(t);
  const annotations = { 'org.example.a': '1' };
  const layoutAnnotations = { 'org.example.layout': 'x' };
  const named = { reference: SIG, target: sbom.descriptor };
  await loadArtifacts(store, [sbom], { references: [{ ...named, annotations, layoutAnnotations }] });
  await store.tag({ source: SIG, target: 'shop/app:copy' });
  const entries = (): unknown => store.referenceEntries().map((entry) => [entry.annotations, entry.layoutAnnotations]);
  t.deepEqual(entries(), [
    [annotations, layoutAnnotations],
    [annotations, layoutAnnotations],
  ]);
  const { seq } = await loadArtifacts(store, [sbom], { references: [named] });
  t.is(seq, 3);
  await loadArtifacts(store, [sbom], { references: [{ ...named, annotations: {} }] });
  t.is(store.log.head.seq, 4);
  const again = await reopened(t, store);
  t.deepEqual(again.referenceEntries()[1]?.annotations, {});
  t.is((await again.referenceHistory(SIG)).length, 1);
});

test('erase refuses the manifest and files of an artifact while it is there, and erases the manifest after', async (t) => {
  const store = await temporaryStore(t);
  await loadArtifacts(store, [sbom]);
  const { digest } = sbom.descriptor;
  const blob = sbom.blobs[1]?.descriptor.digest as Digest;
  for (const inUse of [digest, blob]) {
    const error = await rejection(t, 'CONTENT_IN_USE', store.erase(inUse, 'why'));
    t.deepEqual(error.data['artifacts'], [digest]);
  }
  await store.deleteArtifact(digest);
  await rejection(t, 'CONTENT_NOT_FOUND', store.erase(blob, 'why'));
  t.is((await store.erase(digest, 'why')).size, sbom.bytes.length);
  const past = await store.at(1);
  t.is(past.artifacts().length, 1);
  await loadArtifacts(store, [sbom]);
  t.deepEqual([...store.erasures()], []);
  t.deepEqual(await store.verify(), []);
});

test('referrers of the past are told without annotations when the manifest was erased since', async (t) => {
  const { store, manifest } = await withImage(t);
  const signature = signatureOf(manifest);
  const { seq } = await loadArtifacts(store, [signature]);
  await store.deleteArtifact(signature.descriptor.digest, { force: true });
  await store.erase(signature.descriptor.digest, 'why');
  t.deepEqual((await store.at(seq)).referrers(manifest.digest), [
    { ...signature.descriptor, artifactType: 'application/x-signature', annotations: undefined },
  ]);
});

test('prune frees the manifests of removed artifacts, and leaves what dangles', async (t) => {
  const store = await temporaryStore(t);
  const other = builtArtifact({ blobs: ['other'] });
  await loadArtifacts(store, [sbom, other]);
  await store.deleteArtifact(other.descriptor.digest);
  const dry = await store.prune({ before: 'now', dryRun: true });
  const expected = [{ digest: other.descriptor.digest, kind: 'artifact', size: other.bytes.length }];
  t.deepEqual(dry.contents, expected as never);
  t.deepEqual((await store.prune({ before: 1 })).contents, []);
  t.deepEqual((await store.prune({ before: 'now' })).contents, expected as never);
  t.deepEqual(
    store.artifacts().map(({ artifact }) => artifact.digest),
    digestsOf([sbom]),
  );
  t.deepEqual(await store.verify(), []);
});

test('a backup holds artifacts with manifests and files, and gives them back', async (t) => {
  const { store, manifest } = await withImage(t);
  const references = [{ reference: SIG, target: sbom.descriptor, annotations: { a: '' } }];
  await loadArtifacts(store, [sbom, signatureOf(manifest)], { references });
  await isBackupOf(t, await newBackup(t, store), store);
});

test('a rebuild, and a store without snapshots, give the same artifacts', async (t) => {
  const { store, manifest } = await withImage(t);
  await loadArtifacts(store, [sbom, signatureOf(manifest)], {
    references: [{ reference: SIG, target: sbom.descriptor }],
  });
  await store.snapshot();
  const before = await footprint(store);
  await store.rebuild();
  t.deepEqual(await footprint(store), before);
  t.deepEqual(await footprint(await reopened(t, store)), before);
});

test('an image is found by its manifest, and by an index that holds it, named or not', async (t) => {
  const { store, image, manifest } = await withImage(t);
  const index = builtArtifact({ contains: [sbom.descriptor, manifest] });
  await loadArtifacts(store, [sbom, index]);
  for (const digest of [manifest.digest, index.descriptor.digest]) {
    t.is(store.search(digest), image);
    t.is(store.search(digest.slice('sha256:'.length, 20)), image);
  }
  storeError(t, 'IMAGE_NOT_FOUND', () => store.search(sbom.descriptor.digest));
  await store.tag({ source: image, target: 'shop/app:1.0' });
  t.is(store.resolve(`shop/app@${manifest.digest}`), image);
  t.is(store.resolve(`shop/app@${image}`), image);
  storeError(t, 'REFERENCE_NOT_FOUND', () => store.resolve(`shop/other@${manifest.digest}`));
  await store.tag({ source: index.descriptor.digest, target: 'shop/multi:1' });
  t.is(store.resolve(`shop/multi@${index.descriptor.digest}`), image);
  t.like(
    store.referenceEntries().find(({ reference }) => reference.includes('multi')),
    { image, target: index.descriptor },
  );
});

test('a beginning of two digests is ambiguous, and one of an image id is the image', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-all.tar'));
  const manifests = [...(await manifestsIn(store)).values()].flat().map((digest) => digest.slice('sha256:'.length));
  const ids = [...store.map().keys()].map((id) => id.slice('sha256:'.length));
  const shared = [...'0123456789abcdef'].filter((digit) => manifests.filter((hex) => hex.startsWith(digit)).length > 1);
  const free = shared.find((digit) => ids.every((hex) => !hex.startsWith(digit)));
  if (free !== undefined) storeError(t, 'ID_AMBIGUOUS', () => store.search(free));
  for (const hex of manifests) t.notThrows(() => store.search(hex));
});

test('a load that was cut short leaves no artifact, and its files go with the next open', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory, { actor: 'tester' });
  const loading: Promise<LoadResult> = loadArtifacts(store, [sbom]);
  await loading;
  await store.close();
  await rejection(t, 'STORE_CLOSED', (async () => loadArtifacts(store, [sbom]))());
  const again = await openStore(directory, { actor: 'tester' });
  t.is(again.artifacts().length, 1);
  await again.close();
  storeError(t, 'STORE_CLOSED', () => again.artifacts());
  storeError(t, 'STORE_CLOSED', () => again.referrers(sbom.descriptor.digest));
});

test('loads at once that share files, and a removal between them, leave every artifact whole', async (t) => {
  const store = await temporaryStore(t);
  const all = Array.from({ length: 6 }, (_, at) =>
    builtArtifact({ artifactType: `type ${at}`, blobs: ['{}', `part ${at % 2}`, `own ${at}`] }),
  );
  await Promise.all(all.map((artifact) => loadArtifacts(store, [artifact, sbom])));
  t.is(store.artifacts().length, 7);
  await Promise.all([
    store.deleteArtifact(all[0]?.descriptor.digest ?? ''),
    loadArtifacts(store, [builtArtifact({ blobs: ['{}', 'part 0'] })]),
    store.deleteArtifact(all[2]?.descriptor.digest ?? ''),
    store.deleteArtifact(all[4]?.descriptor.digest ?? ''),
  ]);
  const needed = store.artifacts().flatMap(({ blobs }) => blobs.map(({ digest }) => digest));
  t.deepEqual(filesOf(store), [...new Set(needed)].sort() as string[]);
  t.deepEqual(await store.verify(), []);
});

test('verify misses the manifest and the files of an artifact by name', async (t) => {
  const store = await temporaryStore(t);
  await loadArtifacts(store, [sbom]);
  await store.close();
  const blob = sbom.blobs[1]?.descriptor.digest as Digest;
  await rm(join(store.directory, 'blobs', 'sha256', blob.slice('sha256:'.length)));
  await tamper(join(store.directory, 'log'), async (rows) => rows.del(contentKey(sbom.descriptor.digest)));
  const violations = await verifyStore(store.directory);
  t.deepEqual(violations.map(({ code, digest }) => [code, digest]).sort(), [
    ['BLOB_MISSING', blob],
    ['CONTENT_MISSING', sbom.descriptor.digest],
  ]);
  const again = await reopened(t, store);
  storeError(t, 'CONTENT_CORRUPT', () => again.artifactManifest(sbom.descriptor.digest));
  // A load brings a lost file back, not what an event says is there.
  await loadArtifacts(again, [sbom]);
  t.deepEqual(filesOf(again), blobsOf([sbom]));
  leaveDamaged(again, 'CONTENT_MISSING');
});

test('a past artifact tells when its manifest was erased', async (t) => {
  const store = await temporaryStore(t);
  const { seq } = await loadArtifacts(store, [sbom]);
  t.deepEqual(Buffer.from(store.artifactManifest(sbom.descriptor.digest)), Buffer.from(sbom.bytes));
  await store.deleteArtifact(sbom.descriptor.digest);
  const past = await store.at(seq);
  t.deepEqual(Buffer.from(past.artifactManifest(sbom.descriptor.digest)), Buffer.from(sbom.bytes));
  await store.erase(sbom.descriptor.digest, 'why');
  storeError(t, 'CONTENT_ERASED', () => past.artifactManifest(sbom.descriptor.digest));
});

test('a manifest that is not JSON is damage where its annotations are asked for', async (t) => {
  const { store, manifest } = await withImage(t);
  const signature = signatureOf(manifest);
  const bytes = Buffer.from('[]');
  const descriptor = { ...signature.descriptor, digest: digestOf(bytes), size: bytes.length };
  await loadArtifacts(store, [{ ...signature, bytes, descriptor }]);
  storeError(t, 'CONTENT_CORRUPT', () => store.referrers(manifest.digest));
});
