import { sha256 } from '#sha256';
import { StoreError } from '../errors.js';
import { MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, MAX_ORIGIN_BYTES } from '../limits.js';
import { bytesToHex, hexToBytes } from '../model/digest.js';
import { decodeStrictUtf8 } from '../model/record-fields.js';

/** Returns `bytes` in the base64 of RFC 4648, section 4, padded. */
export function bytesToBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Returns the bytes that `text` writes; undefined unless `bytesToBase64` writes them in just this way. */
export function base64ToBytes(text: string): Uint8Array | undefined {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    // Not base64 at all: as what is not canonical.
    return undefined;
  }
  // `atob` passes over spaces, missing padding and stray bits.
  if (btoa(binary) !== text) return undefined;
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

// Go's unicode.IsSpace, C0 and C1 controls, and what is no Unicode.
const NOT_IN_A_NAME = /[\s+\p{Cc}\p{Surrogate}]/u;

/**
 * Returns `name` when it can name a log and its key: no Unicode spaces, control characters or plus (C2SP signed-note, Format), and
 * at most MAX_ORIGIN_BYTES in UTF-8.
 * @throws {StoreError} ORIGIN_INVALID
 */
export function checkOrigin(name: string): string {
  const size = new TextEncoder().encode(name).length;
  const found = originFault(name, size);
  if (found === undefined) return name;
  const shown = JSON.stringify(name.slice(0, MAX_ORIGIN_BYTES));
  throw new StoreError('ORIGIN_INVALID', `${shown} cannot name a log or a key: it ${found}`, { data: { size } });
}

function originFault(name: string, size: number): string | undefined {
  if (name === '') return 'is empty';
  if (size > MAX_ORIGIN_BYTES) return `has ${size} bytes, at most ${MAX_ORIGIN_BYTES} are allowed`;
  if (NOT_IN_A_NAME.test(name)) return 'has a space, a control character or a plus';
  return undefined;
}

/*
 * Keys in the text format of Go's sumdb/note package: `name+hash+base64(kind ‖ public key)`, and for the private one
 * `PRIVATE+KEY+name+hash+base64(kind ‖ seed)`. Ed25519 (RFC 8032) by WebCrypto.
 */

