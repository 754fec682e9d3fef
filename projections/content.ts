import type { ContentErased, Envelope, StoredEvent } from '../src/model/events.js';
import { factsOf } from '../src/model/event-table.js';
import {
  readList,
  readRows,
  type SnapshotReader,
  type SnapshotWriter,
  writeList,
  writeRows,
} from './snapshot-format.js';
import type { Descriptor, Digest, ImageId } from '../src/model/digest.js';
import type { StoredProjection } from './projection.js';

/** Writes a descriptor to a snapshot. */
export function writeDescriptor(out: SnapshotWriter, { digest, size, mediaType }: Descriptor): void {
  out.digest(digest);
  out.uint(size);
  out.word(mediaType);
}

/** Reads the next descriptor of a snapshot. */
export function readDescriptor(input: SnapshotReader): Descriptor {
  return { digest: input.digest(), size: input.uint(), mediaType: input.word() };
}

/** A manifest of an image. */
export interface ManifestEntry {
  readonly manifest: Descriptor;
  /** Layer blobs, bottom first. */
  readonly layers: readonly Descriptor[];
}

/** Manifests by image, in the order they were added. */
type ManifestsView = Map<ImageId, readonly ManifestEntry[]>;

/** Folds events into `ManifestsView`. */
export const manifestsProjection: StoredProjection<ManifestsView> = {
  name: 'manifests',
  version: 1,
  folds: ['ManifestAdded', 'ImageDeleted'],
  initial: () => new Map(),
  evolve(view, event) {
    if (event.type === 'ManifestAdded') {
      const { image, manifest, layers } = event;
      view.set(image, [...(view.get(image) ?? []), { manifest, layers }]);
    } else if (event.type === 'ImageDeleted') {
      view.delete(event.image);
    }
    return view;
  },
  encode(view) {
    const images = [...view];
    return (out) =>
      writeRows(out, images, ([image, entries]) => {
        out.digest(image);
        writeList(out, entries, ({ manifest, layers }) => {
          writeDescriptor(out, manifest);
          writeList(out, layers, (layer) => writeDescriptor(out, layer));
        });
      });
  },
  decode(input) {
    const view: ManifestsView = new Map();
    const readOne = (): Descriptor => readDescriptor(input);
    const readEntry = (): ManifestEntry => ({ manifest: readOne(), layers: readList(input, readOne) });
    readRows(input, () => void view.set(input.digest(), readList(input, readEntry)));
    return view;
  },
};

/** When, by whom and why content was erased. */
export interface Erasure extends Pick<Envelope, 'seq' | 'time' | 'actor' | 'reason'> {
  readonly digest: Digest;
  /** Bytes removed. */
  readonly size: number;
}

/** Erased content that did not return, by digest, in the order of erasure. */
export type ErasuresView = Map<Digest, Erasure>;

/** Folds events into `ErasuresView`. */
export const erasuresProjection: StoredProjection<ErasuresView> = {
  name: 'erasures',
  version: 1,
  folds: ['ContentErased', 'ImageCreated', 'ManifestAdded', 'LayerAdded', 'ReferenceSet', 'ArtifactAdded'],
  initial: () => new Map(),
  evolve(view, event) {
    if (event.type === 'ContentErased') {
      // Keep only the last erasure, in its own place.
      view.delete(event.digest);
      view.set(event.digest, erasureOf(event));
    } else if (view.size > 0) {
      const { content, blobs } = factsOf(event);
      const named = content(event);
      if (named !== undefined) view.delete(named.digest);
      for (const { digest } of blobs(event)) view.delete(digest);
    }
    return view;
  },
  encode(view) {
    const erasures = [...view.values()];
    return (out) =>
      writeRows(out, erasures, ({ digest, seq, time, actor, reason, size }) => {
        out.digest(digest);
        out.uint(seq);
        out.uint(time);
        out.word(actor);
        out.optional(reason, (text) => out.word(text));
        out.uint(size);
      });
  },
  decode(input) {
    const view: ErasuresView = new Map();
    readRows(input, () => {
      const digest = input.digest();
      const [seq, time, actor] = [input.uint(), input.uint(), input.word()];
      const reason = input.optional(() => input.word());
      view.set(digest, { digest, seq, time, actor, reason, size: input.uint() });
    });
    return view;
  },
};

function erasureOf({ digest, size, seq, time, actor, reason }: StoredEvent & ContentErased): Erasure {
  return { digest, size, seq, time, actor, reason };
}
