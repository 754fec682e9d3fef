import { isStoreError, StoreError } from '../errors.js';
import { familiarReference, parseReference } from '../model/reference.js';
import type { ReferenceEntry } from '../store/store.js';

const CUT = /^([^@]+)@((?:sha256:)?([0-9a-f]{7,63}))$/;
/** Fewer digits without `sha256:` are rather a name. */
const ID = /^(?:sha256:[0-9a-f]{1,64}|[0-9a-f]{7,64})$/;

/** Whether `name` may be an id, a digest, or its first digits. A reference of that name goes first. */
export function mayBeId(name: string): boolean {
  return ID.test(name);
}

/** Whether `name`, which failed as a reference with `error`, may be an id: other failures are the user's to hear. */
export function mayBeIdAfter(error: unknown, name: string): boolean {
  const isNone = isStoreError(error, 'REFERENCE_NOT_FOUND') || isStoreError(error, 'REFERENCE_INVALID');
  return isNone && mayBeId(name);
}

/** Returns the pattern of the references that a cut reference begins, removed ones too; any other text as it is. */
export function cutPattern(name: string): string {
  const [, repository, , hex] = CUT.exec(name) ?? [];
  if (repository === undefined || hex === undefined) return name;
  const { domain, path } = parseReference(repository);
  return `${domain}/${path}@sha256:${hex}*`;
}

/** Whether `name` is a repository and the first digits of a digest, as tables print it: `shop/app@ae9e5786ad5c`. */
export function isCutReference(name: string): boolean {
  return CUT.test(name);
}

/**
 * Returns the reference of the repository whose digest begins with these digits; undefined for what
 * is no cut reference.
 * @throws {StoreError} REFERENCE_INVALID for what is no repository; IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export function wholeReference(
  name: string,
  source: { referenceEntries(): readonly Pick<ReferenceEntry, 'reference'>[] },
): string | undefined {
  const [, repository, digits, hex] = CUT.exec(name) ?? [];
  if (repository === undefined || digits === undefined || hex === undefined) return undefined;
  // A tag beside a digest is redundant.
  const { domain, path } = parseReference(repository);
  const begin = `${domain}/${path}@sha256:${hex}`;
  const references = source.referenceEntries().map(({ reference }) => reference);
  const fitting = references.filter((reference) => reference.startsWith(begin));
  const [found] = fitting;
  if (found !== undefined && fitting.length === 1) return found;
  const cut = `the digest ${digits} is cut, and ${fitting.length} references of ${familiarReference(`${domain}/${path}`)}`;
  if (found !== undefined) throw ambiguous(name, fitting, `${cut} begin so`);
  throw new StoreError('IMAGE_NOT_FOUND', `cannot find the image ${JSON.stringify(name)}: ${cut} begin so`, {
    data: { name },
  });
}

/** The error for a name that means one of several references. */
export function ambiguous(name: string, candidates: readonly string[], why: string): StoreError {
  return new StoreError('ID_AMBIGUOUS', `cannot tell which image ${JSON.stringify(name)} is: ${why}`, {
    data: { name, candidates },
  });
}
