import type { Image } from '../model/image.js';
import type { DiffId, Digest, ImageId } from '../model/digest.js';
import type { Descriptor, PlatformImage } from '../model/events.js';

/**
 * Where the bytes of an archive wait until it is known what they are. The
 * store implements it; an archive reader only writes, reads back and discards.
 */
export interface Staging {
  /** Opens a new, empty staged file. */
  create(): Promise<StagedFile>;
}

/** One file being staged. Not durable until the store keeps it. */
export interface StagedFile {
  /** Appends `chunk`; resolves when more may be written. The bytes may be reused after that. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends writing. With the digest of all that was written, a staging area may begin at once to make it durable. */
  finish(digest?: Digest): Promise<void>;
  /** The bytes written so far, in chunks; after `finish`. */
  read(): AsyncIterable<Uint8Array>;
  /** Removes the file; nothing happens when it was kept or discarded already. */
  discard(): Promise<void>;
}

/** A staged file that was measured and proved to be the layer it claims to be. */
export interface StagedLayer {
  readonly file: StagedFile;
  /** The file as received. */
  readonly blob: Descriptor;
  /** Bytes of the regular files in the layer's tar. */
  readonly diffSize: number;
}

/** One position of an image's root filesystem. */
export interface ArchiveLayer {
  readonly diffId: DiffId;
  /** Absent when the archive does not hold it: then the store must know the chain. */
  readonly staged?: StagedLayer | undefined;
}

/** An OCI manifest that came with an image. Its bytes are in `ArchiveContents.content`. */
export interface ArchiveManifest {
  readonly descriptor: Descriptor;
  /** From the bottom up, as the manifest writes them. */
  readonly layers: readonly Descriptor[];
  /** The file of each of `layers`; undefined where the archive does not hold it. */
  readonly staged: readonly (StagedLayer | undefined)[];
}

/** One image of an archive, checked: config, layers and manifest fit together. */
export interface ArchiveImage {
  readonly id: ImageId;
  /** The exact config bytes. */
  readonly config: Uint8Array;
  readonly image: Image;
  readonly layers: readonly ArchiveLayer[];
  /** The parent that the archive claims; whether it is honoured is the store's decision. */
  readonly parent?: ImageId | undefined;
  /** The manifests that the archive holds of it: first the one that a name stands for directly. */
  readonly manifests: readonly ArchiveManifest[];
}

/** One name of an archive and what it stands for. */
export interface ArchiveReference {
  /** Canonical. */
  readonly reference: string;
  readonly image: ImageId;
  readonly target?: Descriptor | undefined;
  readonly platforms?: readonly PlatformImage[] | undefined;
}

/** All that an archive holds, decided after its last byte was seen. */
export interface ArchiveContents {
  /** Which layout gave the names: `docker` (manifest.json) or `oci` (index.json). */
  readonly format: 'docker' | 'oci';
  /** In the archive's order, each id once. */
  readonly images: readonly ArchiveImage[];
  /** In the archive's order, each reference once: the last one wins, as with Docker. */
  readonly references: readonly ArchiveReference[];
  /** Bytes of the manifests and indexes to keep, by digest. */
  readonly content: ReadonlyMap<Digest, Uint8Array>;
  /** What was passed over and why, as sentences for a person. */
  readonly notices: readonly string[];
  /** Removes every staged file that was not kept. */
  discard(): Promise<void>;
}
