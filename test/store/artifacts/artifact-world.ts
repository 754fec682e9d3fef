import fc from 'fast-check';
import { isStoreError } from '../../../src/errors.js';
import type { Digest, ImageId } from '../../../src/model/digest.js';
import type { PastStore } from '../../../src/store/past/audit.js';
import type { EventStore } from '../../../src/store/event-store.js';
import {
  blob,
  type BuiltDescriptor,
  type BuiltImage,
  buildImage,
  descriptor,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  named,
  OCI,
} from '../../archive/built-archives.js';
import { buildTar } from '../../support/build-tar.js';

/*
 * A small world of two images, what is about them, and indexes that share them; and archives that
 * name parts of it in ways that contradict each other.
 */

const EMPTY = 'application/vnd.oci.empty.v1+json';

/** A manifest of an artifact with one layer of text. */
function artifact(text: string, more: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    artifactType: `application/${text.split(' ', 1)[0]}`,
    config: descriptor(EMPTY, '{}'),
    layers: [descriptor('text/plain', text)],
    ...more,
  });
}

function indexDescriptor(index: string, more: object = {}): BuiltDescriptor {
  return descriptor(`${OCI}.index.v1+json`, index, more);
}

function attestationOf(manifest: string): object {
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': manifestDescriptor(manifest).digest,
  };
  return { platform: { os: 'unknown', architecture: 'unknown' }, annotations };
}

export interface ArtifactWorld {
  /** Archives by what is in them. */
  readonly archives: Readonly<Record<string, Buffer>>;
  readonly images: readonly ImageId[];
  /** Digests of manifests, indexes, artifacts and blobs. */
  readonly digests: readonly Digest[];
  /** A manifest that is an image in one archive, and an artifact in another. */
  readonly disguised: Digest;
}

export async function artifactWorld(): Promise<ArtifactWorld> {
  const a = await buildImage(['a']);
  const b = await buildImage(['a', 'b'], { architecture: 'arm64' });
  const [ma, mb] = [manifestOf(a), manifestOf(b)];
  const [attestation, chart] = [artifact('att'), artifact('chart')];
  const sbom = artifact('sbom', { subject: manifestDescriptor(ma) });
  // A layer of an image is a blob of an artifact.
  const layer = a.layers[0] as Buffer;
  const shared = artifact('shared', {
    layers: [descriptor('application/x-copy', layer)],
    subject: descriptor(EMPTY, a.config),
  });
  const attested = indexOf([
    manifestDescriptor(ma),
    manifestDescriptor(mb),
    manifestDescriptor(attestation, attestationOf(ma)),
  ]);
  const other = indexOf([manifestDescriptor(ma), manifestDescriptor(attestation, attestationOf(ma))]);
  const plain = indexOf([manifestDescriptor(ma), manifestDescriptor(mb)]);
  const charts = indexOf([manifestDescriptor(chart), manifestDescriptor(attestation)]);
  const outer = indexOf([indexDescriptor(attested), manifestDescriptor(chart)]);
  const signature = artifact('sig', { subject: indexDescriptor(attested) });
  const countersignature = artifact('sig of sig', { subject: manifestDescriptor(signature) });
  const [x, y] = [named(NAMES[0]), named(NAMES[1])];
  const bytes = [
    ...[a, b].flatMap(({ config, layers }: BuiltImage) => [config, ...layers]),
    ...['{}', 'att', 'chart', 'sbom', 'sig', 'sig of sig', ma, mb, attestation, chart, sbom, shared],
    ...[attested, other, plain, charts, outer, signature, countersignature],
  ];
  const archive = (entries: readonly BuiltDescriptor[]): Promise<Buffer> =>
    buildTar([
      LAYOUT,
      ...new Map(bytes.map(blob).map((each) => [each.name, each])).values(),
      { name: 'index.json', body: indexOf(entries) },
    ]);
  const entries: Record<string, readonly BuiltDescriptor[]> = {
    attested: [indexDescriptor(attested, x), manifestDescriptor(signature), manifestDescriptor(countersignature)],
    other: [indexDescriptor(other, y), manifestDescriptor(sbom)],
    plain: [indexDescriptor(plain, x)],
    outer: [indexDescriptor(outer, y), indexDescriptor(attested, x)],
    charts: [indexDescriptor(charts, x), manifestDescriptor(chart, y)],
    image: [manifestDescriptor(ma, x), manifestDescriptor(sbom), manifestDescriptor(shared)],
    unnamed: [indexDescriptor(attested)],
    loose: [manifestDescriptor(countersignature), manifestDescriptor(sbom), manifestDescriptor(shared, y)],
    // The manifest of an image, which its descriptor calls an attestation.
    disguised: [manifestDescriptor(ma, { ...attestationOf(mb), ...x }), manifestDescriptor(mb, y)],
  };
  const made = await Promise.all(
    Object.entries(entries).map(async ([name, each]) => [name, await archive(each)] as const),
  );
  return {
    archives: Object.fromEntries(made),
    images: [a, b].map(({ id }) => id as ImageId),
    disguised: manifestDescriptor(ma).digest as Digest,
    digests: bytes.map((each) => descriptor('', each).digest as Digest),
  };
}

