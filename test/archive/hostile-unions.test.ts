import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import type { Descriptor, Digest } from '../../src/model/digest.js';
import { digestOf } from '../../src/model/digest.js';
import type { SavedArchive, SavedArtifact } from '../../src/archive/saved-documents.js';
import { buildTar } from '../support/build-tar.js';
import { rejection } from '../support/rejection.js';
import { readTar } from '../../src/archive/tar-reader.js';
import {
  blob,
  type BuiltDescriptor,
  buildImage,
  descriptor,
  dockerEntries,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  named,
  OCI,
} from './built-archives.js';
import { bytesIn } from '../store/artifacts/artifact-world.js';
import { readBytes } from './read-fixture.js';
import { savedBytes, toSaved } from './saved-contents.js';

const EMPTY = 'application/vnd.oci.empty.v1+json';

function artifactOf(config: object, more: object = {}): string {
  const mediaType = `${OCI}.manifest.v1+json`;
  return JSON.stringify({ schemaVersion: 2, mediaType, artifactType: 'application/x', config, layers: [], ...more });
}

function layout(entries: readonly BuiltDescriptor[], bytes: readonly (string | Uint8Array)[]): Promise<Buffer> {
  return buildTar([LAYOUT, ...bytes.map(blob), { name: 'index.json', body: indexOf(entries) }]);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('what stands in a descriptor counts only with the size that the descriptor says', async (t) => {
  const chart = artifactOf(descriptor(EMPTY, '{}'));
  const inline = { data: base64(chart) };
  const whole = await readBytes(await layout([manifestDescriptor(chart, inline)], ['{}']));
  t.is(whole.contents.artifacts.length, 1);
  const lying = await layout([manifestDescriptor(chart, { ...inline, size: 5 })], ['{}']);
  await rejection(t, 'ARCHIVE_FILE_MISSING', readBytes(lying));
  const twice = [manifestDescriptor(chart, inline), manifestDescriptor(chart, { size: 5 })];
  await rejection(t, 'ARCHIVE_FILE_MISSING', readBytes(await layout(twice, ['{}'])));
  const config = artifactOf(descriptor(EMPTY, '{}', { size: 77, data: base64('{}') }));
  const { contents } = await readBytes(await layout([manifestDescriptor(config)], [config]));
  t.deepEqual(contents.artifacts[0]?.staged, [undefined]);
});

test('a document is what its own media type says, or is refused', async (t) => {
  const image = await buildImage(['a']);
  const manifest = manifestOf(image);
  const index = indexOf([manifestDescriptor(manifest)]);
  const bytes = [image.config, ...image.layers, manifest, index];
  for (const entry of [manifestDescriptor(index), descriptor(`${OCI}.index.v1+json`, manifest)]) {
    const { message } = await rejection(t, 'ARCHIVE_MANIFEST_INVALID', readBytes(await layout([entry], bytes)));
    t.regex(message, /as its descriptor says, found the media type/);
  }
});

test('a document that two entries call a manifest and an index is refused in either order', async (t) => {
  const image = await buildImage(['a']);
  const untyped = { ...(JSON.parse(manifestOf(image)) as object), mediaType: undefined };
  for (const document of [JSON.stringify(untyped), JSON.stringify({ schemaVersion: 2, manifests: [] })]) {
    const entries = [manifestDescriptor(document), descriptor(`${OCI}.index.v1+json`, document)];
    for (const order of [entries, entries.toReversed()]) {
      const tar = await layout(order, [image.config, ...image.layers, document]);
      await rejection(t, 'ARCHIVE_MANIFEST_INVALID', readBytes(tar));
    }
  }
});

test('names, tags and annotations that are words of JavaScript are kept', async (t) => {
  const image = await buildImage(['a']);
  const manifest = manifestOf(image);
  const annotations = '{"io.containerd.image.name":"docker.io/library/x:__proto__","__proto__":"a","constructor":"b"}';
  const entry = JSON.stringify(manifestDescriptor(manifest)).replace(/\}$/, `,"annotations":${annotations}}`);
  const body = `{"schemaVersion":2,"manifests":[${entry}],"annotations":{"__proto__":"c"}}`;
  const blobs = [image.config, ...image.layers, manifest].map(blob);
  const { contents } = await readBytes(await buildTar([LAYOUT, ...blobs, { name: 'index.json', body }]));
  const saved = await savedBytes(toSaved(contents), { format: 'docker' });
  const again = (await readBytes(saved)).contents;
  for (const { references } of [contents, again]) {
    t.is(references[0]?.reference, 'docker.io/library/x:__proto__');
    t.deepEqual(Object.entries(references[0]?.annotations ?? {}), [
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
    t.deepEqual(Object.entries(references[0]?.layoutAnnotations ?? {}), [['__proto__', 'c']]);
  }
  t.regex(Buffer.from(saved).toString('latin1'), /\{"x":\{"__proto__":"[0-9a-f]{64}"\}\}/);
});

test('an image with more names than a call has arguments is refused by their number', async (t) => {
  const image = await buildImage(['a']);
  const tags = Array.from({ length: 150_000 }, (_, at) => `x:${at}`);
  const tar = await buildTar(dockerEntries([image], [{ RepoTags: tags }]));
  await rejection(t, 'ARCHIVE_LIMIT_EXCEEDED', readBytes(tar));
});

/** An archive of artifacts in memory that counts what it is asked. */
class Artifacts {
  readonly #artifacts = new Map<Digest, SavedArtifact>();
  readonly #bytes = new Map<Digest, Uint8Array>();
  readonly #about = new Map<Digest, SavedArtifact[]>();
  asked = 0;

  add(text: string, contains: readonly Descriptor[] = [], subject?: Descriptor): Descriptor {
    const kind = contains.length === 0 ? 'manifest' : 'index';
    const bytes = new TextEncoder().encode(contains.length === 0 ? text : JSON.stringify({ manifests: contains }));
    const made = { mediaType: `${OCI}.${kind}.v1+json`, digest: digestOf(bytes), size: bytes.length };
    const artifact = { descriptor: made, artifactType: 'x', subject, contains, blobs: [] };
    this.#artifacts.set(made.digest, artifact);
    this.#bytes.set(made.digest, bytes);
    if (subject !== undefined) this.#about.set(subject.digest, [...(this.#about.get(subject.digest) ?? []), artifact]);
    return made;
  }

  saved(more: Partial<SavedArchive>): SavedArchive {
    return {
      images: [],
      references: [],
      artifacts: [],
      artifact: (digest) => this.#artifacts.get(digest),
      referrers: (digest) => {
        this.asked += 1;
        return this.#about.get(digest) ?? [];
      },
      content: (digest) => this.#bytes.get(digest),
      hasBlob: () => false,
      openBlob: () => {
        throw new Error('there are no blobs');
      },
      ...more,
    };
  }
}

async function entriesOf(saved: Uint8Array): Promise<number> {
  let entries = 0;
  for await (const { name } of readTar(bytesIn(saved))) if (/^blobs\/sha256\/./.test(name)) entries += 1;
  return entries;
}

test('a chain of subjects is saved whole without a deep stack, and walked once for all names', async (t) => {
  const artifacts = new Artifacts();
  const first = artifacts.add('{}');
  let last = first;
  for (let at = 0; at < 20_000; at += 1) last = artifacts.add(`{"at":${at}}`, [], last);
  const references = Array.from({ length: 100 }, (_, at) => ({
    reference: `docker.io/library/x:${at}`,
    target: first,
  }));
  const saved = artifacts.saved({ references });
  t.is(await entriesOf(await savedBytes(saved, { format: 'oci' })), 20_001);
  t.is(artifacts.asked, 20_001);
});

test('indexes that share parts are walked once each', async (t) => {
  const image = await buildImage(['a']);
  const { contents } = await readBytes(
    await layout(
      [manifestDescriptor(manifestOf(image), named('x:1'))],
      [image.config, ...image.layers, manifestOf(image)],
    ),
  );
  const [{ id, manifests } = { id: '', manifests: [] }] = contents.images;
  const artifacts = new Artifacts();
  let top = artifacts.add('{"leaf":1}');
  for (let at = 0; at < 40; at += 1) top = artifacts.add('', [top, top]);
  // The image comes last in every walk.
  top = artifacts.add('', [top, manifests[0]?.descriptor as Descriptor]);
  const own = toSaved(contents);
  const platforms = [{ image: id as never, os: 'linux', architecture: 'amd64' }];
  const saved = artifacts.saved({
    ...own,
    content: (digest) => own.content(digest) ?? artifacts.saved({}).content(digest),
    artifact: (digest) => artifacts.saved({}).artifact(digest),
    referrers: () => [],
    references: [{ reference: 'docker.io/library/x:1', image: id as never, target: top, platforms }],
  });
  for (const format of ['docker', 'oci'] as const) t.is(await entriesOf(await savedBytes(saved, { format })), 45);
});

test('an image whose manifest is also a blob of an artifact is saved with its layers', async (t) => {
  const image = await buildImage(['a']);
  const manifest = manifestOf(image);
  const chart = artifactOf(descriptor(EMPTY, '{}'), { layers: [manifestDescriptor(manifest)] });
  const index = indexOf([manifestDescriptor(chart), manifestDescriptor(manifest)]);
  const entry = descriptor(`${OCI}.index.v1+json`, index, named('x:1'));
  const bytes = ['{}', image.config, ...image.layers, manifest, chart, index];
  const { contents } = await readBytes(await layout([entry], bytes));
  for (const format of ['docker', 'oci'] as const) {
    t.is(await entriesOf(await savedBytes(toSaved(contents), { format })), bytes.length);
  }
});

test('what is not there whole is saved smaller or not at all, with a notice', async (t) => {
  const artifacts = new Artifacts();
  const [kept, lost] = [artifacts.add('{"kept":1}'), artifacts.add('{"lost":1}')];
  const signature = artifacts.add('{"signature":1}', [], kept);
  const [partly, gone] = [artifacts.add('', [kept, lost]), artifacts.add('', [lost])];
  const falseSize = artifacts.add('', [kept, { ...signature, size: 1 }]);
  const falseType = artifacts.add('', [kept, { ...signature, mediaType: `${OCI}.index.v1+json` }]);
  const whole = artifacts.saved({});
  const lacking = (more: Partial<SavedArchive>): SavedArchive => ({
    ...whole,
    artifact: (digest) => (digest === lost.digest ? undefined : whole.artifact(digest)),
    ...more,
  });
  const noticesOf = async (saved: SavedArchive): Promise<string[]> => {
    const notices: string[] = [];
    const bytes = await savedBytes(saved, { format: 'oci', onNotice: (text) => notices.push(text) });
    // What was written can be read.
    await readBytes(bytes).catch((error: unknown) => t.true(isStoreError(error), String(error)));
    return notices;
  };
  const reference = 'docker.io/library/x:1';
  t.deepEqual(await noticesOf(lacking({ references: [{ reference, target: partly }] })), [
    `${reference} is saved with a smaller index, without ${lost.digest}`,
  ]);
  for (const target of [falseSize, falseType]) {
    t.deepEqual(await noticesOf(lacking({ references: [{ reference, target }] })), [
      `${reference} is saved with a smaller index, without ${signature.digest}`,
    ]);
  }
  const layer = { ...lost, size: 1 };
  const isLayer = lacking({
    references: [{ reference, target: artifacts.add('', [kept, layer]) }],
    content: (digest) => (digest === layer.digest ? undefined : whole.content(digest)),
    hasBlob: (digest) => digest === layer.digest,
  });
  t.deepEqual(await noticesOf(isLayer), [`${reference} is saved with a smaller index, without ${layer.digest}`]);
  t.deepEqual(await noticesOf(lacking({ references: [{ reference, target: gone }] })), [
    `${reference} is not saved: ${gone.digest} is not there whole`,
  ]);
  const artifact = whole.artifact(gone.digest) as SavedArtifact;
  t.deepEqual(await noticesOf(lacking({ artifacts: [artifact] })), [
    `an artifact is not saved: ${gone.digest} is not there whole`,
  ]);
  const withoutSignature = lacking({
    references: [{ reference, target: kept }],
    content: (digest) => (digest === signature.digest ? undefined : whole.content(digest)),
  });
  t.deepEqual(await noticesOf(withoutSignature), [
    `what is about ${kept.digest} is not saved: ${signature.digest} is not there whole`,
  ]);
});
