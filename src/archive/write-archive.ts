import { ofLength } from '../model/bytes.js';
import { StoreError } from '../errors.js';
import type { Descriptor, Digest, ImageId } from '../model/digest.js';
import { hostArchitecture, hostOs, type Platform, platformMatches } from '../model/platform.js';
import { familiarReference, parseReference } from '../model/reference.js';
import { abortable, type Watch } from './archive-files.js';
import { blobName } from './archive-tree.js';
import {
  type DescriptorDocument,
  type DockerImageDocument,
  dockerManifestCodec,
  encodeDocument,
  fromDescriptor,
  indexCodec,
  isIndexType,
  repositoriesCodec,
} from './documents.js';
import { CONTAINERD_NAME, OCI_REF_NAME } from './names.js';
import {
  indexOf,
  type SavedArchive,
  SavedDocuments,
  type SavedImage,
  type SavedReference,
  toPlatformDocument,
  type WrittenDocument,
} from './saved-documents.js';
import { formatTarHeader, TAR_BLOCK_BYTES, tarPadding } from './tar-header.js';

/** An entry of an archive to write. */
type PlannedEntry =
  | { readonly type: 'directory'; readonly name: string }
  | { readonly type: 'bytes'; readonly name: string; readonly bytes: Uint8Array }
  | { readonly type: 'blob'; readonly name: string; readonly blob: Descriptor };

/** Contents of an archive before its first byte: unique blobs, ordered by content only. */
class ArchivePlan {
  readonly #blobs = new Map<string, PlannedEntry>();
  readonly #documents = new Set<Digest>();
  readonly #files: PlannedEntry[] = [];

  addBytes(digest: Digest, bytes: Uint8Array): void {
    const name = blobName(digest);
    this.#blobs.set(name, { type: 'bytes', name, bytes });
  }

