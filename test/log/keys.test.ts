import test from 'ava';
import fc from 'fast-check';
import { contentKey, eventKey, seqOfKey, treeKey } from '../../src/log/rows.js';
import { bytesToHex } from '../../src/model/digest.js';
import { anyDigest } from '../support/event-arbitraries.js';

const anySeq = fc.oneof(
  fc.integer({ min: 1, max: 70_000 }),
  fc.maxSafeNat().map((seq) => Math.max(1, seq)),
);

test('an event key is the letter e and the seq in eight bytes, the highest first', (t) => {
  t.is(bytesToHex(eventKey(1)), '650000000000000001');
  t.is(bytesToHex(eventKey(2 ** 32 + 258)), '650000000100000102');
  t.is(bytesToHex(eventKey(Number.MAX_SAFE_INTEGER)), '65001fffffffffffff');
});

test('a content key is the letter c and the hash', (t) => {
  t.is(bytesToHex(contentKey(`sha256:${'ab'.repeat(32)}` as Parameters<typeof contentKey>[0])), `63${'ab'.repeat(32)}`);
});

test('a tree key is the letter t, the level, and the index in eight bytes', (t) => {
  t.is(bytesToHex(treeKey(1, 0)), '74010000000000000000');
  t.is(bytesToHex(treeKey(6, 2 ** 32 + 258)), '74060000000100000102');
});

test('an event key gives its seq back, wherever it stands in a buffer', (t) => {
  fc.assert(
    fc.property(anySeq, (seq) => {
      t.is(seqOfKey(eventKey(seq)), seq);
      t.is(seqOfKey(Uint8Array.of(1, 2, 3, ...eventKey(seq)).subarray(3)), seq);
    }),
  );
});

test('keys are in the order of events, and content stands apart from them', (t) => {
  fc.assert(
    fc.property(anySeq, anySeq, anyDigest(), (a, b, digest) => {
      t.is(Math.sign(Buffer.compare(eventKey(a), eventKey(b))), Math.sign(a - b));
      t.true(Buffer.compare(contentKey(digest), eventKey(1)) < 0);
    }),
  );
});
