import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { treeKey } from '../../../src/log/rows.js';
import type { LevelLog } from '../../../src/log/leveldb/level-log.js';
import type { Database } from '../../../src/log/log.js';
import { checkConsistency, checkInclusion, leafHash } from '../../../src/log/merkle.js';
import { openLevel } from '../../../src/log/leveldb/open-level.js';
import { bytesToHex } from '../../../src/model/digest.js';
import { StoreEvidence, type TreeProofs } from '../../../src/store/evidence.js';
import { referenceConsistency, referencePath, referenceRoot } from '../../log/merkle/reference-tree.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { creationOf } from '../../support/stored-event.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendBodies, openTestLog } from '../../support/test-log.js';
import { openTestStore } from '../../support/test-store.js';

interface Proving {
  readonly log: LevelLog;
  readonly database: Database;
  readonly evidence: TreeProofs;
  readonly leaves: readonly Uint8Array[];
}

/** A log of `size` events that can be proved, over a given database. */
async function provingLog(t: ExecutionContext, size: number): Promise<Proving> {
  const opened: Database[] = [];
  const log = await openTestLog(t, join(await temporaryDirectory(t), 'log'), {
    openDatabase: async (location, createIfMissing) => {
      const database = await openLevel(location, createIfMissing);
      opened.push(database);
      return database;
    },
  });
  if (size > 0)
    await appendBodies(
      log,
      Array.from({ length: size }, (_, at) => creationOf(`${at}`)),
    );
  const leaves: Uint8Array[] = [];
  for await (const page of log.entryPages()) for (const { record } of page) leaves.push(leafHash(record));
  const evidence = new StoreEvidence({ log, reader: log, checkOpen: () => undefined } as never);
  return { log, database: opened[0] as Database, evidence, leaves };
}

const hexOf = (hashes: readonly Uint8Array[]): string => hashes.map(bytesToHex).join(' ');

test('every event of a log of 20 is proved in every size that has it, as RFC 6962 does', async (t) => {
  const { evidence, leaves } = await provingLog(t, 20);
  for (let size = 1; size <= 20; size++) {
    for (let seq = 1; seq <= size; seq++) {
      const proof = await evidence.proveInclusion(seq, size);
      t.deepEqual([proof.index, proof.size], [seq - 1, size]);
      t.is(bytesToHex(proof.root), bytesToHex(referenceRoot(leaves, 0, size)));
      t.is(bytesToHex(proof.leafHash), bytesToHex(leaves[seq - 1] as Uint8Array));
      t.is(hexOf(proof.hashes), hexOf(referencePath(seq - 1, leaves, size)));
      checkInclusion({ ...proof, tree: proof }, proof.hashes);
    }
  }
});

test('every size of a log of 20 is proved to begin with every size before, as RFC 6962 does', async (t) => {
  const { evidence, leaves } = await provingLog(t, 20);
  for (let size = 1; size <= 20; size++) {
    for (let from = 1; from <= size; from++) {
      const { hashes, ...trees } = await evidence.proveConsistency(from, size);
      t.deepEqual([trees.from.size, trees.to.size], [from, size]);
      t.is(bytesToHex(trees.from.root), bytesToHex(referenceRoot(leaves, 0, from)));
      t.is(bytesToHex(trees.to.root), bytesToHex(referenceRoot(leaves, 0, size)));
      t.is(hexOf(hashes), hexOf(referenceConsistency(from, leaves, size)));
      checkConsistency(trees, hashes);
    }
  }
});

test('proofs of a log of several tiles hold, at their edges and inside', async (t) => {
  const { evidence, leaves } = await provingLog(t, 1_030);
  const places = [1, 2, 255, 256, 257, 511, 512, 513, 1_024, 1_025, 1_030];
  for (const size of places) {
    for (const seq of places.filter((place) => place <= size)) {
      const proof = await evidence.proveInclusion(seq, size);
      t.is(hexOf(proof.hashes), hexOf(referencePath(seq - 1, leaves, size)));
      const consistency = await evidence.proveConsistency(seq, size);
      t.is(hexOf(consistency.hashes), hexOf(referenceConsistency(seq, leaves, size)));
    }
  }
});

