import { StoreError } from '../../errors.js';
import { HASH_BYTES, type Sha256, sha256 } from '../../model/digest.js';
import { equalHashes, nodeHash } from './node-hash.js';

/** A tree, as a checkpoint commits to it. */
export interface TreeHead {
  /** Leaves of the tree. */
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * Returns when `proof` shows that leaf `index` of the tree has this hash (RFC 9162, section 2.1.3.2).
 * @throws {StoreError} PROOF_REJECTED, with the reason
 */
export function checkInclusion(
  { index, leafHash, tree }: { readonly index: number; readonly leafHash: Uint8Array; readonly tree: TreeHead },
  proof: readonly Uint8Array[],
  hash: Sha256 = sha256,
): void {
  const { size, root } = tree;
  if (!isCount(index) || !isCount(size) || index >= size)
    throw rejected(`a tree of ${size} leaves has no leaf ${index}`);
  needHashes([leafHash, root, ...proof]);
  let node = index;
  let last = size - 1;
  let found = leafHash;
  for (const sibling of proof) {
    if (last === 0) throw rejected(`it has ${proof.length} hashes, more than the way to the root`);
    const isRight = node % 2 === 1 || node === last;
    found = isRight ? nodeHash(sibling, found, hash) : nodeHash(found, sibling, hash);
    // The last node of a level may have no sibling there: it stands for itself further up.
    if (isRight) while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw rejected(`it has ${proof.length} hashes, fewer than the way to the root`);
  if (!equalHashes(found, root)) throw rejected('it leads to another root');
}

/**
 * Returns when `proof` shows that the tree `to` begins with the tree `from` (RFC 9162, section 2.1.4.2). The empty
 * tree is the beginning of every tree and needs no proof: one from it is refused, as transparency-dev/merkle does.
 * @throws {StoreError} PROOF_REJECTED, with the reason
 */
export function checkConsistency(
  { from, to }: { readonly from: TreeHead; readonly to: TreeHead },
  proof: readonly Uint8Array[],
  hash: Sha256 = sha256,
): void {
  if (!isCount(from.size) || !isCount(to.size) || from.size > to.size) {
    throw rejected(`a tree of ${to.size} leaves does not begin with one of ${from.size}`);
  }
  if (from.size === 0) throw rejected('the empty tree is the beginning of every tree, and proves nothing');
  needHashes(proof);
  if (from.size === to.size) {
    if (proof.length > 0) throw rejected(`it has ${proof.length} hashes, expected none`);
    if (!equalHashes(from.root, to.root)) throw rejected('the roots of one size differ');
    return;
  }
  needHashes([from.root, to.root]);
  const isPerfect = 2 ** Math.round(Math.log2(from.size)) === from.size;
  const [first, ...path] = isPerfect ? [from.root, ...proof] : proof;
  if (first === undefined || proof.length === 0) throw rejected('it has no hashes');
  const { oldRoot, newRoot } = foldConsistency({ from: from.size, to: to.size }, first, path, hash);
  if (!equalHashes(oldRoot, from.root)) throw rejected('it leads to another root of the smaller tree');
  if (!equalHashes(newRoot, to.root)) throw rejected('it leads to another root of the larger tree');
}

function foldConsistency(
  sizes: { readonly from: number; readonly to: number },
  first: Uint8Array,
  path: readonly Uint8Array[],
  hash: Sha256,
): { readonly oldRoot: Uint8Array; readonly newRoot: Uint8Array } {
  let node = sizes.from - 1;
  let last = sizes.to - 1;
  while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  let oldRoot = first;
  let newRoot = first;
  for (const sibling of path) {
    if (last === 0) throw rejected('it has more hashes than the way to the root');
    if (node % 2 === 1 || node === last) {
      oldRoot = nodeHash(sibling, oldRoot, hash);
      newRoot = nodeHash(sibling, newRoot, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      newRoot = nodeHash(newRoot, sibling, hash);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw rejected('it has fewer hashes than the way to the root');
  return { oldRoot, newRoot };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function needHashes(hashes: readonly Uint8Array[]): void {
  for (const { length } of hashes) {
    if (length !== HASH_BYTES) throw rejected(`a hash of it has ${length} bytes, expected ${HASH_BYTES}`);
  }
}

function rejected(why: string): StoreError {
  return new StoreError('PROOF_REJECTED', `the proof does not hold: ${why}`, { data: { why } });
}
