import test, { type ExecutionContext } from 'ava';
import { familiarReference } from '../../src/model/reference.js';
import type { Digest } from '../../src/model/digest.js';
import { openStore } from '../../src/store/open/open-store.js';
import { type BuiltArtifact, builtArtifact, loadArtifacts } from '../store/artifacts/built-artifacts.js';
import { manifestsIn } from '../store/fixture-archives.js';
import { archive, objectsOf, type Session, startSession } from './session.js';

const SIG = 'docker.io/shop/app:sig';
const short = ({ descriptor }: BuiltArtifact): string => descriptor.digest.slice('sha256:'.length, 19);

const bill = builtArtifact({ artifactType: 'application/spdx+json', blobs: ['{}', 'parts'], annotations: { a: '1' } });

interface WithArtifacts extends Session {
  /** About the manifest of the image. */
  readonly signature: BuiltArtifact;
  /** Of the image and the bill; has no name. */
  readonly index: BuiltArtifact;
  readonly image: string;
  readonly manifest: string;
  readonly name: string;
  /** The last event before the artifacts came. */
  readonly before: number;
}

/** A store of an image with a name, its signature, an index without a name, and a bill with one. */
async function withArtifacts(t: ExecutionContext): Promise<WithArtifacts> {
  const session = await startSession(t);
  await session.done('load', archive('oci-zstd.tar'));
  const store = await openStore(session.store, { actor: 'tester' });
  const [[image, [digest]] = ['', []]] = [...(await manifestsIn(store))];
  const [entry] = store.referenceEntries();
  const before = store.log.head.seq;
  const manifest = { digest: digest as Digest, size: 1, mediaType: 'application/vnd.oci.image.manifest.v1+json' };
  const signature = builtArtifact({ artifactType: 'application/x-sig', subject: manifest, blobs: ['{}', 'signed'] });
  const index = builtArtifact({ contains: [manifest, bill.descriptor] });
  await loadArtifacts(store, [bill, signature, index], { references: [{ reference: SIG, target: bill.descriptor }] });
  await store.close();
  const name = familiarReference(entry?.reference ?? '');
  return { ...session, signature, index, image, manifest: manifest.digest, name, before };
}

test('referrers lists what is about an image, by name, id, and manifest, and by type', async (t) => {
  const { done, run, signature, image, manifest, name, before } = await withArtifacts(t);
  const expected = {
    digest: signature.descriptor.digest,
    size: signature.descriptor.size,
    mediaType: signature.descriptor.mediaType,
    artifactType: 'application/x-sig',
    subject: manifest,
    reference: null,
    annotations: {},
  };
  for (const term of [name, image, image.slice(7, 19), manifest, manifest.slice(0, 20)]) {
    t.deepEqual(objectsOf(await done('referrers', '--json', term)), [expected], term);
  }
  t.is(await done('referrers', '--quiet', name), `${signature.descriptor.digest}\n`);
  t.is(await done('referrers', '--json', '--artifact-type', 'other', name), '');
  const table = await done('referrers', name);
  t.regex(table, /^DIGEST +TYPE +SIZE +ABOUT +REFERENCE *\n/);
  t.true(table.includes(`${short(signature)}  application/x-sig`));
  t.is(await done('referrers', '--json', SIG), '');
  t.is(await done('referrers', '--json', '--at', String(before), name), '');
  t.is((await run('referrers', 'nobody:1')).code, 3);
});

test('images --all lists artifacts and indexes too, and says what each is', async (t) => {
  const { done, signature, index, image } = await withArtifacts(t);
  const all = objectsOf(await done('images', '--all', '--json'));
  t.deepEqual(
    all.map(({ kind, id, digest }) => [kind, id ?? digest]),
    [
      ['image', image],
      ['artifact', bill.descriptor.digest],
      ['artifact', signature.descriptor.digest],
      ['index', index.descriptor.digest],
    ],
  );
  t.like(all[1], { references: [SIG], artifactType: 'application/spdx+json', totalSize: bill.descriptor.size + 7 });
  t.false('kind' in (objectsOf(await done('images', '--json'))[0] ?? {}));
  const table = await done('images', '--all');
  t.true(table.includes(`\n\nREFERENCE     ARTIFACT`), table);
  t.true(table.includes(`shop/app:sig  ${short(bill)}  application/spdx+json`), table);
  t.true(table.includes(`<none>        ${short(index)}  index`), table);
  t.is((await done('images', '--all', '--quiet')).split('\n').length, 5);
});

