import { readFileSync } from 'node:fs';
import { Buffer } from 'node:buffer';
import test from 'ava';
import {
  checkOriginOf,
  formatCheckpoint,
  parseCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
} from '../../src/log/checkpoint.js';
import { generatePrivateKey, parsePrivateKey, parseVerifierKey } from '../../src/log/note.js';
import { fixturePath } from '../support/fixtures.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { bytesOf } from '../support/text-bytes.js';
import { flippedBits } from './flipped-bits.js';

// The example of C2SP tlog-checkpoint.
const SOFA = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
`;
const SOFA_SIGNATURE =
  '— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n';
const signer = await parsePrivateKey(await generatePrivateKey('example.com/behind-the-sofa'));

const TESSERA = await parseVerifierKey(
  'example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx',
);

for (let size = 0; size <= 15; size++) {
  test(`the checkpoint of ${size} entries of another program's log verifies with its key`, async (t) => {
    const bytes = readFileSync(fixturePath('merkle', 'tessera-log', `checkpoint.${size}`));
    const checkpoint = parseCheckpoint(bytes);
    t.is(checkpoint.size, size);
    await t.notThrowsAsync(verifyCheckpoint(checkpoint, TESSERA));
    t.is(formatCheckpoint(checkpoint), checkpoint.text);
    checkpoint.root[0] = (checkpoint.root[0] as number) ^ 1;
    const forged = parseCheckpoint(bytes.toString().replace(checkpoint.text, formatCheckpoint(checkpoint)));
    await rejection(t, 'SIGNATURE_INVALID', verifyCheckpoint(forged, TESSERA));
  });
}

test('the newest checkpoint of that log verifies too', async (t) => {
  const checkpoint = parseCheckpoint(readFileSync(fixturePath('merkle', 'tessera-log', 'checkpoint')));
  await t.notThrowsAsync(verifyCheckpoint(checkpoint, TESSERA));
});

test('a checkpoint is read with its signatures or without, and says which', (t) => {
  const root = Buffer.from('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', 'base64');
  const says = { origin: 'example.com/behind-the-sofa', size: 20_852_163, extensions: [], text: SOFA };
  const plain = parseCheckpoint(SOFA);
  t.like(plain, { ...says, signatures: [] });
  t.deepEqual(plain.root, new Uint8Array(root));
  const signed = parseCheckpoint(`${SOFA}\n${SOFA_SIGNATURE}`);
  t.like(signed, { ...says, signatures: { length: 1, 0: { name: says.origin, keyId: 0x033de0ae } } });
  t.is(formatCheckpoint(signed), SOFA);
});

test('extension lines are kept and signed', async (t) => {
  const text = await signCheckpoint({ ...parseCheckpoint(SOFA), extensions: ['time 1', 'x y'] }, signer);
  const checkpoint = parseCheckpoint(text);
  t.deepEqual(checkpoint.extensions, ['time 1', 'x y']);
  await t.notThrowsAsync(verifyCheckpoint(checkpoint, signer));
  await rejection(t, 'SIGNATURE_INVALID', verifyCheckpoint(parseCheckpoint(text.replace('time 1', 'time 2')), signer));
});

for (const [what, text] of [
  ['nothing', ''],
  ['no root', 'a\n1\n'],
  ['no end', SOFA.slice(0, -1)],
  ['no origin', SOFA.replace('example.com/behind-the-sofa', '')],
  ['a size with a leading zero', SOFA.replace('20852163', '020852163')],
  ['a size with a sign', SOFA.replace('20852163', '+20852163')],
  ['a size in hex', SOFA.replace('20852163', '0x10')],
  ['a size beyond 2^53', SOFA.replace('20852163', '9007199254740992')],
  ['an empty size', SOFA.replace('20852163', '')],
  ['a short root', SOFA.replace('CsUY', '')],
  ['a root that is not canonical', SOFA.replace('q2I=', 'q2J=')],
  ['line ends of Windows', SOFA.replaceAll('\n', '\r\n')],
  ['an empty extension', `${SOFA}\nx\n\n${SOFA_SIGNATURE}`],
  ['an empty line and no signature', `${SOFA}\n`],
  ['a signature without the empty line', `${SOFA}${SOFA_SIGNATURE}`.slice(0, -1)],
] as const) {
  test(`a checkpoint with ${what} is refused`, (t) => {
    storeError(t, 'CHECKPOINT_INVALID', () => parseCheckpoint(text));
  });
}

test('a checkpoint that could not be read is not written', (t) => {
  const checkpoint = parseCheckpoint(SOFA);
  for (const wrong of [
    { origin: '' },
    { origin: 'a\nb' },
    { size: -1 },
    { size: 1.5 },
    { size: 2 ** 53 },
    { root: new Uint8Array(31) },
    { extensions: [''] },
    { extensions: ['a\n'] },
  ]) {
    storeError(t, 'CHECKPOINT_INVALID', () => formatCheckpoint({ ...checkpoint, ...wrong }));
  }
});

test('a checkpoint of another log is foreign, even if signed by our key', async (t) => {
  const checkpoint = parseCheckpoint(await signCheckpoint({ ...parseCheckpoint(SOFA), origin: 'other' }, signer));
  const error = await rejection(t, 'CHECKPOINT_FOREIGN', verifyCheckpoint(checkpoint, signer));
  t.like(error.data, { origin: 'other', expected: 'example.com/behind-the-sofa' });
  storeError(t, 'CHECKPOINT_FOREIGN', () => checkOriginOf(checkpoint, 'third'));
  t.notThrows(() => checkOriginOf(checkpoint, 'other'));
});

test('a signed checkpoint with any bit flipped or any part of its end cut off is refused', async (t) => {
  const bytes = bytesOf(await signCheckpoint(parseCheckpoint(SOFA), signer));
  const refused = async (changed: Uint8Array): Promise<void> => {
    const error = await t.throwsAsync(async () => verifyCheckpoint(parseCheckpoint(changed), signer));
    t.regex((error as Error & { code: string }).code, /^(?:CHECKPOINT_INVALID|CHECKPOINT_FOREIGN|SIGNATURE_INVALID)$/);
  };
  for (const changed of flippedBits(bytes)) await refused(changed);
  for (let length = 0; length < bytes.length; length++) await refused(bytes.subarray(0, length));
});

test('an unsigned checkpoint with any bit flipped is refused or says something else', (t) => {
  const { origin, size, root } = parseCheckpoint(SOFA);
  let other = 0;
  for (const changed of flippedBits(bytesOf(SOFA))) {
    try {
      const found = parseCheckpoint(changed);
      t.notDeepEqual({ origin: found.origin, size: found.size, root: found.root }, { origin, size, root });
      other += 1;
    } catch (error) {
      t.is((error as Error & { code: string }).code, 'CHECKPOINT_INVALID');
    }
  }
  t.true(other > 0);
});
