import { StoreError } from '../errors.js';
import { isDigest } from '../model/digest.js';
import type { Descriptor } from '../model/events.js';
import { type Codec, decodeJson } from '../model/json/codec.js';
import { mapCodec, pointerCodec, sliceCodec } from '../model/json/composite-codecs.js';
import { JsonError, JsonLimitError } from '../model/json/json-error.js';
import { type Int64, int64Codec, stringCodec } from '../model/json/scalar-codecs.js';
import type { JsonLimits } from '../model/json/parse-json.js';
import { field, omitEmptyField, structCodec } from '../model/json/struct-codec.js';

/** A platform as OCI documents write it (image-index.md). */
export interface PlatformDocument {
  readonly architecture: string;
  readonly os: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[] | null;
  readonly variant: string;
}

type StringMap = Readonly<Record<string, string>> | null;

/** A descriptor as OCI documents write it (descriptor.md). */
export interface DescriptorDocument {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: Int64;
  readonly annotations: StringMap;
  readonly platform: PlatformDocument | undefined;
}

/** A manifest (manifest.md); Docker's schema 2 has the same fields. */
export interface ManifestDocument {
  readonly schemaVersion: Int64;
  readonly mediaType: string;
  readonly config: DescriptorDocument;
  readonly layers: readonly DescriptorDocument[] | null;
}

/** An index (image-index.md); Docker's manifest list has the same fields. */
export interface IndexDocument {
  readonly schemaVersion: Int64;
  readonly mediaType: string;
  readonly manifests: readonly DescriptorDocument[] | null;
}

/** One image in manifest.json, the format of `docker save` since Docker 1.10. */
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
  platform: omitEmptyField('platform', pointerCodec(platformCodec)),
});

/** manifest.json is older than the OCI descriptor: Docker writes its own there, with the size before the digest. */
const layerSourceCodec: Codec<DescriptorDocument> = structCodec<DescriptorDocument>({
  mediaType: omitEmptyField('mediaType', stringCodec),
  size: omitEmptyField('size', int64Codec),
  digest: omitEmptyField('digest', stringCodec),
  annotations: omitEmptyField('annotations', stringMap),
  platform: omitEmptyField('platform', pointerCodec(platformCodec)),
});

/** A manifest in JSON, as Go writes it. */
export const manifestCodec: Codec<ManifestDocument> = structCodec<ManifestDocument>({
  schemaVersion: field('schemaVersion', int64Codec),
  mediaType: omitEmptyField('mediaType', stringCodec),
  config: field('config', descriptorCodec),
  layers: field('layers', sliceCodec(descriptorCodec)),
});

/** An index in JSON, as Go writes it. */
export const indexCodec: Codec<IndexDocument> = structCodec<IndexDocument>({
  schemaVersion: field('schemaVersion', int64Codec),
  mediaType: omitEmptyField('mediaType', stringCodec),
  manifests: field('manifests', sliceCodec(descriptorCodec)),
});

/** manifest.json, as Docker writes it; null when the file says null. */
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

/** repositories, the file of Docker before 1.10: repository, tag, id of the top layer. */
export const repositoriesCodec: Codec<Readonly<Record<string, StringMap>> | null> = mapCodec(stringMap);

/**
 * Returns the document in `bytes`; `where` names it in messages.
 * @throws {StoreError} ARCHIVE_MANIFEST_INVALID when it is no JSON, or a field has the wrong type
 * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when it exceeds `limits`
 */
export function parseDocument<T>(bytes: Uint8Array, codec: Codec<T>, where: string, limits: JsonLimits = {}): T {
  return parsedDocument(where, () => decodeJson(bytes, codec, limits));
}

/** Returns what `parse` returns; what it finds wrong with the document `where` is thrown as `parseDocument` does. */
export function parsedDocument<T>(where: string, parse: () => T): T {
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

/** Returns `document` as JSON bytes. */
export function encodeDocument<T>(document: T, codec: Codec<T>): Uint8Array {
  return new TextEncoder().encode(codec.encode(document));
}

/**
 * Returns the descriptor that `document` writes; `where` names its place in messages.
 * @throws {StoreError} ARCHIVE_MANIFEST_INVALID when the digest is no SHA-256 digest or the size no size
 */
export function toDescriptor(document: DescriptorDocument, where: string): Descriptor {
  const { digest, size, mediaType } = document;
  if (!isDigest(digest)) throw invalidDescriptor(where, 'a SHA-256 digest', digest);
  if (typeof size !== 'number' || size < 0) throw invalidDescriptor(where, 'a size in bytes', String(size));
  return { digest, size, mediaType };
}

/** Returns a descriptor as a document, with what else it shall say. */
export function fromDescriptor(
  descriptor: Descriptor,
  more: { readonly annotations?: StringMap; readonly platform?: PlatformDocument | undefined } = {},
): DescriptorDocument {
  const { mediaType, digest, size } = descriptor;
  return { mediaType, digest, size, annotations: more.annotations ?? null, platform: more.platform };
}

function invalidDescriptor(where: string, expected: string, found: string): StoreError {
  const shown = JSON.stringify(found.slice(0, 100));
  return new StoreError('ARCHIVE_MANIFEST_INVALID', `cannot read ${where}: expected ${expected}, found ${shown}`, {
    data: { where },
  });
}
