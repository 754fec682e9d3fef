import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_JSON_BYTES, MAX_REFERENCES_PER_ARCHIVE } from '../limits.js';
import { type ImageId, isDigest } from '../model/digest.js';
import { formatPlatform, platformMatches } from '../model/platform.js';
import { canonicalReference } from '../model/reference.js';
import type { ArchiveReference } from './archive-files.js';
import { type ArchiveLimits, type ArchiveTree, findFile } from './archive-tree.js';
import { annotatedReference, type ContentsBuilder, platformManifests, toPlatformImages } from './contents-builder.js';
import { type DockerImageDocument, dockerManifestCodec, type DocumentBudget } from './documents.js';
import type { ImageBuilder, OciChild } from './oci-graph.js';
import { checkImageCount, type ImageChoice, requirePlatform } from './oci-archive.js';

interface DockerArchive {
  readonly tree: ArchiveTree;
  readonly builder: ImageBuilder;
  readonly documents: DocumentBudget;
  readonly limits: ArchiveLimits;
  /** Entries of index.json, if present; their manifests are attached to the images. */
  readonly oci: readonly OciChild[];
}

/** Cost of one name: parsing and finding its target. */
const STEPS_PER_NAME = 5;

interface NamedImage {
  readonly reference: string;
  readonly image: ImageId;
}

/**
 * Adds the images and names in manifest.json; manifests and indexes come from the OCI part.
 * @throws {StoreError} ARCHIVE_MANIFEST_INVALID, ARCHIVE_FILE_MISSING, REFERENCE_INVALID,
 *   PLATFORM_NOT_FOUND, ARCHIVE_LIMIT_EXCEEDED, and any image error
 */
export async function addDockerImages(
  contents: ContentsBuilder,
  archive: DockerArchive,
  choice: ImageChoice,
): Promise<void> {
  const documents = await readDockerManifest(archive);
  checkImageCount(documents.length, choice.maxImages);
  checkNameCount(documents, archive.limits.maxReferences);
  const names: NamedImage[] = [];
  const platforms = new Set<string>();
  for (const [at, document] of documents.entries()) {
    for (const name of await addImage(contents, archive, document, { at, choice, platforms })) names.push(name);
  }
  requirePlatform(contents, choice.platform, platforms);
  await attachManifests(contents, archive.oci);
  const entries = names.length === 0 ? new Map<string, OciChild[]>() : byReference(archive.oci);
  for (const { reference, image } of names) {
    await archive.documents.spend(STEPS_PER_NAME);
    contents.addReference({ reference, image, ...targetOf(contents, entries.get(reference) ?? [], image) });
  }
}

async function readDockerManifest({ tree, documents, limits }: DockerArchive): Promise<readonly DockerImageDocument[]> {
  const file = tree.file('manifest.json');
  if (file === undefined) throw missing('manifest.json', 'a file');
  const bytes = await documents.read(file, limits.maxJsonBytes ?? MAX_ARCHIVE_JSON_BYTES, 'ARCHIVE_LIMIT_EXCEEDED');
  const jsonLimits = { maxValues: limits.maxJsonValues };
  const images = await documents.parse(bytes, dockerManifestCodec, 'manifest.json', jsonLimits);
  if (images !== null) return images;
  throw new StoreError(
    'ARCHIVE_MANIFEST_INVALID',
    'cannot read manifest.json of the archive: expected a list, found null',
  );
}

function checkNameCount(documents: readonly DockerImageDocument[], limit = MAX_REFERENCES_PER_ARCHIVE): void {
  const found = documents.reduce((sum, { repoTags }) => sum + (repoTags?.length ?? 0), 0);
  if (found <= limit) return;
  throw new StoreError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `cannot read manifest.json of the archive: expected at most ${limit} names, found ${found}`,
    { data: { limit, found } },
  );
}

async function addImage(
  contents: ContentsBuilder,
  archive: DockerArchive,
  document: DockerImageDocument,
  { at, choice, platforms }: { readonly at: number; readonly choice: ImageChoice; readonly platforms: Set<string> },
): Promise<readonly NamedImage[]> {
  const where = `manifest.json: [${at}]`;
  const file = findFile(archive.tree, document.config);
  if (file === undefined)
    throw missing(`${where}: Config`, `the file ${JSON.stringify(document.config.slice(0, 200))}`);
  const config = await archive.builder.config(file);
  const platform = config.image.platform();
  platforms.add(formatPlatform(platform));
  if (choice.platform !== undefined && !platformMatches(choice.platform, platform)) {
    choice.notice(`skipped ${config.id}: it is for ${formatPlatform(platform)}`);
    return [];
  }
  const layers = (document.layers ?? []).map((name) => ({ name, file: findFile(archive.tree, name) }));
  const staged = await archive.builder.layers(config, layers, where);
  contents.addImage(config, { parent: parentOf(document, where), staged });
  const tags = document.repoTags ?? [];
  await archive.documents.spend(STEPS_PER_NAME * tags.length);
  return tags.map((tag) => ({ reference: canonicalReference(tag), image: config.id }));
}

function parentOf(document: DockerImageDocument, where: string): ImageId | undefined {
  if (document.parent === '') return undefined;
  if (isDigest(document.parent)) return document.parent as ImageId;
  const found = JSON.stringify(document.parent.slice(0, 100));
  throw new StoreError(
    'ARCHIVE_MANIFEST_INVALID',
    `cannot read ${where}: expected an image id as Parent, found ${found}`,
  );
}

/** Attaches manifests to the loaded images; keeps the indexes that lead to them. */
async function attachManifests(contents: ContentsBuilder, oci: readonly OciChild[]): Promise<void> {
  for (const { node } of oci) {
    let isUsed = false;
    for (const manifest of platformManifests(node)) {
      if (!contents.has(manifest.node.config.id)) continue;
      await contents.addManifest(manifest.node);
      isUsed = true;
    }
    if (isUsed && node.kind === 'index') contents.addIndex(node);
  }
}

/** Groups the entries of index.json by name: scanning all of them per name would be quadratic. */
function byReference(oci: readonly OciChild[]): ReadonlyMap<string, readonly OciChild[]> {
  const entries = new Map<string, OciChild[]>();
  for (const child of oci) {
    const reference = annotatedReference(child.annotations);
    if (reference === undefined) continue;
    const known = entries.get(reference);
    if (known === undefined) entries.set(reference, [child]);
    else known.push(child);
  }
  return entries;
}

/** The target is the first of `entries` that leads to `image`, else the image's only manifest. */
function targetOf(
  contents: ContentsBuilder,
  entries: readonly OciChild[],
  image: ImageId,
): Pick<ArchiveReference, 'target' | 'platforms'> {
  for (const { node, platform } of entries) {
    const manifests = platformManifests(node, undefined, platform).filter(({ node: { config } }) =>
      contents.has(config.id),
    );
    if (!manifests.some((manifest) => manifest.node.config.id === image)) continue;
    if (node.kind === 'index') return { target: node.descriptor, platforms: toPlatformImages(manifests) };
    contents.prefer(image, node.descriptor);
    return { target: node.descriptor };
  }
  const [only, ...others] = contents.manifests(image);
  return others.length > 0 || only === undefined ? {} : { target: only.descriptor };
}

function missing(where: string, expected: string): StoreError {
  return new StoreError(
    'ARCHIVE_FILE_MISSING',
    `cannot read ${where}: expected ${expected} in the archive, found none`,
    {
      data: { where },
    },
  );
}