test('inspect shows the artifacts of an image, and by manifest or index says which it was', async (t) => {
  const { done, signature, index, image, manifest, name } = await withArtifacts(t);
  const inspected = async (term: string) => objectsOf(await done('inspect', '--json', term))[0];
  const byName = await inspected(name);
  t.deepEqual(byName?.['artifacts'], [
    { ...signature.descriptor, artifactType: 'application/x-sig', subject: manifest, index: null, annotations: {} },
    {
      ...bill.descriptor,
      artifactType: 'application/spdx+json',
      subject: null,
      index: index.descriptor.digest,
      annotations: null,
    },
  ]);
  t.false('via' in (byName ?? {}));
  const { target, ...facts } = byName ?? {};
  t.like(target, { digest: manifest });
  for (const [kind, digest] of [
    ['manifest', manifest],
    ['index', index.descriptor.digest],
  ] as const) {
    t.deepEqual(await inspected(digest), { ...facts, via: { kind, digest } });
    t.like(await inspected(digest.slice(0, 20)), { id: image, via: { kind, digest } });
  }
});

test('inspect shows an artifact, by name and by digest', async (t) => {
  const { done } = await withArtifacts(t);
  const { descriptor, bytes, blobs } = bill;
  for (const term of [SIG, descriptor.digest, short(bill)]) {
    t.deepEqual(objectsOf(await done('inspect', '--json', term)), [
      {
        kind: 'artifact',
        ...descriptor,
        artifactType: 'application/spdx+json',
        subject: null,
        references: [SIG],
        totalSize: descriptor.size + 7,
        contains: [],
        blobs: blobs.map((blob) => blob.descriptor),
        artifacts: [],
        manifest: JSON.parse(Buffer.from(bytes).toString()),
      },
    ]);
  }
});

test('a name of an artifact is no image for the commands that need one', async (t) => {
  const { run } = await withArtifacts(t);
  for (const argv of [['resolve'], ['history']]) {
    const { code, stderr } = await run(...argv, SIG);
    t.is(code, 3, stderr);
    t.regex(stderr, /is no image: it is the artifact sha256:[0-9a-f]{64} .*\(REFERENCE_NOT_IMAGE\)\nhint: /);
  }
});

test('resolve gives the image of a manifest and of an index, and says to people which it was', async (t) => {
  const { done, runIn, run, index, image, manifest, name } = await withArtifacts(t);
  const repository = name.replace(/:.*$/, '');
  t.is(await done('resolve', manifest), `${image}\n`);
  t.is(await done('resolve', index.descriptor.digest), `${image}\n`);
  t.is(await done('resolve', `${repository}@${manifest}`), `${image}\n`);
  t.deepEqual(objectsOf(await done('resolve', '--json', manifest)), [
    { reference: null, image, via: { kind: 'manifest', digest: manifest } },
  ]);
  t.true((await runIn({ columns: 200 }, 'resolve', manifest)).stderr.includes(`via manifest ${manifest}`));
  const refused = await run('resolve', bill.descriptor.digest);
  t.is(refused.code, 3);
  t.regex(refused.stderr, /is no image: it is the artifact .* \(application\/spdx\+json\) \(REFERENCE_NOT_IMAGE\)/);
});

