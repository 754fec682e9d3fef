import { StoreError } from '../errors.js';
import type { StoredEvent } from '../model/events.js';
import { checkOriginOf, type ParsedCheckpoint, parseCheckpoint, verifyCheckpoint } from './checkpoint.js';
import { leafHash } from './leaf-hash.js';
import { checkInclusion } from './merkle/check-proof.js';
import { equalHashes } from './merkle/node-hash.js';
import { parseVerifierKey } from './note-key.js';
import { parseProof } from './tlog-proof.js';
import { loadCode } from '../load-code.js';

/** What a proof is checked against, beside what is in it. */
export interface CheckProofOptions {
  /** The log's verifier key, in the format of Go's sumdb/note: without it no signature is looked at. */
  readonly key?: string | undefined;
  /** A checkpoint that is trusted, its text or UTF-8: the proof must lead to its root, and it must itself be signed when there is a key. */
  readonly checkpoint?: Uint8Array | string | undefined;
  /** The record to prove; default the one in the proof. */
  readonly record?: Uint8Array | undefined;
}

/** What was proved. */
export interface CheckedProof {
  readonly seq: number;
  readonly record: Uint8Array;
  /** What the record says; undefined when it is of a log of another program. */
  readonly event: StoredEvent | undefined;
  /** The checkpoint that the proof leads to. */
  readonly checkpoint: ParsedCheckpoint;
  /** Who vouches for the checkpoint: the holder of the key; the caller, who trusts a checkpoint; or nobody but the proof. */
  readonly vouchedBy: 'key' | 'checkpoint' | 'nothing';
}

/**
 * Resolves with what the `.tlog-proof` text or file `proof` proves. Needs no store.
 * @throws {StoreError} PROOF_INVALID when it is none, is cut short, or has no record and none is given; PROOF_REJECTED when
 *   it is of another log or does not lead from the record to the root; SIGNATURE_INVALID when the key did not sign the
 *   checkpoint; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN, KEY_INVALID for what it is checked against
 */
export async function checkProof(proof: Uint8Array | string, options: CheckProofOptions = {}): Promise<CheckedProof> {
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
  if (!equalHashes(found.root, trusted.root))
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

// Whose log it is says the checkpoint: the record need not be one of ours.
async function eventIn(record: Uint8Array): Promise<StoredEvent | undefined> {
  // Here, so that an import of the library does not wait for the decoder of records.
  const { decodeRecord } = await loadCode('of records', import('./record.js'));
  try {
    // A copy, to which the decoder may add what it likes.
    return decodeRecord(record.slice());
  } catch {
    // A leaf of any bytes can be proved; only what it says is not known here.
    return undefined;
  }
}

function rejected(why: string, cause?: unknown): StoreError {
  return new StoreError('PROOF_REJECTED', `the proof does not hold: ${why}`, { cause, data: { why } });
}
