import { randomBytes } from 'node:crypto';
import type { Capability } from './case.js';
import {
  type Algorithm,
  type Blob,
  configPart,
  type Descriptor,
  digestBy,
  type Extras,
  foreignPart,
  indexOf,
  layerPart,
  type Manifest,
  manifestOf,
  MEDIA,
  type Part,
  partOf,
  randomBlob,
  withData,
} from './content.js';

/** Content of one kind, that is pushed, listed, pulled and deleted. */
export interface DataSet {
  readonly name: string;
  readonly needs: readonly Capability[];
  readonly blobs: readonly Blob[];
  /** In the order of their push. */
  readonly manifests: readonly Manifest[];
  readonly tags: ReadonlyMap<string, Manifest>;
  /** Whether tags come as parameters of the push by digest. */
  readonly tagsAsParameters: boolean;
}

/** Collects what a data set pushes. */
class Builder implements DataSet {
  readonly name: string;
  readonly needs: readonly Capability[];
  readonly algorithm: Algorithm;
  readonly tagsAsParameters: boolean;
  readonly blobs: Blob[] = [];
  readonly manifests: Manifest[] = [];
  readonly tags = new Map<string, Manifest>();

  constructor(name: string, { needs = [], algorithm = 'sha256', tagsAsParameters = false }: BuilderOptions = {}) {
    this.name = name;
    this.needs = needs;
    this.algorithm = algorithm;
    this.tagsAsParameters = tagsAsParameters;
  }

  /** An image of two layers, or of those given. */
  image({ layers = this.#layers(), config, diffIds, architecture, fields, ...extras }: ImageOptions = {}): Manifest {
    const { algorithm } = this;
    const ofImage = configPart(layers, {
      algorithm,
      ...(diffIds === undefined ? {} : { diffIds }),
      ...(architecture === undefined ? {} : { architecture }),
      ...(fields === undefined ? {} : { fields }),
    });
    const all = config ?? ofImage;
    for (const { blob } of [...layers, all]) if (blob !== undefined) this.blobs.push(blob);
    return this.#add(manifestOf(all, layers, { ...extras, ...(fields === undefined ? {} : { fields }) }, algorithm));
  }

  /** An artifact: a config that says nothing, and one blob. */
  artifact(artifactType: string, extras: Extras = {}, layer: Part = this.#note()): Manifest {
    const config = partOf(Buffer.from('{}'), MEDIA.empty, this.algorithm);
    return this.image({ config, layers: [layer], artifactType, ...extras });
  }

  index(manifests: readonly Manifest[], extras: Extras = {}): Manifest {
    const architectures = ['amd64', 'arm64'];
    const entries = manifests.map((manifest, at) => ({
      ...descriptorOf(manifest),
      ...(manifest.mediaType === MEDIA.index
        ? {}
        : { platform: { os: 'linux', architecture: `${architectures[at]}` } }),
    }));
    return this.#add(indexOf(entries, extras, this.algorithm));
  }

  /** An index of an image for each of two platforms. */
  platforms(options: ImageOptions = {}): Manifest {
    const { fields } = options;
    const images = ['amd64', 'arm64'].map((architecture) => this.image({ ...options, architecture }));
    return this.index(images, fields === undefined ? {} : { fields });
  }

  tag(tag: string, manifest: Manifest): this {
    this.tags.set(tag, manifest);
    return this;
  }

  #add(manifest: Manifest): Manifest {
    this.manifests.push(manifest);
    return manifest;
  }

  #layers(): Part[] {
    return [layerPart('gzip', this.algorithm), layerPart('gzip', this.algorithm)];
  }

  #note(): Part {
    return partOf(randomBlob(2048).bytes, MEDIA.note, this.algorithm);
  }
}

interface BuilderOptions {
  readonly needs?: readonly Capability[];
  readonly algorithm?: Algorithm;
  readonly tagsAsParameters?: boolean;
}

interface ImageOptions extends Extras {
  readonly layers?: readonly Part[];
  readonly config?: Part;
  readonly architecture?: string;
  readonly diffIds?: readonly string[];
}

/** Returns the data sets that every registry must take, then those with digests of sha512 if it does. */
export function dataSets(sha512: 'accepted' | 'refused'): readonly DataSet[] {
  const sets = [...imageSets(), ...indexSets(), ...artifactSets(), ...subjectSets(), tagParameterSet('sha256')];
  if (sha512 === 'refused') return sets;
  const ofSha512 = new Builder('sha512', { needs: ['sha512'], algorithm: 'sha512' });
  ofSha512.platforms();
  return [...sets, ofSha512, tagParameterSet('sha512')];
}

