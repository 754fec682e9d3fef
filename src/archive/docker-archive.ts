import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_JSON_BYTES } from '../limits.js';
import { type Digest, type ImageId, isDigest } from '../model/digest.js';
import { formatPlatform, isWanted, type Platform } from '../model/platform.js';
import { type ArchiveLimits, type ArchiveTree, findFile } from './archive-tree.js';
import type { ContentsBuilder } from './contents-builder.js';
import { type DockerImageDocument, dockerManifestCodec, type DocumentBudget } from './documents.js';
import type { ImageBuilder } from './image-builder.js';
import { checkImageCount, checkNameCount, type ImageChoice } from './names.js';

interface DockerArchive {
  readonly tree: ArchiveTree;
  readonly builder: ImageBuilder;
  readonly documents: DocumentBudget;
  readonly limits: ArchiveLimits;
}

/** An image of manifest.json. */
export interface DockerImage {
  readonly image: ImageId;
  /** As in RepoTags. */
  readonly tags: readonly string[];
  /** Whether its platform is wanted; only then it was added. */
  readonly isWanted: boolean;
  readonly platform: Platform;
  /** Digests of its config and layer files. */
  readonly files: readonly Digest[];
}

/**
 * Adds the images of manifest.json, without their names; none if the archive lacks the file.
 * @throws {StoreError} ARCHIVE_MANIFEST_INVALID, ARCHIVE_FILE_MISSING, ARCHIVE_LIMIT_EXCEEDED, and
 *   any image error
 */
export async function addDockerImages(
  contents: ContentsBuilder,
  archive: DockerArchive,
  choice: ImageChoice,
): Promise<readonly DockerImage[]> {
  const documents = await readDockerManifest(archive);
  checkImageCount(documents.length, choice.maxImages);
  checkNameCount(
    documents.reduce((sum, { repoTags }) => sum + (repoTags?.length ?? 0), 0),
    choice.maxReferences,
  );
  const images: DockerImage[] = [];
  for (const [at, document] of documents.entries())
    images.push(await addImage(contents, archive, document, at, choice));
  return images;
}

async function readDockerManifest({ tree, documents, limits }: DockerArchive): Promise<readonly DockerImageDocument[]> {
  const file = tree.file('manifest.json');
  if (file === undefined) return [];
  const bytes = await documents.read(file, limits.maxJsonBytes ?? MAX_ARCHIVE_JSON_BYTES, 'ARCHIVE_LIMIT_EXCEEDED');
  const jsonLimits = { maxValues: limits.maxJsonValues };
  const images = await documents.parse(bytes, dockerManifestCodec, 'manifest.json', jsonLimits);
  if (images !== null) return images;
  throw new StoreError(
    'ARCHIVE_MANIFEST_INVALID',
    'cannot read manifest.json of the archive: expected a list, found null',
  );
}

async function addImage(
  contents: ContentsBuilder,
  archive: DockerArchive,
  document: DockerImageDocument,
  at: number,
  choice: ImageChoice,
): Promise<DockerImage> {
  const where = `manifest.json: [${at}]`;
  const file = findFile(archive.tree, document.config);
  if (file === undefined)
    throw missing(`${where}: Config`, `the file ${JSON.stringify(document.config.slice(0, 200))}`);
  const config = await archive.builder.config(file);
  const platform = config.image.platform();
  const wanted = isWanted(choice.platforms, platform);
  const layers = (document.layers ?? []).map((name) => ({ name, file: findFile(archive.tree, name) }));
  if (wanted) {
    const staged = await archive.builder.layers(config, layers, where);
    contents.addImage(config, { parent: parentOf(document, where), staged });
  } else {
    choice.notice(`skipped ${config.id}: it is for ${formatPlatform(platform)}`);
  }
  return {
    image: config.id,
    tags: document.repoTags ?? [],
    isWanted: wanted,
    platform,
    files: [file.digest, ...layers.flatMap((layer) => (layer.file === undefined ? [] : [layer.file.digest]))],
  };
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

function missing(where: string, expected: string): StoreError {
  return new StoreError(
    'ARCHIVE_FILE_MISSING',
    `cannot read ${where}: expected ${expected} in the archive, found none`,
    {
      data: { where },
    },
  );
}
