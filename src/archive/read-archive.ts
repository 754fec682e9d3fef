import { StoreError } from '../errors.js';
import type { Platform } from '../model/platform.js';
import { abortable, type ArchiveContents, type StagedFile, type Staging, TrackedStaging } from './archive-files.js';
import { type ArchiveLimits, type ArchiveTree, scanArchive } from './archive-tree.js';
import { ContentsBuilder } from './contents-builder.js';
import { addDockerImages } from './docker-archive.js';
import { DocumentBudget } from './documents.js';
import { ImageBuilder, OciGraph } from './oci-graph.js';
import { addOciImages } from './oci-archive.js';

/** Options for reading an archive. */
export interface ReadArchiveOptions {
  /** Keep only images of this platform; skipped ones become notices. */
  readonly platform?: Platform | undefined;
  /** Refuse an archive lacking a platform its index names; else skip it with a notice. */
  readonly allPlatforms?: boolean | undefined;
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
  const choice = { platform: options.platform, maxImages: limits.maxImages, notice };
  const complete = { top: format === 'oci', platforms: options.allPlatforms ?? false };
  const graph = new OciGraph(tree, builder, { documents, limits, complete, notice });
  if (format === 'oci') {
    await addOciImages(contents, await graph.read(), choice);
  } else {
    const isBoth = tree.file('index.json') !== undefined && tree.file('oci-layout') !== undefined;
    const oci = isBoth ? await graph.read() : [];
    await addDockerImages(contents, { tree, builder, documents, limits, oci }, choice);
  }
  return { format, ...contents.build(), artifacts: [], discard: () => staging.discard() };
}

/** What a tar without its end blocks lacks was probably cut off. */
function asTruncated(error: unknown): unknown {
  if (!(error instanceof StoreError) || !['ARCHIVE_INVALID', 'ARCHIVE_FILE_MISSING'].includes(error.code)) return error;
  const message = `${error.message}; the tar ends without its end blocks`;
  return new StoreError('ARCHIVE_TRUNCATED', message, { cause: error, data: error.data });
}

function detectLayout(tree: ArchiveTree): 'docker' | 'oci' {
  if (tree.file('manifest.json') !== undefined) return 'docker';
  if (tree.file('index.json') !== undefined || tree.file('oci-layout') !== undefined) return 'oci';
  const isOld = tree.file('repositories') !== undefined;
  const shown = tree
    .names()
    .slice(0, 3)
    .map((name) => JSON.stringify(name.slice(0, 80)));
  const found = isOld
    ? 'only repositories, as Docker before 1.10 wrote it'
    : `a tar with ${shown.join(', ') || 'nothing in it'}`;
  throw new StoreError(
    'ARCHIVE_INVALID',
    `cannot read the archive: expected manifest.json (docker save) or index.json (OCI image layout), found ${found}`,
  );
}

function stagedFiles(contents: ArchiveContents): ReadonlySet<StagedFile> {
  const files = new Set<StagedFile>();
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
