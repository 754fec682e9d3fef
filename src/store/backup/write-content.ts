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
 * Starts to write the content that the backup lacks: small content into packs, large content into
 * its own files. Takes two readers of the same content, and closes them. Memory: a digest and its
 * size for each content, and the packs being written.
 * @throws {StoreError} CONTENT_CORRUPT when content to be written has another digest; ABORTED
 */
export async function writeContent(
  writer: BackupWriter,
  [first, second]: readonly [ContentReader, ContentReader],
  signal: AbortSignal | undefined,
): Promise<void> {
  const packs = await packsOf(writer);
  if (packs.length === 0) {
    // Nothing to plan: all of it is new.
    await first.close();
    await writePacks(writer, second, { signal });
  } else {
    const { kept, written } = planPacks(await writeLargeContent(writer, first), packs);
    for (const { path } of kept) writer.need(path);
    if (written.size > 0) await writePacks(writer, second, { chosen: written, signal });
  }
  // Lets erasure from now on free disk space that this reader would pin.
  await second.close();
}

/** Writes content that does not go into packs; resolves with the sizes of what does. */
async function writeLargeContent(writer: BackupWriter, content: ContentReader): Promise<Map<Digest, number>> {
  const small = new Map<Digest, number>();
  for await (const page of content.pages()) {
    for (const { digest, bytes } of page) {
      if (bytes.length <= MAX_PACKED_CONTENT_BYTES) small.set(digest, bytes.length);
      else await writeLarge(writer, digest, bytes);
    }
  }
  await content.close();
  return small;
}

async function writeLarge(writer: BackupWriter, digest: Digest, bytes: Uint8Array): Promise<void> {
  const path = contentPath(digest);
  writer.need(path);
  if (writer.there.get(path) === bytes.length) return;
  if (digestOf(bytes) !== digest) throw contentCorrupt(digest);
  await writer.start(path, bytes);
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

interface ChosenContent {
  /** Small content; absent for all that there is, small or large. */
  readonly chosen?: ReadonlySet<Digest>;
  readonly signal: AbortSignal | undefined;
}

/** Starts to write packs with the chosen content, each as full as it can be. */
async function writePacks(
  writer: BackupWriter,
  content: ContentReader,
  { chosen, signal }: ChosenContent,
): Promise<void> {
  let pack = new PackBuild();
  const end = async (): Promise<void> => {
    const { name, bytes } = pack.finish();
    // A crash here leaves the new pack beside those that it replaces: content is in both.
    await writer.start(`${PACK_FOLDER}/${name}`, bytes);
    pack = new PackBuild();
  };
  for await (const page of content.pages()) {
    throwIfAborted(signal);
    for (const { digest, bytes } of page) {
      if (chosen?.has(digest) === false) continue;
      if (bytes.length > MAX_PACKED_CONTENT_BYTES) {
        await writeLarge(writer, digest, bytes);
        continue;
      }
      if (digestOf(bytes) !== digest) throw contentCorrupt(digest);
      if (!pack.hasRoomFor(bytes.length)) await end();
      pack.add(digest, bytes);
    }
  }
  if (!pack.isEmpty) await end();
}

function contentCorrupt(digest: Digest): StoreError {
  return new StoreError('CONTENT_CORRUPT', `cannot back up the content ${digest}: its bytes have another digest`, {
    data: { digest },
  });
}
