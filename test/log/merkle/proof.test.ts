import test from 'ava';
import {
  checkConsistency,
  checkInclusion,
  Frontier,
  proveConsistency,
  proveInclusion,
  treeRoot,
} from '../../../src/log/merkle.js';
import { bytesToHex } from '../../../src/model/digest.js';
import { fixtureRows } from '../../support/fixtures.js';
import { storeError } from '../../support/store-error.js';
import { memoryTree } from './memory-tiles.js';
import { referenceConsistency, referencePath, referenceRoot } from './reference-tree.js';

const LARGEST = 130;
const { leaves, reader } = memoryTree(LARGEST);
const roots = Array.from({ length: LARGEST + 1 }, (_, size) => referenceRoot(leaves, 0, size));
const tree = (size: number) => ({ size, root: roots[size] as Uint8Array });

// Texts are compared, for comparing ten thousand arrays of bytes takes ava half a minute.
const hexOf = (hashes: readonly Uint8Array[]): string => hashes.map(bytesToHex).join(' ');

/** The proof with each of its bits flipped, one at a time. */
function* flipped(proof: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (let at = 0; at < proof.length; at++) {
    for (let bit = 0; bit < 256; bit++) {
      const copy = proof.map((hash) => hash.slice());
      const hash = copy[at] as Uint8Array;
      hash[bit >> 3] = (hash[bit >> 3] as number) ^ (1 << (bit & 7));
      yield copy;
    }
  }
}

test(`the roots of every tree to ${LARGEST} leaves are those of RFC 6962, grown, read back and from tiles`, async (t) => {
  const grown = new Frontier();
  for (let size = 0; size <= LARGEST; size++) {
    t.deepEqual(grown.root(), roots[size]);
    t.deepEqual((await Frontier.read(reader, size)).root(), roots[size]);
    t.deepEqual(await treeRoot(reader, size), roots[size]);
    if (size < LARGEST) grown.append(leaves[size] as Uint8Array);
  }
});

test(`every inclusion proof to ${LARGEST} leaves is that of RFC 6962, and holds`, async (t) => {
  for (let size = 1; size <= LARGEST; size++) {
    for (let index = 0; index < size; index++) {
      const proof = await proveInclusion(reader, index, size);
      t.is(hexOf(proof), hexOf(referencePath(index, leaves, size)));
      checkInclusion({ index, leafHash: leaves[index] as Uint8Array, tree: tree(size) }, proof);
    }
  }
});

test(`every consistency proof to ${LARGEST} leaves is that of RFC 6962, and holds`, async (t) => {
  for (let size = 1; size <= LARGEST; size++) {
    for (let from = 1; from <= size; from++) {
      const proof = await proveConsistency(reader, from, size);
      t.is(hexOf(proof), hexOf(referenceConsistency(from, leaves, size)));
      checkConsistency({ from: tree(from), to: tree(size) }, proof);
    }
  }
});

interface InclusionRow {
  readonly case: string;
  readonly leafIdx: string;
  readonly treeSize: string;
  readonly root: string | null;
  readonly leafHash: string | null;
  readonly proof: readonly (string | null)[] | null;
  readonly wantErr: boolean;
}

interface ConsistencyRow {
  readonly case: string;
  readonly size1: string;
  readonly size2: string;
  readonly root1: string | null;
  readonly root2: string | null;
  readonly proof: readonly (string | null)[] | null;
  readonly wantErr: boolean;
}

const bytes = (base64: string | null): Uint8Array => Uint8Array.from(Buffer.from(base64 ?? '', 'base64'));

test('the inclusion vectors of transparency-dev/merkle', (t) => {
  const rows = fixtureRows<InclusionRow>('merkle', 'inclusion.jsonl');
  t.is(rows.length, 98);
  for (const row of rows) {
    const check = () =>
      checkInclusion(
        {
          index: Number(row.leafIdx),
          leafHash: bytes(row.leafHash),
          tree: { size: Number(row.treeSize), root: bytes(row.root) },
        },
        (row.proof ?? []).map(bytes),
      );
    if (row.wantErr) storeError(t, 'PROOF_REJECTED', check, row.case);
    else t.notThrows(check, row.case);
  }
});

test('the consistency vectors of transparency-dev/merkle', (t) => {
  const rows = fixtureRows<ConsistencyRow>('merkle', 'consistency.jsonl');
  t.is(rows.length, 98);
  for (const row of rows) {
    const check = () =>
      checkConsistency(
        {
          from: { size: Number(row.size1), root: bytes(row.root1) },
          to: { size: Number(row.size2), root: bytes(row.root2) },
        },
        (row.proof ?? []).map(bytes),
      );
    if (row.wantErr) storeError(t, 'PROOF_REJECTED', check, row.case);
    else t.notThrows(check, row.case);
  }
});

test('a proof with any bit flipped, a hash less or a hash more does not hold', async (t) => {
  let refused = 0;
  for (const size of [2, 3, 7, 8, 9, 33, LARGEST]) {
    for (const index of new Set([0, 1, size >> 1, size - 1])) {
      const proof = await proveInclusion(reader, index, size);
      const leaf = { index, leafHash: leaves[index] as Uint8Array, tree: tree(size) };
      for (const wrong of [...flipped(proof), proof.slice(1), proof.slice(0, -1), [...proof, roots[0] as Uint8Array]]) {
        storeError(t, 'PROOF_REJECTED', () => checkInclusion(leaf, wrong));
        refused++;
      }
    }
    for (const from of new Set([1, size >> 1, size - 1])) {
      const proof = await proveConsistency(reader, from, size);
      const trees = { from: tree(from), to: tree(size) };
      for (const wrong of [...flipped(proof), proof.slice(1), proof.slice(0, -1), [...proof, roots[0] as Uint8Array]]) {
        storeError(t, 'PROOF_REJECTED', () => checkConsistency(trees, wrong));
        refused++;
      }
    }
  }
  t.log(`${refused} wrong proofs refused`);
});