test('rm removes an artifact that nothing holds, and with --force one that something holds', async (t) => {
  const { done, run, signature, index } = await withArtifacts(t);
  const refused = await run('rm', signature.descriptor.digest);
  t.is(refused.code, 1);
  t.regex(
    refused.stderr,
    /it is held by sha256:[0-9a-f]+ \(ARTIFACT_IN_USE\)\nhint: remove what holds it first, or add --force\n$/,
  );
  t.is(
    await done('rm', '--force', short(signature)),
    `removed the artifact ${signature.descriptor.digest} (application/x-sig)\n`,
  );
  t.is((await run('rm', bill.descriptor.digest)).code, 1);
  t.is(await done('rm', index.descriptor.digest), `removed the index ${index.descriptor.digest}\n`);
  t.deepEqual(objectsOf(await done('rm', '--json', SIG)), [
    { untagged: SIG, image: null, artifact: bill.descriptor.digest },
    { removed: bill.descriptor.digest, artifactType: 'application/spdx+json' },
  ]);
  t.is((await run('rm', bill.descriptor.digest)).code, 3);
  t.is(await done('verify', '--quiet'), '');
});

test('log --image finds an artifact by its first digits, also one that was removed', async (t) => {
  const { done, index, run } = await withArtifacts(t);
  const types = async (term: string) => objectsOf(await done('log', '--json', '--image', term)).map(({ type }) => type);
  t.deepEqual(await types(short(index)), ['ArtifactAdded']);
  t.deepEqual(await types(SIG), ['ArtifactAdded', 'ReferenceSet']);
  await done('rm', short(index));
  t.deepEqual(await types(short(index)), ['ArtifactAdded', 'ArtifactRemoved']);
  t.is((await run('log', '--image', '0'.repeat(20))).code, 3);
});

test('rm of an image tells which artifacts went along', async (t) => {
  const { done, signature, image, name } = await withArtifacts(t);
  const removed = objectsOf(await done('rm', '--json', name));
  t.deepEqual(removed.at(-2)?.['deleted'], image);
  t.deepEqual(removed.at(-1), { removed: signature.descriptor.digest, artifactType: 'application/x-sig' });
});

test('tag, untag, refs, log and diff tell of names of artifacts', async (t) => {
  const { done, index, image, name, wait } = await withArtifacts(t);
  const [, head] = /events +(\d+)/.exec(await done('stats')) ?? [];
  wait(60_000);
  t.regex(await done('tag', SIG, 'shop/app:copy'), new RegExp(`^shop/app:copy → artifact ${short(bill)}\n$`));
  t.regex(
    await done('tag', name, 'shop/app:copy'),
    new RegExp(`→ ${image.slice(7, 19)}, was artifact ${short(bill)}\n$`),
  );
  t.deepEqual(objectsOf(await done('tag', '--json', short(bill), 'shop/app:copy')), [
    { reference: 'docker.io/shop/app:copy', image: null, previous: image, artifact: bill.descriptor.digest },
  ]);
  t.deepEqual(objectsOf(await done('tag', '--json', name, 'shop/app:copy')), [
    { reference: 'docker.io/shop/app:copy', image, previous: null, previousArtifact: bill.descriptor.digest },
  ]);
  await done('tag', index.descriptor.digest, 'shop/app:index');
  t.like(objectsOf(await done('images', '--json'))[0], {
    references: [`docker.io/shop/app:copy`, 'docker.io/shop/app:index', `docker.io/${name}`].sort(),
  });
  t.regex(await done('refs', 'shop/app:copy'), new RegExp(`artifact ${short(bill)}`));
  t.like(objectsOf(await done('refs', '--json', 'shop/app:copy'))[1], {
    image,
    previousTarget: bill.descriptor.digest,
  });
  const log = await done('log', '--events', '--image', bill.descriptor.digest);
  t.regex(log, new RegExp(`ArtifactAdded +${short(bill)} application/spdx\\+json`));
  t.regex(log, new RegExp(`ReferenceSet +shop/app:sig → artifact ${short(bill)}`));
  t.regex(await done('untag', SIG), new RegExp(`was artifact ${short(bill)}\n$`));
  const diff = await done('diff', String(Number(head) - 4), 'now');
  t.regex(diff, new RegExp(`Artifacts\n\\+ ${short(bill)} +application/spdx\\+json`));
  t.is(objectsOf(await done('diff', '--json', head ?? '', 'now')).filter(({ kind }) => kind === 'artifact').length, 0);
});
