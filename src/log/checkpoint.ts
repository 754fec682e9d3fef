import { StoreError } from '../errors.js';
import { HASH_BYTES } from '../model/digest.js';
import { base64ToBytes, bytesToBase64 } from './base64.js';
import type { TreeHead } from './merkle/check-proof.js';
import type { NoteSigner, NoteVerifier } from './note-key.js';
import { noteText, formatNote, type NoteSignature, parseNote, verifyNote } from './signed-note.js';

/*
 * Checkpoints (C2SP tlog-checkpoint): the text that commits to the first events of a log. Signed, it is a note; without a
 * signature it is the text of the note alone.
 */

/** What a checkpoint says. */
export interface Checkpoint extends TreeHead {
  /** Name of the log. */
  readonly origin: string;
  /** Lines after the root, of which nothing is known here; this log writes none. */
  readonly extensions: readonly string[];
}

/** A checkpoint as it was read. It is to be believed as far as its signatures are. */
export interface ParsedCheckpoint extends Checkpoint {
  /** What is or may be signed: the lines of the checkpoint. */
  readonly text: string;
  /** None in a checkpoint that is not signed. */
  readonly signatures: readonly NoteSignature[];
}

/**
 * Returns the text of a checkpoint without signatures.
 * @throws {StoreError} CHECKPOINT_INVALID when it has parts that cannot be written
 */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  const text = bodyOf({ origin, size, root, extensions });
  parseCheckpoint(text);
  return text;
}

/** Resolves with the text of a checkpoint that `signer` signs. Whether it may be signed, the caller must know. */
export async function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): Promise<string> {
  const text = formatCheckpoint(checkpoint);
  const signature = await signer.sign(new TextEncoder().encode(text));
  return formatNote({ text, signatures: [{ name: signer.name, keyId: signer.keyId, signature }] });
}

/**
 * Returns the checkpoint in `input`, its UTF-8 or the text, signed or not. Nothing but what `formatCheckpoint` or a note of it gives is taken.
 * @throws {StoreError} CHECKPOINT_INVALID
 */
export function parseCheckpoint(input: Uint8Array | string): ParsedCheckpoint {
  const text = noteText(input);
  const isNote = text.includes('\n\n');
  const note = isNote ? parseNote(text) : { text, signatures: [] };
  const lines = note.text.split('\n');
  const [origin = '', size = '', root = '', ...rest] = lines;
  // What follows the last newline.
  if (lines.length < 4 || rest.pop() !== '') throw noCheckpoint('expected three lines or more, each with its end');
  const checkpoint = {
    origin,
    size: parseSize(size),
    root: parseRoot(root),
    extensions: rest,
  };
  if (lines.slice(0, -1).includes('')) throw noCheckpoint('it has an empty line');
  if (bodyOf(checkpoint) !== note.text) throw noCheckpoint('it is not written as it must be');
  return { ...checkpoint, ...note };
}

/**
 * Returns when `verifier` signed the checkpoint and it is of the log that the key is named after.
 * @throws {StoreError} CHECKPOINT_FOREIGN, SIGNATURE_INVALID
 */
export async function verifyCheckpoint(checkpoint: ParsedCheckpoint, verifier: NoteVerifier): Promise<void> {
  checkOriginOf(checkpoint, verifier.name);
  await verifyNote(checkpoint, [verifier]);
}

/**
 * Returns when the checkpoint is of the log `origin`.
 * @throws {StoreError} CHECKPOINT_FOREIGN
 */
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
  throw noCheckpoint(`${JSON.stringify(line.slice(0, 100))} is no size of a tree`);
}

function parseRoot(line: string): Uint8Array {
  const root = base64ToBytes(line);
  if (root?.length === HASH_BYTES) return root;
  throw noCheckpoint(`its root is not ${HASH_BYTES} bytes in base64`);
}

function noCheckpoint(why: string): StoreError {
  return new StoreError('CHECKPOINT_INVALID', `not a checkpoint: ${why}`);
}
