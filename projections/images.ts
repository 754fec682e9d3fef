import { type DigestColumns, type ImageIds, ImagesView, packImages } from './image-table.js';
import type { StoredProjection } from './projection.js';
import {
  readFloats,
  readHashes,
  readNumbers,
  type SnapshotReader,
  type SnapshotWriter,
  writeColumn,
} from './snapshot-format.js';
import { type ImageId, isDigest } from '../src/model/digest.js';
import type { ImageCreated } from '../src/model/events.js';
import { type Instant, instantOf, type Timestamp } from '../src/model/timestamp.js';
import { type DigestRows, NO_ROW } from './digest-index.js';
import { finished } from '../src/model/steps.js';
import { StoreError } from '../src/errors.js';

/** Every image with its parent; also answers for children, heads and id prefixes. */
export const imagesProjection: StoredProjection<ImagesView> = {
  name: 'images',
  version: 3,
  folds: ['ImageCreated', 'ImageDeleted', 'ParentSet', 'ParentCleared'],
  initial: () => new ImagesView(),
  evolve(view, event) {
    switch (event.type) {
      case 'ImageCreated':
        view.add(event.image, { seq: event.seq, chainId: event.chainId, created: createdIn(event) });
        break;
      case 'ImageDeleted':
        view.remove(event.image);
        return compacted(view);
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
      const { digests, seqs, chainOf, parents, times, chains } = yield* packImages(copy);
      out.uint(seqs.length);
      out.uint(chains.order.length);
      yield* writeDigests(out, digests);
      yield* writeColumn(out, seqs);
      yield* writeColumn(out, chainOf);
      yield* writeColumn(out, parents);
      yield* writeColumn(out, times.seconds);
      yield* writeColumn(out, times.nanoseconds);
      yield* writeDigests(out, chains);
    };
  },
  decode(input, more) {
    const [images, chains] = [input.uint(), input.uint()];
    // Not every event adds an image: room for as many again at most.
    const room = Math.min(more, images);
    return new ImagesView({
      digests: readDigests(input, images, room),
      seqs: readFloats(input, images, room),
      chainOf: readNumbers(input, images, room),
      parents: readNumbers(input, images, room),
      times: { seconds: readFloats(input, images, room), nanoseconds: readNumbers(input, images, room) },
      chains: readDigests(input, chains, room),
    });
  },
};

/** Returns the view, or one without the rows of deleted images once these are most of them. */
export function compacted(view: ImagesView): ImagesView {
  return view.isSparse ? new ImagesView(finished(packImages(view.copy()))) : view;
}

/** Returns the time of creation by the config; undefined without one that is a time. */
export function createdIn({ created }: Pick<ImageCreated, 'created'>): Instant | undefined {
  const instant = created === undefined ? undefined : instantOf(created as Timestamp);
  return instant === undefined || Number.isNaN(instant.seconds) ? undefined : instant;
}

function* writeDigests(out: SnapshotWriter, { hashes, order }: DigestColumns): Generator<void> {
  yield* writeColumn(out, hashes);
  yield* writeColumn(out, order);
}

function readDigests(input: SnapshotReader, count: number, more: number): DigestColumns {
  return { hashes: readHashes(input, count, more), order: readNumbers(input, count) };
}

/** Up to this many children, insertion sort is faster. */
const FEW_CHILDREN = 12;

/** Returns the parent of `id`, if any. */
export function parentOf({ index, tree, digests }: ImagesView, id: ImageId): ImageId | undefined {
  const row = index.find(id);
  const parent = row === NO_ROW ? NO_ROW : tree.parent(row);
  return parent === NO_ROW ? undefined : (digests.digest(parent) as ImageId);
}

/** Returns the sorted children of `id`; none for an unknown image. */
export function childrenOf({ index, tree, digests }: ImagesView, id: ImageId): ImageId[] {
  const row = index.find(id);
  if (row === NO_ROW) return [];
  const child = tree.firstChild(row);
  if (child === NO_ROW) return [];
  if (tree.nextSibling(child) === NO_ROW) return [digests.digest(child) as ImageId];
  const rows = tree.children(row);
  if (rows.length > FEW_CHILDREN) rows.sort((one, other) => digests.compare(one, other));
  else insertionSort(rows, digests);
  const ids: ImageId[] = [];
  for (const each of rows) ids.push(digests.digest(each) as ImageId);
  return ids;
}

/** Whether `id` has children. */
export function hasChildren({ index, tree }: ImagesView, id: ImageId): boolean {
  const row = index.find(id);
  return row !== NO_ROW && tree.hasChildren(row);
}

function insertionSort(rows: number[], digests: DigestRows): void {
  for (let at = 1; at < rows.length; at++) {
    const row = rows[at] as number;
    let to = at;
    for (; to > 0 && digests.compare(rows[to - 1] as number, row) > 0; to--) rows[to] = rows[to - 1] as number;
    rows[to] = row;
  }
}

/** Snapshot of the images without children, in creation order. Scans all images. */
export function headsOf(images: ImagesView): ImageIds {
  return images.idsWhere((row) => !images.tree.hasChildren(row));
}

/**
 * Resolves a full id, `sha256:` with some digits, or bare digits to the one matching id, like
 * Docker's digest set (go-digest/digestset).
 * @throws {StoreError} IMAGE_NOT_FOUND for no match or an empty term; ID_AMBIGUOUS for several
 */
export function searchImage({ index, digests }: ImagesView, term: string): ImageId {
  const row = index.findOnly(term);
  if (row >= 0) return digests.digest(row) as ImageId;
  if (row === NO_ROW) throw notFound(term);
  throw new StoreError('ID_AMBIGUOUS', `${JSON.stringify(term)} begins more than one image id`, {
    data: { term, candidates: index.findPrefix(term, 2).map((each) => digests.digest(each)) },
  });
}

function notFound(term: string): StoreError {
  const what = isDigest(term) ? term : JSON.stringify(term.slice(0, 100));
  return new StoreError('IMAGE_NOT_FOUND', `no image has the id ${what} or an id that begins so`, { data: { term } });
}
