import { type OptionNames, refuseUnknown } from '../model/option-names.js';
import { loadCode, StoreError, thrownText } from '../errors.js';
import { equalBytes } from '../model/bytes.js';
import { HASH_BYTES } from '../model/digest.js';
import {
  base64ToBytes,
  bytesToBase64,
  formatNote,
  type NoteSignature,
  type NoteSigner,
  noteText,
  type NoteVerifier,
  parseNote,
  parseVerifierKey,
  verifyNote,
} from './note.js';
import { checkInclusion, leafHash, rejected, type TreeHead } from './merkle.js';
import { MAX_PROOF_BYTES, MAX_PROOF_HASHES } from '../limits.js';
import { decodeStrictUtf8 } from '../model/record-fields.js';
import type { StoredEvent } from '../model/events.js';

/*
 * Checkpoints (C2SP tlog-checkpoint): a text that commits to the first events of a log. A signed
 * one is a note; an unsigned one is only the note's text.
 */

/** Contents of a checkpoint. */
export interface Checkpoint extends TreeHead {
  /** Name of the log. */
  readonly origin: string;
  /** Lines after the root, uninterpreted; this log writes none. */
  readonly extensions: readonly string[];
}

/** A parsed checkpoint; only as trustworthy as its signatures. */
export interface ParsedCheckpoint extends Checkpoint {
  /** The text that signatures cover. */
  readonly text: string;
  /** Empty when unsigned. */
  readonly signatures: readonly NoteSignature[];
}

/** Encodes an unsigned checkpoint. @throws {StoreError} CHECKPOINT_INVALID for unencodable parts */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const text = bodyOf(checkpoint);
  parseCheckpoint(text);
  return text;
}

/** Encodes and signs a checkpoint. Callers must make sure that it may be signed. */
export async function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): Promise<string> {
  const text = formatCheckpoint(checkpoint);
  const signature = await signer.sign(new TextEncoder().encode(text));
  return formatNote({ text, signatures: [{ name: signer.name, keyId: signer.keyId, signature }] });
}

/**
 * Parses a checkpoint from text or UTF-8, signed or not; accepts only the canonical form.
 * @throws {StoreError} CHECKPOINT_INVALID
 */
export function parseCheckpoint(input: Uint8Array | string): ParsedCheckpoint {
  const text = noteText(input);
  const isNote = text.includes('\n\n');
  const note = isNote ? parseNote(text) : { text, signatures: [] };
  const lines = note.text.split('\n');
  const [origin = '', size = '', root = '', ...rest] = lines;
  // The part after the last newline.
  if (lines.length < 4 || rest.pop() !== '') throw noCheckpoint('expected three lines or more, each with its end');
  const checkpoint = { origin, size: parseSize(size), root: parseRoot(root), extensions: rest };
  if (lines.slice(0, -1).includes('')) throw noCheckpoint('it has an empty line');
  if (bodyOf(checkpoint) !== note.text) throw noCheckpoint('it is not in canonical form');
  return { ...checkpoint, ...note };
}

/**
 * Verifies the signature of `verifier`, and that the checkpoint is of the log its key names.
 * @throws {StoreError} CHECKPOINT_FOREIGN, SIGNATURE_INVALID
 */
export async function verifyCheckpoint(checkpoint: ParsedCheckpoint, verifier: NoteVerifier): Promise<void> {
  checkOriginOf(checkpoint, verifier.name);
  await verifyNote(checkpoint, [verifier]);
}

/** Checks that the checkpoint is of the log `origin`. @throws {StoreError} CHECKPOINT_FOREIGN */
export function checkOriginOf(checkpoint: Checkpoint, origin: string): void {
  if (checkpoint.origin === origin) return;
  throw new StoreError(
    'CHECKPOINT_FOREIGN',
    `the checkpoint is of the log ${JSON.stringify(checkpoint.origin)}, expected ${JSON.stringify(origin)}`,
    { data: { origin: checkpoint.origin, expected: origin } },
  );
}

function bodyOf({ origin, size, root, extensions }: Checkpoint): string {
  return [origin, `${size}`, bytesToBase64(root), ...extensions, ''].join('\n');
}

