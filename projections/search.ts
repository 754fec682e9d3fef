import { StoreError } from '../src/errors.js';
import { type ImageId, isDigest } from '../src/model/digest.js';
import type { ImagesView } from './images-view.js';

/**
 * Returns the one id that `term` names or begins, with the answers of Docker's digest set (go-digest/digestset): a full id,
 * `sha256:` with some digits, or bare digits.
 * @throws {StoreError} IMAGE_NOT_FOUND when none does, or the term is empty; ID_AMBIGUOUS when several do
 */
export function searchImage({ index, digests }: ImagesView, term: string): ImageId {
  const [first, second] = index.findPrefix(term, 2);
  if (first === undefined) throw notFound(term);
  const found = digests.digest(first) as ImageId;
  if (second === undefined) return found;
  throw new StoreError('ID_AMBIGUOUS', `${JSON.stringify(term)} begins more than one image id`, {
    data: { term, candidates: [found, digests.digest(second)] },
  });
}

function notFound(term: string): StoreError {
  const what = isDigest(term) ? term : JSON.stringify(term.slice(0, 100));
  return new StoreError('IMAGE_NOT_FOUND', `no image has the id ${what} or an id that begins so`, { data: { term } });
}
