import type { Digest } from '../src/model/digest.js';
import type { Descriptor } from '../src/model/digest.js';
import type { ArtifactAdded, StoredEvent } from '../src/model/events.js';
import { readDescriptor, writeDescriptor } from './content.js';
import type { StoredProjection } from './projection.js';
import { addTo, takeFrom } from './references.js';
import { readList, readRows, writeList, writeRows } from './snapshot-format.js';

/** A manifest or index that is kept as it came, because it is no image. */
export interface ArtifactEntry {
  /** The manifest or index itself. */
  readonly artifact: Descriptor;
  /** `artifactType`, else the media type of its config; empty if neither says. */
  readonly artifactType: string;
  /** What it is about, which need not be in the store. */
  readonly subject?: Descriptor | undefined;
  /** Manifests of an index, in order; empty for a manifest. */
  readonly contains: readonly Descriptor[];
  /** Config and layers of a manifest, in order; empty for an index. */
  readonly blobs: readonly Descriptor[];
  /** Seq of the event that added it. */
  readonly seq: number;
  /** Time of that event, milliseconds since the epoch. */
  readonly time: number;
}

/** Artifacts in the order they were added, and which are about, or contain, a digest. */
export interface ArtifactsView {
  readonly byDigest: Map<Digest, ArtifactEntry>;
  /** Artifacts by the digest of their subject. */
  readonly bySubject: Map<Digest, Set<Digest>>;
  /** Indexes by the digest of what they contain. */
  readonly indexesOf: Map<Digest, Set<Digest>>;
}

/** Folds events into `ArtifactsView`. */
export const artifactsProjection: StoredProjection<ArtifactsView> = {
  name: 'artifacts',
  version: 1,
  folds: ['ArtifactAdded', 'ArtifactRemoved'],
  initial: emptyView,
  evolve(view, event) {
    if (event.type === 'ArtifactAdded') {
      remove(view, event.artifact.digest);
      add(view, entryOf(event));
    } else if (event.type === 'ArtifactRemoved') {
      remove(view, event.artifact.digest);
    }
    return view;
  },
  encode({ byDigest }) {
    const entries = [...byDigest.values()];
    return (out) =>
      writeRows(out, entries, ({ artifact, artifactType, subject, contains, blobs, seq, time }) => {
        const write = (descriptor: Descriptor): void => writeDescriptor(out, descriptor);
        write(artifact);
        out.word(artifactType);
        out.optional(subject, write);
        writeList(out, contains, write);
        writeList(out, blobs, write);
        out.uint(seq);
        out.uint(time);
      });
  },
  decode(input) {
    const view = emptyView();
    const read = (): Descriptor => readDescriptor(input);
    readRows(input, () =>
      add(view, {
        artifact: read(),
        artifactType: input.word(),
        subject: input.optional(read),
        contains: readList(input, read),
        blobs: readList(input, read),
        seq: input.uint(),
        time: input.uint(),
      }),
    );
    return view;
  },
};

function emptyView(): ArtifactsView {
  return { byDigest: new Map(), bySubject: new Map(), indexesOf: new Map() };
}

function entryOf(event: StoredEvent & ArtifactAdded): ArtifactEntry {
  const { artifact, artifactType, subject, contains, blobs, seq, time } = event;
  return { artifact, artifactType, subject, contains, blobs, seq, time };
}

function add(view: ArtifactsView, entry: ArtifactEntry): void {
  const { digest } = entry.artifact;
  view.byDigest.set(digest, entry);
  if (entry.subject !== undefined) addTo(view.bySubject, entry.subject.digest, digest);
  for (const contained of entry.contains) addTo(view.indexesOf, contained.digest, digest);
}

function remove(view: ArtifactsView, digest: Digest): void {
  const entry = view.byDigest.get(digest);
  if (entry === undefined) return;
  view.byDigest.delete(digest);
  if (entry.subject !== undefined) takeFrom(view.bySubject, entry.subject.digest, digest);
  for (const contained of entry.contains) takeFrom(view.indexesOf, contained.digest, digest);
}
