import { sha256 } from '#sha256';
import { StoreError } from '../errors.js';

declare const brand: unique symbol;

/** A content digest as the OCI image spec writes it: `sha256:` and 64 lower-case hex digits (descriptor.md, Digests). */
export type Digest = string & { readonly [brand]: string };
/** Digest of the bytes of an image config: the identity of an image. */
export type ImageId = Digest & { readonly [brand]: 'ImageId' };
/** Digest of one layer's uncompressed tar (OCI image spec, config.md, Layer DiffID). */
export type DiffId = Digest & { readonly [brand]: 'DiffId' };
/** Digest that names a stack of layers (OCI image spec, config.md, Layer ChainID). */
export type ChainId = Digest & { readonly [brand]: 'ChainId' };

const SHA256_DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Bytes of a SHA-256 hash. */
export const HASH_BYTES = 32;

const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const PREFIX_LENGTH = 'sha256:'.length;
const ascii = new TextDecoder();
// One byte more in front, so that the pairs of digits stand at even places.
const digestPairs = new Uint16Array(4 + HASH_BYTES);
const digestText = new Uint8Array(digestPairs.buffer, 1);
digestText.set(new TextEncoder().encode('sha256:'));
/** The two digits of each byte, as they stand in memory. */
const PAIR_OF_BYTE = new Uint16Array(new TextEncoder().encode(HEX_OF_BYTE.join('')).slice().buffer);

/** Whether `text` is a digest that this store accepts: SHA-256, lower case, full length. */
export function isDigest(text: string): text is Digest {
  return text.length === 71 && SHA256_DIGEST.test(text);
}

/**
 * Returns `text` as a digest.
 * @throws {StoreError} DIGEST_INVALID when it is not `sha256:` and 64 lower-case hex digits
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new StoreError(
    'DIGEST_INVALID',
    `${JSON.stringify(text.slice(0, 100))} is not a digest: expected sha256: and 64 lower-case hex digits`,
    { data: { digest: text.slice(0, 100) } },
  );
}

/** Returns the digest of `bytes`. */
export function digestOf(bytes: Uint8Array): Digest {
  return digestFromHash(sha256(bytes));
}

/** Returns the digest that names the 32 bytes of `hash`, those from `start` on. */
export function digestFromHash(hash: Uint8Array, start = 0): Digest {
  // A replay makes several of these an event: a table of pairs and one decode take a quarter of the time of joining
  // strings, and give a flat string, which is what a Map of ids should hold.
  for (let at = 0; at < HASH_BYTES; at++) digestPairs[4 + at] = PAIR_OF_BYTE[hash[start + at] ?? 0] as number;
  return ascii.decode(digestText) as Digest;
}

/** Returns the 32 bytes that `digest` names. */
export function hashFromDigest(digest: Digest): Uint8Array {
  return readHex(digest, PREFIX_LENGTH, new Uint8Array(HASH_BYTES));
}

/** Puts the first bytes of the hash that `digest` names into `target`, as many as it has, 32 at the most. */
export function putHash(digest: Digest, target: Uint8Array): void {
  readHex(digest, PREFIX_LENGTH, target);
}

/** Returns the hex part of `digest`. */
export function digestHex(digest: Digest): string {
  return digest.slice(PREFIX_LENGTH);
}

/**
 * Returns a digest as an image id, as the Go package's `IDFromDigest` does.
 * @throws {StoreError} DIGEST_INVALID when `digest` is none
 */
export function idFromDigest(digest: string): ImageId {
  return parseDigest(digest) as ImageId;
}

/** Returns `bytes` in lower-case hex. */
export function bytesToHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX_OF_BYTE[byte];
  return text;
}

/** Returns the bytes that `hex` writes; `hex` must be an even number of lower-case hex digits. */
export function hexToBytes(hex: string): Uint8Array {
  return readHex(hex, 0, new Uint8Array(hex.length / 2));
}

/** Fills `target` with the bytes that the first digits of `hex` write; it has two digits for each at least. */
export function putHex(hex: string, target: Uint8Array): void {
  readHex(hex, 0, target);
}

/** Fills `bytes` with what the digits of `hex` from `start` on write. */
function readHex(hex: string, start: number, bytes: Uint8Array): Uint8Array {
  for (let at = 0; at < bytes.length; at++) {
    const digit = start + 2 * at;
    bytes[at] = (digitValue(hex.charCodeAt(digit)) << 4) | digitValue(hex.charCodeAt(digit + 1));
  }
  return bytes;
}

function digitValue(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
