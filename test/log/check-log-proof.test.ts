import test from 'ava';
import {
  checkProof,
  type CheckProofOptions,
  formatCheckpoint,
  formatProof,
  parseCheckpoint,
  signCheckpoint,
} from '../../src/log/checkpoint.js';
import { leafHash } from '../../src/log/merkle.js';
import { generatePrivateKey, parsePrivateKey } from '../../src/log/note.js';
import { decodeRecord, encodeRecord } from '../../src/log/record.js';
import { rejection } from '../support/rejection.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';
import { bytesOf } from '../support/text-bytes.js';
import { flippedBits } from './flipped-bits.js';
import { referencePath, referenceRoot } from './merkle/reference-tree.js';

const ORIGIN = 'example.com/log';
const SIZE = 7;
const INDEX = 4;
const events = Array.from({ length: SIZE }, (_, at) => eventsFrom(at + 1, [creationOf(`${at}`)], 1_000)).flat();
const records = events.map(encodeRecord);
const proved = decodeRecord((records[INDEX] as Uint8Array).slice());
const leaves = records.map((record) => leafHash(record));
const signer = await parsePrivateKey(await generatePrivateKey(ORIGIN));
const key = signer.verifierKey;
const tree = { origin: ORIGIN, size: SIZE, root: referenceRoot(leaves), extensions: [] };
const plain = formatCheckpoint(tree);
const signed = await signCheckpoint(tree, signer);
const parts = {
  index: INDEX,
  hashes: referencePath(INDEX, leaves, SIZE),
  extra: new Uint8Array(records[INDEX] as Uint8Array),
};
const proof = formatProof({ ...parts, checkpoint: signed });
const unsigned = formatProof({ ...parts, checkpoint: plain });

test('a proof proves its event, by the key, by a checkpoint, or by nothing but itself', async (t) => {
  for (const [text, options, vouchedBy] of [
    [proof, { key }, 'key'],
    [proof, {}, 'nothing'],
    [unsigned, {}, 'nothing'],
    [unsigned, { checkpoint: plain }, 'checkpoint'],
    [unsigned, { checkpoint: bytesOf(signed) }, 'checkpoint'],
    [unsigned, { key, checkpoint: signed }, 'key'],
    [bytesOf(proof), { key, record: parts.extra }, 'key'],
  ] as const) {
    const checked = await checkProof(text, options);
    t.like(checked, { seq: INDEX + 1, vouchedBy, checkpoint: { origin: ORIGIN, size: SIZE } });
    t.deepEqual(checked.event, proved);
    t.deepEqual(checked.record, parts.extra);
  }
});

const sixth = formatCheckpoint({ ...tree, size: 6, root: referenceRoot(leaves.slice(0, 6)) });
const elsewhere = formatCheckpoint({ ...tree, origin: 'other' });
const rewritten = formatCheckpoint({ ...tree, root: referenceRoot(leaves.toReversed()) });
const otherKey = (await parsePrivateKey(await generatePrivateKey('other'))).verifierKey;
const sameName = (await parsePrivateKey(await generatePrivateKey(ORIGIN))).verifierKey;

for (const [what, code, text, options] of [
  ['of a log that the key is not named after', 'PROOF_REJECTED', proof, { key: otherKey }],
  ['that another key of the name signed', 'SIGNATURE_INVALID', proof, { key: sameName }],
  ['that nobody signed', 'SIGNATURE_INVALID', unsigned, { key }],
  ['for another size than the checkpoint', 'PROOF_REJECTED', proof, { checkpoint: sixth }],
  ['for another root than the checkpoint', 'PROOF_REJECTED', proof, { checkpoint: rewritten }],
  ['of another log than the checkpoint', 'PROOF_REJECTED', proof, { checkpoint: elsewhere }],
  ['and a checkpoint that the key did not sign', 'SIGNATURE_INVALID', proof, { key, checkpoint: plain }],
  [
    'and a checkpoint of a log that the key is not named after',
    'CHECKPOINT_FOREIGN',
    proof,
    { key, checkpoint: elsewhere },
  ],
  ['and a malformed checkpoint', 'CHECKPOINT_INVALID', proof, { checkpoint: 'x' }],
  ['and a malformed key', 'KEY_INVALID', proof, { key: 'x' }],
  ['and another record', 'PROOF_REJECTED', proof, { key, record: records[0] as Uint8Array }],
  ['without a record', 'PROOF_INVALID', formatProof({ ...parts, extra: undefined, checkpoint: signed }), { key }],
  ['of another place', 'PROOF_REJECTED', formatProof({ ...parts, index: 3, checkpoint: signed }), { key }],
  ['of a place after the log', 'PROOF_REJECTED', formatProof({ ...parts, index: 9, checkpoint: signed }), { key }],
  [
    'with a hash less',
    'PROOF_REJECTED',
    formatProof({ ...parts, hashes: parts.hashes.slice(1), checkpoint: signed }),
    { key },
  ],
] as const) {
  test(`a proof ${what} is refused`, async (t) => {
    await rejection(t, code, checkProof(text, options as CheckProofOptions));
  });
}

test('a record that says to be another event than the one at its place is refused', async (t) => {
  const swapped = leaves.with(INDEX, leaves[0] as Uint8Array);
  const checkpoint = await signCheckpoint({ ...tree, root: referenceRoot(swapped) }, signer);
  const text = formatProof({
    index: INDEX,
    hashes: referencePath(INDEX, swapped, SIZE),
    extra: records[0],
    checkpoint,
  });
  await rejection(t, 'PROOF_REJECTED', checkProof(text, { key }));
});

test('a leaf of another program is proved, and what it says is not known', async (t) => {
  const record = bytesOf('hello');
  const checkpoint = formatCheckpoint({ ...tree, size: 1, root: leafHash(record) });
  const checked = await checkProof(formatProof({ index: 0, hashes: [], extra: record, checkpoint }));
  t.is(checked.event, undefined);
  t.deepEqual(checked.record, record);
});

test('a proof with any bit flipped, or cut at any length, is refused by who has the key', async (t) => {
  const bytes = bytesOf(proof);
  const refused = async (changed: Uint8Array): Promise<void> => {
    const error = await t.throwsAsync(checkProof(changed, { key }));
    t.regex((error as Error & { code: string }).code, /^(?:PROOF_INVALID|PROOF_REJECTED|SIGNATURE_INVALID)$/);
  };
  for (const changed of flippedBits(bytes)) await refused(changed);
  for (let length = 0; length < bytes.length; length++) await refused(bytes.subarray(0, length));
});

test('a proof cut at any length proves no less to who has the checkpoint', async (t) => {
  const bytes = bytesOf(proof);
  for (let length = 0; length < bytes.length; length++) {
    const checked = await checkProof(bytes.subarray(0, length), { checkpoint: plain }).catch(() => undefined);
    // Where only the signature is cut off, the checkpoint that is trusted takes its place.
    if (checked !== undefined) t.deepEqual([length, checked.event], [unsigned.length, proved]);
  }
  t.is(parseCheckpoint(plain).size, SIZE);
});
