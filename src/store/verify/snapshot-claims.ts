import { SnapshotDamage } from '../../../projections/snapshot-damage.js';
import { decodeViews, viewVersions } from '../../../projections/views-codec.js';
import { hexToBytes } from '../../model/digest.js';
import { parseSnapshot } from '../snapshots/snapshot-file.js';
import type { ViewClaim } from './fold-check.js';
import type { TreeClaim } from './tree-check.js';
import { viewDigestsOf } from './view-digests.js';
import type { Reading, StoredSnapshot, VerifySource } from './verify-source.js';
import type { ViolationCode } from './violation.js';

const VIEWS_FILE = /^(\d{16})\.views$/;
const PROJECTION_FILE = /^(.+)\.projection$/;

/** What snapshots say of the log that they are of. */
export interface SnapshotClaims {
  readonly roots: TreeClaim[];
  readonly views: ViewClaim[];
}

/** A snapshot that is none of this log. */
class Unfit extends Error {
  readonly code: ViolationCode;

  constructor(code: ViolationCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Resolves with what the snapshots of a source say of the tree and the views, each read and given up again. What is wrong with one by itself
 * is reported. One of other versions of the projections is passed over, as an open does.
 */
export async function snapshotClaims(
  source: VerifySource,
  reading: Reading,
  onLooked: (files: number) => void,
): Promise<SnapshotClaims> {
  const claims: SnapshotClaims = { roots: [], views: [] };
  let looked = 0;
  for await (const stored of source.snapshots?.(reading) ?? []) {
    const place = `snapshots/${stored.name}`;
    try {
      await addClaims(claims, source, stored, place);
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

async function addClaims(
  { roots, views }: SnapshotClaims,
  { identity, size }: VerifySource,
  { name, read }: StoredSnapshot,
  place: string,
): Promise<void> {
  const ofViews = VIEWS_FILE.exec(name)?.[1];
  const projection = PROJECTION_FILE.exec(name)?.[1];
  if (ofViews === undefined && projection === undefined) throw new Unfit('FILE_UNKNOWN', 'no snapshot has this name');
  const bytes = await read();
  if (bytes === undefined) return;
  const { header, payload } = parseSnapshot(bytes);
  const { store, kind, seq, root, versions } = header;
  if (identity !== undefined && store !== identity.storeId)
    throw new Unfit('SNAPSHOT_FOREIGN', 'it is of another store');
  if (seq > size) throw new Unfit('SNAPSHOT_FOREIGN', `it is of event ${seq}, and the log ends at ${size}`);
  const isNamed = kind === 'views' ? Number(ofViews) === seq : versions[projection ?? ''] !== undefined;
  if (!isNamed) throw new SnapshotDamage('it is of something else than its name says');
  roots.push({ size: seq, root: hexToBytes(root), place, code: 'SNAPSHOT_FOREIGN' });
  if (kind === 'projection' || JSON.stringify(versions) !== JSON.stringify(viewVersions)) return;
  // Only the digests are kept: the views of twenty snapshots are twenty times the store's.
  const digests = await viewDigestsOf(decodeViews(payload))();
  views.push({ seq, place, code: 'SNAPSHOT_WRONG', digests: async () => digests });
}
