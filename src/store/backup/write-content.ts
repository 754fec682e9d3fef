import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { MAX_PACKED_CONTENT_BYTES } from '../../limits.js';
import type { ContentReader } from '../../log/log.js';
import { type Digest, digestOf } from '../../model/digest.js';
import { isExhaustion } from '../files/files.js';
import { contentPath, PACK_FOLDER } from './backup-layout.js';
import { BackupReader } from './backup-reader.js';
import type { BackupWriter } from './backup-writer.js';
import { PackBuild } from './pack.js';
import { type ExistingPack, planPacks } from './pack-plan.js';

/**
 * Starts to write the content that the backup lacks: what is small into packs, what is large into a
 * file of its own. Takes two readers of the same content, and closes them. Memory: 40 bytes and a
 * digest a content, and the packs being written.
 * @throws {StoreError} CONTENT_CORRUPT when content to be written has another digest; ABORTED
 */
export async function writeContent(
  writer: BackupWriter,
  [first, second]: readonly [ContentReader, ContentReader],
  signal: AbortSignal | undefined,
): Promise<void> {
  const small = await writeLargeContent(writer, first);
  const { kept, written } = planPacks(small, await packsOf(writer));
  for (const { path } of kept) writer.need(path);
  if (written.size > 0) {
    for await (const { name, bytes } of newPacks(second, written, signal)) {
      // A crash here leaves the new pack beside those that it replaces: content is in both.
      await writer.start(`${PACK_FOLDER}/${name}`, bytes);
    }
  }
  // Lets erasure from now on free disk space that this reader would pin.
  await second.close();
}

/** Writes content that does not go into packs; resolves with the sizes of what does. */
async function writeLargeContent(writer: BackupWriter, content: ContentReader): Promise<Map<Digest, number>> {
  const small = new Map<Digest, number>();
  for await (const page of content.pages()) {
    for (const { digest, bytes } of page) {
      const path = contentPath(digest);
      if (bytes.length <= MAX_PACKED_CONTENT_BYTES) {
        small.set(digest, bytes.length);
        continue;
      }
      writer.need(path);
      if (writer.there.get(path) === bytes.length) continue;
      if (digestOf(bytes) !== digest) throw contentCorrupt(digest);
      await writer.start(path, bytes);
    }
  }
  await content.close();
  return small;
}

/** Resolves with the packs in the backup whose head is whole; others are written again. */
async function packsOf(writer: BackupWriter): Promise<ExistingPack[]> {
  const reader = new BackupReader(writer.directory);
  const packs: ExistingPack[] = [];
  for (const path of writer.there.keys()) {
    if (!path.startsWith(`${PACK_FOLDER}/`)) continue;
    try {
      packs.push({ path, head: await reader.packHead(path) });
    } catch (error) {
      if (!isStoreError(error) || isExhaustion(error)) throw error;
    }
  }
  return packs;
}

/** Yields packs with the chosen content, each as full as it can be. */
async function* newPacks(
  content: ContentReader,
  chosen: ReadonlySet<Digest>,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReturnType<PackBuild['finish']>> {
  let pack = new PackBuild();
  for await (const page of content.pages()) {
    throwIfAborted(signal);
    for (const { digest, bytes } of page) {
      if (!chosen.has(digest)) continue;
      if (digestOf(bytes) !== digest) throw contentCorrupt(digest);
      if (!pack.hasRoomFor(bytes.length)) {
        yield pack.finish();
        pack = new PackBuild();
      }
      pack.add(digest, bytes);
    }
  }
  if (!pack.isEmpty) yield pack.finish();
}

function contentCorrupt(digest: Digest): StoreError {
  return new StoreError('CONTENT_CORRUPT', `cannot back up the content ${digest}: its bytes have another digest`, {
    data: { digest },
  });
}
