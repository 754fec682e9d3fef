import { sha256 } from '#sha256';
import { StoreError } from '../errors.js';
import { MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, MAX_ORIGIN_BYTES } from '../limits.js';
import { bytesToHex, hexToBytes } from '../model/digest.js';
import { decodeStrictUtf8 } from '../model/record-fields.js';

/** Encodes `bytes` as padded base64 (RFC 4648, section 4). */
export function bytesToBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Decodes canonical base64; undefined unless `bytesToBase64` gives exactly `text`. */
export function base64ToBytes(text: string): Uint8Array | undefined {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return undefined;
  }
  // `atob` ignores spaces, missing padding and stray bits.
  if (btoa(binary) !== text) return undefined;
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

// Go's unicode.IsSpace, C0 and C1 controls, and lone surrogates.
const NOT_IN_A_NAME = /[\s+\p{Cc}\p{Surrogate}]/u;

/**
 * Returns `name` when it can name a log and its key: no Unicode spaces, control characters or plus
 * (C2SP signed-note, Format), at most MAX_ORIGIN_BYTES of UTF-8.
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
 * Keys in the text format of Go's sumdb/note: `name+hash+base64(kind ‖ public key)`; private ones
 * `PRIVATE+KEY+name+hash+base64(kind ‖ seed)`. Ed25519 (RFC 8032) by WebCrypto.
 */

/** Verifies signatures of one key. */
export interface NoteVerifier {
  readonly name: string;
  /** First four bytes of SHA-256 over name, newline, kind and public key. */
  readonly keyId: number;
  /** The public key in text form. */
  readonly verifierKey: string;
  /** Whether `signature` is valid for `message`. */
  verify(message: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

/** Signs any message with one key; holders must restrict what it signs. */
export interface NoteSigner extends NoteVerifier {
  sign(message: Uint8Array): Promise<Uint8Array>;
}

const ALGORITHM = 'Ed25519';
/** Signature type of Ed25519 (C2SP signed-note, Signature types). */
const ED25519 = 0x01;
const PRIVATE_PREFIX = 'PRIVATE+KEY+';
const KEY_BYTES = 32;
// PKCS #8 header of an Ed25519 private key; the seed follows (RFC 8410, section 7).
const PKCS8_PREFIX = hexToBytes('302e020100300506032b657004220420');

/**
 * Generates a private key as text. Its holder can sign for the log `name`.
 * @throws {StoreError} ORIGIN_INVALID
 */
export async function generatePrivateKey(name: string): Promise<string> {
  checkOrigin(name);
  const seed = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return `${PRIVATE_PREFIX}${formatKey(name, await publicKeyOf(seed), seed)}`;
}

/**
 * Parses a private key into a signer.
 * @throws {StoreError} KEY_INVALID when it is malformed, corrupt or not Ed25519
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

/** Parses a verifier key. @throws {StoreError} KEY_INVALID, as above */
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
      throw noKey('it is not a public key of Ed25519', cause);
    });
  return {
    name,
    keyId: keyIdOf(name, publicKey),
    verifierKey: formatKey(name, publicKey, publicKey),
    verify: (message, signature) => crypto.subtle.verify(ALGORITHM, verifying, signature.slice(), message.slice()),
  };
}

// Only the base64 may contain a plus.
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

// WebCrypto exports the public half of a private key only as a JSON Web Key (RFC 8037).
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
  // Never quote the text: it may be private.
  return new StoreError('KEY_INVALID', `not an Ed25519 key in the note format: ${why}`, { cause });
}

/*
 * Signed notes (C2SP signed-note): a text, an empty line, and signature lines.
 */

/** One signature line of a note. */
export interface NoteSignature {
  /** Name of the key. */
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
}

/** A parsed note, untrusted until `verifyNote` accepts it. */
interface SignedNote {
  /** The signed text, including its last newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const KEY_ID_BYTES = 4;
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) (\S+)$/u;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Encodes a note that `parseNote` accepts.
 * @throws {StoreError} CHECKPOINT_INVALID when `note` cannot be encoded
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
 * Parses a note from text or UTF-8.
 * @throws {StoreError} CHECKPOINT_INVALID if malformed, or over MAX_NOTE_BYTES or
 *   MAX_NOTE_SIGNATURES
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
 * Decodes text allowed in a note: Unicode without control characters other than newline.
 * @throws {StoreError} CHECKPOINT_INVALID
 */
export function noteText(input: Uint8Array | string): string {
  const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
  if (bytes.length > MAX_NOTE_BYTES) {
    throw noNote(`it has ${bytes.length} bytes, at most ${MAX_NOTE_BYTES} are allowed`);
  }
  if (bytes.some((byte) => byte < SPACE && byte !== NEWLINE)) throw noNote('it has a control character');
  const text = typeof input === 'string' ? input : decodeStrictUtf8(input);
  if (text === undefined || LONE_SURROGATE.test(text)) throw noNote('it is not Unicode text');
  return text;
}

/**
 * Resolves with the `verifiers` whose signatures are valid, at least one; ignores other keys.
 * @throws {StoreError} SIGNATURE_INVALID when none signed, or a signature of one is invalid
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
  // \s does not match this Unicode space.
  if (name === '' || name.includes('\u0085') || bytes === undefined || bytes.length <= KEY_ID_BYTES) {
    throw noNote(`${JSON.stringify(line.slice(0, 100))} is not a signature line`);
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
