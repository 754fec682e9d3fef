import type { ArchiveContents, StagedFile } from '../../src/archive/archive-files.js';
import type { SavedArchive } from '../../src/archive/saved-documents.js';
import { writeArchive, type WriteArchiveOptions } from '../../src/archive/write-archive.js';
import type { Digest } from '../../src/model/digest.js';
import { collect } from '../support/build-tar.js';

/** What was read, ready to be saved again; every layer must have been in the archive. */
export function toSaved(contents: ArchiveContents): SavedArchive {
  const blobs = new Map<Digest, StagedFile>();
  const images = contents.images.map((image) => {
    for (const { staged } of image.manifests)
      for (const layer of staged) if (layer) blobs.set(layer.blob.digest, layer.file);
    const layers = image.layers.map(({ diffId, staged }) => {
      if (staged === undefined) throw new Error(`the layer ${diffId} is not in the archive`);
      blobs.set(staged.blob.digest, staged.file);
      return { diffId, blob: staged.blob };
    });
    return { ...image, layers };
  });
  for (const { blobs: named, staged } of contents.artifacts) {
    for (const [at, { digest }] of named.entries()) {
      const file = staged[at];
      if (file !== undefined) blobs.set(digest, file);
    }
  }
  return {
    images,
    references: contents.references,
    artifacts: contents.artifacts,
    artifact: (digest) => contents.artifacts.find(({ descriptor }) => descriptor.digest === digest),
    referrers: (digest) => contents.artifacts.filter(({ subject }) => subject?.digest === digest),
    content: (digest) => contents.content.get(digest),
    hasBlob: (digest) => blobs.has(digest),
    openBlob: (digest) => {
      const file = blobs.get(digest);
      if (file === undefined) throw new Error(`no blob ${digest}`);
      return file.read();
    },
  };
}

/** The bytes of the archive of `saved`; checks the size that was foretold. */
export async function savedBytes(saved: SavedArchive, options: WriteArchiveOptions): Promise<Uint8Array> {
  const { size, chunks } = writeArchive(saved, options);
  const bytes = await collect(chunks);
  if (bytes.length !== size) throw new Error(`expected ${size} bytes, found ${bytes.length}`);
  return bytes;
}
