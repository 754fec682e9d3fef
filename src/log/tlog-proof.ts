import { StoreError } from '../errors.js';
import { MAX_PROOF_BYTES, MAX_PROOF_HASHES } from '../limits.js';
import { HASH_BYTES } from '../model/digest.js';
import { base64ToBytes, bytesToBase64 } from './base64.js';
import { type ParsedCheckpoint, parseCheckpoint } from './checkpoint.js';
import { decodeStrictUtf8 } from './strict-utf8.js';

/*
 * Proofs that stand alone (C2SP tlog-proof): the place of a leaf, the way from it to the root, and the checkpoint of the root.
 */

/** A proof that a record is in a log. */
export interface LogProof {
  /** Of the leaf, from 0: the event's seq less one. */
  readonly index: number;
  /** The hash next to the leaf first. */
  readonly hashes: readonly Uint8Array[];
  /** The text of the checkpoint, signed or not. */
  readonly checkpoint: string;
  /** The record, where the proof is to prove it by itself. Nothing vouches for it until it is hashed. */
  readonly extra?: Uint8Array | undefined;
}

/** A proof as it was read. It is to be believed when `checkProof` has said so. */
export interface ParsedProof extends Omit<LogProof, 'checkpoint'> {
  readonly checkpoint: ParsedCheckpoint;
}

const HEADER = 'c2sp.org/tlog-proof@v1';

/**
 * Returns the text of a proof, what a `.tlog-proof` file holds.
 * @throws {StoreError} PROOF_INVALID when it has parts that cannot be written
 */
export function formatProof(proof: LogProof): string {
  const text = textOf(proof);
  parseProof(text);
  return text;
}

/**
 * Returns the proof in `input`, its UTF-8 or the text. Nothing but what `formatProof` gives is taken.
 * @throws {StoreError} PROOF_INVALID when it is none, is cut short, or beyond MAX_PROOF_BYTES or MAX_PROOF_HASHES
 */
export function parseProof(input: Uint8Array | string): ParsedProof {
  if (input.length > MAX_PROOF_BYTES) {
    throw noProof(`it has ${input.length} bytes, at most ${MAX_PROOF_BYTES} are allowed`);
  }
  const text = typeof input === 'string' ? input : decodeStrictUtf8(input);
  if (text === undefined) throw noProof('it is no Unicode text');
  const end = text.indexOf('\n\n');
  if (end < 0) throw noProof('it has no checkpoint');
  const lines = text.slice(0, end).split('\n');
  if (lines.shift() !== HEADER) throw noProof(`it does not begin with ${HEADER}`);
  const extra = lines[0]?.startsWith('extra ') ? parseBytes(lines.shift()?.slice('extra '.length)) : undefined;
  const index = parseIndex(lines.shift());
  if (lines.length > MAX_PROOF_HASHES) {
    throw noProof(`it has ${lines.length} hashes, at most ${MAX_PROOF_HASHES} are allowed`);
  }
  const hashes = lines.map(parseHash);
  const checkpoint = text.slice(end + 2);
  if (textOf({ index, hashes, checkpoint, extra }) !== text) throw noProof('it is not written as it must be');
  return { index, hashes, extra, checkpoint: checkpointIn(checkpoint) };
}

function textOf({ index, hashes, checkpoint, extra }: LogProof): string {
  const lines = [HEADER, ...(extra === undefined ? [] : [`extra ${bytesToBase64(extra)}`]), `index ${index}`];
  return [...lines, ...hashes.map(bytesToBase64), '', checkpoint].join('\n');
}

function checkpointIn(text: string): ParsedCheckpoint {
  try {
    return parseCheckpoint(text);
  } catch (cause) {
    throw noProof(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function parseIndex(line: string | undefined): number {
  const [, digits] = /^index (0|[1-9]\d{0,15})$/.exec(line ?? '') ?? [];
  const index = digits === undefined ? Number.NaN : Number(digits);
  if (Number.isSafeInteger(index)) return index;
  throw noProof('it has no index');
}

function parseHash(line: string): Uint8Array {
  const hash = base64ToBytes(line);
  if (hash?.length === HASH_BYTES) return hash;
  throw noProof(`${JSON.stringify(line.slice(0, 100))} is no hash`);
}

function parseBytes(text = ''): Uint8Array {
  const bytes = base64ToBytes(text);
  if (bytes !== undefined) return bytes;
  throw noProof('its extra data is no base64');
}

function noProof(why: string, cause?: unknown): StoreError {
  return new StoreError('PROOF_INVALID', `not a proof: ${why}`, { cause });
}
