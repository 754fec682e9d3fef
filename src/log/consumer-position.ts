import { Packr } from 'msgpackr';
import { StoreError } from '../errors.js';
import type { ConsumerPosition } from './log.js';
import { FieldReader } from './record-fields.js';

/** Version of the layout of a position's row. */
const POSITION_FORMAT = 1;

const packr = new Packr({ useRecords: false });

/** Returns the row of a consumer's position: a MessagePack array of format, seq and time. */
export function formatPosition({ seq, time }: ConsumerPosition): Uint8Array {
  return new Uint8Array(packr.pack([POSITION_FORMAT, seq, time]));
}

/**
 * Returns the position of a row.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED when a newer version wrote it, LOG_CORRUPT when it is no position
 */
export function parsePosition(row: Uint8Array): ConsumerPosition {
  const fields = new FieldReader(row, 0, 'the position of a consumer');
  const format = fields.integer('format');
  if (format !== POSITION_FORMAT) {
    throw new StoreError(
      'STORE_FORMAT_UNSUPPORTED',
      `the position of a consumer has format ${format}; this version reads format ${POSITION_FORMAT}`,
      { data: { format } },
    );
  }
  const position = { seq: fields.integer('seq'), time: fields.integer('time') };
  fields.end();
  return position;
}
