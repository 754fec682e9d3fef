import type { Descriptor, ImageId } from '../src/model/digest.js';
import type { PlatformImage, ReferenceSet, StoredEvent } from '../src/model/events.js';
import { readDescriptor, writeDescriptor } from './content.js';
import type { StoredProjection } from './projection.js';
import {
  readList,
  readRows,
  type SnapshotReader,
  type SnapshotWriter,
  writeList,
  writeRows,
} from './snapshot-format.js';

/** What a reference points at. */
export interface ReferenceEntry {
  readonly reference: string;
  readonly image: ImageId;
  /** Its manifest or index, if it came with one. */
  readonly target?: Descriptor | undefined;
  /** Image of each platform, if the target is an index. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** Seq of the event that set it. */
  readonly seq: number;
  readonly time: number;
}

/** References by name, and by image. */
export interface ReferencesView {
  readonly byName: Map<string, ReferenceEntry>;
  readonly byImage: Map<ImageId, Set<string>>;
}

/** Returns the images of an entry: one, or one per platform. */
export function imagesOf(entry: Pick<ReferenceSet, 'image' | 'platforms'>): ImageId[] {
  const { image, platforms } = entry;
  return platforms === undefined ? [image] : [...new Set([image, ...platforms.map((platform) => platform.image)])];
}

/** What a reference resolves to: an image, or one for each platform, and their manifest or index. */
type ReferenceTarget = Pick<ReferenceEntry, 'image' | 'platforms'> & {
  readonly target?: Pick<Descriptor, 'digest'> | undefined;
};

/** Whether moving a reference from one target to the other is no change. */
export function sameTarget(one: ReferenceTarget, other: ReferenceTarget): boolean {
  if (one.image !== other.image || one.target?.digest !== other.target?.digest) return false;
  return samePlatforms(one.platforms, other.platforms);
}

/** Whether two lists name the same images for the same platforms in the same order; absent is empty. */
export function samePlatforms(before: readonly PlatformImage[] = [], after: readonly PlatformImage[] = []): boolean {
  return (
    before.length === after.length && before.every((platform, at) => samePlatform(platform, after[at] as PlatformImage))
  );
}

/** Whether two entries name the same image for the same platform, by its name and not by what is compatible. */
export function samePlatform(one: PlatformImage, other: PlatformImage): boolean {
  return (
    one.image === other.image &&
    one.os === other.os &&
    one.architecture === other.architecture &&
    (one.variant ?? '') === (other.variant ?? '')
  );
}

export const referencesProjection: StoredProjection<ReferencesView> = {
  name: 'references',
  version: 1,
  initial: () => ({ byName: new Map(), byImage: new Map() }),
  evolve(view, event) {
    if (event.type === 'ReferenceSet') {
      // Replaced, not removed and added: a Map keeps a slot for each deleted key until it grows,
      // and a name that moves thousands of times would scan them all each time.
      forgetImages(view, event.reference);
      const entry = entryOf(event);
      view.byName.set(event.reference, entry);
      nameImages(view, entry);
    } else if (event.type === 'ReferenceRemoved') {
      forgetImages(view, event.reference);
      view.byName.delete(event.reference);
    }
    return view;
  },
  encode({ byName, byImage }) {
    const [images, entries] = [[...byImage.keys()], [...byName.values()]];
    return function* (out) {
      // Images in order; their names follow from the entries.
      yield* writeRows(out, images, (image) => out.digest(image));
      yield* writeRows(out, entries, (entry) => writeEntry(out, entry));
    };
  },
  decode(input) {
    const view: ReferencesView = { byName: new Map(), byImage: new Map() };
    readRows(input, () => void view.byImage.set(input.digest(), new Set()));
    const readEntry = entryReader(input);
    readRows(input, () => {
      const entry = readEntry();
      view.byName.set(entry.reference, entry);
    });
    // An image's names are in the order they were last set, entries in the order first set.
    for (const entry of [...view.byName.values()].sort((a, b) => a.seq - b.seq)) nameImages(view, entry);
    return view;
  },
};

function writeEntry(out: SnapshotWriter, { reference, image, target, platforms, seq, time }: ReferenceEntry): void {
  out.text(reference);
  out.digest(image);
  out.optional(target, (descriptor) => writeDescriptor(out, descriptor));
  out.optional(platforms, (all) => writeList(out, all, (platform) => writePlatform(out, platform)));
  out.uint(seq);
  out.uint(time);
}

function entryReader(input: SnapshotReader): () => ReferenceEntry {
  const readTarget = (): Descriptor => readDescriptor(input);
  const readPlatforms = (): PlatformImage[] => readList(input, () => readPlatform(input));
  return () => ({
    reference: input.text(),
    image: input.digest(),
    target: input.optional(readTarget),
    platforms: input.optional(readPlatforms),
    seq: input.uint(),
    time: input.uint(),
  });
}

function writePlatform(out: SnapshotWriter, { image, os, architecture, variant }: PlatformImage): void {
  out.digest(image);
  out.word(os);
  out.word(architecture);
  out.optional(variant, (text) => out.word(text));
}

function readPlatform(input: SnapshotReader): PlatformImage {
  return {
    image: input.digest(),
    os: input.word(),
    architecture: input.word(),
    variant: input.optional(() => input.word()),
  };
}

function entryOf(event: StoredEvent & ReferenceSet): ReferenceEntry {
  const { reference, image, target, platforms, seq, time } = event;
  return { reference, image, target, platforms, seq, time };
}

function nameImages(view: ReferencesView, entry: ReferenceEntry): void {
  for (const image of imagesOf(entry)) {
    const names = view.byImage.get(image);
    if (names === undefined) view.byImage.set(image, new Set([entry.reference]));
    else names.add(entry.reference);
  }
}

function forgetImages(view: ReferencesView, reference: string): void {
  const entry = view.byName.get(reference);
  if (entry === undefined) return;
  for (const image of imagesOf(entry)) {
    const names = view.byImage.get(image);
    names?.delete(reference);
    if (names?.size === 0) view.byImage.delete(image);
  }
}
