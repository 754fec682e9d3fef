import type { ContentName, Digest } from '../model/digest.js';
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
