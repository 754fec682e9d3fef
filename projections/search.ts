import { StoreError } from '../src/errors.js';
import { type ImageId, isDigest } from '../src/model/digest.js';
import type { StoredProjection } from './projection.js';
import { SnapshotDamage } from './snapshot-damage.js';
import { readList, writeList, writeRows } from './snapshot-rows.js';

/** Hex digits that choose a bucket: 4,096 of them, so that a million images are 244 to each. */
const BUCKET_DIGITS = 3;
const BUCKETS = 16 ** BUCKET_DIGITS;
const SHA256 = 'sha256:';

/**
 * Image ids by prefix, with the answers of Docker's digest set (go-digest/digestset): a full id, `sha256:`
 * with some digits, or bare digits. Ids stand in buckets by their first digits; a bucket is sorted when it is
 * asked after a change, so that a replay sorts nothing.
 */
export class SearchView {
  readonly #buckets: ImageId[][];
  readonly #isUnsorted = new Uint8Array(BUCKETS);

  /** Makes a view of what `buckets` of another gave; of no ids without it. */
  constructor(buckets: ImageId[][] = Array.from({ length: BUCKETS }, () => [])) {
    this.#buckets = buckets;
    this.#isUnsorted.fill(1);
  }

  /** Adds an id; one that is there already stays there once. */
  add(id: ImageId): void {
    const index = bucketIndex(id);
    this.#buckets[index]?.push(id);
    this.#isUnsorted[index] = 1;
  }

  remove(id: ImageId): void {
    const index = bucketIndex(id);
    // Looked through as it is: a replay would sort it again for every image that was deleted.
    this.#buckets[index] = (this.#buckets[index] as ImageId[]).filter((other) => other !== id);
  }

  /**
   * Returns the one id that `term` names or begins.
   * @throws {StoreError} IMAGE_NOT_FOUND when none does, or the term is empty; ID_AMBIGUOUS when several do
   */
  find(term: string): ImageId {
    const prefix = term.startsWith(SHA256) ? term : SHA256 + term;
    const hexDigits = prefix.length - SHA256.length;
    if (hexDigits === 0 || !/^[0-9a-f]{1,64}$/.test(prefix.slice(SHA256.length))) throw notFound(term);
    const found = this.#firstTwo(prefix, hexDigits);
    if (found[0] === undefined) throw notFound(term);
    if (found[1] === undefined) return found[0];
    throw new StoreError('ID_AMBIGUOUS', `${JSON.stringify(term)} begins more than one image id`, {
      data: { term, candidates: found },
    });
  }

  /** Returns the ids in their buckets, copied. */
  buckets(): ImageId[][] {
    return this.#buckets.map((bucket) => bucket.slice());
  }

  #firstTwo(prefix: string, hexDigits: number): ImageId[] {
    const digits = prefix.slice(SHA256.length, SHA256.length + BUCKET_DIGITS);
    const first = Number.parseInt(digits.padEnd(BUCKET_DIGITS, '0'), 16);
    const span = 16 ** Math.max(0, BUCKET_DIGITS - hexDigits);
    const found: ImageId[] = [];
    for (let index = first; index < first + span && found.length < 2; index++) {
      const bucket = this.#sortedBucket(index);
      for (let at = lowerBound(bucket, prefix); at < bucket.length && found.length < 2; at++) {
        const id = bucket[at] as ImageId;
        if (!id.startsWith(prefix)) break;
        found.push(id);
      }
    }
    return found;
  }

  #sortedBucket(index: number): ImageId[] {
    if (this.#isUnsorted[index] === 1) {
      this.#buckets[index] = [...new Set(this.#buckets[index])].sort();
      this.#isUnsorted[index] = 0;
    }
    return this.#buckets[index] as ImageId[];
  }
}

function bucketIndex(id: ImageId): number {
  let index = 0;
  for (let at = SHA256.length; at < SHA256.length + BUCKET_DIGITS; at++) {
    const code = id.charCodeAt(at);
    index = index * 16 + (code < 0x3a ? code - 0x30 : code - 0x57);
  }
  return index;
}

function notFound(term: string): StoreError {
  const what = isDigest(term) ? term : JSON.stringify(term.slice(0, 100));
  return new StoreError('IMAGE_NOT_FOUND', `no image has the id ${what} or an id that begins so`, { data: { term } });
}

/** Index of the first id in sorted `ids` that is not before `key`. */
function lowerBound(ids: readonly string[], key: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const searchProjection: StoredProjection<SearchView> = {
  name: 'search',
  version: 1,
  initial: () => new SearchView(),
  evolve(view, event) {
    if (event.type === 'ImageCreated') view.add(event.image);
    else if (event.type === 'ImageDeleted') view.remove(event.image);
    return view;
  },
  encode(view) {
    const buckets = view.buckets();
    return (out) => writeRows(out, buckets, (bucket) => writeList(out, bucket, (id) => out.digest(id)));
  },
  decode(input) {
    const readId = (): ImageId => input.digest();
    const buckets = readList(input, () => readList(input, readId));
    if (buckets.length !== BUCKETS) throw new SnapshotDamage(`it has ${buckets.length} buckets, expected ${BUCKETS}`);
    return new SearchView(buckets);
  },
};
