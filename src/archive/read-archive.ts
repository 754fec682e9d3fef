import { StoreError } from '../errors.js';
import { MAX_LEGACY_CONFIG_BYTES } from '../limits.js';
import type { ContentName, Digest } from '../model/digest.js';
import type { Platform } from '../model/platform.js';
import {
  abortable,
  type ArchiveContents,
  type ArchiveFile,
  type StagedFile,
  type Staging,
  TrackedStaging,
} from './archive-files.js';
import { type ArchiveLimits, type ArchiveTree, isBlobName, type NamedFiles, scanArchive } from './archive-tree.js';
import { ContentsBuilder } from './contents-builder.js';
import { addDockerImages } from './docker-archive.js';
import { DocumentBudget } from './documents.js';
import { ImageBuilder } from './image-builder.js';
import { OciGraph } from './oci-graph.js';
import { addUnion } from './union.js';

/** Options for reading an archive. */
export interface ReadArchiveOptions {
  /** Keep only images of these platforms, each of which must be there; others become notices. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Refuse an archive lacking a platform its index names; else skip it with a notice. */
  readonly allPlatforms?: boolean | undefined;
  /** Repository for names in index.json that are only a tag. */
  readonly repository?: string | undefined;
  /** Called with the running total of source bytes, before decompression. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Overrides of the limits in limits.ts. */
  readonly limits?: ArchiveLimits | undefined;
}

/**
 * Reads a `docker save` or OCI image layout archive, plain or compressed as a whole, in one pass.
 * The result is fully checked but nothing is decided for a store. Layers wait in `staging`; call
 * `discard` on the contents once the store has kept what it wants. Memory: small files and a few
 * chunks. Always closes the source; leaves nothing in `staging` on rejection.
 * @throws {StoreError} ARCHIVE_INVALID if it is neither, ARCHIVE_TRUNCATED, COMPRESSION_INVALID,
 *   ARCHIVE_NAME_UNSAFE, ARCHIVE_LINK_INVALID, ARCHIVE_FILE_MISSING,
 *   ARCHIVE_MANIFEST_INVALID, ARCHIVE_LIMIT_EXCEEDED, BLOB_MISMATCH, CONFIG_INVALID,
 *   CONFIG_TOO_LARGE, LAYER_INVALID, LAYER_MISMATCH, REFERENCE_INVALID, PLATFORM_NOT_FOUND, ABORTED
 */
export async function readArchive(
  source: AsyncIterable<Uint8Array>,
  staging: Staging,
  options: ReadArchiveOptions = {},
): Promise<ArchiveContents> {
  const tracked = new TrackedStaging(staging);
  try {
    const notices = new Set<string>();
    const notice = (text: string): void => void notices.add(text);
    const { tree, isEnded } = await scanArchive(abortable(source, options), tracked, options.limits, notice);
    const read = await readLayout(tree, tracked, options, notice).catch((error: unknown) => {
      throw isEnded ? error : asTruncated(error);
    });
    const contents = { ...read, notices: [...notices] };
    await tracked.discard(stagedFiles(contents));
    return contents;
  } catch (error) {
    await discardAfter(error, tracked);
    throw error;
  }
}

async function readLayout(
  tree: ArchiveTree,
  staging: TrackedStaging,
  options: ReadArchiveOptions,
  notice: (text: string) => void,
): Promise<Omit<ArchiveContents, 'notices'>> {
  const limits = options.limits ?? {};
  const documents = new DocumentBudget(limits.maxDocumentBytes);
  const builder = new ImageBuilder(staging, documents, limits);
  const contents = new ContentsBuilder(tree, builder);
  const format = detectLayout(tree);
  const { platforms = [], allPlatforms = false, repository } = options;
  const { maxImages, maxReferences } = limits;
  const choice = { platforms, allPlatforms, repository, maxImages, maxReferences, notice };
  const docker = await addDockerImages(contents, { tree, builder, documents, limits }, choice);
  const complete = { top: format === 'oci', platforms: allPlatforms };
  const graph = new OciGraph(tree, builder, { staging, documents, limits, complete, notice });
  const hasLayout = isLayout(tree, format);
  if (!hasLayout && tree.file('index.json') !== undefined) notice('skipped index.json: the archive has no oci-layout');
  const root = hasLayout ? await graph.read() : { children: [], annotations: {} };
  await addUnion(contents, docker, root, documents, choice);
  await noteUnreached(tree, new Set([...graph.reached, ...docker.flatMap(({ files }) => files)]), notice);
  return { format, ...contents.build(), discard: () => staging.discard() };
}

/** What a tar without its end blocks lacks was probably cut off. */
function asTruncated(error: unknown): unknown {
  if (!(error instanceof StoreError) || !['ARCHIVE_INVALID', 'ARCHIVE_FILE_MISSING'].includes(error.code)) return error;
  const message = `${error.message}; the tar ends without its end blocks`;
  return new StoreError('ARCHIVE_TRUNCATED', message, { cause: error, data: error.data });
}

/** A layout beside manifest.json counts only if it is whole. */
function isLayout(tree: ArchiveTree, format: 'docker' | 'oci'): boolean {
  return format === 'oci' || (tree.file('index.json') !== undefined && tree.file('oci-layout') !== undefined);
}

/** Blobs shown in the notice about those that nothing names. */
const SHOWN_BLOBS = 3;

