import { blobName } from '../archive/archive-tree.js';
import { encodeDocument, fromDescriptor, indexCodec } from '../archive/documents.js';
import { CONTAINERD_NAME } from '../archive/names.js';
import { indexOf } from '../archive/saved-documents.js';
import { formatTarHeader, TAR_BLOCK_BYTES, tarPadding } from '../archive/tar-header.js';
import type { Descriptor } from '../model/digest.js';
import { blobsOf, type ContentTree, documentsOf } from './content-tree.js';

const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

interface LayoutOptions {
  /** The name of the root, canonical. */
  readonly name: string;
  readonly root: ContentTree;
  readonly referrers: readonly ContentTree[];
  /** Streams a blob; called once for each, in order. Its bytes are as many as its size says. */
  readonly open: (blob: Descriptor) => AsyncIterable<Uint8Array>;
}

/** Returns an OCI image layout of content that is elsewhere, as a tar. */
export function layoutTar(options: LayoutOptions): {
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
} {
  const trees = [options.root, ...options.referrers];
  const files = [
    { name: 'oci-layout', bytes: Buffer.from(LAYOUT) },
    { name: 'index.json', bytes: indexJson(options) },
    ...documentsOf(trees).map(({ descriptor, bytes }) => ({ name: blobName(descriptor.digest), bytes })),
  ];
  const blobs = layoutBlobs(trees);
  const sizes = [...files.map(({ bytes }) => bytes.length), ...blobs.map((blob) => blob.size)];
  const size = sizes.reduce((sum, each) => sum + TAR_BLOCK_BYTES + each + tarPadding(each).length, 2 * TAR_BLOCK_BYTES);
  return { size, chunks: packed(files, blobs, options) };
}

/** Returns the blobs of a layout in the order in which it opens them. */
export function layoutBlobs(trees: readonly ContentTree[]): readonly Descriptor[] {
  const documents = new Set(documentsOf(trees).map(({ descriptor }) => descriptor.digest));
  return blobsOf(trees).filter(({ digest }) => !documents.has(digest));
}

function indexJson({ name, root, referrers }: LayoutOptions): Uint8Array {
  const named = fromDescriptor(root.descriptor, { annotations: { [CONTAINERD_NAME]: name } });
  const others = referrers.map(({ descriptor }) => fromDescriptor(descriptor));
  return encodeDocument(indexOf([named, ...others]), indexCodec);
}

async function* packed(
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  blobs: readonly Descriptor[],
  { open }: LayoutOptions,
): AsyncGenerator<Uint8Array> {
  for (const { name, bytes } of files) {
    const header = formatTarHeader({ type: 'file', name, size: bytes.length });
    yield Buffer.concat([header, bytes, tarPadding(bytes.length)]);
  }
  for (const blob of blobs) {
    yield formatTarHeader({ type: 'file', name: blobName(blob.digest), size: blob.size });
    yield* open(blob);
    yield tarPadding(blob.size);
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}
