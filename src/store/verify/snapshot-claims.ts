import { SnapshotDamage } from '../../../projections/snapshot-damage.js';
import { decodeViews, viewVersions } from '../../../projections/views-codec.js';
import { parseSnapshot, type Snapshot } from '../snapshots/snapshot-file.js';
import type { ViewClaim } from './fold-check.js';
import { viewDigestsOf } from './view-digests.js';
import type { Reading, StoredSnapshot, VerifySource } from './verify-source.js';
import type { ViolationCode } from './violation.js';

const VIEWS_FILE = /^(\d{16})\.views$/;
const PROJECTION_FILE = /^(.+)\.projection$/;

/** A snapshot that is none of this log. */
class Unfit extends Error {
  readonly code: ViolationCode;

  constructor(code: ViolationCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Resolves with what the snapshots of a source say of the views, each read and given up again. What is wrong with one by itself
 * is reported. One of other versions of the projections is passed over, as an open does.
 */
export async function snapshotClaims(
  source: VerifySource,
  reading: Reading,
  onLooked: (files: number) => void,
): Promise<ViewClaim[]> {
  const claims: ViewClaim[] = [];
  let looked = 0;
  for await (const stored of source.snapshots?.(reading) ?? []) {
    const place = `snapshots/${stored.name}`;
    try {
      const claim = await claimOf(source, stored, place);
      if (claim !== undefined) claims.push(claim);
    } catch (error) {
      if (error instanceof Unfit) reading.report({ code: error.code, place, message: `${place}: ${error.message}` });
      else if (error instanceof SnapshotDamage) {
        reading.report({ code: 'SNAPSHOT_DAMAGED', place, message: `${place}: ${error.message}` });
      } else throw error;
    }
    onLooked(++looked);
  }
  return claims;
}

async function claimOf(
  { identity, size }: VerifySource,
  { name, read }: StoredSnapshot,
  place: string,
): Promise<ViewClaim | undefined> {
  const views = VIEWS_FILE.exec(name)?.[1];
  const projection = PROJECTION_FILE.exec(name)?.[1];
  if (views === undefined && projection === undefined) throw new Unfit('FILE_UNKNOWN', 'no snapshot has this name');
  const bytes = await read();
  if (bytes === undefined) return undefined;
  const snapshot = parseSnapshot(bytes);
  const { store, kind, seq } = snapshot.header;
  if (identity !== undefined && store !== identity.storeId)
    throw new Unfit('SNAPSHOT_FOREIGN', 'it is of another store');
  if (seq > size) throw new Unfit('SNAPSHOT_FOREIGN', `it is of event ${seq}, and the log ends at ${size}`);
  if (kind === 'projection') {
    if (projection === undefined || snapshot.header.versions[projection] === undefined) {
      throw new SnapshotDamage('it is of another projection than its name says');
    }
    return undefined;
  }
  if (views === undefined || Number(views) !== seq)
    throw new SnapshotDamage(`it is of event ${seq}, and not what its name says`);
  return viewClaim(snapshot, place);
}

async function viewClaim({ header, payload }: Snapshot, place: string): Promise<ViewClaim | undefined> {
  if (JSON.stringify(header.versions) !== JSON.stringify(viewVersions)) return undefined;
  // Only the digests are kept: the views of twenty snapshots are twenty times the store's.
  const digests = await viewDigestsOf(decodeViews(payload))();
  return { seq: header.seq, place, code: 'SNAPSHOT_WRONG', digests: async () => digests };
}