  /** Plans a document and what it names. One that was planned as a blob has no parts in the plan yet. */
  addDocument({ descriptor, bytes, blobs, parts }: WrittenDocument): void {
    if (this.#documents.has(descriptor.digest)) return;
    this.#documents.add(descriptor.digest);
    this.addBytes(descriptor.digest, bytes);
    for (const blob of blobs) this.addBlob(blob);
    for (const part of parts) this.addDocument(part);
  }

  /** Plans a blob that is opened when its turn comes. */
  addBlob(blob: Descriptor): void {
    const name = blobName(blob.digest);
    if (!this.#blobs.has(name)) this.#blobs.set(name, { type: 'blob', name, blob });
  }

  /** Plans a root file. Root files follow the blobs in call order. */
  addFile(name: string, bytes: Uint8Array): void {
    this.#files.push({ type: 'bytes', name, bytes });
  }

  /** Returns the entries in write order: directories, blobs by digest, files. */
  entries(): readonly PlannedEntry[] {
    const blobs = [...this.#blobs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const directories = ['blobs/', 'blobs/sha256/'].map((name) => ({ type: 'directory' as const, name }));
    return [...directories, ...blobs, ...this.#files];
  }

  /** Returns the tar size: header plus padded data per entry, and two zero blocks. */
  size(): number {
    return this.entries().reduce((sum, entry) => sum + TAR_BLOCK_BYTES + padded(entrySize(entry)), 2 * TAR_BLOCK_BYTES);
  }
}

/** Returns the data bytes of `entry`. */
function entrySize(entry: PlannedEntry): number {
  switch (entry.type) {
    case 'directory':
      return 0;
    case 'bytes':
      return entry.bytes.length;
    case 'blob':
      return entry.blob.size;
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
}

/** The archive layout. */
type ArchiveFormat = 'docker' | 'oci';

/** How to plan an archive. */
interface PlanOptions {
  readonly format: ArchiveFormat;
  /** The platform that manifest.json has of a name of several; default: Linux on this host. */
  readonly platform?: Platform | undefined;
  /** Receives a sentence for each part that is not saved as it came. */
  readonly onNotice?: ((text: string) => void) | undefined;
}

interface NamedTarget {
  readonly reference: SavedReference;
  /** The image that manifest.json has of it. */
  readonly image: ImageId | undefined;
  readonly document: WrittenDocument;
}

/** Docker's exact bytes (image-layout.md has no space after the colon). */
const LAYOUT = '{"imageLayoutVersion": "1.0.0"}';

const encoder = new TextEncoder();

/**
 * Plans an archive of `saved`. The plan does not depend on the order of images and names.
 * @throws {StoreError} BLOB_MISSING if a layer of an image is absent
 */
function planArchive(saved: SavedArchive, options: PlanOptions): ArchivePlan {
  const { format, onNotice = () => undefined } = options;
  const plan = new ArchivePlan();
  const documents = new SavedDocuments(saved, onNotice);
  const images = [...saved.images].sort((a, b) => compare(a.id, b.id));
  const names = nameTargets(saved, documents, options.platform ?? hostPlatform());
  for (const image of images) plan.addBytes(image.id, image.config);
  for (const { document } of names) plan.addDocument(document);
  const entries = indexEntries(saved, names, documents);
  for (const { document } of entries) plan.addDocument(document);
  const annotations = layoutAnnotations(saved.references, onNotice);
  plan.addFile(
    'index.json',
    encodeDocument(
      indexOf(
        entries.map((entry) => entry.descriptor),
        annotations,
      ),
      indexCodec,
    ),
  );
  if (format === 'docker') addDockerFiles(plan, images, names, documents);
  plan.addFile('oci-layout', encoder.encode(LAYOUT));
  if (format === 'docker') addRepositories(plan, images, names);
  return plan;
}

/** What an archive of `saved` holds, as documents. */
interface PlannedDocuments {
  /** Of names, then of images and artifacts that have none and are in no index of another. */
  readonly roots: readonly WrittenDocument[];
  /** What is about the roots and their parts. */
  readonly referrers: readonly WrittenDocument[];
}

/**
 * Plans the documents of an archive of `saved`, for what writes no archive.
 * @throws {StoreError} as `planArchive`
 */
export function planDocuments(
  saved: SavedArchive,
  onNotice: PlanOptions['onNotice'] = () => undefined,
): PlannedDocuments {
  const documents = new SavedDocuments(saved, onNotice);
  const named = saved.references.flatMap((reference) => documents.target(reference) ?? []);
  const artifacts = saved.artifacts.flatMap((artifact) => documents.artifact(artifact) ?? []);
  const contained = new Set<Digest | ImageId>(named.flatMap(({ image }) => image ?? []));
  for (const document of [...named, ...artifacts]) addContained(document, contained);
  const images = saved.images.filter(({ id }) => !contained.has(id)).map((image) => documents.manifest(image));
  const own = artifacts.filter(({ descriptor }) => !contained.has(descriptor.digest));
  const unique = new Map([...named, ...images, ...own].map((document) => [document.descriptor.digest, document]));
  const roots = [...unique.values()];
  const referrers = documents.referrers(roots).filter(({ descriptor }) => !unique.has(descriptor.digest));
  return { roots, referrers };
}

/** Docker runs Linux images on every host but Windows. */
function hostPlatform(): Platform {
  return { os: hostOs() === 'windows' ? 'windows' : 'linux', architecture: hostArchitecture() };
}

function nameTargets(saved: SavedArchive, documents: SavedDocuments, platform: Platform): readonly NamedTarget[] {
  const ids = new Set(saved.images.map(({ id }) => id));
  const names: NamedTarget[] = [];
  for (const reference of [...saved.references].sort((a, b) => compare(a.reference, b.reference))) {
    const { image, platforms = [] } = reference;
    const host = platforms.find((each) => ids.has(each.image) && platformMatches(platform, each));
    const candidates = [host?.image, image, ...platforms.map((each) => each.image)];
    const chosen = candidates.find((id) => id !== undefined && ids.has(id));
    const document = documents.target(reference);
    if (document !== undefined) names.push({ reference, image: chosen, document });
  }
  return names;
}

/** An entry of index.json. */
interface LayoutEntry {
  readonly descriptor: DescriptorDocument;
  readonly document: WrittenDocument;
}

/**
 * Returns the entries of index.json: images by id with their names, then other names, then what has
 * no name. What an index contains has no own entry.
 */
function indexEntries(
  { images, artifacts }: SavedArchive,
  names: readonly NamedTarget[],
  documents: SavedDocuments,
): readonly LayoutEntry[] {
  const contained = new Set<Digest | ImageId>();
  const namesOf = new Map<ImageId | undefined, NamedTarget[]>();
  for (const name of names) {
    addContained(name.document, contained);
    const own = namesOf.get(name.image);
    if (own === undefined) namesOf.set(name.image, [name]);
    else own.push(name);
  }
  const entries: LayoutEntry[] = [];
  for (const image of [...images].sort((a, b) => compare(a.id, b.id))) {
    const own = namesOf.get(image.id) ?? [];
    for (const name of own) entries.push(namedEntry(name, image));
    if (own.length > 0 || contained.has(image.id)) continue;
    const document = documents.manifest(image);
    const platform = toPlatformDocument(image.image.platform());
    entries.push({ descriptor: fromDescriptor(document.descriptor, { platform }), document });
  }
  for (const name of namesOf.get(undefined) ?? []) entries.push(namedEntry(name, undefined));
  const unnamed = artifacts.flatMap((artifact) => documents.artifact(artifact) ?? []);
  for (const document of unnamed) addContained(document, contained);
  const written = new Set(entries.map(({ document }) => document.descriptor.digest));
  const rest = [...unnamed, ...documents.referrers([...entries.map((entry) => entry.document), ...unnamed])];
  for (const document of rest.sort((a, b) => compare(a.descriptor.digest, b.descriptor.digest))) {
    const { digest } = document.descriptor;
    if (written.has(digest) || contained.has(digest)) continue;
    written.add(digest);
    entries.push({ descriptor: fromDescriptor(document.descriptor, document), document });
  }
  return entries;
}

/** Adds the digests and images of all parts of `document`. */
function addContained(document: WrittenDocument, contained: Set<Digest | ImageId>): void {
  for (const part of document.parts) {
    if (contained.has(part.descriptor.digest)) continue;
    contained.add(part.descriptor.digest);
    if (part.image !== undefined) contained.add(part.image);
    addContained(part, contained);
  }
}

function namedEntry({ reference, document }: NamedTarget, image: SavedImage | undefined): LayoutEntry {
  const { descriptor } = document;
  const annotations = { ...reference.annotations, ...nameAnnotations(reference.reference) };
  const isImage = image !== undefined && !isIndexType(descriptor.mediaType);
  const platform = isImage ? toPlatformDocument(image.image.platform()) : undefined;
  const { artifactType } = document;
  return { descriptor: fromDescriptor(descriptor, { annotations, platform, artifactType }), document };
}

/**
 * The full name for containerd and Docker, and the tag alone, which skopeo, umoci and oras match:
 * as Docker and BuildKit write both.
 */
function nameAnnotations(canonical: string): Readonly<Record<string, string>> {
  const { tag, digest } = parseReference(canonical);
  return { [CONTAINERD_NAME]: canonical, [OCI_REF_NAME]: tag ?? digest ?? '' };
}

/** The annotations of the index.json files that the names came with; the first of a key counts. */
function layoutAnnotations(
  references: readonly SavedReference[],
  notice: (text: string) => void,
): Readonly<Record<string, string>> | null {
  const annotations = new Map<string, string>();
  for (const { reference, layoutAnnotations: own = {} } of references) {
    for (const [key, value] of Object.entries(own)) {
      const known = annotations.get(key);
      if (known === undefined) annotations.set(key, value);
      else if (known !== value)
        notice(`the annotation ${key} of the layout of ${reference} is not saved: another name has another`);
    }
  }
  return annotations.size === 0 ? null : Object.fromEntries(annotations);
}

/** One entry a name: skopeo and crane refuse two, and every Docker loads the image of its host. */
function addDockerFiles(
  plan: ArchivePlan,
  images: readonly SavedImage[],
  names: readonly NamedTarget[],
  documents: SavedDocuments,
): void {
  const contained = new Set<Digest | ImageId>();
  for (const { document } of names) addContained(document, contained);
  const listed = images.filter(({ id }) => names.some((name) => name.image === id) || !contained.has(id));
  const ids = new Set(listed.map(({ id }) => id));
  const entries = listed.map((image): DockerImageDocument => {
    const own = names.filter((name) => name.image === image.id);
    // docker load rejects a digest in RepoTags, so such names go in index.json only.
    const tags = own
      .map(({ reference }) => reference.reference)
      .filter((name) => parseReference(name).digest === undefined);
    const { blobs } = manifestIn(own, image) ?? documents.manifest(image);
    for (const layer of blobs) plan.addBlob(layer);
    const sources = image.layers.map(({ diffId }, at) => [diffId, blobs[at]] as const);
    return {
      config: blobName(image.id),
      repoTags: tags.length === 0 ? null : tags.map(familiarReference),
      layers: blobs.map(({ digest }) => blobName(digest)),
      parent: image.parent !== undefined && ids.has(image.parent) ? image.parent : '',
      layerSources: Object.fromEntries(
        sources.flatMap(([diffId, blob]) => (blob ? [[diffId, fromDescriptor(blob)]] : [])),
      ),
    };
  });
  plan.addFile('manifest.json', encoder.encode(`${dockerManifestCodec.encode(entries)}\n`));
}

/** Finds the manifest of `image` among what its names are written as. */
function manifestIn(names: readonly NamedTarget[], image: SavedImage): WrittenDocument | undefined {
  // Indexes may share parts: each is looked into once. A set is walked as it grows.
  const seen = new Set(names.map(({ document }) => document));
  for (const document of seen) {
    if (document.image === image.id) return document;
    for (const part of document.parts) seen.add(part);
  }
  return undefined;
}

/** Adds the file read by Docker before 1.10: the top layer id of each tag. */
function addRepositories(plan: ArchivePlan, images: readonly SavedImage[], names: readonly NamedTarget[]): void {
  const byId = new Map(images.map((image) => [image.id, image]));
  const repositories = new Map<string, Map<string, string>>();
  for (const { reference, image } of names) {
    const { tag } = parseReference(reference.reference);
    if (tag === undefined || image === undefined) continue;
    const repository = familiarReference(reference.reference).slice(0, -tag.length - 1);
    const top = byId.get(image)?.layers.at(-1)?.diffId ?? image;
    // A tag may be `__proto__`, which an object does not take by assignment.
    const tags = repositories.get(repository) ?? new Map<string, string>();
    repositories.set(repository, tags.set(tag, top.slice('sha256:'.length)));
  }
  if (repositories.size === 0) return;
  const named = Object.fromEntries([...repositories].map(([name, tags]) => [name, Object.fromEntries(tags)]));
  plan.addFile('repositories', encoder.encode(`${repositoriesCodec.encode(named)}\n`));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * Options for writing an archive. Format `docker`: as Docker 25 writes, readable by every version;
 * `oci`: a pure OCI layout.
 */
export type WriteArchiveOptions = Watch & PlanOptions;

/** An archive ready to be written. */
export interface WrittenArchive {
  /** Exact byte count of `chunks`. */
  readonly size: number;
  /** Blobs that `chunks` opens. */
  readonly blobs: ReadonlySet<Digest>;
  /** The tar. Opens layer files one at a time; passes chunks through. `return()` stops it. */
  readonly chunks: AsyncGenerator<Uint8Array>;
}

/**
 * Prepares an archive of `saved`, with its size known up front. Deterministic: the same images and
 * names give the same bytes (sorted, epoch times, owner 0).
 *
 * Layers are written as received, compressed or not; manifests are kept if all their layers are
 * present, so manifest digests survive. Both formats carry index.json. A multi-platform name is
 * written as its index; manifest.json (docker) lists it under one image. References by digest are
 * in index.json only.
 * @throws {StoreError} BLOB_MISSING at once if a layer is absent; the chunks fail with BLOB_CORRUPT
 *   if a layer has the wrong length, with ABORTED, and with what `openBlob` throws
 */
export function writeArchive(saved: SavedArchive, options: WriteArchiveOptions): WrittenArchive {
  const plan = planArchive(saved, options);
  const entries = plan.entries();
  const blobs = new Set(entries.flatMap((entry) => (entry.type === 'blob' ? [entry.blob.digest] : [])));
  return { size: plan.size(), blobs, chunks: abortable(packed(entries, saved), options) };
}

async function* packed(entries: readonly PlannedEntry[], saved: SavedArchive): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const size = entrySize(entry);
    const type = entry.type === 'directory' ? 'directory' : 'file';
    const header = formatTarHeader({ type, name: entry.name, size });
    const padding = tarPadding(size);
    if (entry.type === 'blob') {
      yield header;
      yield* checkedBlob(saved, entry.blob.digest, size);
      if (padding.length > 0) yield padding;
    } else {
      yield Buffer.concat(entry.type === 'bytes' ? [header, entry.bytes, padding] : [header]);
    }
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}

/** Streams a layer file; fails if its length differs from the tar header. */
function checkedBlob(saved: SavedArchive, digest: Digest, size: number): AsyncIterable<Uint8Array> {
  return ofLength(saved.openBlob(digest), size, (found) => {
    const message = `cannot save the layer file ${digest}: expected ${size} bytes, found ${found}`;
    return new StoreError('BLOB_CORRUPT', message, { data: { blob: digest, expected: size } });
  });
}
