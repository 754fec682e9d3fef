import { StoreError } from '../errors.js';
import { bytesToHex, hexToBytes, sha256 } from '../model/digest.js';
import { base64ToBytes, bytesToBase64 } from './base64.js';
import { checkOrigin } from './origin.js';

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
