import type { Digest, ImageId } from '../src/model/digest.js';
import type { Descriptor } from '../src/model/events.js';
import { readDescriptor, writeDescriptor } from './descriptor-codec.js';
import type { StoredProjection } from './projection.js';
import { readList, readRows, writeList, writeRows } from './snapshot-rows.js';

/** A layer file that something needs. */
export interface BlobEntry {
  readonly size: number;
  readonly uses: number;
}

/** Which layer files are needed: by a layer, or by a manifest of an image. */
export interface BlobsView {
  readonly byDigest: Map<Digest, BlobEntry>;
  /** The blobs that the manifests of an image name, once for each naming. */
  readonly ofImage: Map<ImageId, readonly Descriptor[]>;
}

export const blobsProjection: StoredProjection<BlobsView> = {
  name: 'blobs',
  version: 1,
  initial: () => ({ byDigest: new Map(), ofImage: new Map() }),
  evolve(view, event) {
    switch (event.type) {
      case 'LayerAdded':
        use(view, event.blob);
        break;
      case 'LayerRemoved':
        drop(view, event.blob);
        break;
      case 'ManifestAdded':
        for (const blob of event.layers) use(view, blob);
        view.ofImage.set(event.image, [...(view.ofImage.get(event.image) ?? []), ...event.layers]);
        break;
      case 'ImageDeleted':
        for (const blob of view.ofImage.get(event.image) ?? []) drop(view, blob);
        view.ofImage.delete(event.image);
        break;
      default:
    }
    return view;
  },
  encode({ byDigest, ofImage }) {
    const [blobs, images] = [[...byDigest], [...ofImage]];
    return function* (out) {
      yield* writeRows(out, blobs, ([digest, { size, uses }]) => {
        out.digest(digest);
        out.uint(size);
        out.uint(uses);
      });
      yield* writeRows(out, images, ([image, descriptors]) => {
        out.digest(image);
        writeList(out, descriptors, (descriptor) => writeDescriptor(out, descriptor));
      });
    };
  },
  decode(input) {
    const view: BlobsView = { byDigest: new Map(), ofImage: new Map() };
    const readOne = (): Descriptor => readDescriptor(input);
    readRows(input, () => void view.byDigest.set(input.digest(), { size: input.uint(), uses: input.uint() }));
    readRows(input, () => void view.ofImage.set(input.digest(), readList(input, readOne)));
    return view;
  },
};

function use(view: BlobsView, { digest, size }: Descriptor): void {
  view.byDigest.set(digest, { size, uses: (view.byDigest.get(digest)?.uses ?? 0) + 1 });
}

function drop(view: BlobsView, { digest, size }: Descriptor): void {
  const uses = (view.byDigest.get(digest)?.uses ?? 0) - 1;
  if (uses > 0) view.byDigest.set(digest, { size, uses });
  else view.byDigest.delete(digest);
}
