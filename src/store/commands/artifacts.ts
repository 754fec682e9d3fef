import { imagesOf, indexOf, type ReferenceEntry } from '../../../projections/references.js';
import type { ArtifactEntry } from '../../../projections/artifacts.js';
import { StoreError } from '../../errors.js';
import type { Digest, ImageId } from '../../model/digest.js';
import type { ArtifactRemoved, ReferenceRemoved } from '../../model/events.js';
import type { Decide, DecisionState } from './decision.js';

/*
 * An artifact is held by the references that point at it, by the indexes that contain it, and by
 * its subject while that is there: an image (by config or manifest), what a reference points at, or
 * another artifact. Nothing is removed for being held by nothing: it dangles, like an image. But
 * what goes away takes along the artifacts that only it held.
 */

/** What a command removes. */
interface Leaving {
  readonly images?: readonly ImageId[] | undefined;
  /** Entries of references, as they were. */
  readonly references?: readonly ReferenceEntry[] | undefined;
  readonly artifacts?: readonly Digest[] | undefined;
}

/** What holds artifacts, as a key: digests of artifacts and images never equal a reference. */
type Holder = string;

/**
 * Returns the events that remove artifacts together with `leaving`: those named there, and those
 * that nothing else holds, however deep. Artifacts that hold each other in a circle go together.
 */
export function removeArtifacts(state: DecisionState, leaving: Leaving): ArtifactRemoved[] {
  return artifactsLeaving(state, leaving).map(({ artifact, subject, blobs }) => ({
    type: 'ArtifactRemoved',
    artifact,
    subject,
    blobs,
  }));
}

function artifactsLeaving(state: DecisionState, leaving: Leaving): ArtifactEntry[] {
  const { images = [], references = [], artifacts = [] } = leaving;
  const gone = new Set<Holder>([...images, ...references.map(({ reference }) => reference), ...artifacts]);
  const reached = reachedFrom(state, leaving);
  const kept: Digest[] = [];
  for (const digest of reached.keys()) {
    if (gone.has(digest)) continue;
    for (const holder of holdersOf(state, digest)) {
      if (gone.has(holder) || reached.has(holder as Digest)) continue;
      kept.push(digest);
      break;
    }
  }
  // What stays keeps what it holds.
  const staying = new Set(kept);
  for (const digest of kept) {
    for (const held of heldByArtifact(state, digest)) {
      if (!reached.has(held) || gone.has(held) || staying.has(held)) continue;
      staying.add(held);
      kept.push(held);
    }
  }
  return [...reached].filter(([digest]) => !staying.has(digest)).map(([, entry]) => entry);
}

/** Returns the artifacts that `leaving` holds, directly or through others, in that order. */
function reachedFrom(state: DecisionState, { images, references, artifacts }: Leaving): Map<Digest, ArtifactEntry> {
  const reached = new Map<Digest, ArtifactEntry>();
  const queue: Digest[] = [];
  const reach = (digest: Digest): void => {
    const entry = reached.has(digest) ? undefined : state.artifact(digest);
    if (entry === undefined) return;
    reached.set(digest, entry);
    queue.push(digest);
  };
  artifacts?.forEach(reach);
  for (const entry of references ?? []) {
    const digest = indexOf(entry);
    if (digest !== undefined) [digest, ...state.artifactsAbout(digest)].forEach(reach);
  }
  for (const image of images ?? []) {
    state.artifactsAbout(image).forEach(reach);
    for (const { manifest } of state.manifests(image)) state.artifactsAbout(manifest.digest).forEach(reach);
  }
  for (const digest of queue) heldByArtifact(state, digest).forEach(reach);
  return reached;
}

function heldByArtifact(state: DecisionState, digest: Digest): Digest[] {
  const contained = state.artifact(digest)?.contains.map((descriptor) => descriptor.digest) ?? [];
  return [...state.artifactsAbout(digest), ...contained];
}

/** Yields what holds an artifact: references, images and artifacts. */
function* holdersOf(state: DecisionState, digest: Digest): Generator<Holder> {
  yield* state.referencesTo(digest);
  yield* state.indexesOf(digest);
  const subject = state.artifact(digest)?.subject?.digest;
  if (subject === undefined) return;
  yield* state.referencesTo(subject);
  if (state.artifact(subject) !== undefined) yield subject;
  const image = state.imageOf(subject);
  if (image !== undefined) yield image;
}

/**
 * Decides `deleteArtifact`: removes the artifact and those that only it held. With `force` also
 * when something holds it; references that point at it are removed then.
 * @throws {StoreError} as a decision: ARTIFACT_NOT_FOUND, ARTIFACT_IN_USE
 */
export function decideDeleteArtifact(digest: Digest, force: boolean): Decide<readonly Digest[]> {
  return (state) => {
    if (state.artifact(digest) === undefined) throw artifactNotFound(digest);
    if (!force) refuseHeld(state, digest);
    const references = state.referencesTo(digest).flatMap((name) => state.reference(name) ?? []);
    const removed = removeArtifacts(state, { artifacts: [digest], references });
    const result = removed.map(({ artifact }) => artifact.digest);
    return { events: [...references.map(referenceRemoved), ...removed], result };
  };
}

function refuseHeld(state: DecisionState, digest: Digest): void {
  // One of a circle is held only by what goes with it.
  const reached = reachedFrom(state, { artifacts: [digest] });
  const holders = [...holdersOf(state, digest)].filter((holder) => !reached.has(holder as Digest));
  const [first] = holders;
  if (first === undefined) return;
  const more = holders.length === 1 ? '' : ` and ${holders.length - 1} more`;
  throw new StoreError('ARTIFACT_IN_USE', `cannot remove the artifact ${digest}: it is held by ${first}${more}`, {
    data: { artifact: digest, holders },
  });
}

/** Creates ARTIFACT_NOT_FOUND. */
export function artifactNotFound(digest: string): StoreError {
  const shown = digest.slice(0, 100);
  return new StoreError('ARTIFACT_NOT_FOUND', `no artifact ${shown}`, { data: { artifact: shown } });
}

/** Returns the event that removes a reference. */
export function referenceRemoved({ reference, image, target, platforms }: ReferenceEntry): ReferenceRemoved {
  const removed = { type: 'ReferenceRemoved', reference, image, platforms } as const;
  return image === undefined ? { ...removed, target: target?.digest } : removed;
}

/**
 * Returns the error for a reference that is asked for an image and has none.
 * `artifactType` is empty for an index, and where it is unknown.
 */
export function referenceNotImage(
  { reference, target }: Pick<ReferenceEntry, 'reference' | 'target'>,
  artifactType: string,
): StoreError {
  const kind = artifactType === '' ? (target?.mediaType ?? '') : artifactType;
  return new StoreError(
    'REFERENCE_NOT_IMAGE',
    `${reference} is no image: it is the artifact ${target?.digest} (${kind})`,
    {
      data: { reference, artifact: target?.digest, artifactType: kind },
    },
  );
}

/** Returns what an entry points at: images, or the index or artifact, for messages and comparison. */
export function pointsAt(entry: ReferenceEntry): readonly Digest[] {
  const images = imagesOf(entry);
  return images.length > 0 || entry.target === undefined ? images : [entry.target.digest];
}
