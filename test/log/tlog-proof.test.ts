import test from 'ava';
import fc from 'fast-check';
import { MAX_PROOF_BYTES, MAX_PROOF_HASHES } from '../../src/limits.js';
import { bytesToBase64 } from '../../src/log/note.js';
import { formatProof, parseProof } from '../../src/log/checkpoint.js';
import { storeError } from '../support/store-error.js';
import { bytesOf } from '../support/text-bytes.js';
import { flippedBits } from './flipped-bits.js';

// After the example of C2SP tlog-proof, whose checkpoint is abbreviated there.
const PROOF = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
`;
const SIGNED = `${PROOF}
— example.com/fancylog Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`;

test('a proof of the published form is read, and written again', (t) => {
  const proof = parseProof(SIGNED);
  t.like(proof, { index: 73_894, checkpoint: { origin: 'example.com/fancylog', size: 109_482 } });
  t.is(proof.hashes.length, 2);
  t.is(bytesToBase64(proof.extra ?? new Uint8Array()), 'YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ');
  t.is(formatProof({ ...proof, checkpoint: SIGNED.slice(SIGNED.indexOf('\n\n') + 2) }), SIGNED);
  t.deepEqual(parseProof(bytesOf(SIGNED)), proof);
});

test('a proof of a tree with one leaf has no hash, and extra data is left out or empty', (t) => {
  const proof = { index: 0, hashes: [], checkpoint: 'a\n1\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n' };
  t.is(formatProof(proof), `c2sp.org/tlog-proof@v1\nindex 0\n\n${proof.checkpoint}`);
  const empty = formatProof({ ...proof, extra: new Uint8Array() });
  t.is(empty, `c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n${proof.checkpoint}`);
  t.deepEqual(parseProof(empty).extra, new Uint8Array());
});

const HASH = 'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n';
for (const [what, text] of [
  ['nothing', ''],
  ['another version', PROOF.replace('@v1', '@v2')],
  ['no index', PROOF.replace('index 73894\n', '')],
  ['an index with a leading zero', PROOF.replace('73894', '073894')],
  ['an index beyond 2^53', PROOF.replace('73894', '9007199254740992')],
  ['extra data that is not base64', PROOF.replace('YWdl', 'YW-l')],
  ['extra data twice', PROOF.replace('index', 'extra YWdl\nindex')],
  ['extra data after the index', PROOF.replace('index 73894\n', 'index 73894\nextra YWdl\n')],
  ['a short hash', PROOF.replace('gSKy', '')],
  ['a hash that is not canonical', PROOF.replace('PlQ=', 'PlR=')],
  ['too many hashes', PROOF.replace('\n\n', `\n${HASH.repeat(MAX_PROOF_HASHES)}\n`)],
  ['no checkpoint', PROOF.slice(0, PROOF.indexOf('\n\n') + 2)],
  ['a malformed checkpoint', PROOF.replace('109482', 'x')],
  ['too many bytes', `${PROOF}${'x'.repeat(MAX_PROOF_BYTES)}`],
  ['half a surrogate pair', PROOF.replace('fancylog', '\ud800')],
] as const) {
  test(`a proof with ${what} is refused`, (t) => {
    storeError(t, 'PROOF_INVALID', () => parseProof(text));
  });
}

test('bytes that are no UTF-8 are no proof', (t) => {
  storeError(t, 'PROOF_INVALID', () => parseProof(Uint8Array.of(...bytesOf(PROOF), 0xff)));
});

test('a proof cut short is refused at every length but where its signatures begin', (t) => {
  const bytes = bytesOf(SIGNED);
  for (let length = 0; length < bytes.length; length++) {
    if (length !== bytesOf(PROOF).length) storeError(t, 'PROOF_INVALID', () => parseProof(bytes.subarray(0, length)));
  }
  t.is(parseProof(PROOF).checkpoint.signatures.length, 0);
});

test('a proof with any bit flipped is refused or says something else', (t) => {
  const whole = parseProof(SIGNED);
  for (const changed of flippedBits(bytesOf(SIGNED))) {
    let found: unknown;
    try {
      found = parseProof(changed);
    } catch (error) {
      t.is((error as Error & { code: string }).code, 'PROOF_INVALID');
    }
    t.notDeepEqual(found, whole);
  }
});

test('no text is taken that is not written just so', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(SIGNED.length), (noise, at) => {
      const text = SIGNED.slice(0, at) + new TextDecoder().decode(noise) + SIGNED.slice(at + noise.length);
      try {
        const { checkpoint, ...proof } = parseProof(text);
        t.is(formatProof({ ...proof, checkpoint: text.slice(text.indexOf('\n\n') + 2) }), text);
        t.is(typeof checkpoint.size, 'number');
      } catch (error) {
        t.is((error as Error & { code?: string }).code, 'PROOF_INVALID');
      }
    }),
  );
});
