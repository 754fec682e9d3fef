import type { ArtifactEntry } from '../../../projections/artifacts.js';
import {
  bareType,
  type DescriptorDocument,
  indexCodec,
  type IndexDocument,
  isArtifactManifestType,
  isForeignType,
  isIndexType,
  isManifestType,
  manifestCodec,
  type ManifestDocument,
  parseDocument,
} from '../../archive/documents.js';
import {
  type ContentName,
  type Descriptor,
  type Digest,
  digestOf,
  isContentName,
  isDigest,
} from '../../model/digest.js';
import { createHash } from 'node:crypto';
import { StoreError } from '../../errors.js';
import { MAX_PUSHED_MANIFEST_BYTES } from '../../limits.js';
import { canonicalReference, parseRepository } from '../../model/reference.js';
import type { PushRequest } from '../registry-store.js';

/** What a document names something by, and what that is to the store. */
interface Link {
  readonly name: ContentName;
  readonly target: Descriptor;
}

/** What a manifest or index names. */
export interface Links {
  readonly manifests: readonly Link[];
  readonly blobs: readonly Link[];
}

/** A descriptor whose digest may be SHA-512. */
interface NamedDescriptor {
  readonly digest: ContentName;
  readonly size: number;
  readonly mediaType: string;
}

/** A document of the store as far as it names others. */
interface LinkingDocument {
  readonly config?: NamedDescriptor;
  readonly manifests?: readonly NamedDescriptor[] | null;
  readonly layers?: readonly NamedDescriptor[] | null;
  readonly blobs?: readonly NamedDescriptor[] | null;
}

/**
 * Returns what a manifest or index, checked when it came in, names. What it names by SHA-512 is what
 * `artifact`, its entry, has in its place: the event lists the same in the same order. Foreign layers
 * that are not in the entry were not pushed with it: they may be another repository's.
 */
export function linksOf(bytes: Uint8Array, artifact: Pick<ArtifactEntry, 'blobs' | 'contains'> | undefined): Links {
  const { config, manifests, layers, blobs } = JSON.parse(new TextDecoder().decode(bytes)) as LinkingDocument;
  const found = { manifests: [] as Link[], blobs: [] as Link[] };
  const known = { manifests: [...(artifact?.contains ?? [])], blobs: [...(artifact?.blobs ?? [])] };
  for (const named of [...(manifests ?? []), config, ...(layers ?? []), ...(blobs ?? [])]) {
    if (named === undefined || !isContentName(named.digest)) continue;
    // An index may also list what is no manifest, as a build cache does.
    const isManifest = manifests != null && isDocumentType(named.mediaType);
    const target = targetOf(named, isManifest ? known.manifests : known.blobs, artifact !== undefined);
    if (target === undefined) continue;
    (isManifest ? found.manifests : found.blobs).push({ name: named.digest, target });
  }
  return found;
}

/** Returns whether `mediaType` is a manifest or index. */
function isDocumentType(mediaType = ''): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

/** Takes the next of `known` if it is what is named: foreign layers may be missing there. */
function targetOf(
  { digest, size, mediaType = '' }: NamedDescriptor,
  known: Descriptor[],
  isArtifact: boolean,
): Descriptor | undefined {
  const [next] = known;
  const isNext = next?.size === size && next.mediaType === mediaType && (!isDigest(digest) || next.digest === digest);
  if (isNext) known.shift();
  if (isDigest(digest))
    return isArtifact && !isNext && isForeignType(mediaType) ? undefined : { digest, size, mediaType };
  return isNext ? next : undefined;
}

/** A manifest or index whose form is right. */
export interface PushedManifest {
  readonly repository: string;
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Digest by which it was pushed. */
  readonly name: ContentName;
  /** References to set: each tag, then the digest. */
  readonly references: readonly string[];
  readonly subject: Digest | undefined;
  /** Config and layers of a manifest; what an index names besides manifests. */
  readonly blobs: readonly NamedDescriptor[];
  /** Manifests and indexes that an index names. */
  readonly children: readonly NamedDescriptor[];
  /** Whether it is kept as it came: images are known by SHA-256 alone. */
  readonly isArtifact: boolean;
}

