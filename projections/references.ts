import type { Descriptor, Digest, ImageId } from '../src/model/digest.js';
import type { Annotations, PlatformImage, ReferenceSet, StoredEvent } from '../src/model/events.js';
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
  /** Absent if the target is an artifact or an index without images. */
  readonly image?: ImageId | undefined;
  /** Its manifest, index or artifact, if it came with one. */
  readonly target?: Descriptor | undefined;
  /** Image of each platform, if the target is an index. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** Annotations of its descriptor in index.json. */
  readonly annotations?: Annotations | undefined;
  /** Annotations of the index.json it came with. */
  readonly layoutAnnotations?: Annotations | undefined;
  /** Seq of the event that set it. */
  readonly seq: number;
  readonly time: number;
}

/** References by name, by image, and by target where that is an index or an artifact. */
export interface ReferencesView {
  readonly byName: Map<string, ReferenceEntry>;
  readonly byImage: Map<ImageId, Set<string>>;
  readonly byTarget: Map<Digest, Set<string>>;
}

/** Returns the images of an entry: none, one, or one per platform. */
export function imagesOf(entry: Pick<ReferenceSet, 'image' | 'platforms'>): ImageId[] {
  const { image, platforms } = entry;
  if (image === undefined) return [];
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

/** Folds events into `ReferencesView`. */
export const referencesProjection: StoredProjection<ReferencesView> = {
  name: 'references',
  version: 2,
  folds: ['ReferenceSet', 'ReferenceRemoved'],
  initial: emptyView,
  evolve(view, event) {
    if (event.type === 'ReferenceSet') {
      // Replaced, not removed and added: a Map keeps a slot for each deleted key until it grows,
      // and a name that moves thousands of times would scan them all each time.
      forget(view, event.reference);
      const entry = entryOf(event);
      view.byName.set(event.reference, entry);
      point(view, entry);
    } else if (event.type === 'ReferenceRemoved') {
      forget(view, event.reference);
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
    const view = emptyView();
    readRows(input, () => void view.byImage.set(input.digest(), new Set()));
    const readEntry = entryReader(input);
    readRows(input, () => {
      const entry = readEntry();
      view.byName.set(entry.reference, entry);
    });
    // An image's names are in the order they were last set, entries in the order first set.
    for (const entry of [...view.byName.values()].sort((a, b) => a.seq - b.seq)) point(view, entry);
    return view;
  },
};

function emptyView(): ReferencesView {
  return { byName: new Map(), byImage: new Map(), byTarget: new Map() };
}

function writeEntry(out: SnapshotWriter, entry: ReferenceEntry): void {
  const { reference, image, target, platforms, seq, time, annotations, layoutAnnotations } = entry;
  out.text(reference);
  out.optionalDigest(image);
  out.optional(target, (descriptor) => writeDescriptor(out, descriptor));
  out.optional(platforms, (all) => writeList(out, all, (platform) => writePlatform(out, platform)));
  out.uint(seq);
  out.uint(time);
  out.optional(annotations, (texts) => writeTexts(out, texts));
  out.optional(layoutAnnotations, (texts) => writeTexts(out, texts));
}

function entryReader(input: SnapshotReader): () => ReferenceEntry {
  const readTarget = (): Descriptor => readDescriptor(input);
  const readPlatforms = (): PlatformImage[] => readList(input, () => readPlatform(input));
  const readAnnotations = (): Annotations => readTexts(input);
  return () => {
    const entry = {
      reference: input.text(),
      image: input.optionalDigest<ImageId>(),
      target: input.optional(readTarget),
      platforms: input.optional(readPlatforms),
      seq: input.uint(),
      time: input.uint(),
    };
    return withAnnotations(entry, {
      annotations: input.optional(readAnnotations),
      layoutAnnotations: input.optional(readAnnotations),
    });
  };
}

function writeTexts(out: SnapshotWriter, texts: Annotations): void {
  writeList(out, Object.keys(texts).sort(), (key) => {
    out.word(key);
    out.text(texts[key] ?? '');
  });
}

function readTexts(input: SnapshotReader): Annotations {
  return Object.fromEntries(readList(input, () => [input.word(), input.text()] as const));
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
  return withAnnotations({ reference, image, target, platforms, seq, time }, event);
}

// Few references have annotations: the others take no room for them.
function withAnnotations(
  entry: ReferenceEntry,
  { annotations, layoutAnnotations }: Pick<ReferenceSet, 'annotations' | 'layoutAnnotations'>,
): ReferenceEntry {
  return annotations === undefined && layoutAnnotations === undefined
    ? entry
    : { ...entry, annotations, layoutAnnotations };
}

function point(view: ReferencesView, entry: ReferenceEntry): void {
  for (const image of imagesOf(entry)) addTo(view.byImage, image, entry.reference);
  const index = indexOf(entry);
  if (index !== undefined) addTo(view.byTarget, index, entry.reference);
}

function forget(view: ReferencesView, reference: string): void {
  const entry = view.byName.get(reference);
  if (entry === undefined) return;
  for (const image of imagesOf(entry)) takeFrom(view.byImage, image, reference);
  const index = indexOf(entry);
  if (index !== undefined) takeFrom(view.byTarget, index, reference);
}

/** Returns the index or artifact an entry points at. The manifest of its only image is neither. */
export function indexOf({ image, target, platforms }: Pick<ReferenceSet, 'image' | 'target' | 'platforms'>) {
  return image === undefined || platforms !== undefined ? target?.digest : undefined;
}

/** Adds a value to the set of `key`. */
export function addTo<Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const values = sets.get(key);
  if (values === undefined) sets.set(key, new Set([value]));
  else values.add(value);
}

/** Removes a value from the set of `key`, and the set when it becomes empty. */
export function takeFrom<Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const values = sets.get(key);
  values?.delete(value);
  if (values?.size === 0) sets.delete(key);
}
