import type { ArchiveContents } from '../../archive/archive-files.js';
import { isForeignType, isIndexType } from '../../archive/documents.js';
import { readPushed } from '../../archive/read-pushed.js';
import { isStoreError, StoreError, thrownText } from '../../errors.js';
import { MAX_RECORD_BYTES } from '../../limits.js';
import { type Digest, isDigest } from '../../model/digest.js';
import { discardStaged, loadContents } from '../archives/load-archive.js';
import type { PushRequest, PushResult } from '../registry-store.js';
import type { WriteOptions } from '../store.js';
import { type Origin, originOf } from '../writer.js';
import { PushedFiles, type PushPlace } from './pushed-files.js';
import { checkedManifest, type PushedManifest } from './pushed-manifest.js';

/** What is wrong with an image as such: a registry keeps its manifest as it came. */
const NO_IMAGE = [
  'LAYER_INVALID',
  'LAYER_MISMATCH',
  'LAYER_MISSING',
  'COMPRESSION_INVALID',
  'CONFIG_INVALID',
  'CONFIG_TOO_LARGE',
  'HISTORY_INVALID',
  'ARCHIVE_MANIFEST_INVALID',
  'ARCHIVE_LIMIT_EXCEEDED',
] as const;

/** A lock that every push takes: no repository has this name. */
const EVERY_REPOSITORY = '';

/** Pushes a manifest or index in one transaction, by the decision that loads an archive. */
export async function loadPushed(request: PushRequest, options: WriteOptions, place: PushPlace): Promise<PushResult> {
  const { context } = place;
  const origin = originOf(options, context.actor);
  if (context.layerPlace !== 'own') throw new StoreError('LAYERS_UNAVAILABLE', 'this store keeps no files of layers');
  const pushed = checkedManifest(request);
  for (;;) {
    // What an index leads to and the tags of indexes change one push at a time.
    const isAlone = isIndexType(pushed.descriptor.mediaType) || isNamed(pushed, place);
    const push = async (): Promise<PushResult | undefined> => {
      if (!isAlone && isNamed(pushed, place)) return undefined;
      return tryOnce(pushed, { origin, place });
    };
    const inRepository = (): ReturnType<typeof push> =>
      place.locks.run(pushed.repository, isAlone ? 'alone' : 'shared', push);
    // Another repository must not get meanwhile what an index names before it is there.
    const isAhead = pushed.children.some(({ digest }) => isDigest(digest) && !place.context.log.content(digest));
    const result = await place.locks.run(EVERY_REPOSITORY, isAhead ? 'alone' : 'shared', inRepository);
    if (result !== undefined) return result;
  }
}

/** Whether an index of the repository names it. */
function isNamed({ repository, descriptor }: PushedManifest, { repositories }: PushPlace): boolean {
  return repositories.members(repository).indexesOf.has(descriptor.digest);
}

/** Where a push comes from and goes to. */
interface PushTry {
  readonly origin: Origin;
  readonly place: PushPlace;
}

/** Resolves with undefined if another push or a client took a staged blob meanwhile. */
async function tryOnce(pushed: PushedManifest, { origin, place }: PushTry): Promise<PushResult | undefined> {
  const files = new PushedFiles(pushed, place);
  try {
    return await loadOnce(pushed, files, { origin, place });
  } catch (error) {
    // It is elsewhere now, or the next try says that it is missing.
    if (isStoreError(error, 'IO_FAILED') && files.hasLostBlobs()) return undefined;
    throw isStoreError(error, 'RECORD_TOO_LARGE') ? tooManyNamed(pushed, error) : error;
  }
}

async function loadOnce(pushed: PushedManifest, files: PushedFiles, { origin, place }: PushTry): Promise<PushResult> {
  const unpin = files.pin();
  try {
    files.requireBlobs();
    const contents = await readContents(files, pushed, place);
    try {
      const { refreshed } = files;
      const options = { origin, overwrite: true, refreshed };
      const { notices, seq, references } = await loadContents(contents, options, place.context);
      const isKept = pushed.references.every((name) => references.some(({ reference }) => reference === name));
      if (!isKept) throw notKept(pushed, notices);
      const { name, subject, descriptor } = pushed;
      const unsettled = await settle(pushed, place);
      return { digest: descriptor.digest, name, subject, notices: [...notices, ...unsettled], seq };
    } finally {
      await discardStaged(contents, place.context);
    }
  } finally {
    unpin();
  }
}

/** The push is committed: that its staged blobs stay until they expire is only a notice. */
async function settle({ repository, blobs }: PushedManifest, { uploads }: PushPlace): Promise<readonly string[]> {
  try {
    await uploads.settle(
      repository,
      blobs.map(({ digest }) => digest),
    );
    return [];
  } catch (error) {
    return [`pushed, but its uploaded blobs stay until they expire: ${thrownText(error)}`];
  }
}

/** Reads what was pushed: as an image if it is one whose layers are here, else as it came. */
async function readContents(
  files: PushedFiles,
  pushed: PushedManifest,
  { context }: PushPlace,
): Promise<ArchiveContents> {
  const { descriptor, name, isArtifact } = pushed;
  const { digest, mediaType } = descriptor;
  const isKnown = (other: Digest): boolean => context.views.artifacts.byDigest.has(other);
  const options = {
    digestOf: (other: string) => files.digestOf(other),
    aliasOf: (other: Digest) => (other === digest && name !== digest ? name : undefined),
  };
  const asItCame = { ...options, isArtifact: (other: Digest) => other === digest || isKnown(other) };
  if (isArtifact) return readPushed(files, context.blobs, asItCame);
  const elsewhere = files.foreignElsewhere();
  try {
    // Another repository may have it without the layers that are here.
    const isOther = (other: Digest): boolean => other !== digest && isKnown(other);
    const isArtifactHere = pushed.blobs.some(({ mediaType: type }) => isForeignType(type)) ? isOther : isKnown;
    if (elsewhere === undefined) {
      return await readPushed(files, context.blobs, { ...options, isArtifact: isArtifactHere });
    }
    throw new StoreError('LAYER_MISSING', `its layer ${elsewhere} was not pushed`);
  } catch (error) {
    if (isIndexType(mediaType) || !NO_IMAGE.some((code) => isStoreError(error, code))) throw error;
    const contents = await readPushed(files, context.blobs, asItCame);
    const why = thrownText(error);
    return { ...contents, notices: [...contents.notices, `kept as it came, not as an image: ${why}`] };
  }
}

function tooManyNamed({ descriptor: { digest }, blobs, children }: PushedManifest, cause: StoreError): StoreError {
  const count = blobs.length + children.length;
  const message =
    `cannot take the manifest ${digest}: it names ${count} manifests and blobs, ` +
    `and an event that lists them has room for ${MAX_RECORD_BYTES} bytes`;
  return new StoreError('RECORD_TOO_LARGE', message, { cause, data: { ...cause.data, count } });
}

function notKept({ descriptor: { digest } }: PushedManifest, notices: readonly string[]): StoreError {
  const message = `cannot keep the manifest ${digest}: ${notices.join('; ')}`;
  return new StoreError('ARCHIVE_MANIFEST_INVALID', message, { data: { digest } });
}
