import { setImmediate } from 'node:timers/promises';
import { StoreError } from '../errors.js';
import { isDigest } from '../model/digest.js';
import type { Descriptor } from '../model/digest.js';
import {
  type Codec,
  decodeJson,
  decodeJsonSteps,
  field,
  type Int64,
  int64Codec,
  mapCodec,
  omitEmptyField,
  pointerCodec,
  sliceCodec,
  stringCodec,
  structCodec,
} from '../model/go-json/codecs.js';
import { JsonError, JsonLimitError, type JsonLimits } from '../model/go-json/parse.js';
import { MAX_ARCHIVE_DOCUMENT_BYTES } from '../limits.js';
import type { ArchiveFile } from './archive-files.js';

/** Media types from the OCI image spec, media-types.md. */
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';

/** Media types from Docker image manifest version 2, schema 2. */
const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';

/** Artifact manifest of ORAS and of release candidates of OCI 1.1: `blobs` instead of `layers`. */
const ARTIFACT_MANIFESTS: ReadonlySet<string> = new Set([
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.cncf.oras.artifact.manifest.v1+json',
]);

/**
 * Layers by media type: OCI image spec, layer.md; Docker image manifest version 2, schema 2, with
 * foreign layers; the types of plain archives, which old and hand-made manifests use.
 */
const LAYER_TYPE =
  /^(application\/vnd\.oci\.image\.layer\.(nondistributable\.)?v1\.tar([+.](gzip|zstd))?|application\/vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar([+.](gzip|zstd))?|application\/(octet-stream|x-tar|tar|gzip|x-gzip|zstd)|)$/;

