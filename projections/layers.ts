import type { ChainId, Descriptor, Digest, ImageId } from '../src/model/digest.js';
import type { LayerFacts } from '../src/model/events.js';
import { readDescriptor, writeDescriptor } from './content.js';
import type { StoredProjection } from './projection.js';
import { readList, readRows, writeList, writeRows } from './snapshot-format.js';
import { DigestIndex, DigestRows, grown, NO_ROW, roomFor } from './digest-index.js';

/** Layers by chain id, and the number of layers directly above each. */
export interface LayersView {
  readonly byChain: Map<ChainId, LayerFacts>;
  readonly childrenOf: Map<ChainId, number>;
}

/** Folds events into `LayersView`. */
export const layersProjection: StoredProjection<LayersView> = {
  name: 'layers',
  version: 1,
  folds: ['LayerAdded', 'LayerRemoved'],
  initial: () => ({ byChain: new Map(), childrenOf: new Map() }),
  evolve(view, event) {
    if (event.type === 'LayerAdded') {
      const { chainId, diffId, parent, size, diffSize, blob } = event;
      view.byChain.set(chainId, { chainId, diffId, parent, size, diffSize, blob });
      if (parent !== undefined) view.childrenOf.set(parent, (view.childrenOf.get(parent) ?? 0) + 1);
    } else if (event.type === 'LayerRemoved') {
      view.byChain.delete(event.chainId);
      if (event.parent !== undefined) dropChild(view, event.parent);
    }
    return view;
  },
  encode({ byChain, childrenOf }) {
    const [layers, children] = [[...byChain.values()], [...childrenOf]];
    return function* (out) {
      yield* writeRows(out, layers, ({ chainId, diffId, parent, size, diffSize, blob }) => {
        out.digest(chainId);
        out.digest(diffId);
        out.optionalDigest(parent);
        out.uint(size);
        out.uint(diffSize);
        writeDescriptor(out, blob);
      });
      yield* writeRows(out, children, ([chainId, count]) => {
        out.digest(chainId);
        out.uint(count);
      });
    };
  },
  decode(input) {
    const view: LayersView = { byChain: new Map(), childrenOf: new Map() };
    readRows(input, () => {
      const layer: LayerFacts = {
        chainId: input.digest(),
        diffId: input.digest(),
        parent: input.optionalDigest(),
        size: input.uint(),
        diffSize: input.uint(),
        blob: readDescriptor(input),
      };
      view.byChain.set(layer.chainId, layer);
    });
    readRows(input, () => void view.childrenOf.set(input.digest(), input.uint()));
    return view;
  },
};

function dropChild(view: LayersView, parent: ChainId): void {
  const left = (view.childrenOf.get(parent) ?? 0) - 1;
  if (left > 0) view.childrenOf.set(parent, left);
  else view.childrenOf.delete(parent);
}

/** Number of images per chain that is a root filesystem. A chain's row outlives its images. */
export class ChainUses {
  readonly digests: DigestRows;
  readonly index: DigestIndex;
  #uses: Uint32Array<ArrayBuffer>;

  /** Takes ownership of chains and their complete index; all counts are 0. */
  constructor(digests = new DigestRows(), index = new DigestIndex(digests)) {
    this.digests = digests;
    this.index = index;
    this.#uses = new Uint32Array(digests.room);
  }

  /** Returns the number of images with this chain. */
  of(chainId: ChainId): number {
    const row = this.index.find(chainId);
    return row === NO_ROW ? 0 : (this.#uses[row] as number);
  }

  /** Counts one image more, and returns the chain's row. */
  add(chainId: ChainId): number {
    let row = this.index.find(chainId);
    if (row === NO_ROW) row = this.#indexed(this.digests.push(chainId));
    this.addTo(row);
    return row;
  }

  /** As `add`, of the hash of 32 bytes at `start` of `hashes`. */
  addHash(hashes: Uint8Array, start: number): number {
    let row = this.index.findHash(hashes, start);
    if (row === NO_ROW) row = this.#indexed(this.digests.pushHash(hashes, start));
    this.addTo(row);
    return row;
  }

  #indexed(row: number): number {
    this.index.add(row);
    if (row >= this.#uses.length) this.#uses = grown(this.#uses, roomFor(row));
    return row;
  }

  /** Counts one image more. */
  addTo(row: number): void {
    this.#uses[row] = (this.#uses[row] as number) + 1;
  }

  /** Counts one image less. */
  drop(row: number): void {
    this.#uses[row] = (this.#uses[row] as number) - 1;
  }
}

interface BlobEntry {
  readonly size: number;
  readonly uses: number;
}

/** Files in use by a layer, by a manifest of an image, or by an artifact. */
export interface BlobsView {
  readonly byDigest: Map<Digest, BlobEntry>;
  /** Blobs named by an image's manifests, repeated for each naming. */
  readonly ofImage: Map<ImageId, readonly Descriptor[]>;
}

/** Folds events into `BlobsView`. */
export const blobsProjection: StoredProjection<BlobsView> = {
  name: 'blobs',
  version: 1,
  folds: ['LayerAdded', 'LayerRemoved', 'ManifestAdded', 'ImageDeleted', 'ArtifactAdded', 'ArtifactRemoved'],
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
      case 'ArtifactAdded':
        for (const blob of event.blobs) use(view, blob);
        break;
      case 'ArtifactRemoved':
        for (const blob of event.blobs) drop(view, blob);
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