/** Checks signatures of one key. */
export interface NoteVerifier {
  readonly name: string;
  /** First four bytes of SHA-256 over name, newline, kind and public key. */
  readonly keyId: number;
  /** The key as text, for others to check with. */
  readonly verifierKey: string;
  /** Whether `signature` is the key's over `message`. */
  verify(message: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

/** Signs as one key, whatever it is given: whoever holds it must see to what it signs. */
export interface NoteSigner extends NoteVerifier {
  sign(message: Uint8Array): Promise<Uint8Array>;
}

const ALGORITHM = 'Ed25519';
/** Signature type of Ed25519 (C2SP signed-note, Signature types). */
const ED25519 = 0x01;
const PRIVATE_PREFIX = 'PRIVATE+KEY+';
const KEY_BYTES = 32;
// A private key of Ed25519 in PKCS #8 is these bytes and the seed (RFC 8410, section 7).
const PKCS8_PREFIX = hexToBytes('302e020100300506032b657004220420');

/**
 * Resolves with a new private key as text. Whoever has it can sign for the log `name`.
 * @throws {StoreError} ORIGIN_INVALID
 */
export async function generatePrivateKey(name: string): Promise<string> {
  checkOrigin(name);
  const seed = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return `${PRIVATE_PREFIX}${formatKey(name, await publicKeyOf(seed), seed)}`;
}

/**
 * Resolves with the signer of a private key.
 * @throws {StoreError} KEY_INVALID when it is none, is damaged, or is of another kind than Ed25519
 */
export async function parsePrivateKey(text: string): Promise<NoteSigner> {
  if (!text.startsWith(PRIVATE_PREFIX)) throw noKey(`a private key begins with ${PRIVATE_PREFIX}`);
  const { name, key: seed } = parseKey(text.slice(PRIVATE_PREFIX.length));
  const publicKey = await publicKeyOf(seed);
  if (`${PRIVATE_PREFIX}${formatKey(name, publicKey, seed)}` !== text) {
    throw noKey('its hash is not that of its name and key');
  }
  const signing = await crypto.subtle.importKey('pkcs8', pkcs8Of(seed), ALGORITHM, false, ['sign']);
  return {
    ...(await verifierOf(name, publicKey)),
    sign: async (message) => new Uint8Array(await crypto.subtle.sign(ALGORITHM, signing, message.slice())),
  };
}

/**
 * Resolves with the verifier of a verifier key.
 * @throws {StoreError} KEY_INVALID, as above
 */
export async function parseVerifierKey(text: string): Promise<NoteVerifier> {
  if (text.startsWith(PRIVATE_PREFIX)) throw noKey('it is a private key, expected a verifier key');
  const { name, key } = parseKey(text);
  if (formatKey(name, key, key) !== text) throw noKey('its hash is not that of its name and key');
  return verifierOf(name, key);
}

async function verifierOf(name: string, publicKey: Uint8Array): Promise<NoteVerifier> {
  const verifying = await crypto.subtle
    .importKey('raw', publicKey.slice(), ALGORITHM, false, ['verify'])
    .catch((cause: unknown) => {
      throw noKey('it is no public key of Ed25519', cause);
    });
  return {
    name,
    keyId: keyIdOf(name, publicKey),
    verifierKey: formatKey(name, publicKey, publicKey),
    verify: (message, signature) => crypto.subtle.verify(ALGORITHM, verifying, signature.slice(), message.slice()),
  };
}

// Name and hash have no plus in them, the base64 may.
function parseKey(text: string): { readonly name: string; readonly key: Uint8Array } {
  const [, name, base64 = ''] = /^([^+]+)\+[0-9a-f]{8}\+(.+)$/u.exec(text) ?? [];
  const bytes = base64ToBytes(base64);
  if (name === undefined || bytes === undefined) throw noKey('expected name+hash+base64');
  const [kind = 0] = bytes;
  if (kind !== ED25519) throw noKey(`it is of kind 0x${bytesToHex(Uint8Array.of(kind))}, expected Ed25519 (0x01)`);
  if (bytes.length !== 1 + KEY_BYTES) throw noKey(`it has ${bytes.length - 1} bytes, expected ${KEY_BYTES}`);
  try {
    checkOrigin(name);
  } catch (cause) {
    throw noKey('its name cannot name a log', cause);
  }
  return { name, key: bytes.slice(1) };
}

function formatKey(name: string, publicKey: Uint8Array, key: Uint8Array): string {
  const hash = keyIdOf(name, publicKey).toString(16).padStart(8, '0');
  return `${name}+${hash}+${bytesToBase64(Uint8Array.from([ED25519, ...key]))}`;
}

function keyIdOf(name: string, publicKey: Uint8Array): number {
  const input = Uint8Array.from([...new TextEncoder().encode(`${name}\n`), ED25519, ...publicKey]);
  return new DataView(sha256(input).slice().buffer).getUint32(0);
}

// WebCrypto gives the public half of a private key only in a JSON Web Key (RFC 8037).
async function publicKeyOf(seed: Uint8Array): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey('pkcs8', pkcs8Of(seed), ALGORITHM, true, ['sign']);
  const { x = '' } = await crypto.subtle.exportKey('jwk', key);
  const bytes = base64ToBytes(`${x.replaceAll('-', '+').replaceAll('_', '/')}=`);
  if (bytes?.length === KEY_BYTES) return bytes;
  throw new StoreError('INTERNAL', 'the public half of a key of Ed25519 has another form than expected');
}

function pkcs8Of(seed: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...PKCS8_PREFIX, ...seed]);
}

function noKey(why: string, cause?: unknown): StoreError {
  // Never with the text itself, which may be private.
  return new StoreError('KEY_INVALID', `not an Ed25519 key in the note format: ${why}`, { cause });
}

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
