import type { ByteRange } from '../../store/registry-store.js';
import { HttpFailure } from '../failure.js';

/**
 * Returns the part of a blob that `Range` asks for (RFC 9110, 14.2); undefined for the whole, also
 * if it asks for several parts.
 * @throws {HttpFailure} RANGE_INVALID for one that begins behind the end, or ends before it begins
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const range =
    first === ''
      ? { first: Math.max(size - Number(last), 0), last: size - 1 }
      : { first: Number(first), last: Math.min(last === '' ? size - 1 : Number(last), size - 1) };
  const isBackward = first !== '' && last !== '' && Number(last) < Number(first);
  if (!isBackward && range.first < size && range.first <= range.last) return range;
  throw new HttpFailure(416, 'RANGE_INVALID', `the blob has ${size} bytes: ${header?.slice(0, 100)} is no part of it`, {
    headers: { 'content-range': `bytes */${size}` },
  });
}

/**
 * Returns where the bytes of a chunk begin and end, by its `Content-Range` (OCI distribution spec,
 * "Pushing a blob in chunks": without a unit); undefined without one.
 * @throws {HttpFailure} BLOB_UPLOAD_INVALID
 */
export function chunkRangeOf(header: string | undefined): ByteRange | undefined {
  if (header === undefined) return undefined;
  const [, first, last] = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim()) ?? [];
  if (first !== undefined && last !== undefined && Number(first) <= Number(last)) {
    return { first: Number(first), last: Number(last) };
  }
  throw new HttpFailure(416, 'BLOB_UPLOAD_INVALID', `${JSON.stringify(header.slice(0, 100))} is not a range of bytes`);
}
