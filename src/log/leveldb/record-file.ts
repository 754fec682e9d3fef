import { MAX_SCANNED_BYTES } from '../../limits.js';
import { maskedCrc32c } from './crc32c.js';

/*
 * The format of LevelDB's write-ahead logs and MANIFEST files (doc/log_format.md): blocks of 32 KiB, in them fragments of a
 * checksum (4 bytes), a length (2), a type (1) and that many bytes. LevelDB itself drops what is behind a bad fragment to the
 * end of its block, and says nothing: here everything that is whole is found, and what is between is named.
 */

const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

/** A whole record, and where its first fragment begins. */
export interface FileRecord {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Bytes that belong to no whole record, between two that are whole, or before the first. */
export interface DamagedStretch {
  readonly offset: number;
  readonly end: number;
}

/** What stands in such a file. */
export interface RecordFile {
  readonly records: readonly FileRecord[];
  /** Damage with whole records behind it. One writer that syncs each record before the next leaves none, also in a crash. */
  readonly damaged: readonly DamagedStretch[];
  /** Where the last, unfinished write begins, with nothing whole behind it: a crash leaves that, and so does damage at the end. */
  readonly tornAt: number | undefined;
}

/** Returns every whole record of a file in order, and what is between them. Never throws. */
export function parseRecordFile(bytes: Uint8Array): RecordFile {
  const records: FileRecord[] = [];
  const damaged: DamagedStretch[] = [];
  let badFrom: number | undefined;
  const scan = { bytesLeft: MAX_SCANNED_BYTES };
  for (let at = 0; at < bytes.length; ) {
    const found = recordAt(bytes, at);
    if (found === undefined) {
      if (!isTrailer(bytes, at)) badFrom ??= at;
      at = isTrailer(bytes, at) ? blockEnd(at) : nextStart(bytes, at + 1, scan);
      continue;
    }
    if (badFrom !== undefined) damaged.push({ offset: badFrom, end: at });
    badFrom = undefined;
    records.push({ offset: at, bytes: found.bytes });
    at = found.end;
  }
  return { records, damaged, tornAt: badFrom };
}

/** The rest of a block that is too short for a header. Nothing reads what is in it. */
function isTrailer(bytes: Uint8Array, at: number): boolean {
  const end = blockEnd(at);
  return end - at < HEADER_BYTES && end <= bytes.length;
}

/** Returns the record that begins at `at`, if a whole one does. */
function recordAt(bytes: Uint8Array, at: number): { bytes: Uint8Array; end: number } | undefined {
  const first = fragmentAt(bytes, at);
  if (first?.type === FULL) return { bytes: first.payload, end: first.end };
  if (first?.type !== FIRST) return undefined;
  const pieces = [first.payload];
  let end = first.end;
  for (;;) {
    if (isTrailer(bytes, end)) end = blockEnd(end);
    const next = fragmentAt(bytes, end);
    if (next === undefined || (next.type !== MIDDLE && next.type !== LAST)) return undefined;
    pieces.push(next.payload);
    end = next.end;
    if (next.type === LAST) return { bytes: joined(pieces), end };
  }
}

interface Fragment {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly end: number;
}

/** Returns the fragment that begins at `at`, if its checksum is right. */
function fragmentAt(bytes: Uint8Array, at: number): Fragment | undefined {
  const type = bytes[at + 6];
  if (type === undefined || type < FULL || type > LAST) return undefined;
  const end = at + HEADER_BYTES + lengthAt(bytes, at);
  if (end > Math.min(blockEnd(at), bytes.length)) return undefined;
  const stored = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
  if (maskedCrc32c(bytes.subarray(at + 6, end)) !== stored) return undefined;
  return { type, payload: bytes.subarray(at + HEADER_BYTES, end), end };
}

/** Returns where the next fragment stands that may begin a record, wherever in a block; the end of the file when there is none. */
function nextStart(bytes: Uint8Array, from: number, scan: { bytesLeft: number }): number {
  for (let at = from; at < bytes.length && scan.bytesLeft > 0; at++) {
    const type = bytes[at + 6];
    if (type !== FULL && type !== FIRST) continue;
    if (fragmentAt(bytes, at) !== undefined) return at;
    scan.bytesLeft -= lengthAt(bytes, at);
  }
  return bytes.length;
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (bytes[at + 4] as number) + (bytes[at + 5] as number) * 256;
}

function blockEnd(at: number): number {
  return at - (at % BLOCK_BYTES) + BLOCK_BYTES;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