test('without a size, a proof is of the log of this moment', async (t) => {
  const { evidence, log, leaves } = await provingLog(t, 7);
  t.deepEqual((await evidence.proveInclusion(3)).root, referenceRoot(leaves));
  t.deepEqual((await evidence.proveConsistency(3)).to, { size: 7, root: referenceRoot(leaves) });
  await appendBodies(log, [creationOf('one more')]);
  t.is((await evidence.proveInclusion(3)).size, 8);
  t.deepEqual((await evidence.proveInclusion(8)).root, log.head.root);
});

test('an event that is not there, and a size that the log does not have, are reported', async (t) => {
  const { evidence } = await provingLog(t, 5);
  const found = await rejection(t, 'EVENT_NOT_FOUND', evidence.proveInclusion(6));
  t.deepEqual(found.data, { seq: 6, head: 5 });
  await rejection(t, 'EVENT_NOT_FOUND', evidence.proveInclusion(5, 6));
  await rejection(t, 'EVENT_NOT_FOUND', evidence.proveConsistency(6));
  await rejection(t, 'EVENT_NOT_FOUND', evidence.proveConsistency(2, 6));
  const empty = await provingLog(t, 0);
  await rejection(t, 'EVENT_NOT_FOUND', empty.evidence.proveInclusion(1));
});

test('what is not a seq is refused as such', async (t) => {
  const { evidence } = await provingLog(t, 5);
  for (const wrong of [0, -1, 1.5, Number.NaN, '1' as never, null as never]) {
    await t.throwsAsync(evidence.proveInclusion(wrong), { instanceOf: RangeError });
    await t.throwsAsync(evidence.proveConsistency(wrong), { instanceOf: RangeError });
  }
  await t.throwsAsync(evidence.proveInclusion(5, 4), { instanceOf: RangeError });
  await t.throwsAsync(evidence.proveInclusion(1, 0), { instanceOf: RangeError });
  await t.throwsAsync(evidence.proveConsistency(5, 4), { instanceOf: RangeError });
});

test('no proof is given that a flipped bit in a row of the tree makes wrong', async (t) => {
  const { evidence, database } = await provingLog(t, 1_030);
  const key = treeKey(1, 1);
  const hash = Uint8Array.from((await database.get(key)) ?? []);
  await database.put(key, hash.with(9, (hash[9] as number) ^ 0x10));
  for (const made of [evidence.proveInclusion(1), evidence.proveInclusion(700, 800), evidence.proveConsistency(3)]) {
    const error = await rejection(t, 'LOG_CORRUPT', made);
    t.is(error.data['remedy'], 'rebuild');
  }
  await database.put(key, hash);
  t.is((await evidence.proveInclusion(1)).size, 1_030);
});

test('a missing row of the tree is reported when a proof needs it', async (t) => {
  const { evidence, database } = await provingLog(t, 600);
  await database.del(treeKey(1, 0));
  const error = await rejection(t, 'LOG_CORRUPT', evidence.proveInclusion(300));
  t.deepEqual(error.data, { level: 1, index: 0, remedy: 'rebuild' });
});

test('a store gives proofs of its log until it is closed', async (t) => {
  const store = await openTestStore(t, { layers: 'none' });
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  const proof = await store.proveInclusion(2);
  t.deepEqual(proof.root, store.log.head.root);
  checkInclusion({ ...proof, tree: proof }, proof.hashes);
  const { hashes, ...trees } = await store.proveConsistency(1, 3);
  checkConsistency(trees, hashes);
  await store.close();
  await rejection(t, 'STORE_CLOSED', store.proveInclusion(2));
  await rejection(t, 'STORE_CLOSED', store.proveConsistency(2));
});
