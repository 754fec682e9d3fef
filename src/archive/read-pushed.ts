import type { Digest } from '../model/digest.js';
import type { ArchiveContents, Staging } from './archive-files.js';
import { TrackedStaging } from './archive-files.js';
import type { NamedFiles } from './archive-tree.js';
import { ContentsBuilder } from './contents-builder.js';
import { DocumentBudget } from './documents.js';
import { ImageBuilder } from './image-builder.js';
import { OciGraph } from './oci-graph.js';
import { addUnion } from './union.js';

/** Options of `readPushed`. */
interface ReadPushedOptions {
  /** Whether a manifest is kept as it came though it looks like that of an image. */
  readonly isArtifact: (digest: Digest) => boolean;
}

/**
 * Reads an OCI image layout whose files are where `files` finds them, as those that a registry was
 * pushed one by one. An index is kept also when nothing that it names is there yet.
 * @throws {StoreError} as `readArchive`
 */
export async function readPushed(
  files: NamedFiles,
  staging: Staging,
  { isArtifact }: ReadPushedOptions,
): Promise<ArchiveContents> {
  const tracked = new TrackedStaging(staging);
  const notices = new Set<string>();
  const notice = (text: string): void => void notices.add(text);
  const [documents, limits] = [new DocumentBudget(), {}];
  const builder = new ImageBuilder(tracked, documents, limits);
  const contents = new ContentsBuilder(files, builder);
  const complete = { top: true, platforms: false };
  const graph = new OciGraph(files, builder, { staging: tracked, documents, limits, complete, notice, isArtifact });
  const root = await graph.read();
  await addUnion(contents, [], root, documents, {
    platforms: [],
    allPlatforms: false,
    repository: undefined,
    maxImages: undefined,
    maxReferences: undefined,
    keepsBareIndexes: true,
    notice,
  });
  return { format: 'oci', ...contents.build(), notices: [...notices], discard: () => tracked.discard() };
}