function parseSize(line: string): number {
  const size = /^(?:0|[1-9]\d{0,15})$/.test(line) ? Number(line) : Number.NaN;
  if (Number.isSafeInteger(size)) return size;
  throw noCheckpoint(`${JSON.stringify(line.slice(0, 100))} is not a size of a tree`);
}

function parseRoot(line: string): Uint8Array {
  const root = base64ToBytes(line);
  if (root?.length === HASH_BYTES) return root;
  throw noCheckpoint(`its root is not ${HASH_BYTES} bytes in base64`);
}

function noCheckpoint(why: string): StoreError {
  return new StoreError('CHECKPOINT_INVALID', `not a checkpoint: ${why}`);
}

/*
 * Standalone proofs (C2SP tlog-proof): index of the leaf, audit path, and checkpoint.
 */

/** Proof that a record is in a log. */
export interface LogProof {
  /** Index of the leaf, from 0: the event's seq minus one. */
  readonly index: number;
  /** Audit path, lowest sibling first. */
  readonly hashes: readonly Uint8Array[];
  /** Text of the checkpoint, signed or not. */
  readonly checkpoint: string;
  /** The record, to make the proof self-contained; untrusted until hashed. */
  readonly extra?: Uint8Array | undefined;
}

/** A parsed proof, untrusted until `checkProof` accepts it. */
interface ParsedProof extends Omit<LogProof, 'checkpoint'> {
  readonly checkpoint: ParsedCheckpoint;
}

const HEADER = 'c2sp.org/tlog-proof@v1';
const EXTRA = 'extra ';

/**
 * Encodes a proof as the text of a `.tlog-proof` file.
 * @throws {StoreError} PROOF_INVALID when a part cannot be encoded
 */
export function formatProof(proof: LogProof): string {
  const text = textOf(proof);
  parseProof(text);
  return text;
}

/**
 * Parses a proof from text or UTF-8; accepts only the canonical form.
 * @throws {StoreError} PROOF_INVALID when malformed or beyond MAX_PROOF_BYTES, MAX_PROOF_HASHES
 */
export function parseProof(input: Uint8Array | string): ParsedProof {
  if (input.length > MAX_PROOF_BYTES) {
    throw noProof(`it has ${input.length} bytes, at most ${MAX_PROOF_BYTES} are allowed`);
  }
  const text = typeof input === 'string' ? input : decodeStrictUtf8(input);
  if (text === undefined) throw noProof('it is not Unicode text');
  const end = text.indexOf('\n\n');
  if (end < 0) throw noProof('it has no checkpoint');
  const lines = text.slice(0, end).split('\n');
  if (lines.shift() !== HEADER) throw noProof(`it does not begin with ${HEADER}`);
  const hasExtra = lines[0]?.startsWith(EXTRA) === true;
  const extra = hasExtra ? base64ToBytes(lines.shift()?.slice(EXTRA.length) ?? '') : undefined;
  if (hasExtra && extra === undefined) throw noProof('its extra data is not base64');
  const index = parseIndex(lines.shift());
  if (lines.length > MAX_PROOF_HASHES) {
    throw noProof(`it has ${lines.length} hashes, at most ${MAX_PROOF_HASHES} are allowed`);
  }
  const hashes = lines.map(parseHash);
  const checkpoint = text.slice(end + 2);
  if (textOf({ index, hashes, checkpoint, extra }) !== text) throw noProof('it is not in canonical form');
  return { index, hashes, extra, checkpoint: checkpointIn(checkpoint) };
}

function textOf({ index, hashes, checkpoint, extra }: LogProof): string {
  const lines = [HEADER, ...(extra === undefined ? [] : [`${EXTRA}${bytesToBase64(extra)}`]), `index ${index}`];
  return [...lines, ...hashes.map(bytesToBase64), '', checkpoint].join('\n');
}

