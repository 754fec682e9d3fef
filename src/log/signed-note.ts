import { StoreError } from '../errors.js';
import { MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES } from '../limits.js';
import { base64ToBytes, bytesToBase64 } from './base64.js';
import type { NoteVerifier } from './note-key.js';
import { decodeStrictUtf8 } from './strict-utf8.js';

/*
 * Signed notes (C2SP signed-note): a text, an empty line, and lines that sign the text.
 */

/** One signature line of a note. */
export interface NoteSignature {
  /** Name of the key. */
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
}

/** A note as it was parsed. Nothing in it is to be believed before `verifyNote` has said so. */
export interface SignedNote {
  /** What is signed, its last newline included. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const KEY_ID_BYTES = 4;
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) (\S+)$/u;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Returns the text of a note, as `parseNote` reads it.
 * @throws {StoreError} CHECKPOINT_INVALID when `note` cannot be a note
 */
export function formatNote({ text, signatures }: SignedNote): string {
  const lines = signatures.map(
    ({ name, keyId, signature }) => `\u2014 ${name} ${bytesToBase64(withKeyId(keyId, signature))}\n`,
  );
  const note = `${text}\n${lines.join('')}`;
  parseNote(note);
  return note;
}

/**
 * Returns the note in `input`, its UTF-8 or the text.
 * @throws {StoreError} CHECKPOINT_INVALID when it is none, or beyond MAX_NOTE_BYTES or MAX_NOTE_SIGNATURES
 */
export function parseNote(input: Uint8Array | string): SignedNote {
  const note = noteText(input);
  const split = note.lastIndexOf('\n\n') + 1;
  if (split === 0) throw noNote('it has no empty line before its signatures');
  const text = note.slice(0, split);
  const lines = note.slice(split + 1).split('\n');
  if (lines.pop() !== '') throw noNote('its last line does not end');
  if (lines.length === 0) throw noNote('it has no signature');
  if (lines.length > MAX_NOTE_SIGNATURES) {
    throw noNote(`it has ${lines.length} signatures, at most ${MAX_NOTE_SIGNATURES} are allowed`);
  }
  return { text, signatures: lines.map(parseSignature) };
}

/**
 * Returns `input` as text when a note or its text may consist of it: Unicode without control characters but newline.
 * @throws {StoreError} CHECKPOINT_INVALID
 */
export function noteText(input: Uint8Array | string): string {
  const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
  if (bytes.length > MAX_NOTE_BYTES) {
    throw noNote(`it has ${bytes.length} bytes, at most ${MAX_NOTE_BYTES} are allowed`);
  }
  if (bytes.some((byte) => byte < SPACE && byte !== NEWLINE)) throw noNote('it has a control character');
  const text = typeof input === 'string' ? input : decodeStrictUtf8(input);
  if (text === undefined || LONE_SURROGATE.test(text)) throw noNote('it is no Unicode text');
  return text;
}

/**
 * Resolves with those of `verifiers` that signed the note, at least one. Signatures by other keys are passed over.
 * @throws {StoreError} SIGNATURE_INVALID when none of them signed it, or a signature of one does not verify
 */
export async function verifyNote(note: SignedNote, verifiers: readonly NoteVerifier[]): Promise<NoteVerifier[]> {
  const text = new TextEncoder().encode(note.text);
  const signers = new Set<NoteVerifier>();
  for (const { name, keyId, signature } of note.signatures) {
    const verifier = verifiers.find((each) => each.name === name && each.keyId === keyId);
    if (verifier === undefined) continue;
    if (!(await verifier.verify(text, signature))) {
      throw new StoreError('SIGNATURE_INVALID', `the signature by the key ${name} does not verify`, { data: { name } });
    }
    signers.add(verifier);
  }
  if (signers.size > 0) return [...signers];
  const wanted = verifiers.map(({ name }) => name).join(', ');
  const found = note.signatures.map(({ name }) => name).join(', ');
  throw new StoreError(
    'SIGNATURE_INVALID',
    `no signature by the key ${wanted}: found ${found === '' ? 'none at all' : `one by ${found}, another key`}`,
    { data: { wanted, found } },
  );
}

function parseSignature(line: string): NoteSignature {
  const [, name = '', base64 = ''] = SIGNATURE_LINE.exec(line) ?? [];
  const bytes = base64ToBytes(base64);
  // \s lacks this one of Unicode's spaces.
  if (name === '' || name.includes('\u0085') || bytes === undefined || bytes.length <= KEY_ID_BYTES) {
    throw noNote(`${JSON.stringify(line.slice(0, 100))} is no signature line`);
  }
  const keyId = new DataView(bytes.buffer).getUint32(0);
  return { name, keyId, signature: bytes.slice(KEY_ID_BYTES) };
}

function withKeyId(keyId: number, signature: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(KEY_ID_BYTES + signature.length);
  new DataView(bytes.buffer).setUint32(0, keyId);
  bytes.set(signature, KEY_ID_BYTES);
  return bytes;
}

function noNote(why: string): StoreError {
  return new StoreError('CHECKPOINT_INVALID', `not a signed note: ${why}`);
}
