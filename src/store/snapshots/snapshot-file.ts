import { createHash } from 'node:crypto';
import { SnapshotDamage } from '../../../projections/snapshot-damage.js';
import { MAX_SNAPSHOT_HEADER_BYTES } from '../../limits.js';
import { HASH_BYTES } from '../../model/digest.js';
import { nodeSha256 } from '../files/node-hash.js';

/*
 * The file of a snapshot: a line that says so, a line of JSON (the header), the encoded views, and the SHA-256 of all that.
 * README.md of this folder has it byte by byte.
 */

/** What a snapshot is of, and the root that ties it to its log. */
export interface SnapshotHeader {
  /** Id of the store. */
  readonly store: string;
  /** `views`: the store's own, all of them; `projection`: the view of one projection of a caller's. */
  readonly kind: 'views' | 'projection';
  /** The version of every projection whose view is in it, by name. */
  readonly versions: Readonly<Record<string, number>>;
  /** The last event that is folded in. */
  readonly seq: number;
  /** Root of the log's tree up to that event, in hex. */
  readonly root: string;
}

export interface Snapshot {
  readonly header: SnapshotHeader;
  /** The encoded views; they stand in the bytes that were parsed. */
  readonly payload: Uint8Array;
}

/** The first line; its last word is the version of this format. */
const MAGIC = 'imagelog snapshot 2\n';
const LINE_END = 0x0a;

const utf8 = new TextEncoder();
const latin1 = new TextDecoder('latin1');

/** Gives the bytes of a snapshot file, in pieces. */
export function* formatSnapshot(header: SnapshotHeader, payload: Iterable<Uint8Array>): Generator<Uint8Array> {
  const hash = createHash('sha256');
  const start = utf8.encode(MAGIC + formatHeader(header));
  hash.update(start);
  yield start;
  for (const piece of payload) {
    hash.update(piece);
    yield piece;
  }
  yield hash.digest();
}

/**
 * Returns the snapshot that a file holds, after its checksum proved that it is whole.
 * @throws {SnapshotDamage} when it is not one, or of another version
 */
export function parseSnapshot(bytes: Uint8Array): Snapshot {
  const end = bytes.length - HASH_BYTES;
  if (end < MAGIC.length || latin1.decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new SnapshotDamage('it is no snapshot, or of another version of the format');
  }
  if (!Buffer.from(nodeSha256(bytes.subarray(0, end))).equals(bytes.subarray(end))) {
    throw new SnapshotDamage('its bytes are not those that were written: the checksum differs');
  }
  const headerEnd = bytes.indexOf(LINE_END, MAGIC.length) + 1;
  if (headerEnd === 0 || headerEnd > end || headerEnd - MAGIC.length > MAX_SNAPSHOT_HEADER_BYTES) {
    throw new SnapshotDamage('its header has no end');
  }
  const header = parseHeader(new TextDecoder().decode(bytes.subarray(MAGIC.length, headerEnd)));
  return { header, payload: bytes.subarray(headerEnd, end) };
}

function formatHeader({ store, kind, versions, seq, root }: SnapshotHeader): string {
  return `${JSON.stringify({ store, kind, versions, seq, root })}\n`;
}

// A header that is written again must give the same line: so it has these fields, in this order, and no other.
function parseHeader(line: string): SnapshotHeader {
  try {
    const header = JSON.parse(line) as SnapshotHeader;
    if (isHeader(header) && formatHeader(header) === line) return header;
  } catch {
    // Not JSON: as any other line that is no header.
  }
  throw new SnapshotDamage('its header is none');
}

function isHeader(value: unknown): value is SnapshotHeader {
  const { store, kind, versions, seq, root } = Object(value) as Record<string, unknown>;
  return (
    typeof store === 'string' &&
    (kind === 'views' || kind === 'projection') &&
    typeof versions === 'object' &&
    versions !== null &&
    Object.values(versions).every((version) => Number.isSafeInteger(version)) &&
    Number.isSafeInteger(seq) &&
    (seq as number) >= 1 &&
    typeof root === 'string' &&
    /^[0-9a-f]{64}$/.test(root)
  );
}
