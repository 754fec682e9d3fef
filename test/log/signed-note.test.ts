import test from 'ava';
import fc from 'fast-check';
import { MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES } from '../../src/limits.js';
import {
  formatNote,
  type NoteSignature,
  parseNote,
  parsePrivateKey,
  parseVerifierKey,
  verifyNote,
} from '../../src/log/note.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { bytesOf } from '../support/text-bytes.js';
import { flippedBits } from './flipped-bits.js';

// Vectors of the tests of Go's sumdb/note.
const TEXT = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.
`;
const PETER =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const ENOCH =
  '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';
const PRIVATE = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const peter = await parsePrivateKey(PRIVATE);
const enoch = await parseVerifierKey('EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop');

// The example of C2SP signed-note: an empty line in the text.
const POEM = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`;

test('what Go signs is signed so here, to the byte', async (t) => {
  const signature = await peter.sign(bytesOf(TEXT));
  const { name, keyId } = peter;
  t.is(formatNote({ text: TEXT, signatures: [{ name, keyId, signature }] }), `${TEXT}\n${PETER}`);
});

test('a note is verified by each key that is known, and those of others are skipped', async (t) => {
  const note = parseNote(`${TEXT}\n${PETER}${ENOCH}`);
  t.is(note.text, TEXT);
  t.deepEqual(await verifyNote(note, [peter]), [peter]);
  t.deepEqual(await verifyNote(note, [enoch, peter]), [peter, enoch]);
  const error = await rejection(t, 'SIGNATURE_INVALID', verifyNote(parseNote(`${TEXT}\n${ENOCH}`), [peter]));
  t.regex(error.message, /no signature by the key PeterNeumann: found one by EnochRoot/);
});

test('a signature of a known key that does not verify refuses the note, even if another key signs it', async (t) => {
  const damaged = ENOCH.replace('rwz+eBzm', 'rwz+eBzn');
  await rejection(t, 'SIGNATURE_INVALID', verifyNote(parseNote(`${TEXT}\n${PETER}${damaged}`), [peter, enoch]));
  t.deepEqual(await verifyNote(parseNote(`${TEXT}\n${PETER}${damaged}`), [peter]), [peter]);
  const twice = parseNote(`${TEXT}\n${PETER}${PETER.replace('ZJkuBS', 'ZJkuBT')}`);
  await rejection(t, 'SIGNATURE_INVALID', verifyNote(twice, [peter]));
});

test('a key of the same name and another id is another key', async (t) => {
  await rejection(t, 'SIGNATURE_INVALID', verifyNote(parseNote(`${TEXT}\n${PETER.replace('x08g', 'xxxx')}`), [peter]));
});

test('the text ends at the last empty line', (t) => {
  const { text, signatures } = parseNote(POEM);
  t.true(text.endsWith(':\n\ned è subito sera.\n'));
  t.like(signatures, { length: 1, 0: { name: 'quasimodo.example/salvatore', keyId: 0x367ba04b } });
  t.is(formatNote({ text, signatures }), POEM);
  t.deepEqual(parseNote(bytesOf(POEM)), { text, signatures });
});

for (const [what, note] of [
  ['a text alone', TEXT],
  ['no signature', `${TEXT}\n`],
  ['no end', `${TEXT}\n${PETER.slice(0, -1)}`],
  ['a control character', `\u0001${TEXT}\n${PETER}`],
  ['a carriage return', `${TEXT}\r\n${PETER}`],
  ['a name with a space', `${TEXT}\n${PETER.replace('PeterNeumann', 'Bad Name')}`],
  ['a name with a plus', `${TEXT}\n${PETER.replace('PeterNeumann', 'a+b')}`],
  ['a name with a next-line', `${TEXT}\n${PETER.replace('PeterNeumann', 'a\u0085b')}`],
  ['an empty name', `${TEXT}\n${PETER.replace('PeterNeumann', '')}`],
  ['another line', `${TEXT}\n${PETER}Unexpected line.\n`],
  ['a hyphen for the dash', `${TEXT}\n${PETER.replace('—', '-')}`],
  ['a key id alone', `${TEXT}\n— PeterNeumann x08goA==\n`],
  ['base64 that is not canonical', `${TEXT}\n${PETER.replace('AM=', 'AN=')}`],
  ['half a surrogate pair', `\ud800${TEXT}\n${PETER}`],
  ['too many signatures', `${TEXT}\n${PETER.repeat(MAX_NOTE_SIGNATURES + 1)}`],
  ['too many bytes', `${'é'.repeat(MAX_NOTE_BYTES / 2)}\n\n${PETER}`],
] as const) {
  test(`a note with ${what} is refused`, (t) => {
    storeError(t, 'CHECKPOINT_INVALID', () => parseNote(note));
  });
}

test('as many signatures as are allowed are taken', (t) => {
  t.is(parseNote(`${TEXT}\n${PETER.repeat(MAX_NOTE_SIGNATURES)}`).signatures.length, MAX_NOTE_SIGNATURES);
});

test('bytes that are no UTF-8 are no note, nor is a note behind a byte order mark', (t) => {
  const note = bytesOf(`${TEXT}\n${PETER}`);
  storeError(t, 'CHECKPOINT_INVALID', () => parseNote(Uint8Array.of(0xff, ...note)));
  t.true(parseNote(Uint8Array.of(0xef, 0xbb, 0xbf, ...note)).text.startsWith('\ufeff'));
});

test('a note with any bit flipped is refused', async (t) => {
  for (const bytes of flippedBits(bytesOf(`${TEXT}\n${PETER}`))) {
    const error = await t.throwsAsync(async () => verifyNote(parseNote(bytes), [peter]));
    t.regex(String((error as { code?: unknown }).code), /^(?:CHECKPOINT_INVALID|SIGNATURE_INVALID)$/);
  }
});

test('what is formatted is parsed to the same, and what is parsed is formatted to the same', (t) => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/\p{Cc}/u.test(text));
  const name = line.filter((text) => text !== '' && !/[\s+\u0085]/u.test(text));
  const signature: fc.Arbitrary<NoteSignature> = fc.record({
    name,
    keyId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    signature: fc.uint8Array({ minLength: 1, maxLength: 80 }),
  });
  fc.assert(
    fc.property(fc.array(line), fc.array(signature, { minLength: 1, maxLength: 5 }), (lines, signatures) => {
      const note = { text: `${lines.join('\n')}\n`, signatures };
      t.deepEqual(parseNote(formatNote(note)), note);
    }),
  );
});

test('a note that could not be parsed is not written', (t) => {
  for (const text of ['', 'a', 'a\u0000\n']) {
    storeError(t, 'CHECKPOINT_INVALID', () =>
      formatNote({ text, signatures: [{ name: 'a', keyId: 1, signature: Uint8Array.of(1) }] }),
    );
  }
  storeError(t, 'CHECKPOINT_INVALID', () => formatNote({ text: TEXT, signatures: [] }));
});