export const NAMES = ['docker.io/library/x:1', 'docker.io/library/y:2'] as const;

/** One write, as plain values. */
export type ArtifactOperation =
  | {
      readonly op: 'load';
      readonly archive: string;
      readonly platform: string | undefined;
      readonly overwrite: boolean;
    }
  | { readonly op: 'tag'; readonly source: string; readonly name: string; readonly overwrite: boolean }
  | { readonly op: 'untag'; readonly name: string; readonly removeArtifacts: boolean }
  | { readonly op: 'delete'; readonly image: ImageId }
  | { readonly op: 'deleteArtifact'; readonly digest: Digest; readonly force: boolean }
  | { readonly op: 'erase'; readonly digest: Digest }
  | { readonly op: 'prune' };

export function anyArtifactOperation({ archives, images, digests }: ArtifactWorld): fc.Arbitrary<ArtifactOperation> {
  const [name, digest, image] = [fc.constantFrom(...NAMES), fc.constantFrom(...digests), fc.constantFrom(...images)];
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant('load'),
        archive: fc.constantFrom(...Object.keys(archives)),
        platform: fc.constantFrom(undefined, undefined, 'linux/amd64', 'linux/arm64'),
        overwrite: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constant('tag'),
        source: fc.oneof(name, digest, image),
        name,
        overwrite: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('untag'), name, removeArtifacts: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('delete'), image }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('deleteArtifact'), digest, force: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('erase'), digest }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('prune') }) },
  );
}

/** Does `operation`; resolves with the code of its refusal, if it is refused. */
export async function performed(
  store: EventStore,
  { archives }: ArtifactWorld,
  operation: ArtifactOperation,
): Promise<string> {
  try {
    await perform(store, archives, operation);
    return 'done';
  } catch (error) {
    if (!isStoreError(error) || error.code === 'INTERNAL') throw error;
    return error.code;
  }
}

async function perform(
  store: EventStore,
  archives: ArtifactWorld['archives'],
  operation: ArtifactOperation,
): Promise<unknown> {
  switch (operation.op) {
    case 'load': {
      const { archive, platform, overwrite } = operation;
      return store.load(bytesIn(archives[archive]), { platform, overwrite });
    }
    case 'tag':
      return store.tag({ source: operation.source, target: operation.name }, { overwrite: operation.overwrite });
    case 'untag':
      return store.untag(operation.name, { removeArtifacts: operation.removeArtifacts });
    case 'delete':
      return store.delete(operation.image);
    case 'deleteArtifact':
      return store.deleteArtifact(operation.digest, { force: operation.force });
    case 'erase':
      return store.erase(operation.digest, 'no longer allowed');
    case 'prune':
      return store.prune({ before: store.log.head.seq });
  }
}

export async function* bytesIn(...chunks: readonly (Uint8Array | undefined)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) if (chunk !== undefined) yield chunk;
}

/** All that a store answers of the world, without what is gone from the past when it is erased: configs, annotations. */
export function worldStateOf(
  store: EventStore | PastStore,
  { digests, images }: ArtifactWorld,
): Record<string, unknown> {
  const state = {
    ids: [...store.map().keys()],
    layers: [...store.layers.map().keys()],
    erased: [...store.erasures().keys()],
    names: images.map((image) => store.references(image)),
    artifacts: store.artifacts(),
    entries: store.referenceEntries(),
    about: [...digests, ...images].map((digest) => store.referrers(digest).map(({ annotations: _, ...each }) => each)),
    found: [...digests, ...images].map((digest) => answerOf(() => store.find(digest))),
    resolved: NAMES.map((name) => answerOf(() => (store as PastStore).resolve(name))),
  };
  // A field that is undefined is one that is absent.
  return JSON.parse(JSON.stringify(state)) as Record<string, unknown>;
}

function answerOf(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return error.code;
  }
}