/** @throws {StoreError} as `push` of the registry */
export function checkedManifest({ repository, mediaType, bytes, name, tags = [] }: PushRequest): PushedManifest {
  parseRepository(repository);
  if (bytes.length > MAX_PUSHED_MANIFEST_BYTES) {
    const message = `cannot take a manifest of ${bytes.length} bytes: at most ${MAX_PUSHED_MANIFEST_BYTES} are allowed`;
    throw new StoreError('ARCHIVE_LIMIT_EXCEEDED', message, { data: { limit: MAX_PUSHED_MANIFEST_BYTES } });
  }
  const digest = digestOf(bytes);
  const found =
    name === undefined || isDigest(name) ? digest : `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
  if (name !== undefined && found !== name) {
    const message = `the manifest has the digest ${found}, not ${name}`;
    throw new StoreError('BLOB_MISMATCH', message, { data: { expected: name, found } });
  }
  const document = checkedDocument(mediaType, bytes, `manifest ${digest}`);
  const named = namedIn(document, mediaType, `manifest ${digest}`);
  const subject = document.subject?.digest;
  const isChild = (each: NamedDescriptor): boolean => !('config' in document) && isDocumentType(each.mediaType);
  return {
    repository,
    descriptor: { digest, size: bytes.length, mediaType },
    bytes,
    name: found,
    references: [...tags.map((tag) => canonicalReference(`${repository}:${tag}`)), `${repository}@${found}`],
    subject: subject !== undefined && isDigest(subject) ? subject : undefined,
    blobs: named.filter((each) => !isChild(each)),
    children: named.filter(isChild),
    isArtifact: !isDigest(found) || named.some((each) => !isDigest(each.digest)),
  };
}

function checkedDocument(mediaType: string, bytes: Uint8Array, where: string): IndexDocument | ManifestDocument {
  const isIndex = isIndexType(mediaType);
  if (!isDocumentType(mediaType) || bareType(mediaType) !== mediaType) {
    throw invalid(where, 'the media type of a manifest or index', JSON.stringify(mediaType.slice(0, 100)));
  }
  const document = isIndex ? parseDocument(bytes, indexCodec, where) : parseDocument(bytes, manifestCodec, where);
  const { mediaType: own, schemaVersion } = document;
  // A media type alone (OCI image spec, "Media Types"; RFC 6838, 4.2): parameters are of headers.
  if (own !== '' && (isIndexType(own) !== isIndex || own.includes(';'))) throw invalid(where, mediaType, own);
  if (schemaVersion !== 2) throw invalid(where, 'schemaVersion 2', String(schemaVersion));
  return document;
}

/** What a document names, in its order; a manifest of ORAS alone has no config. */
function namedIn(document: IndexDocument | ManifestDocument, mediaType: string, where: string): NamedDescriptor[] {
  if ('config' in document && document.config.digest === '' && !isArtifactManifestType(mediaType)) {
    throw invalid(where, 'a config', 'none');
  }
  const all =
    'config' in document
      ? [
          ...(document.config.digest === '' ? [] : [document.config]),
          ...(document.layers ?? []),
          ...(document.blobs ?? []),
        ]
      : (document.manifests ?? []);
  return all.map((each) => namedDescriptor(each, where));
}

function namedDescriptor({ digest, size, mediaType }: DescriptorDocument, where: string): NamedDescriptor {
  if (isContentName(digest) && typeof size === 'number' && size >= 0) return { digest, size, mediaType };
  throw invalid(where, 'descriptors with a digest and a size', JSON.stringify(digest.slice(0, 100)));
}

function invalid(where: string, expected: string, found: string): StoreError {
  const message = `cannot read the ${where}: expected ${expected}, found ${found}`;
  return new StoreError('ARCHIVE_MANIFEST_INVALID', message, { data: { where } });
}
