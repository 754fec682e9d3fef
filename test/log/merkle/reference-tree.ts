import { createHash } from 'node:crypto';

/*
 * The definitions of RFC 6962, section 2.1, word for word: what the tree is held against. A tree is the leaves from
 * `start` up to and without `end` of an array that only ever grows, so that the root of a range is computed once.
 */

interface Range {
  readonly start: number;
  readonly end: number;
}

const known = new WeakMap<readonly Uint8Array[], Map<string, Uint8Array>>();

/** MTH over leaf hashes. */
export function referenceRoot(leaves: readonly Uint8Array[], start = 0, end = leaves.length): Uint8Array {
  if (end === start) return sha256(new Uint8Array(0));
  if (end === start + 1) return leaves[start] as Uint8Array;
  const roots = known.get(leaves) ?? new Map<string, Uint8Array>();
  known.set(leaves, roots);
  const root = roots.get(`${start}-${end}`) ?? parentOf(leaves, { start, end });
  roots.set(`${start}-${end}`, root);
  return root;
}

function parentOf(leaves: readonly Uint8Array[], { start, end }: Range): Uint8Array {
  const middle = start + splitPoint(end - start);
  return sha256(Uint8Array.of(1, ...referenceRoot(leaves, start, middle), ...referenceRoot(leaves, middle, end)));
}

/** PATH(m, D[n]) of the first `size` leaves. */
export function referencePath(m: number, leaves: readonly Uint8Array[], size: number): Uint8Array[] {
  return path(m, leaves, { start: 0, end: size });
}

function path(m: number, leaves: readonly Uint8Array[], { start, end }: Range): Uint8Array[] {
  if (end === start + 1) return [];
  const k = splitPoint(end - start);
  const middle = start + k;
  return m < k
    ? [...path(m, leaves, { start, end: middle }), referenceRoot(leaves, middle, end)]
    : [...path(m - k, leaves, { start: middle, end }), referenceRoot(leaves, start, middle)];
}

/** PROOF(m, D[n]) of the first `size` leaves. */
export function referenceConsistency(m: number, leaves: readonly Uint8Array[], size: number): Uint8Array[] {
  return subProof(m, leaves, { start: 0, end: size }, true);
}

function subProof(m: number, leaves: readonly Uint8Array[], { start, end }: Range, isWhole: boolean): Uint8Array[] {
  if (m === end - start) return isWhole ? [] : [referenceRoot(leaves, start, end)];
  const k = splitPoint(end - start);
  const middle = start + k;
  return m <= k
    ? [...subProof(m, leaves, { start, end: middle }, isWhole), referenceRoot(leaves, middle, end)]
    : [...subProof(m - k, leaves, { start: middle, end }, false), referenceRoot(leaves, start, middle)];
}

function splitPoint(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}
