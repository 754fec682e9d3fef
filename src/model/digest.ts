import { sha256 } from '#sha256';
import { StoreError } from '../errors.js';

/** OCI descriptor of some bytes: digest, size in bytes and media type. */
export interface Descriptor {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
}

declare const brand: unique symbol;

/** OCI content digest: `sha256:` and 64 lower-case hex digits (descriptor.md, Digests). */
export type Digest = string & { readonly [brand]: string };
/** Digest of an image config: the identity of an image. */
export type ImageId = Digest & { readonly [brand]: 'ImageId' };
/** Digest of one layer's uncompressed tar (OCI image spec, config.md, Layer DiffID). */
export type DiffId = Digest & { readonly [brand]: 'DiffId' };
/** Digest of a stack of layers (OCI image spec, config.md, Layer ChainID). */
export type ChainId = Digest & { readonly [brand]: 'ChainId' };

const SHA256_DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Bytes of a SHA-256 hash. */
export const HASH_BYTES = 32;

const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const PREFIX_LENGTH = 'sha256:'.length;
const ascii = new TextDecoder();
// One extra byte in front aligns the digit pairs to even offsets.
const digestPairs = new Uint16Array(4 + HASH_BYTES);
const digestText = new Uint8Array(digestPairs.buffer, 1);
digestText.set(new TextEncoder().encode('sha256:'));
/** Digit pair of each byte, in memory order. */
const PAIR_OF_BYTE = new Uint16Array(new TextEncoder().encode(HEX_OF_BYTE.join('')).slice().buffer);

/** Value of each lower-case hex digit, by its code: a third of the time of working it out. */
const VALUE_OF_DIGIT = new Uint8Array(128);
for (let value = 0; value < 16; value++) VALUE_OF_DIGIT[value.toString(16).charCodeAt(0)] = value;

/** Whether `text` is a digest this store accepts: SHA-256, lower case, full length. */
export function isDigest(text: string): text is Digest {
  return text.length === 71 && SHA256_DIGEST.test(text);
}

/**
 * A digest as clients of a registry name content: SHA-256, which the store has it by, or SHA-512
 * (OCI image spec, descriptor.md, "Registered algorithms").
 */
export type ContentName = string;

const SHA512_DIGEST = /^sha512:[0-9a-f]{128}$/;

/** Whether `text` is a SHA-256 or SHA-512 digest, lower case, full length. */
export function isContentName(text: string): boolean {
  return isDigest(text) || SHA512_DIGEST.test(text);
}

/** Parses a digest. @throws {StoreError} DIGEST_INVALID unless `isDigest` accepts it */
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

/** Returns the digest of the 32 bytes of `hash` from `start` on. */
export function digestFromHash(hash: Uint8Array, start = 0): Digest {
  // A replay makes several per event: a pair table and one decode take a quarter of the time of
  // joining strings, and give a flat string, best for a Map of ids.
  for (let at = 0; at < HASH_BYTES; at++) digestPairs[4 + at] = PAIR_OF_BYTE[hash[start + at] ?? 0] as number;
  return ascii.decode(digestText) as Digest;
}

/** Returns the 32 bytes of `digest`. */
export function hashFromDigest(digest: Digest): Uint8Array {
  return readHex(digest, PREFIX_LENGTH, new Uint8Array(HASH_BYTES));
}

/** Fills `target` with the first bytes of `digest`, 32 at most. */
export function putHash(digest: Digest, target: Uint8Array): void {
  readHex(digest, PREFIX_LENGTH, target);
}

/** Returns the 1 to 64 hex digits of `term`, with or without `sha256:`; undefined for other text. */
export function hexPrefix(term: string): string | undefined {
  return /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(term)?.[1];
}

/** Returns word `index`, from 0, of the hash of `digest`: 32 bits, signed. */
export function hashWord(digest: Digest, index: number): number {
  const start = PREFIX_LENGTH + 8 * index;
  let word = 0;
  for (let at = start; at < start + 8; at++) word = (word << 4) | (VALUE_OF_DIGIT[digest.charCodeAt(at)] as number);
  return word;
}

/** Returns the hex digits of `digest`. */
export function digestHex(digest: Digest): string {
  return digest.slice(PREFIX_LENGTH);
}

/**
 * Parses a digest as an image id, like Go's `IDFromDigest`.
 * @throws {StoreError} DIGEST_INVALID when malformed
 */
export function idFromDigest(digest: string): ImageId {
  return parseDigest(digest) as ImageId;
}

/** Encodes `bytes` as lower-case hex. */
export function bytesToHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX_OF_BYTE[byte];
  return text;
}

/** Decodes an even number of lower-case hex digits. */
export function hexToBytes(hex: string): Uint8Array {
  return readHex(hex, 0, new Uint8Array(hex.length / 2));
}

/** Fills `target` with the first digits of `hex`, which must have at least two per byte. */
export function putHex(hex: string, target: Uint8Array): void {
  readHex(hex, 0, target);
}

function readHex(hex: string, start: number, bytes: Uint8Array): Uint8Array {
  for (let at = 0, digit = start; at < bytes.length; at++, digit += 2) {
    const [high, low] = [hex.charCodeAt(digit), hex.charCodeAt(digit + 1)];
    bytes[at] = ((VALUE_OF_DIGIT[high] as number) << 4) | (VALUE_OF_DIGIT[low] as number);
  }
  return bytes;
}