/** Returns `mediaType` in lower case, without parameters such as `; charset=utf-8`. */
export function bareType(mediaType: string): string {
  return (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Returns whether `mediaType` is an index. */
export function isIndexType(mediaType: string): boolean {
  const type = bareType(mediaType);
  return type === OCI_INDEX || type === DOCKER_INDEX;
}

/** Returns whether `mediaType` is a manifest, of an image or an artifact. */
export function isManifestType(mediaType: string): boolean {
  const type = bareType(mediaType);
  return type === OCI_MANIFEST || type === DOCKER_MANIFEST || isArtifactManifestType(type);
}

/** Returns whether `mediaType` is a manifest that has blobs in the place of config and layers. */
export function isArtifactManifestType(mediaType: string): boolean {
  return ARTIFACT_MANIFESTS.has(bareType(mediaType));
}

/**
 * Returns whether a config of `mediaType` may be an image config: its own types, and those that say
 * nothing (`application/octet-stream` by Docker 1.10, none).
 */
export function isConfigType(mediaType: string): boolean {
  return [OCI_CONFIG, DOCKER_CONFIG, 'application/octet-stream', ''].includes(bareType(mediaType));
}

/** Returns whether `mediaType` is a filesystem layer; encrypted ones and payloads are not. */
export function isLayerType(mediaType: string): boolean {
  return LAYER_TYPE.test(bareType(mediaType));
}

/** Returns whether `mediaType` is a layer that registries need not have (OCI image spec, layer.md; Docker's foreign ones). */
export function isForeignType(mediaType: string): boolean {
  return /\.(nondistributable|foreign)\./.test(bareType(mediaType));
}

/** A platform in OCI documents (image-index.md). */
export interface PlatformDocument {
  readonly architecture: string;
  readonly os: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[] | null;
  readonly variant: string;
}

type StringMap = Readonly<Record<string, string>> | null;

/** A descriptor in OCI documents (descriptor.md). */
export interface DescriptorDocument {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: Int64;
  readonly annotations: StringMap;
  /** The content itself in base64, for small blobs that need not be fetched. */
  readonly data: string;
  readonly platform: PlatformDocument | undefined;
  readonly artifactType: string;
}

/** A manifest (manifest.md); Docker's schema 2 has the same fields. */
export interface ManifestDocument {
  readonly schemaVersion: Int64;
  readonly mediaType: string;
  readonly artifactType: string;
  readonly config: DescriptorDocument;
  readonly layers: readonly DescriptorDocument[] | null;
  /** Layers of an ORAS artifact manifest. */
  readonly blobs: readonly DescriptorDocument[] | null;
  readonly subject: DescriptorDocument | undefined;
}

/** An index (image-index.md); Docker's manifest list has the same fields. */
export interface IndexDocument {
  readonly schemaVersion: Int64;
  readonly mediaType: string;
  readonly artifactType: string;
  readonly manifests: readonly DescriptorDocument[] | null;
  readonly subject: DescriptorDocument | undefined;
  readonly annotations: StringMap;
}

/** An image in manifest.json, the format of `docker save` since Docker 1.10. */
export interface DockerImageDocument {
  readonly config: string;
  readonly repoTags: readonly string[] | null;
  readonly layers: readonly string[] | null;
  readonly parent: string;
  readonly layerSources: Readonly<Record<string, DescriptorDocument>> | null;
}

const strings = sliceCodec(stringCodec);
const stringMap = mapCodec(stringCodec);

const platformCodec: Codec<PlatformDocument> = structCodec<PlatformDocument>({
  architecture: field('architecture', stringCodec),
  os: field('os', stringCodec),
  osVersion: omitEmptyField('os.version', stringCodec),
  osFeatures: omitEmptyField('os.features', strings),
  variant: omitEmptyField('variant', stringCodec),
});

const descriptorCodec: Codec<DescriptorDocument> = structCodec<DescriptorDocument>({
  mediaType: field('mediaType', stringCodec),
  digest: field('digest', stringCodec),
  size: field('size', int64Codec),
  annotations: omitEmptyField('annotations', stringMap),
  data: omitEmptyField('data', stringCodec),
  platform: omitEmptyField('platform', pointerCodec(platformCodec)),
  artifactType: omitEmptyField('artifactType', stringCodec),
});

/** manifest.json predates the OCI descriptor: Docker's own puts size before digest. */
const layerSourceCodec: Codec<DescriptorDocument> = structCodec<DescriptorDocument>({
  mediaType: omitEmptyField('mediaType', stringCodec),
  size: omitEmptyField('size', int64Codec),
  digest: omitEmptyField('digest', stringCodec),
  annotations: omitEmptyField('annotations', stringMap),
  data: omitEmptyField('data', stringCodec),
  platform: omitEmptyField('platform', pointerCodec(platformCodec)),
  artifactType: omitEmptyField('artifactType', stringCodec),
});

/** Manifest JSON, as Go encodes it. */
export const manifestCodec: Codec<ManifestDocument> = structCodec<ManifestDocument>({
  schemaVersion: field('schemaVersion', int64Codec),
  mediaType: omitEmptyField('mediaType', stringCodec),
  artifactType: omitEmptyField('artifactType', stringCodec),
  config: field('config', descriptorCodec),
  layers: field('layers', sliceCodec(descriptorCodec)),
  blobs: omitEmptyField('blobs', sliceCodec(descriptorCodec)),
  subject: omitEmptyField('subject', pointerCodec(descriptorCodec)),
});

/** Index JSON, as Go encodes it. */
export const indexCodec: Codec<IndexDocument> = structCodec<IndexDocument>({
  schemaVersion: field('schemaVersion', int64Codec),
  mediaType: omitEmptyField('mediaType', stringCodec),
  artifactType: omitEmptyField('artifactType', stringCodec),
  manifests: field('manifests', sliceCodec(descriptorCodec)),
  subject: omitEmptyField('subject', pointerCodec(descriptorCodec)),
  annotations: omitEmptyField('annotations', stringMap),
});

/** manifest.json, as Docker encodes it; null if the file contains null. */
export const dockerManifestCodec: Codec<readonly DockerImageDocument[] | null> = sliceCodec(
  structCodec<DockerImageDocument>({
    config: field('Config', stringCodec),
    repoTags: field('RepoTags', strings),
    layers: field('Layers', strings),
    parent: omitEmptyField('Parent', stringCodec),
    layerSources: omitEmptyField('LayerSources', mapCodec(layerSourceCodec)),
  }),
);

/** oci-layout (image-layout.md, oci-layout file). */
export const layoutCodec: Codec<{ readonly imageLayoutVersion: string }> = structCodec({
  imageLayoutVersion: field('imageLayoutVersion', stringCodec),
});

/** The repositories file of Docker before 1.10: repository, tag, id of the top layer. */
export const repositoriesCodec: Codec<Readonly<Record<string, StringMap>> | null> = mapCodec(stringMap);

/**
 * Parses `bytes`; `where` names the document in messages.
 * @throws {StoreError} ARCHIVE_MANIFEST_INVALID if not JSON or a field has the wrong type
 * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if it exceeds MAX_JSON_DEPTH, MAX_JSON_VALUES or MAX_JSON_NUMBER_LENGTH
 */
export function parseDocument<T>(bytes: Uint8Array, codec: Codec<T>, where: string): T {
  return parsedDocument(where, () => decodeJson(bytes, codec));
}

/** Runs `parse`, mapping its errors to those of `parseDocument`. */
function parsedDocument<T>(where: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const code = error instanceof JsonLimitError ? 'ARCHIVE_LIMIT_EXCEEDED' : 'ARCHIVE_MANIFEST_INVALID';
    throw new StoreError(code, `cannot read ${where} of the archive: ${error.message}`, {
      cause: error,
      data: { where },
    });
  }
}

/** Encodes `document` as JSON bytes. */
export function encodeDocument<T>(document: T, codec: Codec<T>): Uint8Array {
  return new TextEncoder().encode(codec.encode(document));
}

/**
 * Converts a document to a descriptor; `where` locates it in messages.
 * @throws {StoreError} ARCHIVE_MANIFEST_INVALID if the digest is not SHA-256 or the size is invalid
 */
export function toDescriptor(document: DescriptorDocument, where: string): Descriptor {
  const { digest, size, mediaType } = document;
  if (!isDigest(digest)) throw invalidDescriptor(where, 'a SHA-256 digest', digest);
  if (typeof size !== 'number' || size < 0) throw invalidDescriptor(where, 'a size in bytes', String(size));
  return { digest, size, mediaType };
}

/** Converts a descriptor to a document, with optional extra fields. */
export function fromDescriptor(
  { mediaType, digest, size }: Descriptor,
  more: {
    readonly annotations?: StringMap;
    readonly platform?: PlatformDocument | undefined;
    readonly artifactType?: string | undefined;
  } = {},
): DescriptorDocument {
  const { annotations = null, platform, artifactType = '' } = more;
  return { mediaType, digest, size, annotations, data: '', platform, artifactType };
}

function invalidDescriptor(where: string, expected: string, found: string): StoreError {
  const shown = JSON.stringify(found.slice(0, 100));
  return new StoreError('ARCHIVE_MANIFEST_INVALID', `cannot read ${where}: expected ${expected}, found ${shown}`, {
    data: { where },
  });
}

/** Steps (about 1 µs each) after which to yield to timers and sockets. */
const STEPS_PER_TURN = 10_000;
/** Document bytes parsed per step, at worst (many small values). */
const BYTES_PER_STEP = 16;
/** Fixed cost of a document: a lookup and a digest comparison. */
const STEPS_PER_DOCUMENT = 20;
/** Steps between two pauses of a parser or decoder. */
const STEPS_PER_PAUSE = 100;

/**
 * Reads the documents of one archive (configs, manifests, indexes) under a shared budget: they stay
 * in memory until the store has written them. It also counts work: an in-memory archive never waits
 * for I/O, so ten thousand images would block the process.
 */
export class DocumentBudget {
  readonly #maxBytes: number;
  #bytes = 0;
  #steps = 0;

  constructor(maxBytes = MAX_ARCHIVE_DOCUMENT_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Reads `file` and charges its bytes to the budget. To use a file twice, keep its bytes.
   * @throws {StoreError} `code` if the file exceeds `maxBytes`
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if all documents together exceed the budget
   */
  async read(
    file: ArchiveFile,
    maxBytes: number,
    code: 'ARCHIVE_LIMIT_EXCEEDED' | 'CONFIG_TOO_LARGE',
  ): Promise<Uint8Array> {
    file.checkSize(maxBytes, code);
    const found = this.#bytes + file.size;
    if (found > this.#maxBytes) {
      throw new StoreError(
        'ARCHIVE_LIMIT_EXCEEDED',
        `cannot read ${file.name}: expected configs, manifests and indexes of at most ${this.#maxBytes} bytes together, found ${found}`,
        { data: { name: file.name, limit: this.#maxBytes, found } },
      );
    }
    this.#bytes = found;
    await this.spend(STEPS_PER_DOCUMENT + file.size / BYTES_PER_STEP);
    return file.read();
  }

  /**
   * Parses `bytes`, yielding to the event loop; `where` names the document in messages.
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID if not JSON or a field has the wrong type
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if it exceeds `limits`
   */
  async parse<T>(bytes: Uint8Array, codec: Codec<T>, where: string, limits: JsonLimits = {}): Promise<T> {
    const steps = decodeJsonSteps(bytes, codec, limits);
    for (;;) {
      const { done, value } = parsedDocument(where, () => steps.next());
      if (done) return value;
      await this.spend(STEPS_PER_PAUSE);
    }
  }

  /** Charges `steps` of work, done or upcoming; yields to timers and sockets when due. */
  async spend(steps: number): Promise<void> {
    this.#steps += steps;
    if (this.#steps < STEPS_PER_TURN) return;
    this.#steps = 0;
    await setImmediate();
  }
}
