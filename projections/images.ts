import { type DigestColumns, finished, packImages } from './image-columns.js';
import { ImagesView } from './images-view.js';
import type { StoredProjection } from './projection.js';
import { readFloats, readHashes, readNumbers, writeColumn } from './snapshot-columns.js';
import type { SnapshotReader } from './snapshot-reader.js';
import type { SnapshotWriter } from './snapshot-writer.js';

/** Every image with its parent. Children, heads and what a prefix of an id names are questions to this view. */
export const imagesProjection: StoredProjection<ImagesView> = {
  name: 'images',
  version: 2,
  initial: () => new ImagesView(),
  evolve(view, event) {
    switch (event.type) {
      case 'ImageCreated':
        view.add(event.image, { seq: event.seq, chainId: event.chainId });
        break;
      case 'ImageDeleted':
        view.remove(event.image);
        if (view.isSparse) return new ImagesView(finished(packImages(view.copy())));
        break;
      case 'ParentSet':
        view.link(event.image, event.parent);
        break;
      case 'ParentCleared':
        view.unlink(event.image);
        break;
      default:
    }
    return view;
  },
  encode(view) {
    const copy = view.copy();
    return function* (out) {
      const { digests, seqs, chainOf, parents, chains } = yield* packImages(copy);
      out.uint(seqs.length);
      out.uint(chains.order.length);
      yield* writeDigests(out, digests);
      yield* writeColumn(out, seqs);
      yield* writeColumn(out, chainOf);
      yield* writeColumn(out, parents);
      yield* writeDigests(out, chains);
    };
  },
  decode(input) {
    const [images, chains] = [input.uint(), input.uint()];
    return new ImagesView({
      digests: readDigests(input, images),
      seqs: readFloats(input, images),
      chainOf: readNumbers(input, images),
      parents: readNumbers(input, images),
      chains: readDigests(input, chains),
    });
  },
};

function* writeDigests(out: SnapshotWriter, { hashes, order }: DigestColumns): Generator<void> {
  yield* writeColumn(out, hashes);
  yield* writeColumn(out, order);
}

function readDigests(input: SnapshotReader, count: number): DigestColumns {
  return { hashes: readHashes(input, count), order: readNumbers(input, count) };
}
