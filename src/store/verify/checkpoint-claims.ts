import { checkOriginOf, parseCheckpoint, type ParsedCheckpoint, verifyCheckpoint } from '../../log/checkpoint.js';
import { type NoteVerifier, parseVerifierKey } from '../../log/note-key.js';
import { isStoreError } from '../../errors.js';
import type { TreeClaim } from './tree-check.js';
import type { VerifyOptions } from './verify-options.js';
import type { StoredCheckpoint, VerifySource } from './verify-source.js';
import type { Report } from './violation.js';

/**
 * Resolves with what the checkpoint beside the log, and those that the caller gave, claim of the tree. What is wrong with the
 * first is reported; the others are refused, for they are no part of what is verified.
 * @throws {StoreError} KEY_INVALID; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN, SIGNATURE_INVALID for one that the caller gave
 */
export async function checkpointClaims(
  source: VerifySource,
  { against = [], key }: VerifyOptions,
  report: Report,
): Promise<TreeClaim[]> {
  const verifier = key === undefined ? undefined : await parseVerifierKey(key);
  const claims: (TreeClaim | undefined)[] = [];
  for (const [at, text] of (typeof against === 'string' ? [against] : against).entries()) {
    const checkpoint = parseCheckpoint(text);
    if (source.identity !== undefined) checkOriginOf(checkpoint, source.identity.origin);
    if (verifier !== undefined) await verifyCheckpoint(checkpoint, verifier);
    claims.push(claimOf(checkpoint, `checkpoint given ${at + 1}`, source.size, report));
  }
  if (source.checkpoint !== undefined) claims.push(await ownClaim(source, source.checkpoint, verifier, report));
  return claims.filter((claim) => claim !== undefined);
}

async function ownClaim(
  { identity, size }: VerifySource,
  { text, place }: StoredCheckpoint,
  verifier: NoteVerifier | undefined,
  report: Report,
): Promise<TreeClaim | undefined> {
  try {
    const checkpoint = parseCheckpoint(text);
    if (identity !== undefined) checkOriginOf(checkpoint, identity.origin);
    if (verifier !== undefined) await verifyCheckpoint(checkpoint, verifier);
    return claimOf(checkpoint, place, size, report);
  } catch (error) {
    if (!isStoreError(error)) throw error;
    const { code, message } = error;
    if (code === 'CHECKPOINT_INVALID') report({ code: 'CHECKPOINT_DAMAGED', place, message });
    else if (code === 'CHECKPOINT_FOREIGN') report({ code: 'CHECKPOINT_FOREIGN', place, message });
    else if (code === 'SIGNATURE_INVALID') report({ code: 'SIGNATURE_WRONG', place, message });
    else throw error;
    return undefined;
  }
}

function claimOf(
  { size, root }: ParsedCheckpoint,
  place: string,
  found: number,
  report: Report,
): TreeClaim | undefined {
  if (size <= found) return { size, root, place, code: 'CHECKPOINT_FORKED' };
  const lost = size - found;
  const message = `${place} is of ${size} events, and the log has ${found}: the last ${lost} were lost`;
  report({ code: 'CHECKPOINT_AHEAD', place, message, seq: found, expected: size, found });
  return undefined;
}