function checkpointIn(text: string): ParsedCheckpoint {
  try {
    return parseCheckpoint(text);
  } catch (cause) {
    throw noProof(thrownText(cause), cause);
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
  throw noProof(`${JSON.stringify(line.slice(0, 100))} is not a hash`);
}

function noProof(why: string, cause?: unknown): StoreError {
  return new StoreError('PROOF_INVALID', `not a proof: ${why}`, { cause });
}

/** What to check a proof against. */
export interface CheckProofOptions {
  /** The log's verifier key (Go's sumdb/note format); without it signatures are ignored. */
  readonly key?: string | undefined;
  /** Trusted checkpoint that the proof must lead to, text or UTF-8; signed if `key` is given. */
  readonly checkpoint?: Uint8Array | string | undefined;
  /** Record to prove; default the one in the proof. */
  readonly record?: Uint8Array | undefined;
}

const checkProofOptionNames: OptionNames<CheckProofOptions> = { key: true, checkpoint: true, record: true };

/** Result of a successful check. */
export interface CheckedProof {
  readonly seq: number;
  readonly record: Uint8Array;
  /** The decoded record; undefined for another program's record. */
  readonly event: StoredEvent | undefined;
  /** The checkpoint that the proof leads to. */
  readonly checkpoint: ParsedCheckpoint;
  /** What makes the checkpoint trusted: the key, the caller's checkpoint, or nothing. */
  readonly vouchedBy: 'key' | 'checkpoint' | 'nothing';
}

/**
 * Verifies the `.tlog-proof` text or file `proof`. Needs no store.
 * @throws {StoreError} PROOF_INVALID when it is malformed, truncated, or has no record and none is
 *   given; PROOF_REJECTED when it is of another log or does not lead from the record to the root;
 *   SIGNATURE_INVALID when the key did not sign the checkpoint; CHECKPOINT_INVALID,
 *   CHECKPOINT_FOREIGN, KEY_INVALID for the options
 */
export async function checkProof(proof: Uint8Array | string, options: CheckProofOptions = {}): Promise<CheckedProof> {
  refuseUnknown(options, checkProofOptionNames);
  const { index, hashes, extra, checkpoint } = parseProof(proof);
  const record = options.record ?? extra;
  if (record === undefined) {
    throw new StoreError('PROOF_INVALID', 'the proof has no record in it, and none is given: nothing can be proved');
  }
  const vouchedBy = await checkTree(checkpoint, options);
  checkInclusion({ index, leafHash: leafHash(record), tree: checkpoint }, hashes);
  const event = await eventIn(record);
  const seq = index + 1;
  if (event !== undefined && event.seq !== seq) {
    throw rejected(`its record says that it is event ${event.seq}, and it is at place ${seq} of the log`);
  }
  return { seq, record, event, checkpoint, vouchedBy };
}

async function checkTree(found: ParsedCheckpoint, options: CheckProofOptions): Promise<CheckedProof['vouchedBy']> {
  const verifier = options.key === undefined ? undefined : await parseVerifierKey(options.key);
  if (verifier !== undefined) needOrigin(found, verifier.name);
  if (options.checkpoint === undefined) {
    if (verifier === undefined) return 'nothing';
    await verifyCheckpoint(found, verifier);
    return 'key';
  }
  const trusted = parseCheckpoint(options.checkpoint);
  if (verifier !== undefined) await verifyCheckpoint(trusted, verifier);
  needOrigin(found, trusted.origin);
  if (found.size !== trusted.size) {
    throw rejected(`it is made for a log of ${found.size} events, the checkpoint that is given is of ${trusted.size}`);
  }
  if (!equalBytes(found.root, trusted.root))
    throw rejected('its checkpoint has another root than the one that is given');
  return verifier === undefined ? 'checkpoint' : 'key';
}

function needOrigin(found: ParsedCheckpoint, origin: string): void {
  try {
    checkOriginOf(found, origin);
  } catch (cause) {
    throw rejected(`it is of the log ${JSON.stringify(found.origin)}, expected ${JSON.stringify(origin)}`, cause);
  }
}

// The checkpoint names the log: the record may be of another program.
async function eventIn(record: Uint8Array): Promise<StoredEvent | undefined> {
  // Lazy, so that importing the library does not load the record decoder.
  const { decodeRecord } = await loadCode('of records', import('./record.js'));
  try {
    // A copy: the decoder may modify it.
    return decodeRecord(record.slice());
  } catch {
    // Any bytes can be proved; these just cannot be decoded here.
    return undefined;
  }
}
