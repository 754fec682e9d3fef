import type { ImageId } from '../model/digest.js';
import type { Descriptor } from '../model/events.js';
import { familiarReference, parseReference } from '../model/reference.js';
import { ArchivePlan } from './archive-plan.js';
import { blobName } from './blob-lookup.js';
import {
  type DescriptorDocument,
  type DockerImageDocument,
  dockerManifestCodec,
  encodeDocument,
  fromDescriptor,
  indexCodec,
  repositoriesCodec,
} from './documents.js';
import { ManifestChoice, toPlatformDocument, type WrittenDocument } from './manifest-choice.js';
import { isIndexType, OCI_INDEX } from './media-types.js';
import { CONTAINERD_NAME, OCI_REF_NAME } from './reference-names.js';
import type { SavedArchive, SavedImage, SavedReference } from './saved-archive.js';

/** The layout an archive is written in. */
export type ArchiveFormat = 'docker' | 'oci';

/** A name with the image it is listed at. */
interface NamedTarget {
  readonly reference: SavedReference;
  readonly image: ImageId;
  readonly document: WrittenDocument;
}

/** What Docker writes, to the byte (image-layout.md has no space after the colon). */
const LAYOUT = '{"imageLayoutVersion": "1.0.0"}';

const encoder = new TextEncoder();

/**
 * Returns what an archive of `saved` holds. The same images and names give the same plan in whatever order they come.
 * @throws {StoreError} BLOB_MISSING when a layer of an image is not there
 */
export function planArchive(saved: SavedArchive, format: ArchiveFormat): ArchivePlan {
  const plan = new ArchivePlan();
  const choice = new ManifestChoice(saved);
  const images = [...saved.images].sort((a, b) => compare(a.id, b.id));
  const names = nameTargets(saved, choice);
  for (const image of images) plan.addBytes(image.id, image.config);
  for (const { document } of names) addDocument(plan, document);
  const entries = indexEntries(images, names, format, (image) => {
    const manifest = choice.manifest(image);
    addDocument(plan, manifest);
    return manifest.descriptor;
  });
  plan.addFile(
    'index.json',
    encodeDocument({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries }, indexCodec),
  );
  if (format === 'docker') addDockerFiles(plan, images, names, choice);
  plan.addFile('oci-layout', encoder.encode(LAYOUT));
  if (format === 'docker') addRepositories(plan, images, names);
  return plan;
}

function nameTargets(saved: SavedArchive, choice: ManifestChoice): readonly NamedTarget[] {
  const ids = new Set(saved.images.map(({ id }) => id));
  const names: NamedTarget[] = [];
  for (const reference of [...saved.references].sort((a, b) => compare(a.reference, b.reference))) {
    const image = [reference.image, ...(reference.platforms ?? []).map((platform) => platform.image)].find((id) =>
      ids.has(id),
    );
    const document = choice.target(reference);
    if (image !== undefined && document !== undefined) names.push({ reference, image, document });
  }
  return names;
}

function addDocument(plan: ArchivePlan, document: WrittenDocument): void {
  plan.addBytes(document.descriptor.digest, document.bytes);
  for (const layer of document.layers) plan.addBlob(layer);
  for (const part of document.parts) addDocument(plan, part);
}

/**
 * The entries of index.json: images by id and their names in order; an image without a name stands there once,
 * unless the index of a name leads to it.
 */
function indexEntries(
  images: readonly SavedImage[],
  names: readonly NamedTarget[],
  format: ArchiveFormat,
  manifestOf: (image: SavedImage) => Descriptor,
): readonly DescriptorDocument[] {
  const inIndexes = new Set(names.flatMap(({ reference, document }) => platformIds(reference, document)));
  return images.flatMap((image) => {
    const platform = toPlatformDocument(image.image.platform());
    const own = names.filter((name) => name.image === image.id);
    if (own.length === 0) return inIndexes.has(image.id) ? [] : [fromDescriptor(manifestOf(image), { platform })];
    return own.map(({ reference, document: { descriptor } }) => {
      const annotations = annotationsOf(reference.reference, format);
      return fromDescriptor(
        descriptor,
        isIndexType(descriptor.mediaType) ? { annotations } : { annotations, platform },
      );
    });
  });
}

function platformIds(reference: SavedReference, document: WrittenDocument): readonly ImageId[] {
  return isIndexType(document.descriptor.mediaType) ? (reference.platforms ?? []).map(({ image }) => image) : [];
}

/**
 * containerd and Docker read the first annotation. The second is Docker's bare tag in its own format; in a pure OCI
 * layout it is the short name, which skopeo (`oci-archive:FILE:tiny:1`) and umoci look up as it stands.
 */
function annotationsOf(canonical: string, format: ArchiveFormat): Readonly<Record<string, string>> {
  const { tag, digest } = parseReference(canonical);
  const name = format === 'oci' ? familiarReference(canonical) : (tag ?? digest ?? '');
  return { [CONTAINERD_NAME]: canonical, [OCI_REF_NAME]: name };
}

function addDockerFiles(
  plan: ArchivePlan,
  images: readonly SavedImage[],
  names: readonly NamedTarget[],
  choice: ManifestChoice,
): void {
  const ids = new Set(images.map(({ id }) => id));
  const documents = images.map((image): DockerImageDocument => {
    const own = names.filter((name) => name.image === image.id);
    // A digest is no tag: docker load refuses it here, so such a name is in index.json only.
    const tags = own
      .map(({ reference }) => reference.reference)
      .filter((name) => parseReference(name).digest === undefined);
    const layers = choice.manifest(
      image,
      own.find(({ document }) => document.parts.length === 0)?.document.descriptor.digest,
    );
    for (const layer of layers.layers) plan.addBlob(layer);
    const sources = image.layers.map(({ diffId }, at) => [diffId, layers.layers[at]] as const);
    return {
      config: blobName(image.id),
      repoTags: tags.length === 0 ? null : tags.map(familiarReference),
      layers: layers.layers.map(({ digest }) => blobName(digest)),
      parent: image.parent !== undefined && ids.has(image.parent) ? image.parent : '',
      layerSources: Object.fromEntries(
        sources.flatMap(([diffId, blob]) => (blob ? [[diffId, fromDescriptor(blob)]] : [])),
      ),
    };
  });
  plan.addFile('manifest.json', encoder.encode(`${dockerManifestCodec.encode(documents)}\n`));
}

/** The file that Docker before 1.10 read: each tag with the id of its top layer. */
function addRepositories(plan: ArchivePlan, images: readonly SavedImage[], names: readonly NamedTarget[]): void {
  const byId = new Map(images.map((image) => [image.id, image]));
  const repositories = new Map<string, Record<string, string>>();
  for (const { reference, image } of names) {
    const { tag } = parseReference(reference.reference);
    if (tag === undefined) continue;
    const repository = familiarReference(reference.reference).slice(0, -tag.length - 1);
    const top = byId.get(image)?.layers.at(-1)?.diffId ?? image;
    const tags = repositories.get(repository) ?? {};
    tags[tag] = top.slice('sha256:'.length);
    repositories.set(repository, tags);
  }
  if (repositories.size === 0) return;
  plan.addFile('repositories', encoder.encode(`${repositoriesCodec.encode(Object.fromEntries(repositories))}\n`));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
