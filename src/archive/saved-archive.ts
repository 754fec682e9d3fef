import type { DiffId, Digest, ImageId } from '../model/digest.js';
import type { Descriptor, PlatformImage } from '../model/events.js';
import type { Image } from '../model/image.js';

/** One position of the root filesystem of an image to save. */
export interface SavedLayer {
  readonly diffId: DiffId;
  /** The file as it was received, compressed or not. */
  readonly blob: Descriptor;
}

/** A manifest that an image to save came with. */
export interface SavedManifest {
  readonly descriptor: Descriptor;
  /** From the bottom up. */
  readonly layers: readonly Descriptor[];
}

/** One image to save. */
export interface SavedImage {
  readonly id: ImageId;
  /** The exact config bytes. */
  readonly config: Uint8Array;
  readonly image: Image;
  /** From the bottom up; as many as the config has diff ids. */
  readonly layers: readonly SavedLayer[];
  /** Written only when it is among the saved images. */
  readonly parent?: ImageId | undefined;
  /** Manifests known for it, the preferred one first; one is made when there is none. */
  readonly manifests: readonly SavedManifest[];
}

/** One name to save. */
export interface SavedReference {
  /** Canonical. */
  readonly reference: string;
  readonly image: ImageId;
  /** The manifest or index that the name stands for, when it came with one. */
  readonly target?: Descriptor | undefined;
  /** The image of each platform when `target` is an index. */
  readonly platforms?: readonly PlatformImage[] | undefined;
}

/** What is to be saved, and where its bytes are. */
export interface SavedArchive {
  /** Each id once, in any order. */
  readonly images: readonly SavedImage[];
  /** Each name once, in any order; those whose images are not all saved are narrowed or left out. */
  readonly references: readonly SavedReference[];
  /** Returns the bytes of a manifest or index, or undefined when they are not there. */
  content(digest: Digest): Uint8Array | undefined;
  /** Whether `openBlob` can give this layer file. */
  hasBlob(digest: Digest): boolean;
  /** Gives the bytes of a layer file. Called once for each file, when its turn to be written comes; whoever reads the archive gets its very chunks. */
  openBlob(digest: Digest): AsyncIterable<Uint8Array>;
}