function imageSets(): readonly DataSet[] {
  const image = new Builder('image');
  image.tag('image', image.image());
  const plain = new Builder('image of uncompressed layers');
  plain.tag('plain', plain.image({ layers: [layerPart('none'), layerPart('none')] }));
  const empty = digestBy('sha256', new Uint8Array());
  const wrong = new Builder('image whose config names other layers');
  wrong.tag('wrong-diff-ids', wrong.image({ diffIds: [empty, empty] }));
  const large = new Builder('image with a manifest of 3.9 MB');
  const annotations = Object.fromEntries(Array.from({ length: 390 }, (_, at) => [`large-${at}`, 'A'.repeat(10_000)]));
  large.tag('large', large.image({ annotations }));
  const data = new Builder('descriptors with data');
  const layers = [layerPart('gzip'), layerPart('gzip')].map(withData);
  data.tag('data', data.image({ layers, config: withData(configPart(layers, {})) }));
  const foreign = new Builder('layers that are not pushed');
  const elsewhere = [foreignPart(MEDIA.foreignGzip), foreignPart(MEDIA.foreignTar), layerPart('gzip')];
  foreign.tag('foreign', foreign.image({ layers: elsewhere }));
  const none = new Builder('image without layers');
  none.tag('no-layers', none.image({ layers: [] }));
  const unknown = new Builder('fields that no specification knows');
  unknown.tag('unknown-fields', unknown.platforms({ fields: { [`example.${randomHex()}`]: randomHex() } }));
  return [image, plain, wrong, large, data, foreign, none, unknown];
}

function indexSets(): readonly DataSet[] {
  const index = new Builder('index');
  index.tag('index', index.platforms());
  const nested = new Builder('index of indexes');
  nested.tag('nested', nested.index([nested.platforms(), nested.platforms()]));
  const empty = new Builder('empty index');
  empty.tag('empty-index', empty.index([]));
  return [index, nested, empty];
}

function artifactSets(): readonly DataSet[] {
  const artifact = new Builder('artifact');
  artifact.tag('artifact', artifact.artifact(MEDIA.note));
  const many = new Builder('index of artifacts');
  const [one, two] = [many.artifact(MEDIA.note), many.artifact(MEDIA.note)];
  many.tag('artifacts', many.index([one, two], { artifactType: MEDIA.note }));
  const bare = new Builder('artifact whose layer is its config');
  bare.tag('bare', bare.artifact(MEDIA.note, {}, partOf(Buffer.from('{}'), MEDIA.empty)));
  return [artifact, many, bare];
}

function subjectSets(): readonly DataSet[] {
  const set = new Builder('artifacts of an image');
  const image = set.image();
  const subject = descriptorOf(image);
  set.tag('image', image);
  set.image({ subject });
  set.tag('note', set.artifact(MEDIA.note, { subject, annotations: someAnnotations() }));
  const sealed = partOf(randomBlob(64).bytes, MEDIA.bytes);
  set.tag('seal', set.artifact(MEDIA.seal, { subject, annotations: someAnnotations() }, sealed));
  const onIndex = new Builder('artifacts of an index');
  const index = onIndex.platforms();
  onIndex.tag('index', index);
  const extras = { subject: descriptorOf(index), annotations: someAnnotations() };
  const notes = [onIndex.artifact(MEDIA.note, extras), onIndex.artifact(MEDIA.note, extras)];
  onIndex.tag('notes', onIndex.index(notes, { ...extras, artifactType: MEDIA.note }));
  const untyped = new Builder('index of no artifact type that has a subject');
  const last = untyped.image();
  untyped.index([last], { subject: descriptorOf(last) });
  const missing = new Builder('artifact of a missing image');
  const nowhere = { mediaType: MEDIA.manifest, digest: randomBlob(16).digest, size: 123 };
  missing.tag('orphan', missing.artifact(MEDIA.note, { subject: nowhere, annotations: someAnnotations() }));
  return [set, onIndex, untyped, missing];
}

function tagParameterSet(algorithm: Algorithm): DataSet {
  const needs: readonly Capability[] = algorithm === 'sha512' ? ['sha512'] : [];
  const set = new Builder(`tags as parameters, ${algorithm}`, { needs, algorithm, tagsAsParameters: true });
  const index = set.platforms();
  for (const [at, manifest] of set.manifests.entries()) set.tag(`${algorithm}-${at}`, manifest);
  // As many as a registry should take at once.
  for (let at = 1; at < 10; at += 1) set.tag(`${algorithm}-index-${at}`, index);
  return set;
}

/** How others name a manifest. */
export function descriptorOf({ mediaType, digest, bytes }: Manifest): Descriptor {
  return { mediaType, digest, size: bytes.length };
}

function someAnnotations(): Readonly<Record<string, string>> {
  return { 'org.example.greeting': 'hello', [`org.example.${randomHex()}`]: randomHex() };
}

function randomHex(): string {
  return randomBytes(8).toString('hex');
}
