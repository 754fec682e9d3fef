import type { ArtifactEntry } from '../../../projections/artifacts.js';
import { isForeignType, isIndexType, isManifestType } from '../../archive/documents.js';
import { type ContentName, type Descriptor, isContentName, isDigest } from '../../model/digest.js';

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
export interface NamedDescriptor {
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
export function isDocumentType(mediaType = ''): boolean {
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