async function noteUnreached(
  tree: ArchiveTree,
  reached: ReadonlySet<string>,
  notice: (text: string) => void,
): Promise<void> {
  const left: Digest[] = [];
  for (const [name, file] of tree.files()) {
    if (isBlobName(name) && !reached.has(file.digest) && !(await isLegacyConfig(file))) left.push(file.digest);
  }
  if (left.length === 0) return;
  const shown = left.slice(0, SHOWN_BLOBS).join(', ');
  const more = left.length > SHOWN_BLOBS ? ` and ${left.length - SHOWN_BLOBS} more` : '';
  notice(
    `skipped ${left.length} ${left.length === 1 ? 'blob' : 'blobs'} that nothing in the archive names: ${shown}${more}`,
  );
}

/** Docker writes a config of its format before 1.10 for each layer, which nothing reads. */
async function isLegacyConfig(file: ArchiveFile): Promise<boolean> {
  if (file.size > MAX_LEGACY_CONFIG_BYTES) return false;
  const text = Buffer.from(await file.read()).toString('utf8');
  return text.startsWith('{') && text.includes('"container_config"') && !text.includes('"rootfs"');
}

function detectLayout(tree: ArchiveTree): 'docker' | 'oci' {
  if (tree.file('manifest.json') !== undefined) {
    if (tree.file('version') === undefined) return 'docker';
    throw notAnArchive(
      'the dir form of skopeo and podman: turn it into one with skopeo copy dir:FOLDER docker-archive:FILE',
    );
  }
  if (tree.file('index.json') !== undefined || tree.file('oci-layout') !== undefined) return 'oci';
  throw notAnArchive(foundInstead(tree));
}

function foundInstead(tree: ArchiveTree): string {
  if (tree.file('repositories') !== undefined) return 'only repositories, as Docker before 1.10 wrote it';
  const names = tree.names();
  const folder = names
    .map((name) => /^([^/]+)\/(manifest\.json|oci-layout)$/.exec(name)?.[1])
    .find((each) => each !== undefined);
  if (folder !== undefined) {
    const shown = JSON.stringify(folder.slice(0, 80));
    return `its files inside the folder ${shown}: pack what is in it (tar -C ${shown} -cf FILE .)`;
  }
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 80)));
  return shown.length === 0 ? 'a tar with nothing in it' : `only ${shown.join(', ')}`;
}

function notAnArchive(found: string): StoreError {
  return new StoreError(
    'ARCHIVE_INVALID',
    `cannot read the archive: expected manifest.json (docker save) or index.json (OCI image layout), found ${found}`,
  );
}

function stagedFiles(contents: ArchiveContents): ReadonlySet<StagedFile> {
  const files = new Set<StagedFile>();
  for (const { staged } of contents.artifacts) for (const file of staged) if (file !== undefined) files.add(file);
  for (const { layers, manifests } of contents.images) {
    for (const { staged } of layers) if (staged !== undefined) files.add(staged.file);
    for (const manifest of manifests)
      for (const staged of manifest.staged) if (staged !== undefined) files.add(staged.file);
  }
  for (const { staged } of contents.artifacts) for (const file of staged) if (file !== undefined) files.add(file);
  return files;
}

/** Discards staged files; a failure to do so is reported along with the original error. */
async function discardAfter(error: unknown, staging: TrackedStaging): Promise<void> {
  try {
    await staging.discard();
  } catch (failure) {
    throw new StoreError('IO_FAILED', 'could not read the archive, nor remove what was staged of it', {
      cause: new AggregateError([error, failure]),
    });
  }
}

/** Options of `readPushed`. */
interface ReadPushedOptions {
  /** Whether a manifest is kept as it came though it looks like that of an image. */
  readonly isArtifact: (digest: Digest) => boolean;
  /** Returns the SHA-256 digest of what a document names by another one. */
  readonly digestOf: (name: ContentName) => Digest | undefined;
  /** Another digest by which a name may call a document. */
  readonly aliasOf: (digest: Digest) => ContentName | undefined;
}

/**
 * Reads an OCI image layout whose files are where `files` finds them, as those that a registry was
 * pushed one by one. An index is kept also when nothing that it names is there yet.
 * @throws {StoreError} as `readArchive`
 */
export async function readPushed(
  files: NamedFiles,
  staging: Staging,
  { isArtifact, digestOf, aliasOf }: ReadPushedOptions,
): Promise<ArchiveContents> {
  const tracked = new TrackedStaging(staging);
  const notices = new Set<string>();
  const notice = (text: string): void => void notices.add(text);
  const [documents, limits] = [new DocumentBudget(), {}];
  const builder = new ImageBuilder(tracked, documents, limits);
  const contents = new ContentsBuilder(files, builder);
  const complete = { top: true, platforms: false };
  const graph = new OciGraph(files, builder, {
    staging: tracked,
    documents,
    limits,
    complete,
    notice,
    isArtifact,
    digestOf,
  });
  const root = await graph.read();
  await addUnion(contents, [], root, documents, {
    platforms: [],
    allPlatforms: false,
    repository: undefined,
    maxImages: undefined,
    maxReferences: undefined,
    keepsBareIndexes: true,
    aliasOf,
    notice,
  });
  return { format: 'oci', ...contents.build(), notices: [...notices], discard: () => tracked.discard() };
}
